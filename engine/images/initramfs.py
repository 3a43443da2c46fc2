"""The root file system of the Linux guests: BusyBox and the few files in machines/linux."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

from engine.images import cpio
from engine.paths import machines_dir

_DIRECTORIES = ("bin", "dev", "etc", "mnt", "proc", "root", "sbin", "sys", "tmp", "var")
_SYSTEM_APPLETS = ("halt", "init", "poweroff", "reboot")
"""Links in /sbin; every other applet is a link in /bin."""


def recipe() -> Path:
    """Directory of the files that go into the initial RAM disk."""
    return machines_dir() / "linux"


def build(busybox: bytes, source: Path | None = None, more: bytes = b"") -> bytes:
    """A gzip'd cpio archive, which `more` archives may follow; the same arguments and recipe give the same bytes."""
    source = source or recipe()
    entries = [cpio.directory(name) for name in _DIRECTORIES]
    # The kernel opens it for the first program, before anything could mount devtmpfs.
    entries.append(cpio.character_device("dev/console", 5, 1))
    entries.append(cpio.file("init", (source / "init").read_bytes(), executable=True))
    entries.append(cpio.file("etc/inittab", (source / "inittab").read_bytes()))
    entries.append(cpio.file("etc/profile", (source / "profile").read_bytes()))
    entries.append(cpio.file("bin/busybox", busybox, executable=True))
    entries += programs()
    entries += [cpio.symlink(f"sbin/{name}", "/bin/busybox") for name in _SYSTEM_APPLETS]
    entries += [cpio.symlink(f"bin/{name}", "busybox") for name in applets(source)]
    return _gzip(cpio.write(entries) + more)


def programs() -> list[cpio.Entry]:
    """The programs of machines/linux/programs, each in /bin without its suffix."""
    files = sorted((recipe() / "programs").glob("*.elf"))
    return [cpio.file(f"bin/{file.stem}", file.read_bytes(), executable=True) for file in files]


def applets(source: Path) -> list[str]:
    """Names in the file `applets`, comments left out."""
    lines = (source / "applets").read_text().splitlines()
    return [name for line in lines if not line.startswith("#") for name in line.split()]


def _gzip(data: bytes) -> bytes:
    """Stored, not compressed: unpacking would cost every boot tens of millions of guest instructions."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=0, mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()
