"""A process that writes numbered sectors through the block device and dies at one of its requests: PATH REQUEST when.

`before` the file is written, `after` it, or once the driver was `told`; the driver's requests come three at a time.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.board.virtio.block import Request, VirtioBlock
from engine.board.virtio.disk_file import RawFile
from engine.board.virtio.disk_image import SECTOR
from engine.board.virtio.queue import Queue
from tests.support.virtio import Driver
from tests.unit.engine.board.virtio.disks import pattern

CAPACITY = 64
"""Sectors."""
REQUESTS = 9
TOGETHER = 3
"""Requests for one notification."""
DIED = 77
"""Exit code."""
WHEN = ("before", "after", "told")


def request(number: int) -> tuple[int, bytes]:
    """Sector and data; each overlaps the one before it."""
    return 5 * number, bytes(pattern(number + 1, (3 + 2 * number) * SECTOR))


def die_in_call(doomed: int, when: str) -> None:
    """Die at write number `doomed` of the process."""
    real, calls = os.pwritev, 0

    def pwritev(file: int, views: Sequence[memoryview], offset: int) -> int:
        nonlocal calls
        if calls == doomed and when == "before":
            os._exit(DIED)
        moved = real(file, views, offset)
        if calls == doomed:
            os._exit(DIED)
        calls += 1
        return moved

    os.pwritev = pwritev  # type: ignore[assignment]


def die_when_told(doomed: int) -> None:
    """Die as soon as the driver can see that request `doomed` is done."""
    real, count = Queue.put_all, 0

    def put_all(queue: Queue, used: Sequence[tuple[object, int]]) -> None:
        nonlocal count
        real(queue, used)  # type: ignore[arg-type]
        count += len(used)
        if count > doomed:
            os._exit(DIED)

    Queue.put_all = put_all  # type: ignore[assignment, method-assign]


def main(path: Path, doomed: int, when: str) -> None:
    if when == "told":
        die_when_told(doomed)
    else:
        die_in_call(doomed, when)
    driver = Driver(VirtioBlock("virtio-blk0", RawFile(path, read_only=False), "serial"))
    driver.start()
    for first in range(0, REQUESTS, TOGETHER):
        for number in range(first, first + TOGETHER):
            sector, data = request(number)
            # Data in two parts that do not end with a sector.
            parts = [struct.pack("<IIQ", Request.OUT, 0, sector), data[:700], data[700:]]
            driver.queues[0].add([driver.buffer(part) for part in parts], [driver.buffer(1)])
        driver.notify()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
