"""Disks and memory that goes from VM to VM: a device reaches what stage 2 gives its guest at that moment."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from engine.arch.paging import PAGE
from engine.board.memory_map import RAM_BASE
from engine.board.virtio.block import Answer, Request
from engine.board.virtio.disk_image import SECTOR
from engine.board.virtio.guest_memory import Segment
from engine.board.virtio.registers import Status
from engine.control import Control
from engine.ffa.ranges import Range
from engine.ffa.transactions import Kind
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Bench, machine_config
from tests.support.virtio import BASE
from tests.support.vm_disk import VmDisk
from tests.unit.engine.hypervisor.relaying import RAM_SIZE, RO, RW, RW_X, Relaying, handle

DISK = {"disk": [{"size": 64 * SECTOR}]}
THERE = 0xC000_0000
"""Where borrowers want what they retrieve."""
OLD, NEW = b"old!" * (PAGE // 4), b"new." * (PAGE // 4)


class Board(Relaying):
    """Three VMs with a disk each, all of whose RAM is at BASE. VM 1 sends its page 0 to others."""

    def __init__(self, directory: Path, **ffa: Any) -> None:
        places = [(BASE, BASE + n * RAM_SIZE) for n in range(3)]
        super().__init__(directory, places=places, vm=DISK, **ffa)
        self.map_buffers(1, 2, 3)
        self.disks = {vm: VmDisk(self.system.vms[vm - 1]) for vm in (1, 2, 3)}
        self.write(1, self.page(1), OLD)
        for disk in self.disks.values():
            disk.put(0, NEW)

    @property
    def content(self) -> bytes:
        """Of the page that is sent about."""
        return self.read(1, self.page(1), PAGE)

    def sent(self, kind: Kind, *to: int) -> int:
        """Send the page, and have every borrower retrieve it at THERE, with all access that it can have."""
        only = (Range(self.page(1), 1),)
        permissions = RW_X if kind is Kind.LEND else RW
        number = handle(self.send(kind, to=to, ranges=only, permissions=RW))
        for vm in to:
            assert self.retrieve(vm, number, permissions, to=to, ranges=(Range(THERE, 1),)) == 0
        return number


def page(address: int) -> Segment:
    return Segment(address, PAGE)


def test_a_disk_reads_and_writes_its_guests_own_memory(tmp_path: Path) -> None:
    board = Board(tmp_path)
    assert board.disks[1].write_from(8, page(board.page(1))) == Answer.OK
    assert board.disks[1].get(8, 8) == OLD
    assert board.disks[1].read_into(0, page(board.page(1))) == Answer.OK
    assert board.content == NEW


def test_lent_memory_is_out_of_reach_until_it_comes_back(tmp_path: Path) -> None:
    board = Board(tmp_path)
    disk, lent = board.disks[1], page(board.page(1))
    number = board.sent(Kind.LEND, 2)
    assert disk.read_into(0, lent) == Answer.IOERR
    assert disk.write_from(8, lent) == Answer.IOERR
    assert (board.content, disk.get(8, 8)) == (OLD, bytes(PAGE))
    assert board.relinquish(2, number) == 0
    assert disk.read_into(0, lent) == Answer.IOERR, "not before it is reclaimed"
    assert board.reclaim(1, number) == 0
    assert disk.read_into(0, lent) == Answer.OK
    assert board.content == NEW


def test_a_request_for_own_and_lent_memory_moves_nothing(tmp_path: Path) -> None:
    board = Board(tmp_path)
    disk, own, lent = board.disks[1], page(board.page(1, 1)), page(board.page(1))
    board.write(1, own.address, OLD)
    board.sent(Kind.LEND, 2)
    assert disk.read_into(0, own, lent) == Answer.IOERR
    assert board.read(1, own.address, PAGE) == board.content == OLD
    assert disk.write_from(8, own, lent) == Answer.IOERR
    assert disk.get(8, 16) == bytes(2 * PAGE)


def test_a_status_in_lent_memory_breaks_the_device(tmp_path: Path) -> None:
    """There is no place to say what became of the request (2.1.2)."""
    board = Board(tmp_path)
    disk = board.disks[1]
    board.sent(Kind.LEND, 2)
    header = disk.buffer(struct.pack("<IIQ", Request.FLUSH, 0, 0))
    disk.queues[0].add([header], [Segment(board.page(1), 1)])
    disk.notify()
    assert disk.status & Status.DEVICE_NEEDS_RESET
    assert board.content == OLD
    assert not board.disks[2].status & Status.DEVICE_NEEDS_RESET


@pytest.mark.parametrize(
    ("policy", "answer", "content"), [("read-only", Answer.IOERR, OLD), ("read-write", Answer.OK, NEW)]
)
def test_the_owner_of_shared_memory_has_what_it_kept(
    tmp_path: Path, policy: str, answer: Answer, content: bytes
) -> None:
    board = Board(tmp_path, owner_access_on_share=policy)
    board.sent(Kind.SHARE, 2)
    assert board.disks[1].write_from(8, page(board.page(1))) == Answer.OK
    assert board.disks[1].get(8, 8) == OLD
    assert board.disks[1].read_into(0, page(board.page(1))) == answer
    assert board.content == content


def test_memory_shared_read_only_is_not_written_by_the_borrowers_disk(tmp_path: Path) -> None:
    board = Board(tmp_path)
    number = handle(board.send(ranges=(Range(board.page(1), 1),), permissions=RO))
    assert board.retrieve(2, number, RO, ranges=(Range(THERE, 1),)) == 0
    assert board.disks[2].read_into(0, page(THERE)) == Answer.IOERR
    assert board.content == OLD
    assert board.disks[2].write_from(8, page(THERE)) == Answer.OK
    assert board.disks[2].get(8, 8) == OLD


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_retrieved_memory_is_the_borrowers_disks_too(tmp_path: Path, kind: Kind) -> None:
    board = Board(tmp_path)
    assert board.disks[2].read_into(0, page(THERE)) == Answer.IOERR
    number = board.sent(kind, 2)
    assert board.disks[2].write_from(8, page(THERE)) == Answer.OK
    assert board.disks[2].get(8, 8) == OLD
    assert board.disks[2].read_into(0, page(THERE)) == Answer.OK
    assert board.content == NEW
    assert board.disks[3].read_into(0, page(THERE)) == Answer.IOERR, "nobody gave it to VM 3"
    board.write(1, board.page(1), OLD)
    assert board.relinquish(2, number) == 0
    assert board.disks[2].read_into(0, page(THERE)) == Answer.IOERR
    assert board.content == OLD


# --- code ---------------------------------------------------------------------------------------------


def returns(value: int) -> bytes:
    """A function, as large as a sector."""
    return Program(a.movz(0, value), a.RET).code.ljust(SECTOR, b"\0")


def caller(function: int, data: int, *, maintain: bool) -> Program:
    """Calls a function over and over, and keeps what it returned; with IC IVAU before each call or without."""
    program = Program().constant(1, function).constant(2, data).label("again")
    if maintain:
        program.emit(a.ic_ivau(1), a.DSB_SY, a.ISB)
    return program.emit(a.blr(1), a.str_(0, 2)).b("again")


@pytest.mark.parametrize("maintain", [True, False])
def test_code_that_a_disk_wrote_is_what_runs(tmp_path: Path, maintain: bool) -> None:
    function = RAM_BASE + 0x20_0000
    # The rings of the driver are at the start of RAM.
    start = Program().constant(3, RAM_BASE + 0x18_0000).emit(a.br(3)).at(0x18_0000)
    program = start.code + caller(function, DATA, maintain=maintain).code
    bench = Bench(machine_config(tmp_path, program, vm=DISK))
    bench.vm.memory.write(bench.vm.physical(function), returns(1))
    assert bench.run(1000).word(DATA) == 1
    disk = VmDisk(bench.vm)
    for value in range(2, 6):
        disk.put(0, returns(value))
        assert disk.read_into(0, Segment(function, SECTOR)) == Answer.OK
        assert bench.run(50).word(DATA) == value


@pytest.mark.parametrize("maintain", [True, False])
@pytest.mark.parametrize(("kind", "runner"), [(Kind.SHARE, 1), (Kind.LEND, 2)])
def test_code_in_memory_of_two_vms_is_what_the_borrowers_disk_wrote(
    tmp_path: Path, kind: Kind, runner: int, maintain: bool
) -> None:
    """VM 2 retrieves a page of VM 1, and its disk writes there; the owner of shared memory, or VM 2, executes it."""
    board = Board(tmp_path, owner_access_on_share="read-write")
    board.sent(kind, 2)
    function = board.page(1) if runner == 1 else THERE
    result, entry = board.page(runner, 1), board.page(runner, 2)
    board.write(runner, entry, caller(function, result, maintain=maintain).code)
    board.write(1, board.page(1), returns(1))
    board.vcpu(runner).context.state.pc = entry
    control = Control(board.system)
    for value in range(1, 6):
        if value > 1:
            board.disks[2].put(0, returns(value))
            assert board.disks[2].read_into(0, Segment(THERE, SECTOR)) == Answer.OK
        control.run_instructions(200)
        assert int.from_bytes(board.read(runner, result, 8), "little") == value
