"""What can be read of a memory region descriptor, whole or not: for logs and views, never for decisions.

The parsers in `descriptors` accept or refuse. This one reads as far as the bytes go, so that what a manager refused,
or has only the first fragment of, can be looked at. It never raises, and lists no more than the bytes can hold.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from engine.ffa.descriptors import ACCESS, ACCESS_1_2, HEADER_1_0, HEADER_1_1, NO_IMPDEF
from engine.ffa.memory import Attributes, Permissions, parse_permissions
from engine.ffa.ranges import COMPOSITE, CONSTITUENT, Range, total_pages
from engine.ffa.version import V1_1, Version

_ENTRIES = {layout.size: layout for layout in (ACCESS, ACCESS_1_2)}


class Receiver(NamedTuple):
    """An endpoint access entry."""

    endpoint: int
    permissions: Permissions
    flags: int
    composite: int
    """Its offset in bytes; 0 for none."""
    impdef: bytes


class Region(NamedTuple):
    """A composite, as far as it is there."""

    offset: int
    pages: int
    """As it says."""
    announced: int
    """Ranges, as it says."""
    ranges: tuple[Range, ...]
    """Those that are there."""

    @property
    def listed(self) -> int:
        """Pages of the ranges that are there."""
        return total_pages(self.ranges)


@dataclass(frozen=True, slots=True)
class Outline:
    """The fields of a memory region descriptor, unchecked."""

    sender: int
    attributes: Attributes
    flags: int
    handle: int
    """0 in a send."""
    tag: int
    entry_size: int
    count: int
    """Of receivers, as it says."""
    offset: int
    """Of the first receiver, in bytes."""
    receivers: tuple[Receiver, ...]
    """Those that are there."""
    regions: tuple[Region, ...]
    """Composites that receivers name and that are there, by offset."""


def outline(data: bytes, version: Version) -> Outline | None:
    """What the bytes say in the layout of `version`; None where they are too short for a header."""
    header = HEADER_1_0 if version < V1_1 else HEADER_1_1
    if len(data) < header.size:
        return None
    if header is HEADER_1_0:
        sender, attributes, _, flags, handle, tag, _, count = header.unpack_from(data)
        size, offset = ACCESS.size, header.size
    else:
        sender, attributes, flags, handle, tag, size, count, offset, _ = header.unpack_from(data)
    receivers = _receivers(data, offset, count, _ENTRIES.get(size))
    regions = _regions(data, sorted({each.composite for each in receivers} - {0}))
    return Outline(sender, Attributes(attributes), flags, handle, tag, size, count, offset, receivers, regions)


def _receivers(data: bytes, offset: int, count: int, layout: struct.Struct | None) -> tuple[Receiver, ...]:
    if layout is None:
        return ()
    there = min(count, max(0, len(data) - offset) // layout.size)
    return tuple(_receiver(layout.unpack_from(data, offset + n * layout.size), layout) for n in range(there))


def _receiver(fields: tuple[int | bytes, ...], layout: struct.Struct) -> Receiver:
    endpoint, permissions, flags, composite = (int(field) for field in fields[:4])
    impdef = bytes(fields[4]) if layout is ACCESS_1_2 else NO_IMPDEF
    return Receiver(endpoint, parse_permissions(permissions), flags, composite, impdef)


def _regions(data: bytes, offsets: list[int]) -> tuple[Region, ...]:
    """Composites may overlap; together they list no more ranges than the bytes could hold once."""
    found, room = [], len(data) // CONSTITUENT.size
    for offset in offsets:
        start = offset + COMPOSITE.size
        if start > len(data):
            break
        pages, count, _ = COMPOSITE.unpack_from(data, offset)
        there = min(count, (len(data) - start) // CONSTITUENT.size, room)
        pieces = CONSTITUENT.iter_unpack(data[start : start + there * CONSTITUENT.size])
        found.append(Region(offset, pages, count, tuple(Range(address, length) for address, length, _ in pieces)))
        room -= there
    return tuple(found)
