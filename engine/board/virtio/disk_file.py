"""A disk in a raw image file of the host."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.board.virtio.disk_image import (
    MAX_VIEWS,
    SECTOR,
    Cursor,
    check_writable,
    request_range,
    sector_range,
)
from engine.errors import MachineError

_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE = 1 << 0, 1 << 1, 1 << 4
"""FALLOC_FL_* of linux/falloc.h."""
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})
_ZEROS = bytes(64 << 10)

_libc_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_libc_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class RawFile:
    """A regular file that holds sector after sector; bytes after the last whole one are left alone.

    Every request is one system call, unless the host does only part of it: between calls a process that is killed
    leaves whole requests behind. (The kernel itself may still end a long write early when a kill comes during it,
    on a page boundary.) While it is open, nobody else can open it for writing, nor at all if it is not read-only.
    """

    def __init__(self, path: Path, read_only: bool) -> None:
        """MachineError if it cannot be opened, is no regular file, holds no sector or is another machine's."""
        try:
            # Not to wait for the other end of what turns out to be a FIFO.
            mode = os.O_RDONLY if read_only else os.O_RDWR
            self._file = os.open(path, mode | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            raise MachineError(f"{path}: {error.strerror}") from None
        try:
            self.capacity = self._claim(path, read_only)
        except BaseException:
            self.close()
            raise
        self.read_only = read_only

    def _claim(self, path: Path, read_only: bool) -> int:
        """Lock the file; its whole sectors."""
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode):
            raise MachineError(f"{path}: expected a regular file")
        if status.st_size < SECTOR:
            raise MachineError(f"{path}: expected at least {SECTOR} bytes (got {status.st_size})")
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(f"{path}: in use as a disk of another machine, or twice in this one") from None
        except OSError as error:
            raise MachineError(f"{path}: cannot be locked ({error.strerror})") from None
        return status.st_size // SECTOR

    def read(self, sector: int, views: Sequence[memoryview]) -> None:
        start, size = request_range(self, sector, views)
        _transfer(os.preadv, self._file, start, size, views)

    def write(self, sector: int, views: Sequence[memoryview]) -> None:
        check_writable(self)
        start, size = request_range(self, sector, views)
        _transfer(os.pwritev, self._file, start, size, views)

    def flush(self) -> None:
        os.fdatasync(self._file)

    def discard(self, sector: int, count: int) -> None:
        """Give the space back to the file system; without effect where that has no holes."""
        check_writable(self)
        start, size = sector_range(self, sector, count)
        _fallocate(self._file, _PUNCH_HOLE | _KEEP_SIZE, start, size)

    def write_zeroes(self, sector: int, count: int) -> None:
        check_writable(self)
        start, size = sector_range(self, sector, count)
        if _fallocate(self._file, _ZERO_RANGE | _KEEP_SIZE, start, size):
            return
        zeros = memoryview(_ZEROS)
        while size:
            views = [zeros] * min(MAX_VIEWS, size // len(zeros)) or [zeros[:size]]
            length = sum(map(len, views))
            _transfer(os.pwritev, self._file, start, length, views)
            start, size = start + length, size - length

    def close(self) -> None:
        """Close the file, which also unlocks it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _transfer(
    call: Callable[[int, Sequence[memoryview], int], int],
    file: int,
    start: int,
    size: int,
    views: Sequence[memoryview],
) -> None:
    """Move `size` bytes at `start` by preadv or pwritev; OSError EIO if the file ends before that."""
    while size:
        moved = call(file, views, start)
        if moved <= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        start, size = start + moved, size - moved
        if size:
            cursor = Cursor(views)
            cursor.take(moved)
            views = cursor.take(size)


def _fallocate(file: int, mode: int, start: int, size: int) -> bool:
    """Call fallocate(2); False where the file system does not know `mode`."""
    while size and _libc_fallocate(file, mode, start, size):
        error = ctypes.get_errno()
        if error in _UNSUPPORTED:
            return False
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error))
    return True
