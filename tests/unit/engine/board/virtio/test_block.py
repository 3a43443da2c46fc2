"""The block device, worked through its registers as a driver would (virtio 1.2, 5.2)."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence

import pytest

from engine.board.virtio.block import SIZE_MAX, Answer, BlockFeature, Request, VirtioBlock
from engine.board.virtio.device import Feature
from engine.board.virtio.disk_memory import RamDisk
from engine.board.virtio.guest_memory import Segment
from engine.board.virtio.registers import CONFIG, Status
from tests.support.virtio import BASE, SIZE, Driver

SECTOR = 512
SECTORS = 64
ALL = BlockFeature.FLUSH | BlockFeature.DISCARD | BlockFeature.WRITE_ZEROES


class Disk:
    """A disk in memory and its driver."""

    def __init__(self, image: RamDisk | None = None, features: int = int(ALL)) -> None:
        self.image = image or RamDisk(SECTORS * SECTOR)
        self.device = VirtioBlock("virtio-blk0", self.image, "serial")
        self.driver = Driver(self.device)
        self.driver.start(features)

    def request(self, kind: int, sector: int, out: bytes = b"", room: int = 0) -> tuple[int, bytes, int]:
        """(status, data, used length) of one request with header, data and status in places of their own."""
        header = self.driver.buffer(struct.pack("<IIQ", kind, 0, sector))
        data, into = self.driver.buffer(out), self.driver.buffer(room)
        readable = [header, data] if out else [header]
        return self.send(readable, [into] if room else [], into)

    def send(self, readable: Sequence[Segment], writable: Sequence[Segment], into: Segment) -> tuple[int, bytes, int]:
        status = self.driver.buffer(b"\xff")
        head = self.driver.queues[0].add(readable, [*writable, status])
        self.driver.notify()
        [(used, length)] = self.driver.queues[0].done()
        assert used == head
        return self.driver.bytes(status)[0], self.driver.bytes(into), length


def test_configuration_space() -> None:
    disk = Disk()
    read = disk.driver.slot.read
    assert read(CONFIG, 4) == SECTORS
    assert read(CONFIG + 4, 4) == 0
    assert read(CONFIG + 8, 4) == SIZE_MAX
    assert read(CONFIG + 20, 4) == SECTOR
    assert len(disk.device.config()) == 60  # struct virtio_blk_config up to SECURE_ERASE
    assert read(CONFIG + 56, 1) == 1  # write_zeroes_may_unmap
    assert read(CONFIG + 60, 4) == 0


def test_what_is_written_is_read_back() -> None:
    disk = Disk()
    data = os.urandom(3 * SECTOR)
    assert disk.request(Request.OUT, 5, data) == (Answer.OK, b"", 1)
    status, read, length = disk.request(Request.IN, 5, room=3 * SECTOR)
    assert (status, read, length) == (Answer.OK, data, 3 * SECTOR + 1)
    assert disk.device.counts == (2, 3 * SECTOR, 3 * SECTOR, 0, 0)


def test_framing_is_the_drivers_choice() -> None:
    """2.7.4.1: nothing may be assumed about where descriptors begin and end."""
    disk = Disk()
    data = os.urandom(SECTOR)
    parts = struct.pack("<IIQ", Request.OUT, 0, 2) + data
    readable = [disk.driver.buffer(parts[start : start + 100]) for start in range(0, len(parts), 100)]
    assert disk.send(readable, [], Segment(BASE, 0))[0] == Answer.OK
    whole = disk.driver.buffer(SECTOR + 1)
    header = disk.driver.buffer(struct.pack("<IIQ", Request.IN, 0, 2))
    disk.driver.queues[0].add([header], [whole])
    disk.driver.notify()
    assert disk.driver.bytes(whole) == data + bytes([Answer.OK])


def test_an_indirect_request() -> None:
    disk = Disk(features=int(ALL | Feature.INDIRECT_DESC))
    header = disk.driver.buffer(struct.pack("<IIQ", Request.IN, 0, 0))
    into, status, table = disk.driver.buffer(SECTOR), disk.driver.buffer(b"\xff"), disk.driver.buffer(48)
    disk.driver.queues[0].add_indirect(table.address, [header], [into, status])
    disk.driver.notify()
    assert disk.driver.bytes(status) == bytes([Answer.OK])


@pytest.mark.parametrize(("sector", "sectors"), [(SECTORS, 1), (SECTORS - 1, 2), (1 << 63, 1), ((1 << 64) - 1, 2)])
@pytest.mark.parametrize("kind", [Request.IN, Request.OUT])
def test_beyond_the_end(kind: Request, sector: int, sectors: int) -> None:
    disk = Disk()
    out, room = (bytes(sectors * SECTOR), 0) if kind is Request.OUT else (b"", sectors * SECTOR)
    assert disk.request(kind, sector, out, room)[0] == Answer.IOERR
    assert disk.device.counts.errors == 1


def test_a_transfer_is_whole_sectors() -> None:
    disk = Disk()
    assert disk.request(Request.OUT, 0, bytes(SECTOR - 1))[0] == Answer.IOERR
    assert disk.request(Request.IN, 0, room=SECTOR + 1)[0] == Answer.IOERR


def test_memory_that_the_guest_does_not_have_is_an_error_of_the_request() -> None:
    disk = Disk()
    header = disk.driver.buffer(struct.pack("<IIQ", Request.IN, 0, 0))
    nowhere = Segment(BASE + SIZE, SECTOR)
    assert disk.send([header], [nowhere], Segment(BASE, 0))[::2] == (Answer.IOERR, 0)
    assert not disk.driver.status & Status.DEVICE_NEEDS_RESET


def test_a_status_that_cannot_be_written_breaks_the_device() -> None:
    disk = Disk()
    header = disk.driver.buffer(struct.pack("<IIQ", Request.FLUSH, 0, 0))
    disk.driver.queues[0].add([header], [Segment(BASE + SIZE, 1)])
    disk.driver.notify()
    assert disk.driver.status & Status.DEVICE_NEEDS_RESET


@pytest.mark.parametrize(("readable", "writable"), [(15, 1), (16, 0), (0, 1)])
def test_a_request_without_header_or_status_breaks_the_device(readable: int, writable: int) -> None:
    disk = Disk()
    segments = [disk.driver.buffer(readable)] if readable else []
    disk.driver.queues[0].add(segments, [disk.driver.buffer(writable)] if writable else [])
    disk.driver.notify()
    assert disk.driver.status & Status.DEVICE_NEEDS_RESET
    assert disk.driver.acknowledge() == 2


def test_a_read_only_disk() -> None:
    image = RamDisk(SECTORS * SECTOR)
    image.read_only = True
    disk = Disk(image, features=int(BlockFeature.RO))
    assert disk.driver.offered() & BlockFeature.RO
    assert not disk.driver.offered() & BlockFeature.DISCARD
    assert disk.request(Request.OUT, 0, bytes(SECTOR))[0] == Answer.IOERR
    assert disk.request(Request.IN, 0, room=SECTOR)[0] == Answer.OK


def test_identity() -> None:
    disk = Disk()
    assert disk.request(Request.GET_ID, 0, room=20) == (Answer.OK, b"serial".ljust(20, b"\0"), 21)
    assert disk.request(Request.GET_ID, 0, room=19)[0] == Answer.IOERR


@pytest.mark.parametrize("kind", [2, 3, 10, 12, 14, 0xFFFF_FFFF])
def test_unknown_requests(kind: int) -> None:
    assert Disk().request(kind, 0, room=SECTOR)[0] == Answer.UNSUPP


@pytest.mark.parametrize(
    ("kind", "flags"), [(Request.DISCARD, 0), (Request.WRITE_ZEROES, 0), (Request.WRITE_ZEROES, 1)]
)
def test_ranges_read_as_zeros(kind: Request, flags: int) -> None:
    disk = Disk()
    disk.request(Request.OUT, 0, b"x" * 8 * SECTOR)
    ranges = struct.pack("<QIIQII", 1, 2, flags, 5, 1, flags)
    assert disk.request(kind, 0, ranges)[0] == Answer.OK
    data = disk.request(Request.IN, 0, room=8 * SECTOR)[1]
    zero = [n for n in range(8) if data[n * SECTOR : (n + 1) * SECTOR] == bytes(SECTOR)]
    assert zero == [1, 2, 5]


@pytest.mark.parametrize(
    ("kind", "ranges", "answer"),
    [
        (Request.DISCARD, struct.pack("<QII", 0, 1, 1), Answer.UNSUPP),  # 5.2.6.2: unmap is write_zeroes' alone
        (Request.WRITE_ZEROES, struct.pack("<QII", 0, 1, 2), Answer.UNSUPP),
        (Request.DISCARD, struct.pack("<QII", SECTORS, 1, 0), Answer.IOERR),
        (Request.DISCARD, struct.pack("<QIIQII", 0, 1, 0, SECTORS, 1, 0), Answer.IOERR),
        (Request.DISCARD, bytes(15), Answer.IOERR),
        (Request.DISCARD, bytes(65 * 16), Answer.IOERR),
    ],
)
def test_bad_ranges_change_nothing(kind: Request, ranges: bytes, answer: Answer) -> None:
    disk = Disk()
    disk.request(Request.OUT, 0, b"x" * SECTOR)
    assert disk.request(kind, 0, ranges)[0] == answer
    assert disk.request(Request.IN, 0, room=SECTOR)[1] == b"x" * SECTOR


def test_what_was_not_negotiated_is_not_supported() -> None:
    assert Disk(features=0).request(Request.DISCARD, 0, struct.pack("<QII", 0, 1, 0))[0] == Answer.UNSUPP


class _FailingDisk(RamDisk):
    def write(self, sector: int, views: Sequence[memoryview]) -> None:
        raise OSError(errno.ENOSPC, "no space")


def test_an_error_of_the_host_is_an_error_of_the_request() -> None:
    disk = Disk(_FailingDisk(SECTORS * SECTOR))
    assert disk.request(Request.OUT, 0, bytes(SECTOR))[0] == Answer.IOERR
    assert not disk.driver.status & Status.DEVICE_NEEDS_RESET
