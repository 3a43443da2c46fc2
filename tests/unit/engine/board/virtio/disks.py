"""What the tests of the disk backends share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from engine.board.virtio.disk_image import SECTOR, DiskImage


def cut(data: bytearray, cuts: Sequence[int]) -> list[memoryview]:
    """Views of all of `data`, cut at some places."""
    places = [0, *sorted(min(place, len(data)) for place in cuts), len(data)]
    return [memoryview(data)[first:last] for first, last in pairwise(places)]


def pattern(number: int, size: int) -> bytearray:
    """Bytes of which no two neighbouring sectors, and no two of the first 250 numbers, have the same."""
    sectors = accumulate(range(size // SECTOR), lambda last, _: (last + 7) % 251, initial=number % 251)
    return bytearray(b"".join(bytes([1 + first]) * SECTOR for first in sectors)[:size])


def read(disk: DiskImage, sector: int, count: int) -> bytes:
    """Some sectors."""
    data = bytearray(b"\xee" * (count * SECTOR))
    disk.read(sector, [memoryview(data)])
    return bytes(data)


def write(disk: DiskImage, sector: int, data: bytes) -> None:
    """Put whole sectors on the disk."""
    disk.write(sector, [memoryview(data)])


def contents(disk: DiskImage) -> bytes:
    """All of it."""
    return read(disk, 0, disk.capacity)
