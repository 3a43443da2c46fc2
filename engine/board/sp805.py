"""PrimeCell watchdog, SP805 (DDI0270), counting down in virtual time."""

from __future__ import annotations

import enum
from collections.abc import Callable

TICK_NS = 1000
"""WDOGCLK is 1 MHz."""
_WORD = 0xFFFF_FFFF
_INTEN, _RESEN = 1, 2
_UNLOCK = 0x1ACC_E551
_IDENTIFICATION = bytes.fromhex("05181400 0DF005B1")


class Reg(enum.IntEnum):
    """Byte offsets of the registers, DDI0270 table 3-1."""

    WDOGLOAD = 0x000
    WDOGVALUE = 0x004
    WDOGCONTROL = 0x008
    WDOGINTCLR = 0x00C
    WDOGRIS = 0x010
    WDOGMIS = 0x014
    WDOGLOCK = 0xC00
    WDOGPERIPHID0 = 0xFE0
    WDOGPCELLID3 = 0xFFC


_NAMES = {int(register): register.name for register in Reg}


class Sp805:
    """One watchdog: a 4 KB window and an interrupt line; `on_reset` when nobody served the interrupt in time.

    `now_ns` is virtual time in nanoseconds; the board asks `next_match_ns` and calls `poll`. `on_program`: the guest
    wrote to it, so that the next moment of interest may be another one.
    """

    size = 0x1000

    def __init__(
        self,
        now_ns: Callable[[], int],
        on_line: Callable[[bool], None],
        on_reset: Callable[[], None],
        on_program: Callable[[], None],
    ) -> None:
        self.name = "sp805"
        self._now_ns = now_ns
        self._on_line = on_line
        self._on_reset = on_reset
        self._on_program = on_program
        self.reset()

    def reset(self) -> None:
        """Registers as after reset: stopped, the longest period."""
        self._load = _WORD
        self._control = 0
        self._raised = False
        self._locked = False
        self._left = _WORD
        self._since = 0
        """When `_left` was true, while it counts."""
        self._on_line(False)

    @property
    def _counts(self) -> bool:
        return bool(self._control & _INTEN)

    def _value(self) -> int:
        if not self._counts:
            return self._left
        return max(0, self._left - (self._now_ns() - self._since) // TICK_NS)

    def _restart(self) -> None:
        self._left, self._since = self._load, self._now_ns()

    def next_match_ns(self) -> int | None:
        """When the count reaches zero, None while it stands."""
        return self._since + self._left * TICK_NS if self._counts else None

    def poll(self) -> None:
        """Take what is due: the first time-out interrupts, the next one resets."""
        while self._counts and self._now_ns() >= self._since + self._left * TICK_NS:
            self._since, self._left = self._since + self._left * TICK_NS, max(1, self._load)
            if self._raised and self._control & _RESEN:
                self._control = 0
                self._on_reset()
                return
            self._raised = True
            self._on_line(True)

    def read(self, offset: int, size: int) -> int:
        if offset >= Reg.WDOGPERIPHID0:
            return _IDENTIFICATION[offset - Reg.WDOGPERIPHID0 >> 2] if offset % 4 == 0 else 0
        masked = self._raised and self._counts
        values = {
            Reg.WDOGLOAD: self._load,
            Reg.WDOGVALUE: self._value(),
            Reg.WDOGCONTROL: self._control,
            Reg.WDOGRIS: int(self._raised),
            Reg.WDOGMIS: int(masked),
            Reg.WDOGLOCK: int(self._locked),
        }
        return values.get(Reg(offset), 0) & (1 << 8 * size) - 1 if offset in _NAMES else 0

    def write(self, offset: int, size: int, value: int) -> None:
        if size != 4:
            return
        if offset == Reg.WDOGLOCK:
            self._locked = value != _UNLOCK
        elif not self._locked:
            self._store(offset, value & _WORD)
            self._on_program()

    def _store(self, offset: int, value: int) -> None:
        if offset == Reg.WDOGLOAD:
            self._load = value
            self._restart()
        elif offset == Reg.WDOGINTCLR:
            self._raised = False
            self._restart()
            self._on_line(False)
        elif offset == Reg.WDOGCONTROL:
            started = value & _INTEN and not self._counts
            self._left = self._value()
            self._control = value & (_INTEN | _RESEN)
            self._since = self._now_ns()
            if started:
                self._restart()
            self._on_line(self._raised and self._counts)

    def register(self, offset: int) -> str:
        return _NAMES.get(offset & ~3, f"+{offset:#x}")
