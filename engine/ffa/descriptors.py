"""Memory transaction descriptors of v1.0, v1.1 and v1.2 (DEN0140 v1.2; tables 10.16, 10.20 of DEN0077A v1.1).

One format serves MEM_DONATE, MEM_LEND, MEM_SHARE, RETRIEVE_REQ and RETRIEVE_RESP. Bytes come from a partition that may
be hostile: every parser here either returns a whole descriptor or raises DescriptorError, and never anything else.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import NamedTuple

from engine.ffa.memory import UNSPECIFIED, Attributes, Permissions, parse_permissions
from engine.ffa.ranges import COMPOSITE, Composite, parse_composite, refuse
from engine.ffa.version import V1_0, V1_1, V1_2, Version

HEADER_1_0 = struct.Struct("<HBBIQQII")
"""Sender, attributes, reserved, flags, handle, tag, reserved, receiver count."""
HEADER_1_1 = struct.Struct("<HHIQQIII12s")
"""Sender, attributes, flags, handle, tag, entry size, receiver count, receivers offset, reserved."""
ACCESS = struct.Struct("<HBBIQ")
"""Endpoint, permissions, flags, composite offset, reserved."""
ACCESS_1_2 = struct.Struct("<HBBI16sQ")
"""As ACCESS with 16 implementation defined bytes before the reserved field."""
NO_IMPDEF = bytes(16)
MAX_RECEIVERS = 8


@dataclass(frozen=True, slots=True)
class EndpointAccess:
    """One endpoint's entry: what it may do, or asks to do, with the region."""

    endpoint: int
    permissions: Permissions
    flags: int = 0
    impdef: bytes = NO_IMPDEF
    """16 bytes, sent from v1.2 on."""
    composite: Composite | None = None
    """Where the region lies; None in a retrieve request that takes the manager's choice."""


@dataclass(frozen=True, slots=True)
class MemoryRegion:
    """A memory transaction descriptor."""

    sender: int
    access: tuple[EndpointAccess, ...]
    attributes: Attributes = UNSPECIFIED
    flags: int = 0
    handle: int = 0
    tag: int = 0

    @property
    def composite(self) -> Composite | None:
        """The region of the first entry, which all entries of a send share."""
        return self.access[0].composite

    def entry(self, endpoint: int) -> EndpointAccess | None:
        """The entry of an endpoint."""
        return next((entry for entry in self.access if entry.endpoint == endpoint), None)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a descriptor keeps its entries."""

    entry: struct.Struct
    offset: int
    count: int

    @property
    def end(self) -> int:
        return self.offset + self.entry.size * self.count


def entry_layout(version: Version) -> struct.Struct:
    """The endpoint access entry that an endpoint of `version` is sent: 16 bytes, 32 from v1.2 on."""
    return ACCESS_1_2 if version >= V1_2 else ACCESS


def pack(region: MemoryRegion, version: Version, entry: struct.Struct | None = None) -> bytes:
    """The descriptor for an endpoint of `version`; entries that share a composite share its offset.

    `entry` is the entry layout where it is not the version's own: a v1.2 endpoint may have sent short entries.
    """
    header = HEADER_1_0 if version < V1_1 else HEADER_1_1
    layout = _Layout(entry or entry_layout(version), header.size, len(region.access))
    offsets: dict[Composite, int] = {}
    tail = bytearray()
    for access in region.access:
        if access.composite is not None and access.composite not in offsets:
            offsets[access.composite] = layout.end + len(tail)
            tail += access.composite.pack()
    entries = b"".join(_pack_access(access, offsets, layout.entry) for access in region.access)
    return _pack_header(region, version, layout) + entries + bytes(tail)


def _pack_header(region: MemoryRegion, version: Version, layout: _Layout) -> bytes:
    attributes, count = region.attributes.raw, layout.count
    if version < V1_1:
        return HEADER_1_0.pack(region.sender, attributes & 0xFF, 0, region.flags, region.handle, region.tag, 0, count)
    where = (layout.entry.size, count, layout.offset, b"")
    return HEADER_1_1.pack(region.sender, attributes, region.flags, region.handle, region.tag, *where)


def _pack_access(access: EndpointAccess, offsets: dict[Composite, int], layout: struct.Struct) -> bytes:
    offset = 0 if access.composite is None else offsets[access.composite]
    head = (access.endpoint, access.permissions.pack(), access.flags, offset)
    return layout.pack(*head, access.impdef, 0) if layout is ACCESS_1_2 else layout.pack(*head, 0)


def parse_send(data: bytes, version: Version, max_receivers: int = MAX_RECEIVERS) -> MemoryRegion:
    """The descriptor of MEM_DONATE, MEM_LEND or MEM_SHARE: all entries name one composite, which ends the data.

    Raises DescriptorError with INVALID_PARAMETERS.
    """
    region, found = _parse(data, version, max_receivers)
    if len(found) != 1 or any(access.composite is None for access in region.access):
        raise refuse("entries name different regions or none")
    return region


class SendHead(NamedTuple):
    """What comes before the constituents of a send."""

    region: MemoryRegion
    """Without a composite."""
    pages: int
    ranges: int
    """How many constituents follow."""


def parse_send_head(data: bytes, version: Version, max_receivers: int = MAX_RECEIVERS) -> SendHead | None:
    """The head of a send that arrives in fragments, None where `data` is too short for it. Raises DescriptorError."""
    head, layout = _parse_header(data, version)
    if not 0 < layout.count <= max_receivers:
        raise refuse(f"{layout.count} receivers")
    if layout.end > len(data):
        return None
    entries = [layout.entry.unpack_from(data, layout.offset + n * layout.entry.size) for n in range(layout.count)]
    offset = entries[0][3]
    if offset < layout.end or offset + COMPOSITE.size > len(data):
        return None
    pages, ranges, _ = COMPOSITE.unpack_from(data, offset)
    impdefs = (entry[4] if layout.entry is ACCESS_1_2 else NO_IMPDEF for entry in entries)
    access = tuple(
        EndpointAccess(entry[0], parse_permissions(entry[1]), entry[2], impdef)
        for entry, impdef in zip(entries, impdefs, strict=True)
    )
    return SendHead(replace(head, access=access), pages, ranges)


def pack_send_head(head: SendHead, version: Version) -> bytes:
    """The bytes of a send up to its constituents."""
    empty = Composite(())
    access = tuple(replace(entry, composite=empty) for entry in head.region.access)
    packed = pack(replace(head.region, access=access), version)
    return packed[: -COMPOSITE.size] + COMPOSITE.pack(head.pages, head.ranges, 0)


def parse_retrieve(data: bytes, version: Version, max_receivers: int = MAX_RECEIVERS) -> MemoryRegion:
    """The descriptor of RETRIEVE_REQ or RETRIEVE_RESP: each entry has a composite of its own, shares one, or has none.

    Raises DescriptorError with INVALID_PARAMETERS.
    """
    region, _ = _parse(data, version, max_receivers)
    return region


def _parse(data: bytes, version: Version, max_receivers: int) -> tuple[MemoryRegion, dict[int, Composite]]:
    """The region and its composites by offset. The last composite must end the data."""
    head, layout = _parse_header(data, version)
    if not 0 < layout.count <= max_receivers:
        raise refuse(f"{layout.count} receivers")
    if layout.end > len(data):
        raise refuse(f"{layout.count} entries at {layout.offset} are outside {len(data)} bytes")
    found: dict[int, Composite] = {}
    access = tuple(_parse_access(data, layout, index, found) for index in range(layout.count))
    _check_extent(len(data), layout.end, found)
    return replace(head, access=access), found


def _check_extent(length: int, end: int, found: dict[int, Composite]) -> None:
    for offset, composite in sorted(found.items()):
        if offset < end:
            raise refuse(f"composite at {offset} overlaps what ends at {end}")
        end = offset + composite.size
    if end != length:
        raise refuse(f"{length} bytes, but the descriptor ends at {end}")


def _parse_header(data: bytes, version: Version) -> tuple[MemoryRegion, _Layout]:
    header = HEADER_1_0 if version < V1_1 else HEADER_1_1
    if version < V1_0 or len(data) < header.size:
        raise refuse(f"{len(data)} bytes are too short for the header")
    return _header_1_0(data) if header is HEADER_1_0 else _header_1_1(data, version)


def _header_1_0(data: bytes) -> tuple[MemoryRegion, _Layout]:
    sender, attributes, zero, flags, handle, tag, also_zero, count = HEADER_1_0.unpack_from(data)
    if zero or also_zero:
        raise refuse("reserved field of the header is not zero")
    head = MemoryRegion(sender, (), Attributes(attributes), flags, handle, tag)
    return head, _Layout(ACCESS, HEADER_1_0.size, count)


def _header_1_1(data: bytes, version: Version) -> tuple[MemoryRegion, _Layout]:
    sender, attributes, flags, handle, tag, size, count, offset, reserved = HEADER_1_1.unpack_from(data)
    if any(reserved):
        raise refuse("reserved field of the header is not zero")
    if offset < HEADER_1_1.size or offset % 16:
        raise refuse(f"receivers offset {offset}")
    if size != ACCESS.size and (size != ACCESS_1_2.size or version < V1_2):
        raise refuse(f"entries of {size} bytes")
    head = MemoryRegion(sender, (), Attributes(attributes), flags, handle, tag)
    return head, _Layout(ACCESS if size == ACCESS.size else ACCESS_1_2, offset, count)


def _parse_access(data: bytes, layout: _Layout, index: int, found: dict[int, Composite]) -> EndpointAccess:
    fields = layout.entry.unpack_from(data, layout.offset + index * layout.entry.size)
    endpoint, permissions, flags, offset, reserved = *fields[:4], fields[-1]
    if reserved:
        raise refuse("reserved field of an entry is not zero")
    if offset and offset not in found:
        found[offset] = parse_composite(data, offset)
    impdef = fields[4] if layout.entry is ACCESS_1_2 else NO_IMPDEF
    return EndpointAccess(endpoint, parse_permissions(permissions), flags, impdef, found.get(offset))
