"""Constituent address ranges and the composite that lists them (DEN0140 v1.2; tables 10.13, 10.14 of DEN0077A v1.1)."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.ffa.abi import PAGE_SIZE
from engine.ffa.errors import Code, DescriptorError

COMPOSITE = struct.Struct("<IIQ")
"""Total page count, range count, reserved."""
CONSTITUENT = struct.Struct("<QII")
"""Address, page count, reserved."""
_ADDRESS_SPACE = 1 << 64


class Range(NamedTuple):
    """Pages at consecutive addresses."""

    address: int
    """Bytes; IPA of the owner, or of the borrower in what it retrieves."""
    pages: int
    """Of 4 KB."""

    @property
    def end(self) -> int:
        """First address past the range."""
        return self.address + self.pages * PAGE_SIZE

    def overlaps(self, other: Range) -> bool:
        """Whether a page lies in both."""
        return self.address < other.end and other.address < self.end

    def __str__(self) -> str:
        return f"0x{self.address:x}+{self.pages}"


@dataclass(frozen=True, slots=True)
class Composite:
    """A memory region as a list of ranges."""

    ranges: tuple[Range, ...]

    @property
    def pages(self) -> int:
        """Pages of all ranges."""
        return total_pages(self.ranges)

    @property
    def size(self) -> int:
        """Bytes of the packed descriptor."""
        return COMPOSITE.size + CONSTITUENT.size * len(self.ranges)

    def pack(self) -> bytes:
        """The composite with its constituents."""
        head = COMPOSITE.pack(self.pages, len(self.ranges), 0)
        return head + b"".join(CONSTITUENT.pack(*piece, 0) for piece in self.ranges)


def total_pages(ranges: Iterable[Range]) -> int:
    """Pages of 4 KB in all ranges."""
    return sum(piece.pages for piece in ranges)


def overlap(ranges: Sequence[Range], others: Sequence[Range]) -> Range | None:
    """A range of `ranges` that shares a page with one of `others`; both free of overlaps inside."""
    ordered, position = sorted(others), 0
    for piece in sorted(ranges):
        while position < len(ordered) and ordered[position].end <= piece.address:
            position += 1
        if position < len(ordered) and piece.overlaps(ordered[position]):
            return piece
    return None


def refuse(reason: str) -> DescriptorError:
    """The error of a malformed descriptor."""
    return DescriptorError(Code.INVALID_PARAMETERS, reason)


def check_ranges(ranges: Sequence[Range]) -> None:
    """Refuse ranges that are empty, unaligned, wrap, or overlap each other."""
    for piece in ranges:
        if piece.pages == 0:
            raise refuse(f"range {piece} has no pages")
        if piece.address % PAGE_SIZE:
            raise refuse(f"range {piece} is not page aligned")
        if piece.end > _ADDRESS_SPACE:
            raise refuse(f"range {piece} wraps")
    ordered = sorted(ranges)
    for before, after in itertools.pairwise(ordered):
        if before.overlaps(after):
            raise refuse(f"ranges {before} and {after} overlap")


def parse_composite(data: bytes, offset: int) -> Composite:
    """The composite at `offset`. Every range must lie in `data`, and the page counts must agree."""
    if offset % 8:
        raise refuse(f"composite offset {offset} is not 8-byte aligned")
    if offset > len(data) - COMPOSITE.size:
        raise refuse(f"composite at {offset} is outside {len(data)} bytes")
    total, count, reserved = COMPOSITE.unpack_from(data, offset)
    start = offset + COMPOSITE.size
    if count == 0 or count > (len(data) - start) // CONSTITUENT.size:
        raise refuse(f"{count} ranges in {len(data)} bytes")
    if reserved:
        raise refuse("reserved field of the composite is not zero")
    composite = Composite(_parse_constituents(data, start, count))
    if composite.pages != total:
        raise refuse(f"{total} pages announced, {composite.pages} listed")
    return composite


def _parse_constituents(data: bytes, start: int, count: int) -> tuple[Range, ...]:
    pieces = data[start : start + count * CONSTITUENT.size]
    entries = list(CONSTITUENT.iter_unpack(pieces))
    if any(reserved for _, _, reserved in entries):
        raise refuse("reserved field of a constituent is not zero")
    ranges = tuple(Range(address, pages) for address, pages, _ in entries)
    check_ranges(ranges)
    return ranges
