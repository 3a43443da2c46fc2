"""Modules of a Debian kernel for the initial RAM disk: those that drive virtio devices, and what they need."""

from __future__ import annotations

import hashlib
import io
import lzma
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from elftools.elf.elffile import ELFFile

from engine.images import cpio
from engine.images.apt import FetchError

WANTED = (
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "virtio_console",
    "virtio_rng",
    "vmw_vsock_virtio_transport",
    "ext4",
)
FILES = re.compile(
    r"(?:usr/)?lib/modules/(?P<release>[^/]+)/"
    r"(?:modules\.builtin|kernel/(?:.+/)?(?P<name>[^/]+)\.ko(?P<packing>\.[a-z0-9]+)?)"
)
"""What to take out of a kernel package."""
ORDER = "load-order"
"""File beside the modules that names them, one in a line, each after all that it needs."""

_LARGEST = 64 << 20
"""Bytes of a module once unpacked."""


class Selection(NamedTuple):
    """What was found of WANTED."""

    archive: bytes
    """`lib/modules/RELEASE/NAME.ko` and the order, as a cpio archive."""
    names: tuple[str, ...]
    """In that order."""
    missing: tuple[str, ...]
    """Those that the kernel neither brings as a module nor has built in."""


def recipe() -> str:
    """SHA-256 of what is taken from a package: files that were taken by another one are out of date."""
    return hashlib.sha256(" ".join(WANTED).encode()).hexdigest()


def select(files: Mapping[str, bytes]) -> Selection:
    """Choose among the files of a package that match FILES. FetchError for a module that cannot be used."""
    releases = {match["release"] for match in map(FILES.fullmatch, files) if match}
    if len(releases) != 1:
        raise FetchError(f"expected the modules of one kernel (got {', '.join(sorted(releases)) or 'none'})")
    tree = _Tree(files)
    for name in WANTED:
        if name in tree.paths:
            tree.choose(name)
    missing = tuple(name for name in WANTED if name not in tree.paths.keys() | tree.builtin)
    return Selection(_archive(releases.pop(), tree.chosen), tuple(tree.chosen), missing)


class _Tree:
    """The modules of one kernel."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.paths = {
            _name(match["name"]): path for path in files if (match := FILES.fullmatch(path)) and match["name"]
        }
        lists = [files[path].decode("utf-8", "replace") for path in files.keys() - self.paths.values()]
        self.builtin = {_name(PurePosixPath(line).stem) for text in lists for line in text.splitlines()}
        self.chosen: dict[str, bytes] = {}
        """Contents by name, each after what it needs."""

    def choose(self, name: str, waiting: tuple[str, ...] = ()) -> None:
        """Add a module, after what it needs; `waiting` are those that need it."""
        if name in self.chosen or name in self.builtin:
            return
        if name not in self.paths or name in waiting:
            raise FetchError(f"{waiting[-1]}: expected the package to have {name}, which it needs, before it")
        path = self.paths[name]
        data = _unpacked(path, self._files[path])
        for needed in depends(path, data):
            self.choose(needed, (*waiting, name))
        self.chosen[name] = data


def _name(name: str) -> str:
    """As in `depends`: file names may have dashes where names have underscores."""
    return name.replace("-", "_")


def depends(path: str, data: bytes) -> list[str]:
    """Names of the modules that a module needs, from its .modinfo. FetchError if it has none."""
    try:
        information = ELFFile(io.BytesIO(data)).get_section_by_name(".modinfo").data()
    except Exception as error:
        # The parser trusts its input.
        raise FetchError(f"{path}: expected a kernel module ({type(error).__name__})") from None
    fields = [field.partition(b"=") for field in information.split(b"\0")]
    lists = [value.decode("utf-8", "replace") for key, _, value in fields if key == b"depends"]
    return [_name(name) for text in lists for name in text.split(",") if name]


def _unpacked(path: str, data: bytes) -> bytes:
    packing = PurePosixPath(path).suffix
    if packing == ".ko":
        return data
    if packing != ".xz":
        raise FetchError(f"{path}: expected a module that is not packed, or packed with xz")
    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        module = unpacker.decompress(data, _LARGEST)
    except lzma.LZMAError as error:
        raise FetchError(f"{path}: expected intact xz data ({error})") from None
    if not unpacker.eof:
        raise FetchError(f"{path}: expected intact xz data of at most {_LARGEST} bytes")
    return module


def _archive(release: str, modules: Mapping[str, bytes]) -> bytes:
    place = f"lib/modules/{release}"
    order = "".join(f"{name}\n" for name in modules).encode()
    return cpio.write(
        [
            *(cpio.directory(name) for name in ("lib", "lib/modules", place)),
            *(cpio.file(f"{place}/{name}.ko", data) for name, data in modules.items()),
            cpio.file(f"{place}/{ORDER}", order),
        ]
    )
