"""The rows of a trace: found piece by piece at both ends, the same however the pieces fall."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import Blocked, ConsoleOutput, Event, EventRing, Switch, Trap
from hvtui.trace_filter import parse_filter
from hvtui.trace_index import Choice, Place, TraceIndex, sequence_at
from hvtui.trace_printed import printed

FOREVER = 60.0


def blocked(cycle: int) -> Event:
    return Blocked(cycle, f"vm{cycle % 3}", 0, "wfi")


def ring_of(*events: Event, capacity: int = 100_000) -> EventRing:
    ring = EventRing(capacity)
    for event in events:
        ring.emit(event)
    return ring


def complete(index: TraceIndex, ring: EventRing) -> TraceIndex:
    while not index.is_complete(ring):
        index.catch_up(ring, FOREVER)
    return index


def sequences(index: TraceIndex) -> list[int]:
    return [place.sequence for place in index.places(index.rows.first, index.rows.end)]


def test_one_look_examines_a_piece_and_says_how_far_it_came() -> None:
    ring = ring_of(*map(blocked, range(50_000)))
    index = TraceIndex(Choice(traffic=True))
    index.catch_up(ring, FOREVER, most=10_000)
    assert index.high == 50_000
    assert 10_000 <= index.high - index.low < 10_300
    assert not index.is_complete(ring)
    assert sequences(index) == list(range(index.low, 50_000))


def test_a_look_without_any_time_examines_something_all_the_same() -> None:
    ring = ring_of(*map(blocked, range(1000)))
    index = TraceIndex(Choice())
    index.catch_up(ring, 0)
    assert 0 < len(sequences(index)) < 1000


def test_the_newest_rows_are_there_first_and_keep_their_numbers() -> None:
    ring = ring_of(*map(blocked, range(9000)))
    index = TraceIndex(Choice(parse_filter("vm0", ["vm0"])))
    index.catch_up(ring, FOREVER, most=500)
    newest = index.places(index.rows.end - 1, index.rows.end)
    assert newest == [Place(8997, 0)]
    ring.emit(blocked(9000))
    complete(index, ring)
    assert index.places(-1, 1) == [*newest, Place(9000, 0)]
    assert sequences(index) == list(range(0, 9001, 3))


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(1, 900)), max_size=12), st.integers(300, 2000))
def test_a_filter_finds_the_same_whatever_comes_between_looks(steps: list[tuple[int, int]], capacity: int) -> None:
    ring = EventRing(capacity)
    index = TraceIndex(Choice(parse_filter("vm1", ["vm1"])))
    for emitted, examined in steps:
        for _ in range(emitted):
            ring.emit(blocked(ring.total))
        index.catch_up(ring, FOREVER, most=examined)
    complete(index, ring)
    index.catch_up(ring, FOREVER)
    assert sequences(index) == [n for n in range(ring.first, ring.total) if n % 3 == 1]


def test_far_behind_it_begins_again_at_the_newest() -> None:
    ring = ring_of(*map(blocked, range(100)), capacity=300_000)
    index = complete(TraceIndex(Choice()), ring)
    before = index.generation
    for n in range(150_000):
        ring.emit(blocked(n))
    index.catch_up(ring, FOREVER, most=1000)
    assert index.generation != before
    assert sequences(index)[-1] == ring.total - 1


def test_the_row_of_an_event_is_unknown_before_it_was_examined() -> None:
    ring = ring_of(*map(blocked, range(9000)))
    index = TraceIndex(Choice(parse_filter("vm0", ["vm0"])))
    index.catch_up(ring, FOREVER, most=500)
    assert index.row_of(50) is None
    row = complete(index, ring).row_of(50)
    assert row is not None
    assert index.places(row, row + 1) == [Place(51, 0)]
    last = index.row_of(8999)
    assert last == index.rows.end - 1


# --- what is printed ---------------------------------------------------------------------------------


def out(data: bytes, vm: str = "vm0") -> Event:
    return ConsoleOutput(1, vm, -1, data)


FLAGS = Trap(1, "vm0", 0, 0x24, 0x40001000, "read pl011 UARTFR", 0)
HVC = Trap(1, "vm0", 0, 0x16, 0x40001000, "HVC PSCI_VERSION", 0)
PRINTED = (FLAGS, out(b"a"), FLAGS, out(b"b"), out(b"X", "vm1"), out(b"\n"), out(b"c"), HVC, FLAGS, out(b"d"), FLAGS)


def test_what_is_printed_is_a_row_a_line() -> None:
    ring = ring_of(*PRINTED)
    assert sequences(complete(TraceIndex(Choice()), ring)) == [1, 4, 6, 7, 9]
    assert sequences(complete(TraceIndex(Choice(traffic=True)), ring)) == list(range(len(PRINTED)))


@pytest.mark.parametrize(("sequence", "text"), [(1, '"ab\\n"'), (4, '"X"'), (6, '"c"'), (9, '"d"')])
def test_a_line_ends_where_something_else_happens(sequence: int, text: str) -> None:
    ring = ring_of(*PRINTED)
    event = PRINTED[sequence]
    assert isinstance(event, ConsoleOutput)
    assert printed(ring, sequence, event) == text


def test_the_filter_sees_the_whole_line() -> None:
    index = complete(TraceIndex(Choice(parse_filter("ab", []))), ring_of(*PRINTED))
    assert sequences(index) == [1]


# --- lanes -------------------------------------------------------------------------------------------


def test_lanes_remember_which_vcpus_run() -> None:
    ring = ring_of(Switch(0, "vm0", 0, 0), HVC, Blocked(2, "vm0", 0, "wfi"), Switch(2, "vm1", 0, 0), HVC)
    index = complete(TraceIndex(Choice(lanes=True)), ring)
    assert index.turns.between(index.turns.first, index.turns.end) == [0, 2, 3]
    assert index.rows.first == index.rows.end


# --- jumps -------------------------------------------------------------------------------------------


def test_an_instruction_count_is_found_among_turns_of_cores() -> None:
    """Two cores whose counts come in turns of 100."""
    counts = [base + core * 7 + step * 10 for base in range(0, 100_000, 1000) for core in (0, 1) for step in range(100)]
    ring = ring_of(*map(blocked, counts), capacity=15_000)
    for wanted in (*range(30_000, 100_000, 3001), 99_997):
        best = min(count for count in counts[ring.first :] if count >= wanted)
        assert counts[sequence_at(ring, wanted)] == best
    assert sequence_at(ring, 10**9) == ring.total - 1
    assert sequence_at(ring, 0) >= ring.first
    assert counts[sequence_at(ring, 0)] == min(counts[ring.first :])
