"""The generic watchdog of the Server Base System Architecture (DEN0029 4.2.5 and appendix A)."""

from __future__ import annotations

import enum
from collections.abc import Callable

from engine.board.timer_frame import NS_PER_TICK

_EN, _WS0, _WS1 = 1, 2, 4
_IIDR = 0x43B
"""Implementer Arm, architecture version 0."""
_WORD, _MASK64 = 0xFFFF_FFFF, (1 << 64) - 1


class Control(enum.IntEnum):
    """Byte offsets in the control frame."""

    WCS = 0x000
    WOR = 0x008
    WCV = 0x010
    WCV_HIGH = 0x014
    W_IIDR = 0xFCC


class Refresh(enum.IntEnum):
    """Byte offsets in the refresh frame."""

    WRR = 0x000
    W_IIDR = 0xFCC


class SbsaWatchdog:
    """One watchdog, seen through its two frames. WS0 is its interrupt; `on_reset` when WS1 follows.

    `now_ns` is virtual time in nanoseconds; the board asks `next_match_ns` and calls `poll`. `on_program`: the guest
    wrote to it, so that the next moment of interest may be another one.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        on_line: Callable[[bool], None],
        on_reset: Callable[[], None],
        on_program: Callable[[], None],
    ) -> None:
        self._now_ns = now_ns
        self._on_line = on_line
        self._on_reset = on_reset
        self.on_program = on_program
        self.control_frame = ControlFrame(self)
        self.refresh_frame = RefreshFrame(self)
        self.reset()

    def reset(self) -> None:
        """Off, offset and compare value zero."""
        self.status = self.offset = self.compare = 0
        self._on_line(False)

    def _now(self) -> int:
        return self._now_ns() // NS_PER_TICK

    def refresh(self) -> None:
        """An explicit refresh: both signals go, and the time-out begins anew."""
        self.status &= _EN
        self.compare = (self._now() + self.offset) & _MASK64
        self._on_line(False)

    def enable(self, on: bool) -> None:
        """A write to WCS, which refreshes as well."""
        self.status = _EN if on else 0
        self.refresh()

    def next_match_ns(self) -> int | None:
        """When the time-out is, None while it is off or has reset already."""
        return (self.compare + 1) * NS_PER_TICK if self.status & (_EN | _WS1) == _EN else None

    def poll(self) -> None:
        """Take a time-out that is due: the first raises WS0, the second WS1."""
        if self.status & (_EN | _WS1) != _EN or self._now() <= self.compare:
            return
        if self.status & _WS0:
            self.status |= _WS1
            self._on_reset()
            return
        self.status |= _WS0
        self.compare = (self.compare + self.offset) & _MASK64
        self._on_line(True)


class ControlFrame:
    """WCS, WOR and WCV: a 4 KB window."""

    name, size = "sbsa-watchdog", 0x1000

    def __init__(self, watchdog: SbsaWatchdog) -> None:
        self._watchdog = watchdog

    def read(self, offset: int, size: int) -> int:
        values: dict[int, int] = {
            Control.WCS: self._watchdog.status,
            Control.WOR: self._watchdog.offset,
            Control.WCV: self._watchdog.compare & _WORD,
            Control.WCV_HIGH: self._watchdog.compare >> 32,
            Control.W_IIDR: _IIDR,
        }
        if offset == Control.WCV and size == 8:
            return self._watchdog.compare
        return values.get(offset, 0) if size == 4 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        watchdog, low = self._watchdog, self._watchdog.compare & _WORD
        if offset == Control.WCV and size == 8:
            watchdog.compare = value & _MASK64
        elif size != 4:
            return
        elif offset == Control.WCS:
            watchdog.enable(bool(value & _EN))
        elif offset == Control.WOR:
            watchdog.offset = value & _WORD
            watchdog.refresh()
        elif offset == Control.WCV:
            watchdog.compare = watchdog.compare & ~_WORD | value & _WORD
        elif offset == Control.WCV_HIGH:
            watchdog.compare = (value & _WORD) << 32 | low
        watchdog.on_program()

    def register(self, offset: int) -> str:
        return next((register.name for register in Control if register == offset & ~3), f"+{offset:#x}")


class RefreshFrame:
    """WRR: a 4 KB window."""

    name, size = "sbsa-watchdog-refresh", 0x1000

    def __init__(self, watchdog: SbsaWatchdog) -> None:
        self._watchdog = watchdog

    def read(self, offset: int, size: int) -> int:
        return _IIDR if offset == Refresh.W_IIDR and size == 4 else 0

    def write(self, offset: int, size: int, _value: int) -> None:
        if offset == Refresh.WRR and size == 4:
            self._watchdog.refresh()
            self._watchdog.on_program()

    def register(self, offset: int) -> str:
        return next((register.name for register in Refresh if register == offset & ~3), f"+{offset:#x}")
