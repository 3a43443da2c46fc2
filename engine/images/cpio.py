"""Writes the `newc` cpio format of Linux initial RAM disks (Documentation/driver-api/early-userspace).

The same entries give the same bytes: everything belongs to root, was changed in 1970, and is numbered in order.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from typing import NamedTuple

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_MAX_NAME = 4096
_MAX_DATA = 0xFFFF_FFFF


class Entry(NamedTuple):
    """One file of an archive."""

    name: str
    """Relative path, without a leading slash."""
    mode: int
    """Type and permissions, as in stat(2)."""
    data: bytes = b""
    """Contents of a file, target of a link."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device node."""


def directory(name: str) -> Entry:
    """A directory, 0755."""
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, data: bytes, executable: bool = False) -> Entry:
    """A regular file, 0644 or 0755."""
    return Entry(name, stat.S_IFREG | (0o755 if executable else 0o644), data)


def symlink(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def character_device(name: str, major: int, minor: int) -> Entry:
    """A character device, 0600."""
    return Entry(name, stat.S_IFCHR | 0o600, device=(major, minor))


def write(entries: Iterable[Entry]) -> bytes:
    """A whole archive. Parents must come before what they hold; ValueError for a name or contents too long."""
    parts = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join([*parts, _record(0, Entry(_TRAILER, 0))])


def _record(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    if len(name) > _MAX_NAME or len(name) == 1 or b"\0" in name[:-1]:
        raise ValueError(f"expected a name of 1 to {_MAX_NAME - 1} bytes without NUL: {entry.name!r}")
    if len(entry.data) > _MAX_DATA:
        raise ValueError(f"{entry.name}: expected less than 4 GiB")
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino mode uid gid nlink mtime filesize, device of the file system, device of the node, namesize, check
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = _MAGIC + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
