"""Descriptors field by field, for people: what a call had in TX, and what its answer put into RX.

Works on the bytes that events keep, whether the manager accepted them or not, and never raises.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias
from uuid import UUID

from engine.ffa import message, partition_info, relinquish
from engine.ffa.abi import Function, function, receiver_of, sender_of
from engine.ffa.descriptors import NO_IMPDEF
from engine.ffa.flags import (
    ALIGN_HINT_MASK,
    ALIGN_HINT_SHIFT,
    KIND_MASK,
    KIND_SHIFT,
    NON_RETRIEVAL_BORROWER,
    RETRIEVE_FLAGS,
    PartitionProperty,
    RegionFlag,
    RelinquishFlag,
)
from engine.ffa.log import endpoint_name
from engine.ffa.outline import Outline, Receiver, Region, outline
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_1, V1_2, Version

Who: TypeAlias = Callable[[int], str]
"""What to call an endpoint."""
_DUMPED = 16
_REGION_FLAGS = {
    RegionFlag.ZERO: "zero",
    RegionFlag.TIME_SLICE: "time slice",
    RegionFlag.ZERO_AFTER: "zero after relinquish",
    RegionFlag.BYPASS_BORROWERS: "caller alone",
}


class Field(NamedTuple):
    """One line of a descriptor."""

    name: str
    value: str
    depth: int = 0
    """Of what is inside what."""


def sent(fid: int, data: bytes, version: Version, who: Who = endpoint_name) -> list[Field]:
    """What a call had in TX; empty for calls that have nothing there."""
    known = function(fid)
    if not data:
        return []
    if known is Function.MEM_RELINQUISH:
        return list(_relinquish(data, who))
    if known is Function.MSG_SEND2:
        return list(_message(data, version, who))
    return list(_region(data, version, who))


def received(fid: int, data: bytes, version: Version, who: Who = endpoint_name) -> list[Field]:
    """What the answer of a call put into RX; empty where it put nothing there."""
    if not data:
        return []
    if function(fid) is Function.PARTITION_INFO_GET:
        return list(_infos(data, version, who))
    return list(_region(data, version, who))


# --- memory regions ------------------------------------------------------------------------------


def _region(data: bytes, version: Version, who: Who) -> Iterator[Field]:
    found = outline(data, version)
    if found is None:
        yield _too_short(data)
        return
    yield Field("sender", who(found.sender))
    yield Field("attributes", f"0x{found.attributes.raw:x} {found.attributes}")
    yield Field("flags", _words(found.flags, region_flags(found.flags)))
    yield Field("handle", f"0x{found.handle:x}")
    yield Field("tag", f"0x{found.tag:x}")
    yield Field("receivers", f"{found.count}, each {found.entry_size} bytes, at {found.offset}")
    for receiver in found.receivers:
        yield from _receiver(receiver, who)
    yield from _missing("receivers", found.count - len(found.receivers))
    for region in found.regions:
        yield from _composite(region)
    yield from _stray(found)


def region_flags(flags: int) -> list[str]:
    """The flags of a memory region in words."""
    words = [text for flag, text in _REGION_FLAGS.items() if flags & flag]
    kind = flags >> KIND_SHIFT & KIND_MASK
    if kind:
        words.append(Kind(kind).name.lower())
    if flags & RegionFlag.ALIGN_HINT_VALID:
        words.append(f"aligned to {1 << (flags >> ALIGN_HINT_SHIFT & ALIGN_HINT_MASK)} pages")
    return [*words, "reserved bits"] if flags & ~RETRIEVE_FLAGS else words


def _receiver(receiver: Receiver, who: Who) -> Iterator[Field]:
    yield Field("receiver", who(receiver.endpoint))
    yield Field("permissions", f"0x{receiver.permissions.pack():x} {receiver.permissions}", 1)
    others = "another borrower" if receiver.flags & NON_RETRIEVAL_BORROWER else ""
    yield Field("flags", _words(receiver.flags, [others] if others else []), 1)
    yield Field("composite", f"at {receiver.composite}" if receiver.composite else "none", 1)
    if receiver.impdef != NO_IMPDEF:
        yield Field("impdef", receiver.impdef.hex(" ", 8), 1)


def _composite(region: Region) -> Iterator[Field]:
    yield Field("composite", f"at {region.offset}, pages {region.pages}, ranges {region.announced}")
    for piece in region.ranges:
        yield Field("range", f"0x{piece.address:x}-0x{piece.end - 1:x} pages {piece.pages}", 1)
    yield from _missing("ranges", region.announced - len(region.ranges))
    if region.announced == len(region.ranges) and region.listed != region.pages:
        yield Field("", f"the ranges have {region.listed} pages", 1)


def _stray(found: Outline) -> Iterator[Field]:
    there = {region.offset for region in found.regions}
    for offset in sorted({receiver.composite for receiver in found.receivers} - there - {0}):
        yield Field("composite", f"at {offset}: past the end")


# --- the others ------------------------------------------------------------------------------------


def _relinquish(data: bytes, who: Who) -> Iterator[Field]:
    if len(data) < relinquish.HEADER.size:
        yield _too_short(data)
        return
    handle, flags, count = relinquish.HEADER.unpack_from(data)
    there = min(count, (len(data) - relinquish.HEADER.size) // 2)
    words = {RelinquishFlag.ZERO: "zero", RelinquishFlag.TIME_SLICE: "time slice"}
    yield Field("handle", f"0x{handle:x}")
    yield Field("flags", _words(flags, [text for flag, text in words.items() if flags & flag]))
    yield Field("endpoints", str(count))
    for endpoint in struct.unpack_from(f"<{there}H", data, relinquish.HEADER.size):
        yield Field("endpoint", who(endpoint), 1)
    yield from _missing("endpoints", count - there)


def _message(data: bytes, version: Version, who: Who) -> Iterator[Field]:
    header = message.HEADER_1_2 if version >= V1_2 else message.HEADER_1_1
    if len(data) < header.size:
        yield _too_short(data)
        return
    flags, _, offset, ids, size = message.HEADER_1_1.unpack_from(data)
    yield Field("flags", f"0x{flags:x}")
    yield Field("sender", who(sender_of(ids)))
    yield Field("receiver", who(receiver_of(ids)))
    if version >= V1_2:
        yield Field("uuid", str(UUID(bytes=header.unpack_from(data)[6])))
    yield Field("payload", f"{size} bytes at {offset}")
    kept = data[offset : offset + size]
    for start in range(0, len(kept), _DUMPED):
        yield Field(f"+{start}", kept[start : start + _DUMPED].hex(" ", 4), 1)
    if len(kept) < size:
        yield Field("", "the rest is not kept", 1)


def _infos(data: bytes, version: Version, who: Who) -> Iterator[Field]:
    layout = partition_info.SHORT if version < V1_1 else partition_info.LONG
    for info in partition_info.parse_infos(data, len(data) // layout.size, version):
        yield Field("partition", who(info.id))
        yield Field("contexts", str(info.contexts), 1)
        yield Field("properties", _words(int(info.properties), partition_properties(info.properties)), 1)
        if version >= V1_1:
            yield Field("uuid", str(info.uuid), 1)


def partition_properties(properties: PartitionProperty) -> list[str]:
    """The properties of a partition in words."""
    return [(flag.name or "").lower().replace("_", " ") for flag in PartitionProperty if properties & flag]


def _words(value: int, words: list[str]) -> str:
    return f"0x{value:x} {', '.join(words)}".rstrip()


def _too_short(data: bytes) -> Field:
    return Field("", f"{len(data)} bytes are too short for the header")


def _missing(what: str, count: int) -> Iterator[Field]:
    if count > 0:
        yield Field("", f"{count} more {what} are not in these bytes", 1)
