"""The stock Debian kernel and BusyBox for the Linux guests: fetched once, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine.images import initramfs
from engine.images.apt import Apt, FetchError, Package, unpack
from engine.paths import image_cache

ARCHITECTURE = "arm64"
KERNEL_META = "linux-image-cloud-arm64"
"""Debian's package that depends on the newest kernel with drivers for virtual machines."""
BUSYBOX = "busybox-static"

_KERNEL_FILE = re.compile(r"boot/vmlinuz-.*")
_BUSYBOX_FILE = re.compile(r"(usr/)?bin/busybox")

Progress = Callable[[str], None]


class CachedFile(msgspec.Struct, frozen=True):
    """One file of the cache."""

    name: str
    size: int
    sha256: str
    origin: str
    """Package and version it comes from."""


class Manifest(msgspec.Struct, frozen=True):
    """What `linux/manifest.json` in the cache says."""

    kernel: str
    """Debian's name for it, such as `6.1.0-56-cloud-arm64`."""
    files: tuple[CachedFile, ...]


def cache() -> Path:
    """Directory of the Linux images."""
    return image_cache() / "linux"


def installed() -> Manifest | None:
    """What the cache holds; None if anything is missing or not as long as it should be."""
    try:
        manifest = msgspec.json.decode((cache() / "manifest.json").read_bytes(), type=Manifest)
        complete = all((cache() / file.name).stat().st_size == file.size for file in manifest.files)
    except (OSError, msgspec.MsgspecError):
        return None
    return manifest if complete else None


def fetch(progress: Progress = lambda _: None, force: bool = False) -> Manifest:
    """Fill the cache, unless it is full already; `force` fetches again.

    A cache that was complete stays so whatever happens. The initial RAM disk is made anew where its recipe
    changed. FetchError in one line if apt cannot provide the packages.
    """
    manifest = None if force else installed()
    if manifest:
        return _refresh_initramfs(manifest, progress)
    try:
        with tempfile.TemporaryDirectory(prefix="hvtui-apt-") as root:
            # apt reads lists as a user of its own where it runs as root.
            Path(root).chmod(0o755)
            return _install(*_download(Apt(Path(root), ARCHITECTURE), progress))
    except OSError as error:
        raise FetchError(f"{error.filename or cache()}: {error.strerror or error}") from None


def _download(apt: Apt, progress: Progress) -> tuple[str, dict[str, tuple[bytes, str]]]:
    """Name of the kernel, and contents and origin of each file."""
    progress("reading package lists")
    complaint = apt.update()
    kernel = _kernel_package(apt, complaint)
    busybox = _candidate(apt, BUSYBOX, complaint)
    progress(f"downloading {kernel.name} {kernel.version}")
    image = unpack(apt.download(kernel), {"Image": _KERNEL_FILE})["Image"]
    progress(f"downloading {busybox.name} {busybox.version}")
    program = unpack(apt.download(busybox), {"busybox": _BUSYBOX_FILE})["busybox"]
    name = kernel.name.removeprefix("linux-image-").removesuffix("-unsigned")
    return name, {
        "Image": (image, f"{kernel.name} {kernel.version}"),
        "busybox": (program, f"{busybox.name} {busybox.version}"),
        "initramfs.cpio.gz": (initramfs.build(program), f"{busybox.name} {busybox.version}"),
    }


def _kernel_package(apt: Apt, complaint: str) -> Package:
    """The kernel that the meta package stands for, signed or not."""
    _candidate(apt, KERNEL_META, complaint)
    for name in apt.depends(KERNEL_META):
        package = apt.candidate(name) or apt.candidate(f"{name}-unsigned")
        if name.startswith("linux-image-") and package:
            return package
    raise FetchError(f"{KERNEL_META}: expected it to depend on a kernel package that can be had")


def _candidate(apt: Apt, name: str, complaint: str) -> Package:
    package = apt.candidate(name)
    if package is None:
        why = complaint or "are these Debian's sources?"
        raise FetchError(f"{name}: no apt source of this system has it for {ARCHITECTURE} ({why})")
    return package


def _install(kernel: str, contents: dict[str, tuple[bytes, str]]) -> Manifest:
    """Write files, then the manifest that vouches for them."""
    files = []
    for name, (data, origin) in contents.items():
        _replace(cache() / name, data)
        files.append(CachedFile(name, len(data), hashlib.sha256(data).hexdigest(), origin))
    manifest = Manifest(kernel, tuple(files))
    _replace(cache() / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return manifest


def _refresh_initramfs(manifest: Manifest, progress: Progress) -> Manifest:
    """The same kernel and BusyBox, with an initial RAM disk of today's recipe."""
    by_name = {file.name: file for file in manifest.files}
    data = initramfs.build((cache() / "busybox").read_bytes())
    old = by_name["initramfs.cpio.gz"]
    if hashlib.sha256(data).hexdigest() == old.sha256:
        return manifest
    progress("making the initial RAM disk again")
    contents = {name: ((cache() / name).read_bytes(), file.origin) for name, file in by_name.items()}
    return _install(manifest.kernel, contents | {old.name: (data, old.origin)})


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    with _temporary(path.parent) as temporary:
        temporary.write_bytes(data)
        temporary.chmod(0o644)
        temporary.replace(path)


@contextmanager
def _temporary(directory: Path) -> Iterator[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=directory, prefix=".partial-")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
