"""The stock Debian kernel and BusyBox for the Linux guests: fetched once, kept in the user's cache."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from engine.images import cached, initramfs, modules
from engine.images.apt import Apt, FetchError, Package, unpack, unpack_all
from engine.images.cached import Content, Manifest
from engine.paths import image_cache

ARCHITECTURE = "arm64"
KERNEL_META = "linux-image-cloud-arm64"
"""Debian's package that depends on the newest kernel with drivers for virtual machines."""
BUSYBOX = "busybox-static"

_MODULES = "modules.cpio"

_KERNEL_FILE = re.compile(r"boot/vmlinuz-.*")
_BUSYBOX_FILE = re.compile(r"(usr/)?bin/busybox")

Progress = Callable[[str], None]


def cache() -> Path:
    """Directory of the Linux images."""
    return image_cache() / "linux"


def installed() -> Manifest | None:
    """What the cache holds; None if anything is missing or not as long as it should be."""
    return cached.installed(cache())


def outdated(manifest: Manifest) -> bool:
    """Whether other files would be taken from the same packages today."""
    return manifest.recipe != modules.recipe()


def fetch(progress: Progress = lambda _: None, force: bool = False) -> Manifest:
    """Fill the cache, unless it is full already; `force` fetches again.

    A cache that was complete stays so whatever happens. One that lacks what is taken from the packages today is
    fetched again; the initial RAM disk is made anew where its recipe changed. FetchError in one line if apt cannot
    provide the packages.
    """
    manifest = None if force else installed()
    if manifest and not outdated(manifest):
        return _refresh_initramfs(manifest, progress)
    try:
        with tempfile.TemporaryDirectory(prefix="hvtui-apt-") as root:
            # apt reads lists as a user of its own where it runs as root.
            Path(root).chmod(0o755)
            kernel, contents = _download(Apt(Path(root), ARCHITECTURE), progress)
            return cached.install(cache(), kernel, contents, modules.recipe())
    except OSError as error:
        raise FetchError(f"{error.filename or cache()}: {error.strerror or error}") from None


def _download(apt: Apt, progress: Progress) -> tuple[str, dict[str, Content]]:
    """Name of the kernel, and contents and origin of each file."""
    progress("reading package lists")
    complaint = apt.update()
    kernel = _kernel_package(apt, complaint)
    busybox = candidate(apt, BUSYBOX, complaint)
    progress(f"downloading {kernel}")
    deb = apt.download(kernel)
    image = unpack(deb, {"Image": _KERNEL_FILE})["Image"]
    drivers = _drivers(deb, progress)
    program = download_busybox(apt, busybox, progress)
    name = kernel.name.removeprefix("linux-image-").removesuffix("-unsigned")
    return name, {
        "Image": Content(image, str(kernel)),
        "busybox": Content(program, str(busybox)),
        _MODULES: Content(drivers, str(kernel)),
        "initramfs.cpio.gz": Content(initramfs.build(program, more=drivers), str(busybox)),
    }


def _drivers(deb: Path, progress: Progress) -> bytes:
    """Archive of the modules for the initial RAM disk."""
    selection = modules.select(unpack_all(deb, modules.FILES))
    if selection.missing:
        progress(f"going on without {', '.join(selection.missing)}, which this kernel does not have")
    return selection.archive


def _kernel_package(apt: Apt, complaint: str) -> Package:
    """The kernel that the meta package stands for, signed or not."""
    candidate(apt, KERNEL_META, complaint)
    for name in apt.depends(KERNEL_META):
        package = apt.candidate(name) or apt.candidate(f"{name}-unsigned")
        if name.startswith("linux-image-") and package:
            return package
    raise FetchError(f"{KERNEL_META}: expected it to depend on a kernel package that can be had")


def download_busybox(apt: Apt, package: Package, progress: Progress) -> bytes:
    """The program of the package."""
    progress(f"downloading {package}")
    return unpack(apt.download(package), {"busybox": _BUSYBOX_FILE})["busybox"]


def candidate(apt: Apt, name: str, complaint: str) -> Package:
    """The version apt would install. FetchError if there is none; `complaint` is what apt said about its lists."""
    package = apt.candidate(name)
    if package is None:
        why = complaint or "are these Debian's sources?"
        raise FetchError(f"{name}: no apt source of this system has it for {ARCHITECTURE} ({why})")
    return package


def _refresh_initramfs(manifest: Manifest, progress: Progress) -> Manifest:
    """The same kernel and BusyBox, with an initial RAM disk of today's recipe."""
    busybox, drivers = ((cache() / name).read_bytes() for name in ("busybox", _MODULES))
    refreshed = cached.replace(cache(), manifest, "initramfs.cpio.gz", initramfs.build(busybox, more=drivers))
    if refreshed is not manifest:
        progress("made the initial RAM disk again")
    return refreshed
