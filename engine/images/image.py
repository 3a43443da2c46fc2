"""What every image format loads to: bytes at guest addresses, an entry point and symbols."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.errors import MachineError
from engine.images.symbols import SymbolTable


class ImageError(MachineError):
    """An image that cannot be loaded; the text is `FILE: what is wrong`."""

    def __init__(self, file: str | Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}")


class Segment(NamedTuple):
    """Bytes to put into guest RAM; the rest of `memsz` reads as zero."""

    ipa: int
    data: bytes
    memsz: int
    """At least len(data)."""

    @property
    def end(self) -> int:
        """First IPA after the segment, zeros included."""
        return self.ipa + self.memsz


class LoadedImage(msgspec.Struct, frozen=True, kw_only=True):
    """A program in guest RAM, ready to start."""

    segments: tuple[Segment, ...]
    entry: int
    """IPA of the first instruction, 4-byte aligned, in RAM."""
    symbols: SymbolTable
    end: int
    """First IPA after everything the image uses."""


class Ram(NamedTuple):
    """The guest RAM an image must fit into."""

    base: int
    """IPA, 2 MiB aligned."""
    size: int

    @property
    def end(self) -> int:
        """First IPA above it."""
        return self.base + self.size

    def holds(self, ipa: int, size: int) -> bool:
        """Whether [ipa, ipa + size) lies in this RAM."""
        return self.base <= ipa and ipa + size <= self.end
