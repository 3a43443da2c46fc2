"""SP packages: a header, the partition's manifest and its image, as TF-A's sptool makes them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from engine.errors import MachineError

MAGIC = 0x474B_5053
"""`SPKG`, little-endian."""
_HEADER = struct.Struct("<6I")
PAGE = 4096
_VERSIONS = (1, 2)
MANIFEST_OFFSET = 0x1000
IMAGE_OFFSET = 0x4000
"""Where sptool puts manifest and image by default."""


class PackageError(MachineError):
    """Bytes that are no SP package; the text says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Package:
    """The header of a package: offsets and sizes in bytes from its start."""

    version: int
    """1 or 2."""
    manifest_offset: int
    manifest_size: int
    image_offset: int
    image_size: int

    @property
    def end(self) -> int:
        """Bytes of the whole package."""
        return max(self.manifest_offset + self.manifest_size, self.image_offset + self.image_size)


def parse_package(data: bytes) -> Package:
    """The header of a package that lies in `data` as a whole. Raises PackageError."""
    if len(data) < _HEADER.size:
        raise PackageError(f"expected an SP package (got {len(data)} bytes)")
    magic, version, *places = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise PackageError(f"expected the magic number SPKG (got {data[:4]!r})")
    if version not in _VERSIONS:
        raise PackageError(f"expected an SP package of version 1 or 2 (got {version})")
    package = Package(version, *places)
    for what, offset, size in (
        ("manifest", package.manifest_offset, package.manifest_size),
        ("image", package.image_offset, package.image_size),
    ):
        if offset < _HEADER.size or not size or offset + size > len(data):
            raise PackageError(f"expected the {what} in {len(data)} bytes (got {size:#x} at {offset:#x})")
    if package.image_offset % PAGE:
        raise PackageError(f"expected the image on a page boundary (got {package.image_offset:#x})")
    first, second = sorted(
        [(package.manifest_offset, package.manifest_size), (package.image_offset, package.image_size)]
    )
    if first[0] + first[1] > second[0]:
        raise PackageError("expected manifest and image apart (they overlap)")
    return package


def pack_package(manifest: bytes, image: bytes, version: int = 2) -> bytes:
    """A package of a manifest (DTB) and a raw image, of version 1 or 2.

    Raises PackageError where the manifest does not fit, and where there is nothing to pack.
    """
    if not 0 < len(manifest) <= IMAGE_OFFSET - MANIFEST_OFFSET:
        raise PackageError(f"expected a manifest of 1 to {IMAGE_OFFSET - MANIFEST_OFFSET} bytes (got {len(manifest)})")
    if not image or version not in _VERSIONS:
        raise PackageError(f"expected an image, and version 1 or 2 (got {len(image)} bytes, version {version})")
    header = _HEADER.pack(MAGIC, version, MANIFEST_OFFSET, len(manifest), IMAGE_OFFSET, len(image))
    return b"".join(
        (header.ljust(MANIFEST_OFFSET, b"\0"), manifest.ljust(IMAGE_OFFSET - MANIFEST_OFFSET, b"\0"), image)
    )
