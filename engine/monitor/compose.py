"""A FIP from SP packages: what a build of TF-A would make of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from engine.errors import MachineError
from engine.monitor.core_manifest import CoreManifest, pack_core_manifest
from engine.monitor.fip import KNOWN, pack
from engine.monitor.fw_config import SpEntry, pack_fw_config
from engine.spmc.loaded import open_package
from engine.spmc.regions import ADDRESS_BITS, is_page_address


class ComposeError(MachineError):
    """Packages that make no FIP; the text names the one that is wrong."""


@dataclass(frozen=True, slots=True)
class Source:
    """A package to put into a FIP."""

    name: str
    """Of its node in TB_FW_CONFIG, and in errors."""
    package: bytes
    address: int | None
    """Where it is to be loaded; where its manifest says if None."""


def compose(sources: Iterable[Source], parts: Mapping[UUID, bytes]) -> bytes:
    """A FIP of packages and other parts, with TB_FW_CONFIG for the packages and, unless given, TOS_FW_CONFIG.

    Packages are keyed by the first of their UUIDs that no package before them has. Raises MachineError.
    """
    entries: list[SpEntry] = []
    listed = {KNOWN["TOS_FW_CONFIG"]: pack_core_manifest(CoreManifest())} | dict(parts)
    for source in sources:
        entry = _entry(source, set(listed))
        entries.append(entry)
        listed[entry.uuid] = source.package
    return pack(({KNOWN["TB_FW_CONFIG"]: pack_fw_config(entries)} | listed).items())


def _entry(source: Source, taken: set[UUID]) -> SpEntry:
    try:
        _, manifest = open_package(source.package)
    except MachineError as error:
        raise ComposeError(f"{source.name}: {error}") from None
    address = manifest.load_address if source.address is None else source.address
    if address is None:
        raise ComposeError(f"{source.name}: expected a load address, here or in its manifest")
    if not is_page_address(address):
        raise ComposeError(f"{source.name}: expected a page address of {ADDRESS_BITS} bits (got {address:#x})")
    uuid = next((uuid for uuid in manifest.uuids if uuid not in taken), None)
    if uuid is None:
        raise ComposeError(f"{source.name}: expected a UUID that no other part has (got {manifest.uuids[0]})")
    return SpEntry(source.name, uuid, address)
