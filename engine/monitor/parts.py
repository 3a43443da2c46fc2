"""What the chain of trust finds in a FIP: the SPMC's manifest, the partitions where they are loaded, and BL33.

BL2, BL31 and BL32 may be in it, too; on this machine they are Python, so they are listed and not run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from engine.errors import MachineError
from engine.ffa.abi import PartitionId, is_secure
from engine.images.image import ImageError
from engine.images.loader import read
from engine.images.symbols import SymbolTable
from engine.machine_file import MOST_SPS, is_name
from engine.monitor.claims import Claims
from engine.monitor.core_manifest import CoreManifest, parse_core_manifest
from engine.monitor.fip import LARGEST, Fip, parse
from engine.monitor.fw_config import SpEntry, parse_fw_config, swapped
from engine.spmc.boot_info import pack_boot_info
from engine.spmc.loaded import LoadedPackage, open_package

_NUMBERED = re.compile("sp[0-9]+")
_UNKNOWN_ID = 0
_FIRST_ID = 0x8001


class PartsError(MachineError):
    """A FIP that cannot be booted from; the text names the part that is wrong."""


@dataclass(frozen=True, slots=True)
class BootParts:
    """Everything that is loaded, and where."""

    listing: tuple[str, ...]
    """Names of all parts, in the FIP's order."""
    core: CoreManifest
    packages: tuple[LoadedPackage, ...]
    """In the order of TB_FW_CONFIG."""
    bl33: bytes | None
    hw_config: bytes | None


def load_parts(file: Path, names: Sequence[str] = ()) -> BootParts:
    """`read_parts` of a file. Raises ImageError."""
    try:
        return read_parts(parse(read(file, LARGEST)), names)
    except ImageError:
        raise
    except MachineError as error:
        raise ImageError(file, str(error)) from None


def read_parts(fip: Fip, names: Sequence[str] = ()) -> BootParts:
    """The parts of a FIP, checked against each other; MachineError names the part that is wrong.

    `names` are those of the partitions; without, they have the names of their nodes in TB_FW_CONFIG. Partitions whose
    manifests give no id get free ones from 0x8001 on.
    """
    core = parse_core_manifest(_configuration(fip, "TOS_FW_CONFIG"))
    entries = parse_fw_config(_configuration(fip, "TB_FW_CONFIG"))
    if len(entries) > MOST_SPS:
        raise PartsError(f"TB_FW_CONFIG: expected at most {MOST_SPS} partitions (got {len(entries)})")
    if names and len(names) != len(entries):
        raise PartsError(f"TB_FW_CONFIG: expected {len(names)} partitions (got {len(entries)})")
    loaded = _numbered([_load(fip, entry, core) for entry in entries])
    if names:
        loaded = [replace(each, name=name) for each, name in zip(loaded, names, strict=True)]
    claims = Claims(core)
    for each in loaded:
        claims.add(each)
    return BootParts(
        listing=_listing(fip, entries),
        core=core,
        packages=tuple(loaded),
        bl33=fip.get("BL33"),
        hw_config=fip.get("HW_CONFIG"),
    )


def partition_names(parts: BootParts, taken: Collection[str]) -> tuple[str, ...]:
    """Names for the partitions of a FIP: their manifests' descriptions where those are names."""
    return names_from((loaded.manifest.description for loaded in parts.packages), taken)


def names_from(wanted: Iterable[str], taken: Collection[str]) -> tuple[str, ...]:
    """What is wanted where it is a name and nobody else's, else sp1, sp2, and so on by place."""
    names: list[str] = []
    for number, name in enumerate(wanted, 1):
        good = is_name(name) and name not in (*taken, *names) and not _NUMBERED.fullmatch(name)
        names.append(name if good else f"sp{number}")
    return tuple(names)


def _configuration(fip: Fip, name: str) -> bytes:
    data = fip.get(name)
    if data is None:
        raise PartsError(f"{name}: expected this part (missing)")
    return data


def _listing(fip: Fip, entries: Sequence[SpEntry]) -> tuple[str, ...]:
    named = {entry.uuid: entry.name for entry in entries}
    return tuple(named.get(part.uuid, part.name) for part in fip.parts)


def _load(fip: Fip, entry: SpEntry, core: CoreManifest) -> LoadedPackage:
    """One package, on its own. A manifest without an id gives _UNKNOWN_ID."""
    part = fip.find(entry.uuid)
    if part is None:
        other = swapped(entry.uuid)
        if fip.find(other) is not None:
            raise _byte_order(entry, other, "TB_FW_CONFIG", "the FIP")
        raise PartsError(f"{entry.name}: expected a package with UUID {entry.uuid} (missing)")
    data = fip.contents(part)
    try:
        package, manifest = open_package(data)
        id_ = _UNKNOWN_ID if manifest.id is None else manifest.id
        loaded = LoadedPackage(entry.name, id_, entry.load_address, data, package, manifest, SymbolTable())
        pack_boot_info(manifest, loaded.address, package)
    except MachineError as error:
        raise PartsError(f"{entry.name}: {error}") from None
    _check(entry, loaded, core)
    return loaded


def _check(entry: SpEntry, loaded: LoadedPackage, core: CoreManifest) -> None:
    manifest = loaded.manifest
    if entry.uuid not in manifest.uuids:
        if swapped(entry.uuid) in manifest.uuids:
            raise _byte_order(entry, swapped(entry.uuid), "TB_FW_CONFIG and the FIP", "its manifest")
        uuids = ", ".join(map(str, manifest.uuids))
        raise PartsError(f"{entry.name}: expected UUID {uuids}, as its manifest has (got {entry.uuid})")
    if not core.version.serves(manifest.version):
        raise PartsError(f"{entry.name}: expected at most FF-A {core.version}, as the SPMC (got {manifest.version})")
    if not loaded.address <= loaded.entry < loaded.end:
        inside = f"{loaded.address:#x} to {loaded.end:#x}"
        raise PartsError(f"{entry.name}: expected its entry point from {inside} (got {loaded.entry:#x})")


def _byte_order(entry: SpEntry, other: object, here: str, there: str) -> PartsError:
    got = f"got {entry.uuid} in {here}: the bytes of each word are in the wrong order"
    return PartsError(f"{entry.name}: expected UUID {other}, as {there} has ({got})")


def _numbered(loaded: list[LoadedPackage]) -> list[LoadedPackage]:
    """The same packages, each with a partition id of its own."""
    owners: dict[int, str] = {}
    for each in loaded:
        if each.id == _UNKNOWN_ID:
            continue
        if each.id in owners:
            raise PartsError(
                f"{each.name}: expected a partition id that no other has ({each.id:#x} is {owners[each.id]}'s)"
            )
        if not is_secure(each.id) or each.id in (PartitionId.SPMC, PartitionId.SPMD):
            raise PartsError(f"{each.name}: expected a partition id from {_FIRST_ID:#x} to 0xfffe (got {each.id:#x})")
        owners[each.id] = each.name
    free = (number for number in count(_FIRST_ID) if number not in owners)
    return [each if each.id != _UNKNOWN_ID else replace(each, id=next(free)) for each in loaded]
