"""Files in the user's image cache, and the manifest that vouches for them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

MANIFEST = "manifest.json"


class Content(NamedTuple):
    """What one file is to hold."""

    data: bytes
    origin: str
    """Package and version it comes from."""


class CachedFile(msgspec.Struct, frozen=True):
    """One file of the cache."""

    name: str
    size: int
    sha256: str
    origin: str
    """Package and version it comes from."""


class Manifest(msgspec.Struct, frozen=True):
    """What `manifest.json` in a directory of the cache says."""

    kernel: str
    """Release of the kernel, such as `6.1.0-56-cloud-arm64`."""
    files: tuple[CachedFile, ...]
    recipe: str = ""
    """SHA-256 of what it was built from; empty for files that are only fetched."""

    def origin(self, name: str) -> str:
        """Where a file comes from; KeyError if it is not one of these."""
        return {file.name: file.origin for file in self.files}[name]


def installed(directory: Path) -> Manifest | None:
    """What a directory holds; None if anything is missing or not as long as it should be."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
        complete = all((directory / file.name).stat().st_size == file.size for file in manifest.files)
    except (OSError, msgspec.MsgspecError):
        return None
    return manifest if complete else None


def install(directory: Path, kernel: str, contents: Mapping[str, Content], recipe: str = "") -> Manifest:
    """Put files into a directory of the cache. All are written before the first of them replaces an old one."""
    files = tuple(_entry(name, content) for name, content in contents.items())
    manifest = Manifest(kernel, files, recipe)
    text = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    _replace(directory, [*((name, content.data) for name, content in contents.items()), (MANIFEST, text)])
    return manifest


def replace(directory: Path, manifest: Manifest, name: str, data: bytes) -> Manifest:
    """The same files with other contents of one of them; nothing is written where they are the same."""
    new = _entry(name, Content(data, manifest.origin(name)))
    if new in manifest.files:
        return manifest
    contents = {
        file.name: Content((directory / file.name).read_bytes() if file.name != name else data, file.origin)
        for file in manifest.files
    }
    return install(directory, manifest.kernel, contents, manifest.recipe)


def _entry(name: str, content: Content) -> CachedFile:
    return CachedFile(name, len(content.data), hashlib.sha256(content.data).hexdigest(), content.origin)


def _replace(directory: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files so that nobody ever sees half of one, and put them in place in this order."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        written = [(stack.enter_context(_temporary(directory, data)), name) for name, data in files]
        for temporary, name in written:
            temporary.replace(directory / name)


@contextmanager
def _temporary(directory: Path, data: bytes) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(dir=directory, prefix=".partial-")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        path.chmod(0o644)
        yield path
    finally:
        path.unlink(missing_ok=True)
