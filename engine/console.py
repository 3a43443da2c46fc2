"""A partition's console: what it printed, kept bounded, and what is typed into it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

_KEEP = 1 << 20
"""Newest bytes that are kept at least."""
_MARKS = 1 << 15
"""Times of lines that are kept."""


class Mark(NamedTuple):
    """When a line was begun; it holds for the lines after it up to the next mark."""

    position: int
    """Of the line's first byte."""
    at: int
    """Virtual time in cycles."""


class Port(Protocol):
    """The device behind a console."""

    @property
    def room(self) -> int:
        """Bytes it would take now."""

    def receive(self, data: bytes) -> int:
        """Something was typed; how many bytes it took."""

    def resize(self, columns: int, rows: int) -> None:
        """The screen that it is shown on has this size now; most have no way to tell their guest."""


class Console:
    """The output of one serial port, addressed by absolute byte position; the oldest part may be gone."""

    def __init__(self, name: str, port: Port | None = None) -> None:
        self.name = name
        """The partition's, for its first console; `vm0.hvc0` for a second one."""
        self._port = port
        self._kept = bytearray()
        self._dropped = 0
        self._begins = True
        """The next byte is the first of a line."""
        self._marks: deque[Mark] = deque(maxlen=_MARKS)
        self.listeners: list[Callable[[bytes], None]] = []
        """Called on the machine's thread with everything the guest prints, as it prints it."""

    @property
    def end(self) -> int:
        """Number of bytes ever printed."""
        return self._dropped + len(self._kept)

    @property
    def room(self) -> int:
        """Bytes that can be typed now."""
        return self._port.room if self._port is not None else 0

    def send(self, data: bytes) -> None:
        """Type bytes into the port, no more than it has room for."""
        if self._port is not None:
            self._port.receive(data)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the port the size of the screen."""
        if self._port is not None:
            self._port.resize(columns, rows)

    def write(self, data: bytes, at: int) -> None:
        """The guest printed something, at a virtual time in cycles."""
        if self._begins or b"\n" in data:
            self._mark(data, at)
        self._kept += data
        if len(self._kept) > 2 * _KEEP:
            excess = len(self._kept) - _KEEP
            del self._kept[:excess]
            self._dropped += excess
        for listener in tuple(self.listeners):  # one that has heard enough goes away
            listener(data)

    def _mark(self, data: bytes, at: int) -> None:
        """Lines that begin in `data` begin at the same time, so the first one is marked."""
        first = 0 if self._begins else data.index(b"\n") + 1
        if first < len(data) and not (self._marks and self._marks[-1].at == at):
            self._marks.append(Mark(self.end + first, at))
        if data:
            self._begins = data.endswith(b"\n")

    def begun(self, position: int) -> list[Mark]:
        """When lines were begun from a position on, the one that goes on there included, as far as it is kept."""
        marks: list[Mark] = []
        for mark in reversed(self._marks):
            marks.append(mark)
            if mark.position <= position:
                break
        return marks[::-1]

    def since(self, position: int) -> tuple[bytes, int]:
        """What was printed from a position on (as far as it is kept), and the position after it."""
        start = max(0, position - self._dropped)
        data = bytes(self._kept[start:])
        return data, self._dropped + start + len(data)
