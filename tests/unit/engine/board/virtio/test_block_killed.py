"""A process killed at any request of its disk leaves exactly the requests that were completed."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from engine.board.virtio.block import Answer, Request, VirtioBlock
from engine.board.virtio.disk_file import RawFile
from engine.board.virtio.disk_image import SECTOR
from tests.support.virtio import Driver
from tests.unit.engine.board.virtio import killed_driver
from tests.unit.engine.board.virtio.killed_driver import CAPACITY, DIED, REQUESTS, WHEN, request


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("doomed", range(REQUESTS))
def test_a_kill_leaves_the_completed_requests(tmp_path: Path, doomed: int, when: str) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(CAPACITY * SECTOR))
    command = [sys.executable, killed_driver.__file__, str(path), str(doomed), when]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment).returncode == DIED
    expected = bytearray(CAPACITY * SECTOR)
    for number in range(doomed + (when != "before")):
        sector, data = request(number)
        expected[sector * SECTOR : sector * SECTOR + len(data)] = data
    assert path.read_bytes() == expected
    assert restarted(path) == expected


def restarted(path: Path) -> bytes:
    """The whole disk, as the next machine's driver reads it."""
    image = RawFile(path, read_only=False)
    driver = Driver(VirtioBlock("virtio-blk0", image, "serial"))
    driver.start()
    header = driver.buffer(struct.pack("<IIQ", Request.IN, 0, 0))
    data, status = driver.buffer(CAPACITY * SECTOR), driver.buffer(b"\xff")
    driver.queues[0].add([header], [data, status])
    driver.notify()
    image.close()
    assert driver.bytes(status) == bytes([Answer.OK])
    return driver.bytes(data)
