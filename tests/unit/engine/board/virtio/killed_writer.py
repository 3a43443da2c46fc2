"""A process that writes numbered requests to a disk and dies at one of its system calls: PATH CALL before|after."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.board.virtio.disk_file import RawFile
from engine.board.virtio.disk_image import SECTOR
from tests.unit.engine.board.virtio.disks import cut, pattern

CAPACITY = 64
"""Sectors."""
WRITES = 6


def request(number: int) -> tuple[int, bytearray, list[int]]:
    """Sector, data, and where it is cut; each overlaps the one before it."""
    size = (5 + 3 * number) * SECTOR
    return 4 * number, pattern(number + 1, size), [1, 511, 512, 1500, size - 1]


def main(path: Path, doomed: int, when: str) -> None:
    """Write, and be killed before or after system call number `doomed`."""
    real, calls = os.pwritev, 0

    def pwritev(file: int, views: Sequence[memoryview], offset: int) -> int:
        nonlocal calls
        if calls == doomed and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        moved = real(file, views, offset)
        if calls == doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return moved

    os.pwritev = pwritev  # type: ignore[assignment]
    disk = RawFile(path, read_only=False)
    for number in range(WRITES):
        sector, data, cuts = request(number)
        disk.write(sector, cut(data, cuts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
