"""A reader of pcapng in either byte order, written from the format's description alone."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Interface:
    """An interface description block."""

    linktype: int
    snap_length: int
    name: str
    ticks_per_second: int


@dataclass
class Packet:
    """An enhanced packet block."""

    interface: Interface
    ticks: int
    length: int
    data: bytes
    direction: int


@dataclass
class Contents:
    """What a file holds."""

    interfaces: list[Interface] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)


class Reader:
    """Walks over bytes and insists on what the format promises."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        assert data[:4] == b"\x0a\x0d\x0d\x0a"
        self.little = data[8:12] == b"\x4d\x3c\x2b\x1a"
        assert self.little or data[8:12] == b"\x1a\x2b\x3c\x4d"

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little" if self.little else "big")

    def take(self, size: int) -> bytes:
        assert size <= len(self.data) - self.at
        self.at += size
        return self.data[self.at - size : self.at]

    def padded(self, size: int) -> bytes:
        value = self.take(size)
        assert self.take(-size % 4).count(0) == -size % 4
        return value

    def options(self, end: int) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        while self.at < end:
            code, size = self.number(2), self.number(2)
            if code == 0:
                assert size == 0
                break
            found[code] = self.padded(size)
        assert self.at == end
        return found


def read(data: bytes) -> Contents:
    """Everything in a file of one section."""
    reader, contents = Reader(data), Contents()
    while reader.at < len(data):
        start = reader.at
        kind, size = reader.number(4), reader.number(4)
        assert size % 4 == 0
        end = start + size - 4
        if kind == 0x0A0D0D0A:
            assert start == 0
            reader.take(4)
            assert (reader.number(2), reader.number(2), reader.take(8)) == (1, 0, b"\xff" * 8)
            reader.options(end)
        elif kind == 1:
            contents.interfaces.append(_interface(reader, end))
        else:
            assert kind == 6
            contents.packets.append(_packet(reader, end, contents.interfaces))
        assert reader.number(4) == size
    return contents


def _interface(reader: Reader, end: int) -> Interface:
    linktype, _reserved, snap_length = reader.number(2), reader.number(2), reader.number(4)
    options = reader.options(end)
    resolution = options[9][0]
    assert resolution < 128
    return Interface(linktype, snap_length, options[2].decode(), 10**resolution)


def _packet(reader: Reader, end: int, interfaces: list[Interface]) -> Packet:
    interface = interfaces[reader.number(4)]
    high, low, captured, length = (reader.number(4) for _ in range(4))
    data = reader.padded(captured)
    flags = int.from_bytes(reader.options(end)[2], "little" if reader.little else "big")
    return Packet(interface, high << 32 | low, length, data, flags & 3)
