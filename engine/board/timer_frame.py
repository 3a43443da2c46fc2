"""A memory-mapped frame of the generic timer: CNTBaseN with the physical timer (Arm ARM I5.7)."""

from __future__ import annotations

import enum
from collections.abc import Callable

from engine.board.memory_map import COUNTER_HZ

_WORD, _MASK64 = (1 << 32) - 1, (1 << 64) - 1
_ENABLE, _IMASK, _ISTATUS = 1, 2, 4
NS_PER_TICK = 1_000_000_000 // COUNTER_HZ


class Reg(enum.IntEnum):
    """Byte offsets of the registers, Arm ARM table I2-3."""

    CNTPCT = 0x000
    CNTFRQ = 0x010
    CNTP_CVAL = 0x020
    CNTP_TVAL = 0x028
    CNTP_CTL = 0x02C


_WIDE = (Reg.CNTPCT, Reg.CNTP_CVAL)
_NAMES = {int(register): register.name for register in Reg} | {register + 4: f"{register.name}+4" for register in _WIDE}


class TimerFrame:
    """One frame without the virtual timer: a 4 KB window and a level interrupt.

    `now_ns` is virtual time in nanoseconds; the board asks `next_match_ns` and calls `poll`. `on_program`: the guest
    wrote to it, so that the next moment of interest may be another one.
    """

    size = 0x1000

    def __init__(
        self, now_ns: Callable[[], int], on_line: Callable[[bool], None], on_program: Callable[[], None]
    ) -> None:
        self.name = "timer-frame"
        self._on_program = on_program
        self._now_ns = now_ns
        self._on_line = on_line
        self.reset()

    def reset(self) -> None:
        """The timer is off."""
        self._control = self._compare = 0
        self._level = False
        self._on_line(False)

    def _now(self) -> int:
        return self._now_ns() // NS_PER_TICK

    @property
    def _fires(self) -> bool:
        return bool(self._control & _ENABLE) and self._now() >= self._compare

    def next_match_ns(self) -> int | None:
        """When the line will rise, None while it is high or will not."""
        if self._level or self._control & (_ENABLE | _IMASK) != _ENABLE:
            return None
        return self._compare * NS_PER_TICK

    def poll(self) -> None:
        """Bring the line in line with the condition."""
        level = self._fires and not self._control & _IMASK
        if level is not self._level:
            self._level = level
            self._on_line(level)

    def read(self, offset: int, size: int) -> int:
        """A load of a word, or of a 64-bit register as a whole."""
        if size == 8 and offset in _WIDE:
            return self._word(offset) | self._word(offset + 4) << 32
        return self._word(offset) if size == 4 else 0

    def _word(self, offset: int) -> int:
        if offset & ~4 == Reg.CNTPCT:
            return self._now() >> 8 * offset & _WORD
        if offset & ~4 == Reg.CNTP_CVAL:
            return self._compare >> 8 * (offset & 4) & _WORD
        if offset == Reg.CNTP_TVAL:
            return (self._compare - self._now()) & _WORD
        if offset == Reg.CNTP_CTL:
            return self._control | (_ISTATUS if self._fires else 0)
        return COUNTER_HZ if offset == Reg.CNTFRQ else 0

    def write(self, offset: int, size: int, value: int) -> None:
        if offset & ~7 == Reg.CNTP_CVAL and size in (4, 8) and offset % size == 0:
            shift, mask = 8 * (offset - Reg.CNTP_CVAL), (1 << 8 * size) - 1
            self._compare = self._compare & ~(mask << shift) & _MASK64 | (value & mask) << shift
        elif offset == Reg.CNTP_TVAL and size == 4:
            signed = (value & _WORD) - (value >> 31 << 32 & 1 << 32)
            self._compare = (self._now() + signed) & _MASK64
        elif offset == Reg.CNTP_CTL and size == 4:
            self._control = value & (_ENABLE | _IMASK)
        self.poll()
        self._on_program()

    def register(self, offset: int) -> str:
        return _NAMES.get(offset & ~3, f"+{offset:#x}")
