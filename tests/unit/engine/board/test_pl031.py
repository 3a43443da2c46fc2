"""PL031: whole seconds of virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.board.pl031 import SECOND, Pl031, Reg

EPOCH = 1_700_000_000
DR, MR, LR, CR, IMSC, RIS, MIS, ICR = (int(register) for register in list(Reg)[:8])


@dataclass
class Bench:
    """A clock, the virtual time it counts and every change of its line."""

    now: int = 0
    line: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rtc = Pl031(EPOCH, lambda: self.now, self.line.append)

    def get(self, register: int) -> int:
        return self.rtc.read(register, 4)

    def set(self, register: int, value: int) -> None:
        self.rtc.write(register, 4, value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_counts_virtual_seconds_from_the_epoch(bench: Bench) -> None:
    assert bench.get(DR) == EPOCH
    bench.now = 5 * SECOND - 1
    assert bench.get(DR) == EPOCH + 4


def test_load_register_sets_the_count(bench: Bench) -> None:
    bench.set(LR, 1000)
    bench.set(CR, 1)
    bench.now = 3 * SECOND
    assert bench.get(DR) == 1003
    assert bench.get(LR) == 1000
    assert bench.get(CR) == 1


def test_identification_and_holes(bench: Bench) -> None:
    assert [bench.get(0xFE0 + 4 * n) for n in range(8)] == [0x31, 0x10, 0x04, 0x00, 0x0D, 0xF0, 0x05, 0xB1]
    assert bench.get(0x100) == 0


def test_match_interrupt(bench: Bench) -> None:
    bench.set(LR, 100)
    bench.set(MR, 110)
    assert bench.rtc.next_match_ns() is None
    bench.set(IMSC, 1)
    assert bench.rtc.next_match_ns() == 10 * SECOND
    bench.now = 10 * SECOND - 1
    bench.rtc.poll()
    assert bench.line == []
    bench.now = 10 * SECOND
    bench.rtc.poll()
    assert bench.line == [True]
    assert (bench.get(RIS), bench.get(MIS)) == (1, 1)
    assert bench.rtc.next_match_ns() is None
    bench.set(ICR, 1)
    assert bench.line == [True, False]
    bench.now = 11 * SECOND
    bench.rtc.poll()
    assert bench.get(RIS) == 0


def test_a_late_look_still_finds_the_match(bench: Bench) -> None:
    bench.set(MR, EPOCH + 3)
    bench.now = 100 * SECOND
    assert bench.get(RIS) == 1
    assert bench.get(MIS) == 0


def test_matching_the_present_second_raises_at_once(bench: Bench) -> None:
    bench.set(IMSC, 1)
    bench.set(MR, EPOCH)
    assert bench.line == [True]


def test_the_count_wraps_at_32_bits(bench: Bench) -> None:
    bench.set(LR, 0xFFFF_FFFF)
    bench.set(MR, 1)
    bench.set(IMSC, 1)
    assert bench.rtc.next_match_ns() == 2 * SECOND
    bench.now = 2 * SECOND
    assert bench.get(DR) == 1


def test_state_round_trip(bench: Bench) -> None:
    bench.set(MR, EPOCH + 3)
    bench.set(IMSC, 1)
    state = bench.rtc.save()
    other = Bench(now=3 * SECOND)
    other.rtc.restore(state)
    other.rtc.poll()
    assert other.line == [True]
    assert other.get(DR) == EPOCH + 3


def test_reset_keeps_the_count(bench: Bench) -> None:
    bench.set(LR, 7)
    bench.set(IMSC, 1)
    bench.set(MR, 7)
    bench.rtc.reset()
    assert bench.line == [True, False]
    assert bench.get(DR) == 7


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 0x1007),
            st.sampled_from([1, 2, 4, 8]),
            st.integers(0, (1 << 64) - 1),
            st.integers(0, 3 * SECOND),
        ),
        max_size=50,
    )
)
def test_any_access_is_safe(accesses: list[tuple[bool, int, int, int, int]]) -> None:
    bench = Bench()
    for is_read, offset, size, value, passed in accesses:
        bench.now += passed
        if is_read:
            assert 0 <= bench.rtc.read(offset, size) < 1 << 8 * size
        else:
            bench.rtc.write(offset, size, value)
        bench.rtc.poll()
        assert bench.rtc.line == (bench.get(MIS) != 0)
        due = bench.rtc.next_match_ns()
        assert due is None or due > bench.now
        assert bench.rtc.register(offset)
