"""What a device may reach of its guest's memory: exactly what the guest itself may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class DmaError(Exception):
    """A device was given memory that its guest could not access that way."""


class Segment(NamedTuple):
    """Guest memory that need not be contiguous physically."""

    address: int
    """IPA."""
    size: int
    """Bytes."""


class GuestMemory(Protocol):
    """One VM's memory by its own addresses (IPA). Raises DmaError where the guest's stage 2 refuses the access."""

    def read(self, address: int, size: int) -> bytes:
        """A copy; `size` is what the device chose, never what a guest did."""

    def write(self, address: int, data: bytes) -> None:
        """Contents of a buffer, which may be code."""

    def write_ring(self, address: int, data: bytes) -> None:
        """A field of a ring, which is none."""

    def views(self, address: int, size: int, *, write: bool) -> list[memoryview]:
        """The memory itself, in physically contiguous parts, to be used before the guest runs on."""

    def settle(self) -> None:
        """All writes of one operation are done: code translated from there must be dropped."""


def cut(segments: Sequence[Segment], start: int, size: int) -> list[Segment]:
    """The part [start, start + size) of a list of segments, as far as it goes."""
    parts = []
    for address, length in segments:
        if start < length and size > 0:
            taken = min(length - start, size)
            parts.append(Segment(address + start, taken))
            size -= taken
        start = max(0, start - length)
    return parts


def total(segments: Sequence[Segment]) -> int:
    """Bytes in all segments."""
    return sum(segment.size for segment in segments)


def gather(memory: GuestMemory, segments: Sequence[Segment], start: int, size: int) -> bytes:
    """Copy at most `size` bytes from an offset on; `size` bounds what is allocated."""
    return b"".join(memory.read(*part) for part in cut(segments, start, size))


def scatter(memory: GuestMemory, segments: Sequence[Segment], data: bytes, start: int = 0) -> int:
    """Write data from an offset on; how many bytes there was room for."""
    done = 0
    for address, length in cut(segments, start, len(data)):
        memory.write(address, data[done : done + length])
        done += length
    return done


def all_views(memory: GuestMemory, segments: Sequence[Segment], *, write: bool) -> list[memoryview]:
    """The memory of all segments, in order."""
    return [view for segment in segments for view in memory.views(*segment, write=write)]
