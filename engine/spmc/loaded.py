"""A partition's package where the chain of trust loaded it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.board.memory_map import align_up
from engine.ffa.abi import PAGE_SIZE
from engine.images.symbols import SymbolTable
from engine.spmc.manifest import Manifest, parse_manifest
from engine.spmc.package import Package, parse_package


def open_package(data: bytes) -> tuple[Package, Manifest]:
    """A package's header, and its manifest. Raises PackageError or ManifestError."""
    package = parse_package(data)
    start = package.manifest_offset
    return package, parse_manifest(data[start : start + package.manifest_size])


@dataclass(frozen=True, slots=True)
class LoadedPackage:
    """A package in secure RAM, and what its manifest says."""

    name: str
    id: int
    address: int
    """Physical address of the package, 4 KB aligned, in secure RAM."""
    data: bytes
    package: Package
    manifest: Manifest
    symbols: SymbolTable

    @property
    def size(self) -> int:
        """Bytes of secure RAM that it has."""
        return align_up(max(len(self.data), self.manifest.memory_size), PAGE_SIZE)

    @property
    def end(self) -> int:
        """First address above it."""
        return self.address + self.size

    @property
    def entry(self) -> int:
        """Address of the first instruction."""
        return self.address + (self.manifest.entry_offset or self.package.image_offset)
