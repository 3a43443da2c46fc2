"""Packet captures in the pcapng format, which Wireshark opens (draft-ietf-opsawg-pcapng), in virtual time."""

from __future__ import annotations

import enum
import functools
import struct
from collections.abc import Iterable
from typing import BinaryIO

from engine.board.network.ethernet import LONGEST_TAGGED
from engine.board.network.port import Direction, Port, Tap

LIMIT = 1 << 30
"""Bytes after which a capture stops by itself: guests choose how much they send."""
CLOSED = "closed"
"""Why a capture ended that nothing was wrong with."""
_SNAP_LENGTH = LONGEST_TAGGED
"""What is kept of a frame; its true length is told in any case."""


class _Block(enum.IntEnum):
    SECTION_HEADER = 0x0A0D0D0A
    INTERFACE = 1
    ENHANCED_PACKET = 6


_END_OF_OPTIONS = 0
_IF_NAME, _IF_TSRESOL = 2, 9
_EPB_FLAGS = 2
_BYTE_ORDER = 0x1A2B3C4D
_VERSION = (1, 0)
_UNKNOWN_LENGTH = -1
_LINKTYPE_ETHERNET = 1
_NANOSECONDS = b"\x09"
"""if_tsresol: 10^-9 s."""
_FLAGS = {Direction.IN: b"\x01\0\0\0", Direction.OUT: b"\x02\0\0\0"}
"""epb_flags: inbound, outbound."""
_WORD = 0xFFFF_FFFF


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


_END = _option(_END_OF_OPTIONS, b"")


def _block(kind: _Block, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def section_header() -> bytes:
    """The block that a file starts with."""
    return _block(_Block.SECTION_HEADER, struct.pack("<IHHq", _BYTE_ORDER, *_VERSION, _UNKNOWN_LENGTH))


def interface(name: str) -> bytes:
    """The block of one port."""
    head = struct.pack("<HHI", _LINKTYPE_ETHERNET, 0, _SNAP_LENGTH)
    options = _option(_IF_NAME, name.encode()) + _option(_IF_TSRESOL, _NANOSECONDS)
    return _block(_Block.INTERFACE, head + options + _END)


def packet(number: int, now: int, direction: Direction, frame: bytes) -> bytes:
    """The block of a frame at the port whose block was the `number`th, from 0; `now` in nanoseconds."""
    kept = frame[:_SNAP_LENGTH]
    head = struct.pack("<IIIII", number, now >> 32 & _WORD, now & _WORD, len(kept), len(frame))
    return _block(_Block.ENHANCED_PACKET, head + _padded(kept) + _option(_EPB_FLAGS, _FLAGS[direction]) + _END)


class Capture:
    """Writes all that passes some ports to a buffered stream, from now to `close`. The stream stays its owner's.

    It also ends when the stream takes no more or `limit` bytes are written; the machine runs on and `ended` says why.
    """

    def __init__(self, stream: BinaryIO, ports: Iterable[Port], limit: int = LIMIT) -> None:
        self.ended = ""
        """Why it writes no more, in one line."""
        self.packets = 0
        self._stream = stream
        self._room = limit
        self._taps: list[tuple[Port, Tap]] = []
        self._write(section_header())
        for port in ports:
            self.attach(port)

    def attach(self, port: Port) -> None:
        """Capture one more port."""
        tap = functools.partial(self._packet, len(self._taps))
        if self._write(interface(port.name)):
            self._taps.append((port, tap))
            port.taps.append(tap)

    def close(self) -> None:
        """Let go of the ports and see that all is written. Does nothing once it has ended."""
        if not self.ended:
            self._end(CLOSED)

    def _packet(self, number: int, now: int, direction: Direction, frame: bytes) -> None:
        if self._write(packet(number, now, direction, frame)):
            self.packets += 1

    def _write(self, block: bytes) -> bool:
        if self.ended:
            return False
        if len(block) > self._room:
            self._end("it reached its size limit")
            return False
        try:
            self._stream.write(block)
        except (OSError, ValueError) as error:
            self._end(str(error))
            return False
        self._room -= len(block)
        return True

    def _end(self, why: str) -> None:
        self.ended = why
        for port, tap in self._taps:
            port.taps.remove(tap)
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self.ended = str(error)
