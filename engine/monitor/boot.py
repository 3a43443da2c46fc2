"""The chain of trust: what is loaded where before the first partition runs."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from engine.board.memory_map import SECURE_BASE, SECURE_HEAP, SPMC_BASE, SPMC_SIZE
from engine.config import SecureConfig, SpConfig
from engine.errors import MachineError
from engine.ffa.abi import PAGE_SIZE, PartitionId, is_secure
from engine.images.image import ImageError
from engine.images.loader import read
from engine.images.symbols import SymbolTable
from engine.spmc.manifest import parse_manifest
from engine.spmc.package import pack_package, parse_package
from engine.spmc.partition import LoadedPackage

_MAX_PACKAGE = SECURE_HEAP - SECURE_BASE
_FIRST_ID = 0x8001


def load_packages(config: SecureConfig) -> list[LoadedPackage]:
    """The packages of a machine file, placed, and with ids from 0x8001 where manifests give none.

    Raises MachineError, naming the file.
    """
    packages: list[LoadedPackage] = []
    for sp in config.sps:
        package = _load(sp, {other.id for other in packages})
        _check_place(package, packages)
        packages.append(package)
    return packages


def _load(sp: SpConfig, taken: set[int]) -> LoadedPackage:
    file = sp.package or sp.image or Path()
    try:
        data = _package(sp)
        package = parse_package(data)
        manifest = parse_manifest(data[package.manifest_offset : package.manifest_offset + package.manifest_size])
    except ImageError:
        raise
    except MachineError as error:
        raise ImageError(file, str(error)) from None
    address = sp.load if sp.load is not None else manifest.load_address
    if address is None:
        raise ImageError(file, "expected a load address, in the machine file or the manifest")
    id_ = manifest.id if manifest.id is not None else next(n for n in count(_FIRST_ID) if n not in taken)
    if id_ in taken or not is_secure(id_) or id_ in (PartitionId.SPMC, PartitionId.SPMD):
        raise ImageError(file, f"expected a partition id that no other has (got {id_:#x})")
    return LoadedPackage(sp.name, id_, address, data, package, manifest, SymbolTable())


def _package(sp: SpConfig) -> bytes:
    """A package file, or one made of image and manifest."""
    if sp.package is not None:
        return read(sp.package, _MAX_PACKAGE)
    if sp.image is None or sp.manifest is None:
        raise MachineError("expected an image and a manifest")
    return pack_package(read(sp.manifest, _MAX_PACKAGE), read(sp.image, _MAX_PACKAGE))


def _check_place(package: LoadedPackage, others: list[LoadedPackage]) -> None:
    """Secure RAM that nobody else has."""
    start, end, free = package.address, package.address + package.size, SPMC_BASE + SPMC_SIZE
    got = f"(got {start:#x} to {end:#x})"
    if start % PAGE_SIZE or start < free or end > SECURE_HEAP:
        raise ImageError(package.name, f"expected pages of secure RAM from {free:#x} to {SECURE_HEAP:#x} {got}")
    for other in others:
        if start < other.address + other.size and other.address < end:
            raise ImageError(package.name, f"expected secure RAM apart from {other.name}'s {got}")
