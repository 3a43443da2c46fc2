"""Timer comparators (Arm ARM D12): condition, mask, status and the two views of the compare value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cpu.timer import Comparator, Ctl, TimerPpi

NOW = 1_000_000
ticks = st.integers(0, (1 << 63) - 1)


def timer(ctl: int, cval: int) -> Comparator:
    comparator = Comparator()
    comparator.write_ctl(ctl)
    comparator.cval = cval
    return comparator


@pytest.mark.parametrize(
    ("ctl", "cval", "status", "line"),
    [
        (0, NOW - 1, False, False),
        (Ctl.ENABLE, NOW + 1, False, False),
        (Ctl.ENABLE, NOW, True, True),
        (Ctl.ENABLE, NOW - 1, True, True),
        (Ctl.ENABLE | Ctl.IMASK, NOW, True, False),
        (Ctl.ENABLE | Ctl.IMASK, NOW + 1, False, False),
        (Ctl.IMASK, NOW, False, False),
    ],
)
def test_condition_status_and_line(ctl: int, cval: int, status: bool, line: bool) -> None:
    comparator = timer(ctl, cval)
    assert comparator.fires(NOW) == status
    assert bool(comparator.read_ctl(NOW) & Ctl.ISTATUS) == status
    assert comparator.line(NOW) == line


def test_istatus_cannot_be_written() -> None:
    comparator = timer(0xFFFF_FFFF, NOW + 5)
    assert comparator.read_ctl(NOW) == Ctl.ENABLE | Ctl.IMASK


@pytest.mark.parametrize(
    ("value", "cval"), [(100, NOW + 100), (0, NOW), (0xFFFF_FFFF, NOW - 1), (1 << 31, NOW - 2**31)]
)
def test_tval_is_signed(value: int, cval: int) -> None:
    comparator = Comparator()
    comparator.write_tval(value, NOW)
    assert comparator.cval == cval & (1 << 64) - 1


def test_tval_ignores_the_upper_half_of_the_register() -> None:
    comparator = Comparator()
    comparator.write_tval(7 << 32 | 5, NOW)
    assert comparator.cval == NOW + 5


@given(st.integers(0, (1 << 32) - 1), ticks)
def test_tval_reads_back_and_counts_down(value: int, now: int) -> None:
    comparator = Comparator()
    comparator.write_tval(value, now)
    assert comparator.read_tval(now) == value
    assert comparator.read_tval(now + 1) == (value - 1) & 0xFFFF_FFFF


@pytest.mark.parametrize(("ctl", "expected"), [(0, None), (1, 42), (3, None), (2, None)])
def test_only_an_enabled_unmasked_timer_has_a_deadline(ctl: int, expected: int | None) -> None:
    assert timer(ctl, 42).deadline() == expected


def test_interrupts_are_those_of_the_base_system_architecture() -> None:
    assert {ppi.name: int(ppi) for ppi in TimerPpi} == {
        "HYPERVISOR": 26,
        "VIRTUAL": 27,
        "SECURE_PHYSICAL": 29,
        "PHYSICAL": 30,
    }
