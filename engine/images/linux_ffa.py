"""A lean kernel with FF-A, KVM and Binder, built from Debian's source package and kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from engine.images import cached, cpio, initramfs, kernel_build
from engine.images.apt import Apt, FetchError, Package, extract
from engine.images.cached import Content, Manifest
from engine.images.linux import ARCHITECTURE, BUSYBOX, Progress, candidate, download_busybox
from engine.paths import image_cache, machines_dir

NAME = "linux-ffa"
COMMAND = f"hvtui images build {NAME}"
SOURCE = "linux-source-6.12"
"""The package that is built where it can be had; the newest of the names below where it cannot."""
_SOURCES = re.compile(r"linux-source-6\.(\d+)")
_ARCHIVE = re.compile(r"usr/src/linux-source-[0-9.]+\.tar\.xz")
MODULES = ("ffa-core.ko", "ffa-module.ko", "ffa_test.ko")
"""Linux's FF-A bus and driver, and the checks, in the order in which they can be inserted."""
_MODULE_DIRECTORY = "machines/linux/ffa_test"
_MODULE_SOURCES = ("linux/ffa_test/Kbuild", "linux/ffa_test/ffa_test.c", "guests/sp/commands.h")
_RUN_AT_START = {"rc": "etc/rc", "init.android": "init.android"}
"""Scripts in machines/linux/ffa, and where they are in the initial RAM disk."""
_STEPS = 1
"""To be raised whenever the way of building changes what comes out."""


class Recipe(NamedTuple):
    """What the kernel is built from, besides its sources."""

    config: bytes
    module: dict[str, bytes]
    """Sources of the module by path in the build tree."""

    @property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        hashed = hashlib.sha256(b"%d" % _STEPS)
        for name, data in (("config", self.config), *sorted(self.module.items())):
            hashed.update(b"%s\0%d\0%s" % (name.encode(), len(data), data))
        return hashed.hexdigest()


def cache() -> Path:
    """Directory of what was built."""
    return image_cache() / NAME


def log() -> Path:
    """What the last build said."""
    return image_cache() / f"{NAME}.log"


def installed() -> Manifest | None:
    """What the cache holds; None if anything is missing or not as long as it should be."""
    return cached.installed(cache())


def outdated(manifest: Manifest) -> bool:
    """Whether it was built from another recipe than today's."""
    return manifest.recipe != recipe().digest


def current() -> Manifest | None:
    """What the cache holds, if it was built from today's recipe."""
    manifest = installed()
    return None if manifest is None or outdated(manifest) else manifest


def recipe() -> Recipe:
    """Today's recipe."""
    machines = machines_dir()
    module = {f"machines/{name}": (machines / name).read_bytes() for name in _MODULE_SOURCES}
    return Recipe((machines / "linux/ffa/config").read_bytes(), module)


def ramdisk(busybox: bytes, modules: Mapping[str, bytes]) -> bytes:
    """The initial RAM disk: that of the other Linux guests, with MODULES and what inserts them."""
    scripts = machines_dir() / "linux/ffa"
    added = [cpio.file(place, (scripts / name).read_bytes(), executable=True) for name, place in _RUN_AT_START.items()]
    added += [cpio.directory("lib"), *(cpio.file(f"lib/{name}", modules[name]) for name in MODULES)]
    return initramfs.build(busybox, more=cpio.write(added))


def build(progress: Progress = lambda _: None, force: bool = False) -> Manifest:
    """Fill the cache, unless it was built from this recipe already; `force` builds again.

    A cache that was complete stays so whatever happens. The initial RAM disk is made anew where its recipe
    changed. FetchError in one line if tools or packages are missing, or the build fails.
    """
    try:
        manifest = None if force else current()
        return _refresh(manifest, progress) if manifest else _build(recipe(), progress)
    except OSError as error:
        raise FetchError(f"{error.filename or cache()}: {error.strerror or error}") from None


def _refresh(manifest: Manifest, progress: Progress) -> Manifest:
    modules = {name: (cache() / name).read_bytes() for name in MODULES}
    data = ramdisk((cache() / "busybox").read_bytes(), modules)
    refreshed = cached.replace(cache(), manifest, "initramfs.cpio.gz", data)
    if refreshed is not manifest:
        progress("made the initial RAM disk again")
    return refreshed


def _build(wanted: Recipe, progress: Progress) -> Manifest:
    image_cache().mkdir(parents=True, exist_ok=True)
    if missing := kernel_build.missing_packages():
        raise FetchError(f"tools are missing; install these packages: {' '.join(missing)}")
    with log().open("ab") as stream, _work(stream) as work:
        source, busybox = _download(work, progress)
        progress(f"building {source}, which takes some minutes; {log()} has what is said meanwhile")
        archive = work / "source.tar.xz"
        made = kernel_build.build(archive, wanted.config, wanted.module, _MODULE_DIRECTORY, work, stream)
        if lacking := set(MODULES) - made.modules.keys():
            raise FetchError(f"{source}: expected it to have {', '.join(sorted(lacking))}")
        contents = {
            "Image": Content(made.image, str(source)),
            "System.map": Content(made.symbols, str(source)),
            **{name: Content(made.modules[name], str(source)) for name in MODULES},
            "busybox": busybox,
            "initramfs.cpio.gz": Content(ramdisk(busybox.data, made.modules), busybox.origin),
        }
        return cached.install(cache(), made.release, contents, wanted.digest)


@contextmanager
def _work(stream: IO[bytes]) -> Iterator[Path]:
    """An empty directory on the cache's file system, for whoever has the log; what is left by another build goes."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FetchError(f"{NAME} is being built already; see {log()}") from None
    stream.truncate(0)
    work = image_cache() / f".{NAME}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(work: Path, progress: Progress) -> tuple[Package, Content]:
    """The kernel's sources, which go to `work`, and BusyBox."""
    with tempfile.TemporaryDirectory(prefix="hvtui-apt-") as root:
        # apt reads lists as a user of its own where it runs as root.
        Path(root).chmod(0o755)
        apt = Apt(Path(root), ARCHITECTURE)
        progress("reading package lists")
        complaint = apt.update()
        source = _source(apt) or _newer_source(apt, complaint, progress)
        busybox = candidate(apt, BUSYBOX, complaint)
        program = download_busybox(apt, busybox, progress)
        progress(f"downloading {source}")
        extract(apt.download(source), _ARCHIVE, work / "source.tar.xz")
    return source, Content(program, str(busybox))


def _source(apt: Apt) -> Package | None:
    return apt.candidate(SOURCE)


def _newer_source(apt: Apt, complaint: str, progress: Progress) -> Package:
    """From the next release of the system, by the system's own mirror; whatever 6.x there is in the end."""
    if apt.add_newer_suites():
        progress("reading package lists of the next release")
        complaint = apt.update() or complaint
    names = [name for name in apt.names("linux-source-6.") if _SOURCES.fullmatch(name)]
    by_age = sorted(names, key=lambda name: int(name.rpartition(".")[2]), reverse=True)
    found = _source(apt) or next(filter(None, map(apt.candidate, by_age)), None)
    if found is None:
        why = complaint or "are these Debian's sources?"
        raise FetchError(f"{SOURCE}: no apt source of this system has it, or another 6.x ({why})")
    return found
