"""A partition's console: what it printed, kept bounded, and what is typed into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

_KEEP = 1 << 20


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

    def write(self, data: bytes) -> None:
        """The guest printed something."""
        self._kept += data
        if len(self._kept) > 2 * _KEEP:
            excess = len(self._kept) - _KEEP
            del self._kept[:excess]
            self._dropped += excess
        for listener in tuple(self.listeners):  # one that has heard enough goes away
            listener(data)

    def since(self, position: int) -> tuple[bytes, int]:
        """What was printed from a position on (as far as it is kept), and the position after it."""
        start = max(0, position - self._dropped)
        data = bytes(self._kept[start:])
        return data, self._dropped + start + len(data)
