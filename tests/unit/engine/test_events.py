"""The event ring: numbers without gaps, a bounded memory, a digest over everything."""

from __future__ import annotations

import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import Blocked, ConsoleOutput, Event, EventRing, FfaCall, FfaCost, HostInput, Interrupt, Switch, Trap
from engine.ffa.version import V1_1, V1_2


def event(n: int) -> Event:
    return Blocked(n, "vm0", 0, "wfi")


def ring(count: int, capacity: int = 10, digest: bool = False) -> EventRing:
    made = EventRing(capacity, digest)
    for n in range(count):
        made.emit(event(n))
    return made


def cycles(events: list[Event]) -> list[int]:
    return [event.cycle for event in events]


@given(st.integers(0, 40), st.integers(1, 15), st.integers(-3, 50))
def test_since_is_what_a_list_would_give(count: int, capacity: int, sequence: int) -> None:
    made = ring(count, capacity)
    kept = list(range(count))[-capacity:]
    assert (made.total, made.first) == (count, count - len(kept))
    assert cycles(list(made.since(sequence))) == [n for n in kept if n >= sequence]


@given(st.integers(0, 40), st.integers(1, 15), st.integers(-3, 50), st.integers(0, 20))
def test_a_window_numbers_its_first_event(count: int, capacity: int, sequence: int, limit: int) -> None:
    start, events = ring(count, capacity).window(sequence, limit)
    assert len(events) <= limit
    assert cycles(events) == list(range(start, start + len(events)))
    if max(sequence, 0) < count and limit:
        assert cycles(events)[-1] == count - 1


def test_a_window_beyond_the_end_is_empty_and_says_where_it_would_start() -> None:
    assert ring(5).window(9, 100) == (9, [])


@given(st.integers(0, 40), st.integers(1, 15), st.integers(-3, 50), st.integers(-3, 50))
def test_between_is_what_a_slice_of_a_list_would_give(count: int, capacity: int, start: int, end: int) -> None:
    kept = list(range(count))[-capacity:]
    assert cycles(ring(count, capacity).between(start, end)) == [n for n in kept if start <= n < end]


def test_newest_goes_through_all_of_a_long_ring() -> None:
    made = ring(25_000, 10_000)
    assert cycles(list(made.newest(16_000))) == list(range(24_999, 15_999, -1))
    assert cycles(list(made.newest(0))) == list(range(24_999, 14_999, -1))


def test_events_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        event(1).cycle = 2  # type: ignore[misc]


def test_equal_events_of_different_kinds_are_different() -> None:
    encode = msgspec.msgpack.Encoder().encode
    assert encode(Switch(1, "a", 0, 3)) != encode(Interrupt(1, "a", 0, 3, ""))


class TestDigest:
    def test_is_the_same_for_the_same_events(self) -> None:
        assert ring(5, digest=True).hexdigest(b"x") == ring(5, digest=True).hexdigest(b"x")

    def test_covers_events_that_are_no_longer_kept(self) -> None:
        one, other = EventRing(2, True), EventRing(2, True)
        for n in (1, 3, 4):
            one.emit(event(n))
        for n in (2, 3, 4):
            other.emit(event(n))
        assert list(one.since(0)) == list(other.since(0))
        assert one.hexdigest() != other.hexdigest()

    def test_does_not_depend_on_the_capacity(self) -> None:
        assert ring(50, 3, True).hexdigest() == ring(50, 100, True).hexdigest()

    @pytest.mark.parametrize(
        "other",
        [
            Trap(2, "vm0", 0, 1, 4096, "WFI", 0),
            Trap(1, "vm1", 0, 1, 4096, "WFI", 0),
            Trap(1, "vm0", 1, 1, 4096, "WFI", 0),
            Trap(1, "vm0", 0, 1, 4100, "WFI", 0),
            Trap(1, "vm0", 0, 1, 4096, "WFE", 0),
            Trap(1, "vm0", 0, 1, 4096, "WFI", 1),
            ConsoleOutput(1, "vm0", 0, b"x"),
        ],
    )
    def test_notices_any_difference(self, other: Event) -> None:
        rings = EventRing(digest=True), EventRing(digest=True)
        rings[0].emit(Trap(1, "vm0", 0, 1, 4096, "WFI", 0))
        rings[1].emit(other)
        assert rings[0].hexdigest() != rings[1].hexdigest()

    def test_notices_a_different_end_state(self) -> None:
        assert ring(3, digest=True).hexdigest(b"a") != ring(3, digest=True).hexdigest(b"b")

    def test_can_be_taken_again_later(self) -> None:
        made = ring(3, digest=True)
        first = made.hexdigest()
        assert made.hexdigest() == first
        made.emit(event(9))
        assert made.hexdigest() != first

    def test_is_refused_where_none_is_kept(self) -> None:
        with pytest.raises(ValueError, match="keeps no digest"):
            ring(1).hexdigest()


class TestData:
    """Events that carry a guest's bytes: a bounded memory whatever guests send."""

    def test_the_oldest_go_where_it_is_too_much(self) -> None:
        made = EventRing(100, heaviest=10)
        for n in range(6):
            made.emit(event(n), 4 if n % 2 else 0)
        assert (made.total, made.first) == (6, 2)
        assert cycles(list(made.since(0))) == [2, 3, 4, 5]

    def test_the_newest_is_kept_whatever_it_holds(self) -> None:
        made = EventRing(100, heaviest=10)
        for n in range(4):
            made.emit(event(n), 50)
        assert cycles(list(made.since(0))) == [3]

    def test_what_had_to_go_is_not_held_anywhere(self) -> None:
        made = EventRing(100, heaviest=10)
        big = HostInput(0, "vm0", -1, "frame", bytes(50), 0, 0)
        held = sys.getrefcount(big)
        made.emit(big, 50)
        assert sys.getrefcount(big) == held + 1
        made.emit(event(1), 50)
        assert sys.getrefcount(big) == held

    def test_what_fell_out_of_the_ring_weighs_nothing(self) -> None:
        made = EventRing(3, heaviest=10)
        for n in range(20):
            made.emit(event(n), 3)
        assert cycles(list(made.since(0))) == [17, 18, 19]

    @given(st.lists(st.integers(0, 12), max_size=40), st.integers(1, 15))
    def test_numbers_stay_without_gaps(self, weights: list[int], capacity: int) -> None:
        made = EventRing(capacity, heaviest=20)
        for n, weight in enumerate(weights):
            made.emit(event(n), weight)
        kept = list(range(made.first, made.total))
        assert cycles(list(made.since(0))) == kept
        assert made.total == len(weights)
        assert len(kept) <= capacity
        assert sum(weights[n] for n in kept) <= max(20, weights[kept[-1]] if kept else 0)

    def test_newest_first(self) -> None:
        assert cycles(list(ring(30).newest(25))) == [29, 28, 27, 26, 25]
        assert cycles(list(ring(30).newest(0))) == list(range(29, 19, -1))

    def test_the_digest_covers_registers_descriptors_and_cost(self) -> None:
        def digest(**changed: object) -> str:
            call = FfaCall(1, "vm0", 0, 1, (0x8400_0069,) * 8, (0x8400_0061,) * 8, V1_2)
            made = EventRing(digest=True)
            made.emit(msgspec.structs.replace(call, **changed))
            return made.hexdigest()

        changes: list[dict[str, object]] = [
            {},
            {"args": (0x8400_0069,) * 18},
            {"result": ()},
            {"version": V1_1},
            {"reason": "no"},
            {"sent": b"x"},
            {"received": b"x"},
            {"cost": FfaCost(entries=1)},
        ]
        assert len({digest(**change) for change in changes}) == len(changes)
