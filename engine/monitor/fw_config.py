"""TB_FW_CONFIG: what BL2 is told, of which only the list of secure partitions (`arm,sp`) matters here."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from engine.errors import MachineError
from engine.images.dtb import cells, node, pack
from engine.images.properties import Properties
from engine.spmc.regions import page_address

COMPATIBLE = "arm,sp"
OWNER = "Plat"
"""Who signs a partition, where nobody says otherwise: the platform rather than the silicon provider."""


class FwConfigError(MachineError):
    """A configuration that cannot be used; the text names node and property, and says what was expected."""


@dataclass(frozen=True, slots=True)
class SpEntry:
    """One partition that BL2 loads."""

    name: str
    """Of its node."""
    uuid: UUID
    """By which the FIP has its package: bytes in memory order, so those of each manifest word lowest first."""
    load_address: int
    """Physical address, page aligned."""
    owner: str = OWNER


def parse_fw_config(data: bytes) -> tuple[SpEntry, ...]:
    """The partitions of a configuration. Raises FwConfigError."""
    found = Properties.root(data, _error).child(COMPATIBLE)
    if found is None:
        raise _error(f"/secure-partitions: expected a node compatible with {COMPATIBLE} (missing)")
    entries: dict[UUID, SpEntry] = {}
    for each in found.nodes:
        uuid = each.uuid("uuid")
        if uuid in entries:
            each.refuse("uuid", "a UUID that no other partition has", uuid)
        entries[uuid] = SpEntry(each.name, uuid, page_address(each, "load-address"), each.text("owner") or OWNER)
    return tuple(entries.values())


def pack_fw_config(entries: Iterable[SpEntry]) -> bytes:
    """The DTB of a configuration with these partitions."""
    nodes = (
        node(each.name, {"uuid": str(each.uuid), "load-address": cells(each.load_address), "owner": each.owner})
        for each in entries
    )
    return pack(node("/", {}, node("secure-partitions", {"compatible": COMPATIBLE}, *nodes)))


def swapped(uuid: UUID) -> UUID:
    """The UUID with the bytes of each of its four words in the other order, which is the usual slip."""
    return UUID(bytes=struct.pack("<4I", *struct.unpack(">4I", uuid.bytes)))


def _error(text: str) -> FwConfigError:
    return FwConfigError(f"TB_FW_CONFIG: {text}")
