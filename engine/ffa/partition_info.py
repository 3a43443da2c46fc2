"""Partition information: descriptors in RX, and the same in registers (DEN0077A v1.2, 6.2, 13.8, 13.9)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from engine.ffa.errors import Code, require, require_valid
from engine.ffa.flags import PartitionProperty
from engine.ffa.ranges import refuse
from engine.ffa.version import V1_0, V1_1, Version

SHORT = struct.Struct("<HHI")
"""v1.0: id, execution contexts, properties."""
LONG = struct.Struct("<HHI16s")
"""v1.1 and v1.2: and the UUID."""
PER_CALL = 5
"""Descriptors that x3-x17 hold, three registers each."""
NIL = UUID(int=0)
_SEND = PartitionProperty.SEND_DIRECT | PartitionProperty.SEND_DIRECT2
_PROPERTIES_1_0 = 0x7
_PROPERTIES_1_1 = 0x1FF


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """One partition, or one service of a partition that has several UUIDs."""

    id: int
    contexts: int
    """Execution contexts."""
    properties: PartitionProperty
    uuid: UUID = NIL


def descriptor_size(version: Version) -> int:
    """Bytes of a descriptor: w3 of PARTITION_INFO_GET's answer from v1.1 on (zero before)."""
    return SHORT.size if version < V1_1 else LONG.size


def seen_by(info: PartitionInfo, version: Version, secure: bool, queried: UUID) -> PartitionInfo:
    """A partition as a caller of `version` is told of it.

    Non-secure callers are not told whether it sends direct requests; properties newer than the caller's version are
    left out; the UUID is zero when the caller asked for one.
    """
    properties = info.properties if secure else info.properties & ~_SEND
    if version <= V1_1:
        properties &= PartitionProperty(_PROPERTIES_1_0 if version == V1_0 else _PROPERTIES_1_1)
    return replace(info, properties=properties, uuid=NIL if queried.int else info.uuid)


def matching(infos: Sequence[PartitionInfo], queried: UUID) -> tuple[PartitionInfo, ...]:
    """Partitions with the queried UUID, or all of them for nil. INVALID_PARAMETERS where the UUID is nobody's."""
    found = tuple(info for info in infos if queried.int == 0 or info.uuid == queried)
    require_valid(found or not queried.int, f"no partition has UUID {queried}")
    return found


def pack_infos(infos: Sequence[PartitionInfo], version: Version) -> bytes:
    """The array that PARTITION_INFO_GET writes to RX."""
    if version < V1_1:
        return b"".join(SHORT.pack(info.id, info.contexts, info.properties) for info in infos)
    return b"".join(LONG.pack(info.id, info.contexts, info.properties, info.uuid.bytes) for info in infos)


def parse_infos(data: bytes, count: int, version: Version) -> tuple[PartitionInfo, ...]:
    """`count` descriptors at the start of a buffer. Raises DescriptorError where they do not fit."""
    layout = SHORT if version < V1_1 else LONG
    if not 0 <= count <= len(data) // layout.size:
        raise refuse(f"{count} descriptors in {len(data)} bytes")
    entries = layout.iter_unpack(data[: count * layout.size])
    return tuple(
        PartitionInfo(e[0], e[1], PartitionProperty(e[2]), UUID(bytes=e[3]) if e[3:] else NIL) for e in entries
    )


def uuid_from_words(words: Sequence[int]) -> UUID:
    """A UUID from four 32-bit registers; byte 0 is the lowest byte of the first."""
    return UUID(bytes=struct.pack("<4I", *(word & 0xFFFF_FFFF for word in words)))


def uuid_words(uuid: UUID) -> tuple[int, int, int, int]:
    """A UUID as four 32-bit registers."""
    first, second, third, fourth = struct.unpack("<4I", uuid.bytes)
    return first, second, third, fourth


def uuid_from_registers(low: int, high: int) -> UUID:
    """A UUID from two 64-bit registers; byte 0 is the lowest byte of the first."""
    return UUID(bytes=struct.pack("<2Q", low, high))


def uuid_registers(uuid: UUID) -> tuple[int, int]:
    """A UUID as two 64-bit registers."""
    low, high = struct.unpack("<2Q", uuid.bytes)
    return low, high


def parse_regs_page(values: Sequence[int]) -> tuple[int, int, tuple[PartitionInfo, ...]]:
    """(last index, tag, descriptors) of an answer to PARTITION_INFO_GET_REGS, x0-x17. Raises DescriptorError."""
    word = values[2]
    last, current, tag, size = (word >> shift & 0xFFFF for shift in (0, 16, 32, 48))
    if size != LONG.size or current > last:
        raise refuse(f"descriptors of {size} bytes up to {current} of {last}")
    data = struct.pack(f"<{3 * PER_CALL}Q", *values[3 : 3 + 3 * PER_CALL])
    found = parse_infos(data, PER_CALL, V1_1)
    return last, tag, tuple(info for info in found if info.id)


def regs_page(infos: Sequence[PartitionInfo], index: int, tag: int, current_tag: int) -> tuple[int, ...]:
    """x2 and on of FFA_SUCCESS_64 for PARTITION_INFO_GET_REGS from `index`; `tag` is the caller's.

    INVALID_PARAMETERS where `index` is past the last descriptor; RETRY where the caller continues with the tag of a
    list that changed since. The first call, at index 0, has no tag to match.
    """
    require_valid(index < len(infos), f"index {index} of {len(infos)}")
    require(index == 0 or tag == current_tag, Code.RETRY, f"tag 0x{tag:x} is stale")
    page = infos[index : index + PER_CALL]
    last, current = len(infos) - 1, index + len(page) - 1
    packed = struct.unpack(f"<{3 * len(page)}Q", pack_infos(page, V1_1))
    return (last | current << 16 | current_tag << 32 | LONG.size << 48, *packed)
