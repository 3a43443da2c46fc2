"""What a block device keeps its sectors in, and the checks and the bookkeeping that every such backend needs."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Protocol

SECTOR = 512
"""Bytes; the unit of every position and count, whatever block size a device shows (virtio 1.2, 5.2.4)."""
MAX_VIEWS = 1024
"""Pieces of memory in one request: what one preadv or pwritev takes (IOV_MAX of Linux)."""
MAX_BYTES = 1 << 30
"""Length of one request, discard and write_zeroes too; Linux moves less than 2 GiB in one call."""


class DiskImage(Protocol):
    """A disk of whole sectors, read and written at once: when a call returns, it is done.

    Requests are `sector`, where they begin, and `views`: writable views (readable, for `write`) of single bytes that
    are filled one after the other, a multiple of SECTOR bytes in all.

    ValueError for a range that is not on the disk: whoever passes on what a guest asks for checks that first.
    OSError for all that may go wrong with a proper request: EROFS, EINVAL for one that is longer than MAX_VIEWS
    or MAX_BYTES, whatever the host says.
    """

    @property
    def capacity(self) -> int:
        """Sectors, at least one."""

    @property
    def read_only(self) -> bool:
        """Whether everything that changes the disk fails with EROFS."""

    def read(self, sector: int, views: Sequence[memoryview]) -> None:
        """Fill the views from the disk."""

    def write(self, sector: int, views: Sequence[memoryview]) -> None:
        """Put what the views hold on the disk."""

    def flush(self) -> None:
        """Make everything written so far outlast a crash of the host, where the backend can."""

    def discard(self, sector: int, count: int) -> None:
        """Forget `count` sectors: they read as zeros, or as before where the backend cannot forget."""

    def write_zeroes(self, sector: int, count: int) -> None:
        """Make `count` sectors read as zeros."""

    def close(self) -> None:
        """Let go of host resources; nothing else may be called afterwards, except this again."""


class Cursor:
    """A place in a row of views, which only moves forward: any number of steps costs the row's length once."""

    def __init__(self, views: Sequence[memoryview]) -> None:
        self._views = views
        self._index = 0
        self._offset = 0

    def take(self, size: int) -> list[memoryview]:
        """The next `size` bytes, as views; there must be as many."""
        taken = []
        while size:
            view = self._views[self._index]
            part = view[self._offset : self._offset + size]
            self._offset += len(part)
            size -= len(part)
            if self._offset == len(view):
                self._index, self._offset = self._index + 1, 0
            taken.append(part)
        return taken


def request_range(image: DiskImage, sector: int, views: Sequence[memoryview]) -> tuple[int, int]:
    """First byte and length in bytes of a request. Errors are those of DiskImage."""
    size = sum(map(len, views))
    if size % SECTOR:
        raise ValueError(f"expected a multiple of {SECTOR} bytes (got {size})")
    if len(views) > MAX_VIEWS:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return sector_range(image, sector, size // SECTOR)


def sector_range(image: DiskImage, sector: int, count: int) -> tuple[int, int]:
    """First byte and length in bytes of some sectors. Errors are those of DiskImage."""
    if sector < 0 or count < 0 or sector + count > image.capacity:
        raise ValueError(f"expected sectors of 0 to {image.capacity} (got {sector} and {count})")
    if count * SECTOR > MAX_BYTES:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return sector * SECTOR, count * SECTOR


def check_writable(image: DiskImage) -> None:
    """OSError EROFS if the disk is read-only."""
    if image.read_only:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
