"""Every disk backend against a plain array of bytes."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.board.virtio.disk_file import RawFile
from engine.board.virtio.disk_image import SECTOR, DiskImage
from engine.board.virtio.disk_memory import CLUSTER, Overlay, RamDisk
from tests.unit.engine.board.virtio.disks import contents, cut, pattern, read

CLUSTER_SECTORS = CLUSTER // SECTOR
CAPACITY = 5 * CLUSTER_SECTORS + 3
"""Sectors; the last cluster is not whole."""
EXTENTS = st.tuples(st.integers(0, CAPACITY), st.integers(0, 3 * CLUSTER_SECTORS)).map(
    lambda extent: (extent[0], min(extent[1], CAPACITY - extent[0]))
)
CUTS = st.lists(st.integers(0, 3 * CLUSTER), max_size=6)


class DiskMachine(RuleBasedStateMachine):
    """Requests of every kind, cut into pieces anywhere."""

    forgets = True
    """Discarded sectors read as zeros for certain."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "disk.img"
        self.first = pattern(250, CAPACITY * SECTOR)
        self.disk = self.open()
        self.model = bytearray(contents(self.disk))
        self.number = 0

    @abstractmethod
    def open(self) -> DiskImage:
        """A disk of CAPACITY sectors."""

    def make_file(self) -> Path:
        """A file with the pattern and a tail that is no whole sector."""
        self.path.write_bytes(self.first + b"tail")
        return self.path

    @rule(extent=EXTENTS, cuts=CUTS)
    def write(self, extent: tuple[int, int], cuts: list[int]) -> None:
        sector, count = extent
        self.number += 1
        data = pattern(self.number, count * SECTOR)
        self.disk.write(sector, cut(data, cuts))
        self.model[sector * SECTOR : (sector + count) * SECTOR] = data

    @rule(extent=EXTENTS, cuts=CUTS)
    def read(self, extent: tuple[int, int], cuts: list[int]) -> None:
        sector, count = extent
        data = bytearray(b"\xee" * (count * SECTOR))
        self.disk.read(sector, cut(data, cuts))
        assert data == self.model[sector * SECTOR : (sector + count) * SECTOR]

    @rule(extent=EXTENTS)
    def write_zeroes(self, extent: tuple[int, int]) -> None:
        sector, count = extent
        self.disk.write_zeroes(sector, count)
        self.model[sector * SECTOR : (sector + count) * SECTOR] = bytes(count * SECTOR)

    @rule(extent=EXTENTS)
    def discard(self, extent: tuple[int, int]) -> None:
        sector, count = extent
        self.disk.discard(sector, count)
        now = read(self.disk, sector, count)
        before = self.model[sector * SECTOR : (sector + count) * SECTOR]
        assert now == bytes(count * SECTOR) or (not self.forgets and now == before)
        self.model[sector * SECTOR : (sector + count) * SECTOR] = now

    @rule()
    def flush(self) -> None:
        self.disk.flush()

    @invariant()
    def holds_what_was_written(self) -> None:
        assert self.disk.capacity == CAPACITY
        assert contents(self.disk) == self.model

    def teardown(self) -> None:
        self.disk.close()
        self.directory.cleanup()


class FileMachine(DiskMachine):
    """A raw file, which is closed and opened again now and then."""

    forgets = False

    def open(self) -> DiskImage:
        return RawFile(self.make_file(), read_only=False)

    @rule()
    def reopen(self) -> None:
        self.disk.close()
        self.disk = RawFile(self.path, read_only=False)

    @invariant()
    def file_is_as_long_as_before(self) -> None:
        assert self.path.read_bytes() == self.model + b"tail"


class RamDiskMachine(DiskMachine):
    """An empty disk in memory."""

    def open(self) -> DiskImage:
        return RamDisk(CAPACITY * SECTOR + 100)


class OverlayMachine(DiskMachine):
    """An overlay of a file that is not to be written."""

    def open(self) -> DiskImage:
        return Overlay(RawFile(self.make_file(), read_only=True))

    @invariant()
    def base_is_as_it_was(self) -> None:
        assert self.path.read_bytes() == self.first + b"tail"


class OverlayOfOverlayMachine(OverlayMachine):
    """An overlay of an overlay that holds something itself."""

    def open(self) -> DiskImage:
        middle = super().open()
        data = pattern(100, CLUSTER)
        middle.write(CLUSTER_SECTORS + 3, [memoryview(data)])
        middle.discard(3 * CLUSTER_SECTORS - 1, CLUSTER_SECTORS)
        return Overlay(middle)


SETTINGS = settings(max_examples=int(os.environ.get("DISK_EXAMPLES", "25")))

for machine in (FileMachine, RamDiskMachine, OverlayMachine, OverlayOfOverlayMachine):
    machine.TestCase.settings = SETTINGS

TestFile = FileMachine.TestCase
TestRamDisk = RamDiskMachine.TestCase
TestOverlay = OverlayMachine.TestCase
TestOverlayOfOverlay = OverlayOfOverlayMachine.TestCase
