"""Disk backends: what they refuse, what they cost, and what is left when the process dies."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.board.virtio import disk_file
from engine.board.virtio.disk_file import RawFile
from engine.board.virtio.disk_image import MAX_BYTES, MAX_VIEWS, SECTOR, DiskImage
from engine.board.virtio.disk_memory import CLUSTER, Overlay, RamDisk
from engine.errors import MachineError
from tests.unit.engine.board.virtio import killed_writer
from tests.unit.engine.board.virtio.disks import contents, cut, pattern, read, write

CAPACITY = 40
"""Sectors."""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(pattern(1, CAPACITY * SECTOR))
    return path


MAKERS: dict[str, Callable[[Path], DiskImage]] = {
    "file": lambda path: RawFile(path, read_only=False),
    "read-only": lambda path: RawFile(path, read_only=True),
    "overlay": lambda path: Overlay(RawFile(path, read_only=True)),
    "ram": lambda path: RamDisk(CAPACITY * SECTOR),
}


@pytest.fixture(params=MAKERS)
def disk(request: pytest.FixtureRequest, image: Path) -> Iterator[DiskImage]:
    made = MAKERS[request.param](image)
    yield made
    made.close()


@pytest.mark.parametrize(("sector", "count"), [(-1, 1), (0, CAPACITY + 1), (CAPACITY, 1), (1 << 64, 1), (0, 1 << 64)])
def test_a_range_that_is_not_on_the_disk_is_the_callers_mistake(disk: DiskImage, sector: int, count: int) -> None:
    data = memoryview(bytearray(min(count, CAPACITY + 1) * SECTOR))
    with pytest.raises(ValueError, match="expected sectors"):
        disk.read(sector if count < 1 << 64 else 1 << 63, [data])
    for change in (disk.discard, disk.write_zeroes) if not disk.read_only else ():
        with pytest.raises(ValueError, match="expected sectors"):
            change(sector, count)


def test_a_request_is_of_whole_sectors(disk: DiskImage) -> None:
    with pytest.raises(ValueError, match="multiple of 512"):
        disk.read(0, [memoryview(bytearray(SECTOR + 1))])
    disk.read(0, [memoryview(bytearray(SECTOR - 1)), memoryview(bytearray(1))])


def test_nothing_at_the_end_of_the_disk_is_fine(disk: DiskImage) -> None:
    disk.read(disk.capacity, [])
    if not disk.read_only:
        disk.write(disk.capacity, [memoryview(b"")])
        disk.discard(disk.capacity, 0)
        disk.write_zeroes(disk.capacity, 0)


def test_as_many_views_as_one_call_takes_and_no_more(disk: DiskImage) -> None:
    data = bytearray(SECTOR)
    most = cut(data, range(1, MAX_VIEWS))
    disk.read(0, most)
    assert data == read(disk, 0, 1)
    for call in (disk.read,) if disk.read_only else (disk.read, disk.write):
        with pytest.raises(OSError, match="Invalid argument"):
            call(0, [*most, memoryview(b"")])


def test_the_longest_request_is_bounded_whatever_the_disk_holds() -> None:
    disk = RamDisk(4 * MAX_BYTES)
    disk.write_zeroes(1, MAX_BYTES // SECTOR)
    for change in (disk.discard, disk.write_zeroes):
        with pytest.raises(OSError, match="Invalid argument"):
            change(0, MAX_BYTES // SECTOR + 1)
    mebibyte = memoryview(bytearray(1 << 20))
    with pytest.raises(OSError, match="Invalid argument"):
        disk.read(0, [mebibyte] * (MAX_BYTES >> 20) + [mebibyte[:SECTOR]])
    disk.close()


def test_a_read_only_disk_is_not_changed(image: Path) -> None:
    before = image.read_bytes()
    disk = RawFile(image, read_only=True)
    changes: tuple[Callable[[], None], ...] = (
        lambda: write(disk, 0, bytes(SECTOR)),
        lambda: disk.discard(0, 1),
        lambda: disk.write_zeroes(0, 1),
    )
    for change in changes:
        with pytest.raises(OSError, match="Read-only") as caught:
            change()
        assert caught.value.errno == errno.EROFS
    disk.close()
    assert image.read_bytes() == before


def test_closing_twice_is_fine_and_unlocks(disk: DiskImage, image: Path) -> None:
    disk.close()
    disk.close()
    RawFile(image, read_only=False).close()


# --- opening files ------------------------------------------------------------------------------


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: os.mkfifo(path), "regular file"),
        (lambda path: path.symlink_to("/dev/null"), "regular file"),
        (lambda path: path.write_bytes(b""), r"at least 512 bytes \(got 0\)"),
        (lambda path: path.write_bytes(bytes(511)), r"at least 512 bytes \(got 511\)"),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_no_disk_is_told_in_one_line(
    tmp_path: Path, make: Callable[[Path], object], complaint: str, read_only: bool
) -> None:
    path = tmp_path / "x.img"
    make(path)
    files = open_files()
    if read_only and path.is_dir():
        complaint = "regular file"
    with pytest.raises(MachineError, match=rf"^\S+x\.img: .*{complaint}"):
        RawFile(path, read_only)
    assert open_files() == files


@pytest.mark.parametrize(("first", "second", "fits"), [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)])
def test_one_writer_or_many_readers(image: Path, first: bool, second: bool, fits: bool) -> None:
    held = RawFile(image, read_only=bool(first))
    if fits:
        RawFile(image, read_only=bool(second)).close()
    else:
        with pytest.raises(MachineError, match=r"disk\.img: in use"):
            RawFile(image, read_only=bool(second))
    held.close()
    RawFile(image, read_only=bool(second)).close()


def test_programs_that_are_started_do_not_get_the_file(image: Path) -> None:
    disk = RawFile(image, read_only=False)
    assert not os.get_inheritable(disk._file)
    disk.close()


# --- when the host does not do what it is told ---------------------------------------------------


def test_partial_transfers_are_carried_on(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def some(call: Callable[..., int]) -> Callable[..., int]:
        return lambda file, views, start: call(
            file, [b"".join(views)[:700]] if call is os.pwritev else views[:1], start
        )

    disk = RawFile(image, read_only=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", some(os.preadv))
        patch.setattr(os, "pwritev", some(os.pwritev))
        data = pattern(9, 10 * SECTOR)
        disk.write(3, cut(data, [1, 600, 601, 4000]))
        back = bytearray(10 * SECTOR)
        disk.read(3, cut(back, [5, 512, 2000]))
    assert back == data
    assert contents(disk) == pattern(1, 3 * SECTOR) + data + pattern(1, CAPACITY * SECTOR)[13 * SECTOR :]
    disk.close()


def test_a_file_that_became_shorter_is_an_error_not_zeros(image: Path) -> None:
    disk = RawFile(image, read_only=False)
    os.truncate(image, 10 * SECTOR)
    with pytest.raises(OSError, match="Input/output error"):
        disk.read(8, [memoryview(bytearray(4 * SECTOR))])
    assert read(disk, 8, 2) == pattern(1, 10 * SECTOR)[8 * SECTOR :]
    disk.close()


def test_no_room_on_the_host_is_an_error(image: Path) -> None:
    disk = RawFile(image, read_only=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * SECTOR, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(disk, 2, bytes(8 * SECTOR))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    disk.close()


def test_a_file_system_without_holes(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_file, "_fallocate", lambda *_: False)
    monkeypatch.setattr(disk_file, "_ZEROS", bytes(3 * SECTOR))
    disk = RawFile(image, read_only=False)
    before = bytearray(contents(disk))
    disk.discard(1, 5)
    assert contents(disk) == before
    disk.write_zeroes(1, 8)
    before[SECTOR : 9 * SECTOR] = bytes(8 * SECTOR)
    assert contents(disk) == before
    disk.close()


@pytest.mark.parametrize(("error", "raises"), [(errno.EOPNOTSUPP, False), (errno.ENOSYS, False), (errno.EIO, True)])
def test_errors_of_fallocate(image: Path, monkeypatch: pytest.MonkeyPatch, error: int, raises: bool) -> None:
    monkeypatch.setattr(disk_file, "_libc_fallocate", lambda *_: -1)
    monkeypatch.setattr(ctypes, "get_errno", lambda: error)
    disk = RawFile(image, read_only=False)
    if raises:
        with pytest.raises(OSError, match="Input/output error"):
            disk.write_zeroes(0, 1)
        assert read(disk, 0, 1) != bytes(SECTOR)
    else:
        disk.write_zeroes(0, 1)
        assert read(disk, 0, 1) == bytes(SECTOR)
    disk.close()


def test_discard_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "big.img"
    path.write_bytes(b"x" * (1 << 20))
    disk = RawFile(path, read_only=False)
    disk.discard(0, disk.capacity)
    disk.flush()
    if read(disk, 0, 1) != bytes(SECTOR):
        pytest.skip("the file system of temporary files has no holes")
    assert path.stat().st_blocks * 512 < 1 << 19
    assert path.stat().st_size == 1 << 20
    disk.close()


# --- overlays and memory --------------------------------------------------------------------------


class BadBase(RamDisk):
    """A disk of which one sector cannot be read."""

    bad = 3 * CLUSTER // SECTOR - 1

    def read(self, sector: int, views: object) -> None:
        size = sum(map(len, views))  # type: ignore[call-overload]
        if sector <= self.bad < sector + size // SECTOR:
            raise OSError(errno.EIO, "bad")
        super().read(sector, views)  # type: ignore[arg-type]


def test_an_overlay_of_a_base_that_fails_changes_nothing() -> None:
    disk = Overlay(BadBase(4 * CLUSTER))
    start = CLUSTER // SECTOR + 1
    with pytest.raises(OSError, match="bad"):
        write(disk, start, b"x" * (CLUSTER + SECTOR))
    assert read(disk, start, CLUSTER // SECTOR) == bytes(CLUSTER)
    # What is written whole needs nothing of the base.
    write(disk, 2 * CLUSTER // SECTOR, b"y" * CLUSTER)
    assert read(disk, disk.capacity - CLUSTER // SECTOR - 1, 1) == b"y" * SECTOR
    disk.close()


def resident_kilobytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


@pytest.mark.parametrize("make", [RamDisk, lambda size: Overlay(RamDisk(size))])
def test_memory_is_taken_where_it_was_written_and_given_back(make: Callable[[int], DiskImage]) -> None:
    before = resident_kilobytes()
    disk = make(64 << 30)
    far = disk.capacity - 8
    write(disk, far, b"z" * (4 * SECTOR))
    assert read(disk, far - 1, 6) == bytes(SECTOR) + b"z" * (4 * SECTOR) + bytes(SECTOR)
    data = memoryview(b"w" * (32 << 20))
    disk.write(100, [data])
    assert resident_kilobytes() - before > 32 << 10
    disk.discard(100, (32 << 20) // SECTOR)
    assert resident_kilobytes() - before < (32 << 10) + (16 << 10)
    assert read(disk, 100, 1) == bytes(SECTOR)
    disk.close()


@pytest.mark.parametrize("size", [0, 511, 1 << 62, 1 << 80])
def test_a_size_that_cannot_be(size: int) -> None:
    with pytest.raises(MachineError):
        RamDisk(size)


# --- a process that is killed ----------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(killed_writer.WRITES))
def test_a_kill_leaves_whole_requests(tmp_path: Path, call: int, when: str) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(killed_writer.CAPACITY * SECTOR))
    command = [sys.executable, killed_writer.__file__, str(path), str(call), when]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment).returncode == -signal.SIGKILL
    expected = bytearray(path.stat().st_size)
    for number in range(call + (when == "after")):
        sector, data, _ = killed_writer.request(number)
        expected[sector * SECTOR : sector * SECTOR + len(data)] = data
    disk = RawFile(path, read_only=False)
    assert contents(disk) == expected
    disk.close()
