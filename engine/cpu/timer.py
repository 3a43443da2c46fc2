"""The generic timer as software sees it: counter, comparators and their interrupt lines (Arm ARM D12)."""

from __future__ import annotations

import enum

from engine.board import memory_map
from engine.board.memory_map import COUNTER_HZ

NS_PER_TICK = 1_000_000_000 // COUNTER_HZ
_MASK64 = (1 << 64) - 1


class Ctl(enum.IntFlag):
    """CNTx_CTL."""

    ENABLE = 1
    IMASK = 2
    ISTATUS = 4


class Comparator:
    """One timer: CTL, CVAL and TVAL views over a counter in ticks."""

    __slots__ = ("ctl", "cval")

    def __init__(self) -> None:
        self.ctl = 0
        self.cval = 0

    def fires(self, now: int) -> bool:
        """The condition is met, whether or not it is masked."""
        return bool(self.ctl & Ctl.ENABLE) and now >= self.cval

    def line(self, now: int) -> bool:
        """Level of the interrupt output."""
        return self.ctl & 3 == Ctl.ENABLE and now >= self.cval

    def deadline(self) -> int | None:
        """Tick at which the line rises, None when it never will as programmed."""
        return self.cval if self.ctl & 3 == Ctl.ENABLE else None

    def read_ctl(self, now: int) -> int:
        return self.ctl | (Ctl.ISTATUS if self.fires(now) else 0)

    def write_ctl(self, value: int) -> None:
        self.ctl = value & 3

    def read_tval(self, now: int) -> int:
        """Signed 32-bit distance to the compare value, as unsigned (RES0 above)."""
        return (self.cval - now) & 0xFFFF_FFFF

    def write_tval(self, value: int, now: int) -> None:
        value &= 0xFFFF_FFFF
        self.cval = (now + value - (value >> 31 << 32)) & _MASK64


class TimerPpi(enum.IntEnum):
    """INTIDs of the timers' private interrupts (BSA)."""

    HYPERVISOR = 16 + memory_map.TIMER_HYPERVISOR_PPI
    VIRTUAL = 16 + memory_map.TIMER_VIRTUAL_PPI
    SECURE_PHYSICAL = 16 + memory_map.TIMER_SECURE_PPI
    PHYSICAL = 16 + memory_map.TIMER_PHYSICAL_PPI
