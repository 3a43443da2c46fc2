"""Disks that live in memory of the host and end with it: an empty one, and one that starts as another's copy."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence

from engine.board.memory import NORESERVE
from engine.board.virtio.disk_image import (
    SECTOR,
    Cursor,
    DiskImage,
    request_range,
    sector_range,
)
from engine.errors import MachineError

CLUSTER = 4096
"""Bytes that an overlay keeps or leaves to its base together."""


class SparseMemory:
    """`size` bytes of zeros, which take host memory where they were written, page by page."""

    def __init__(self, size: int) -> None:
        """MachineError if the host has no address space for it."""
        self._map = _sparse_map(size)
        self._view = memoryview(self._map)

    def window(self, start: int, size: int) -> memoryview:
        """The bytes themselves."""
        return self._view[start : start + size]

    def read(self, start: int, views: Sequence[memoryview]) -> None:
        """Fill the views from `start` on."""
        for view in views:
            view[:] = self._view[start : start + len(view)]
            start += len(view)

    def write(self, start: int, views: Sequence[memoryview]) -> None:
        """Copy what the views hold to `start` and on."""
        for view in views:
            self._view[start : start + len(view)] = view
            start += len(view)

    def clear(self, start: int, size: int) -> None:
        """Zeros again; whole pages go back to the host."""
        end = start + size
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        last = end // mmap.PAGESIZE * mmap.PAGESIZE
        if first >= last:
            self._view[start:end] = bytes(size)
            return
        self._map.madvise(mmap.MADV_DONTNEED, first, last - first)
        self._view[start:first] = bytes(first - start)
        self._view[last:end] = bytes(end - last)

    def close(self) -> None:
        """Give all of it back; nothing else may be called afterwards, except this again."""
        self._view.release()
        self._map.close()


def _sparse_map(size: int) -> mmap.mmap:
    """Zeros that take no memory yet; MachineError if the host has no address space for them."""
    try:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE)
    except (OSError, OverflowError, ValueError):
        raise MachineError(f"no memory for a disk of {size} bytes") from None


class RamDisk:
    """An empty disk."""

    read_only = False

    def __init__(self, size: int) -> None:
        """`size` in bytes, rounded down to sectors. MachineError if that leaves none, or memory does not allow it."""
        if size < SECTOR:
            raise MachineError(f"expected a disk of at least {SECTOR} bytes (got {size})")
        self.capacity = size // SECTOR
        self._memory = SparseMemory(self.capacity * SECTOR)

    def read(self, sector: int, views: Sequence[memoryview]) -> None:
        start, _ = request_range(self, sector, views)
        self._memory.read(start, views)

    def write(self, sector: int, views: Sequence[memoryview]) -> None:
        start, _ = request_range(self, sector, views)
        self._memory.write(start, views)

    def flush(self) -> None:
        """Nothing of it outlasts the host."""

    def discard(self, sector: int, count: int) -> None:
        """The same as write_zeroes: memory goes back to the host."""
        self.write_zeroes(sector, count)

    def write_zeroes(self, sector: int, count: int) -> None:
        self._memory.clear(*sector_range(self, sector, count))

    def close(self) -> None:
        self._memory.close()


class Overlay:
    """A copy of another disk that takes memory only for what was written; the other one never changes.

    The base is the overlay's from now on: it is closed with it.
    """

    read_only = False

    def __init__(self, base: DiskImage) -> None:
        """MachineError if memory does not allow a disk of this size."""
        self.capacity = base.capacity
        self._base = base
        self._size = self.capacity * SECTOR
        self._memory = SparseMemory(self._size)
        self._kept = _sparse_map(-(-self._size // CLUSTER))
        """1 for each cluster that is in memory and no longer the base's."""

    def read(self, sector: int, views: Sequence[memoryview]) -> None:
        start, size = request_range(self, sector, views)
        cursor = Cursor(views)
        for kept, first, last in self._runs(start, start + size):
            part = cursor.take(last - first)
            if kept:
                self._memory.read(first, part)
            else:
                self._base.read(first // SECTOR, part)

    def write(self, sector: int, views: Sequence[memoryview]) -> None:
        start, size = request_range(self, sector, views)
        self._keep(start, size)
        self._memory.write(start, views)

    def flush(self) -> None:
        """Nothing of it outlasts the host."""

    def discard(self, sector: int, count: int) -> None:
        """The same as write_zeroes: what the base holds there does not come back."""
        self.write_zeroes(sector, count)

    def write_zeroes(self, sector: int, count: int) -> None:
        start, size = sector_range(self, sector, count)
        self._keep(start, size)
        self._memory.clear(start, size)

    def close(self) -> None:
        self._memory.close()
        self._kept.close()
        self._base.close()

    def _runs(self, start: int, end: int) -> Iterator[tuple[bool, int, int]]:
        """Where [start, end) is: whether in memory, first byte and end of each piece, in order."""
        clusters = -(-end // CLUSTER)
        while start < end:
            cluster = start // CLUSTER
            kept = self._kept[cluster]
            other = self._kept.find(b"\0" if kept else b"\1", cluster, clusters)
            stop = end if other < 0 else other * CLUSTER
            yield bool(kept), start, stop
            start = stop

    def _keep(self, start: int, size: int) -> None:
        """Take clusters into memory, for a change of all of [start, start + size).

        Those that the change does not cover whole are copied first: if the base cannot be read, nothing has changed.
        """
        if not size:
            return
        first, end = start // CLUSTER, -(-(start + size) // CLUSTER)
        partial = {first} if start % CLUSTER else set()
        if (start + size) % CLUSTER and start + size < self._size:
            partial.add(end - 1)
        for cluster in partial:
            self._copy_up(cluster)
        self._kept[first:end] = b"\1" * (end - first)

    def _copy_up(self, cluster: int) -> None:
        if not self._kept[cluster]:
            start = cluster * CLUSTER
            window = self._memory.window(start, min(CLUSTER, self._size - start))
            self._base.read(start // SECTOR, [window])
