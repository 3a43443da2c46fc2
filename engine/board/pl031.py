"""PrimeCell real-time clock, PL031 (DDI0224), counting whole seconds of virtual time."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias

SECOND = 1_000_000_000
"""Nanoseconds."""
_WORD = 0xFFFF_FFFF

State: TypeAlias = tuple[int, int, int, int, int, int]


class Reg(enum.IntEnum):
    """Byte offsets of the registers, DDI0224 table 3-1."""

    RTCDR = 0x000
    RTCMR = 0x004
    RTCLR = 0x008
    RTCCR = 0x00C
    RTCIMSC = 0x010
    RTCRIS = 0x014
    RTCMIS = 0x018
    RTCICR = 0x01C
    RTCPERIPHID0 = 0xFE0
    RTCPERIPHID1 = 0xFE4
    RTCPERIPHID2 = 0xFE8
    RTCPERIPHID3 = 0xFEC
    RTCPCELLID0 = 0xFF0
    RTCPCELLID1 = 0xFF4
    RTCPCELLID2 = 0xFF8
    RTCPCELLID3 = 0xFFC


_IDENTIFICATION = bytes.fromhex("31100400 0DF005B1")
_NAMES = {int(register): register.name for register in Reg}


class Pl031:
    """One clock: a 4 KB window and one interrupt line that rises when the count reaches the match register.

    `now_ns` is virtual time in nanoseconds. The clock schedules nothing itself: the board asks
    `next_match_ns` for the next moment of interest and calls `poll` when it has come.
    """

    size = 0x1000

    def __init__(self, epoch_seconds: int, now_ns: Callable[[], int], on_line: Callable[[bool], None]) -> None:
        self.name = "pl031"
        self._epoch = epoch_seconds & _WORD
        self._now_ns = now_ns
        self._on_line = on_line
        self._line = False
        self._offset = self._epoch
        """What is added to whole seconds of virtual time to give RTCDR, modulo 2^32."""
        self._match = 0
        self._load = 0
        self._mask = 0
        self._raw = 0
        self._checked = self._seconds()
        """Virtual second up to which a match has been looked for."""

    @property
    def line(self) -> bool:
        """Level of RTCINTR."""
        return self._line

    def reset(self) -> None:
        """Registers as after reset; a battery keeps the count itself going."""
        self._match = self._load = self._mask = self._raw = 0
        self._update()

    def next_match_ns(self) -> int | None:
        """Virtual time of the next match in nanoseconds, None while the interrupt is masked or already raised."""
        if not self._mask or self._raw:
            return None
        return (self._checked + self._until_match()) * SECOND

    def poll(self) -> None:
        """Raise the interrupt if the count has reached the match register since the last look."""
        now = self._seconds()
        if now - self._checked >= self._until_match():
            self._raw = 1
        self._checked = max(self._checked, now)
        self._update()

    def read(self, offset: int, size: int) -> int:
        """A load; a narrow one sees its byte lanes, a 64-bit one only the addressed register."""
        return self._value(offset & ~3) >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        """A store; one that does not start at a register's first byte is ignored."""
        value &= (1 << 8 * min(size, 4)) - 1
        self.poll()
        if offset == Reg.RTCMR:
            self._match = value
        elif offset == Reg.RTCLR:
            self._load = value
            self._set_count(value)
        elif offset == Reg.RTCIMSC:
            self._mask = value & 1
        elif offset == Reg.RTCICR:
            self._raw &= ~value
        # RTCCR: the clock runs from reset, and once it runs writes have no effect (DDI0224 3.3.4).
        if offset in (Reg.RTCMR, Reg.RTCLR) and self._count() == self._match:
            self._raw = 1
        self._update()

    def register(self, offset: int) -> str:
        """Register name for logs."""
        return _NAMES.get(offset & ~3, f"+0x{offset:x}")

    def save(self) -> State:
        """The whole state as plain data."""
        return self._offset, self._match, self._load, self._mask, self._raw, self._checked

    def restore(self, state: State) -> None:
        """Take back what `save` gave."""
        self._offset, self._match, self._load, self._mask, self._raw, self._checked = state
        self._update()

    def _seconds(self) -> int:
        return self._now_ns() // SECOND

    def _count(self) -> int:
        return (self._seconds() + self._offset) & _WORD

    def _set_count(self, value: int) -> None:
        self._offset = (value - self._seconds()) & _WORD
        self._checked = self._seconds()

    def _until_match(self) -> int:
        """Seconds from the last look to the next match, 1 to 2^32: an equality already seen counts a full turn."""
        distance = (self._match - self._checked - self._offset) & _WORD
        return distance or _WORD + 1

    def _value(self, offset: int) -> int:
        if offset == Reg.RTCDR:
            return self._count()
        if offset == Reg.RTCCR:
            return 1
        if offset in (Reg.RTCRIS, Reg.RTCMIS):
            self.poll()
            return self._raw & (self._mask if offset == Reg.RTCMIS else 1)
        if 0xFE0 <= offset < 0x1000:
            return _IDENTIFICATION[(offset - 0xFE0) >> 2]
        return {0x004: self._match, 0x008: self._load, 0x010: self._mask}.get(offset, 0)

    def _update(self) -> None:
        line = self._raw & self._mask != 0
        if line != self._line:
            self._line = line
            self._on_line(line)
