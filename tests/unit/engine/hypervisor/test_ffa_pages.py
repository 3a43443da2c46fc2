"""The stage-2 tables, read out of RAM after every step of a transaction, against the ownership model."""

from __future__ import annotations

import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from engine.arch.paging import S2AP, PageState
from engine.ffa.abi import Function, id_pair
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.memory import NORMAL_WB_ISH
from engine.ffa.ranges import Composite, Range
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_2
from engine.hypervisor.ffa_stub_spmc import StubCommand
from tests.unit.engine.hypervisor.relaying import OPEN, RAM_BASE, RO, RW, RW_NX, RW_X, STRIDE, TX, Relaying, handle

ADDRESS = 0x0000_FFFF_FFFF_F000
XN = 1 << 54


def shown(machine: Relaying, vm: int, number: int = 0) -> tuple[int, int, bool] | None:
    """(S2AP, software bits, XN) of a page of VM 1, as another VM or itself has it at the same IPA."""
    entry = machine.descriptor(vm, machine.page(1, number))
    return None if entry is None else (entry >> 6 & 3, entry >> 55 & 3, bool(entry & XN))


OWNED = (S2AP.READ_WRITE, PageState.OWNED, False)
BORROWED = (S2AP.READ_WRITE, PageState.SHARED_BORROWED, True)


@pytest.mark.parametrize(("policy", "kept"), [("read-only", S2AP.READ), ("read-write", S2AP.READ_WRITE)])
def test_share_step_by_step(tmp_path: Path, policy: str, kept: S2AP) -> None:
    machine = Relaying(tmp_path, owner_access_on_share=policy)
    machine.map_buffers(1, 2)
    before = machine.maps()
    assert (shown(machine, 1), shown(machine, 2)) == (OWNED, None)
    sent = handle(machine.send())
    shared = (kept, PageState.SHARED_OWNED, False)
    assert (shown(machine, 1), shown(machine, 2)) == (shared, None)
    assert machine.retrieve(2, sent, RW) == 0
    assert (shown(machine, 1), shown(machine, 2)) == (shared, BORROWED)
    entry = machine.descriptor(2, machine.page(1))
    assert entry is not None
    assert entry & ADDRESS == machine.physical(1, machine.page(1)) != machine.page(1)
    assert machine.relinquish(2, sent) == 0
    assert (shown(machine, 1), shown(machine, 2)) == (shared, None)
    assert machine.reclaim(1, sent) == 0
    assert (shown(machine, 1), shown(machine, 2)) == (OWNED, None)
    assert machine.maps() == before


def test_lend_takes_the_owners_access(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    sent = handle(machine.send(Kind.LEND))
    lent = (S2AP.NONE, PageState.SHARED_OWNED, True)
    assert (shown(machine, 1), shown(machine, 2)) == (lent, None)
    assert machine.retrieve(2, sent, RW_X) == 0
    assert shown(machine, 2) == (S2AP.READ_WRITE, PageState.SHARED_BORROWED, False)
    assert machine.relinquish(2, sent) == 0
    assert machine.reclaim(1, sent) == 0
    assert shown(machine, 1) == OWNED


def test_donate_moves_the_page(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    sent = handle(machine.send(Kind.DONATE))
    given = (S2AP.NONE, PageState.DONATED, True)
    assert (shown(machine, 1), shown(machine, 2)) == (given, None)
    assert machine.retrieve(2, sent, RW_NX) == 0
    assert (shown(machine, 1), shown(machine, 2)) == (given, (S2AP.READ_WRITE, PageState.OWNED, True))
    assert machine.reclaim(1, sent) == Code.INVALID_PARAMETERS


def test_donations_leave_no_tables_behind(tmp_path: Path) -> None:
    """A page may wander through the address space for ever; only the VM whose RAM it was has a mark of it."""
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    sent = handle(machine.send(Kind.DONATE, ranges=(Range(machine.page(1), 1),)))
    tables = machine.system.vms[0].stage2.tables
    left = tables.available
    places = {1: 0xC000_0000, 2: 0xC000_0000}
    for turn in range(6):
        giver, taker = (1, 2) if turn % 2 == 0 else (2, 1)
        places[taker] += 0x4020_0000
        where = (Range(places[taker], 1),)
        assert machine.retrieve(taker, sent, RW_NX, to=(taker,), owner=giver, ranges=where) == 0
        assert tables.available == left - 2
        sent = handle(machine.send(Kind.DONATE, taker, (giver,), where))
    home = (Range(machine.page(1), 1),)
    assert machine.retrieve(2, sent, RW_NX, to=(2,), owner=1, ranges=(Range(0xC000_0000, 1),)) == 0
    sent = handle(machine.send(Kind.DONATE, 2, (1,), (Range(0xC000_0000, 1),)))
    assert machine.retrieve(1, sent, RW_NX, to=(1,), owner=2, ranges=home) == 0
    assert tables.available == left
    assert shown(machine, 1) == (S2AP.READ_WRITE, PageState.OWNED, True)


def test_only_the_pages_named_change_and_their_block_is_split(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    whole = machine.descriptor(1, machine.page(1))
    assert whole is not None
    assert not whole & 2
    handle(machine.send(ranges=(Range(machine.page(1, 5), 1),)))
    assert shown(machine, 1, 4) == shown(machine, 1, 6) == OWNED
    assert shown(machine, 1, 5) == (S2AP.READ, PageState.SHARED_OWNED, False)
    page = machine.descriptor(1, machine.page(1, 4))
    assert page is not None
    assert page & ADDRESS == machine.physical(1, machine.page(1, 4))


def test_a_borrower_gets_less_when_it_asks_for_less(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2, 3)
    sent = handle(machine.send(to=(2, 3)))
    assert machine.retrieve(2, sent, RO, to=(2, 3)) == 0
    assert machine.retrieve(3, sent, OPEN, to=(2, 3)) == 0
    assert shown(machine, 2) == (S2AP.READ, PageState.SHARED_BORROWED, True)
    assert shown(machine, 3) == BORROWED


def test_pages_go_where_the_borrower_wants_them(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    sent = handle(machine.send(ranges=(Range(machine.page(1), 1), Range(machine.page(1, 9), 2))))
    assert machine.retrieve(2, sent, ranges=(Range(0xC000_0000, 3),)) == 0
    leaves = [machine.descriptor(2, 0xC000_0000 + n * 4096) for n in range(4)]
    expected = [machine.physical(1, machine.page(1, n)) for n in (0, 9, 10)]
    assert [leaf & ADDRESS for leaf in leaves[:3] if leaf is not None] == expected
    assert leaves[3] is None


@pytest.mark.parametrize("where", [0x0900_0000, 0x0801_0000 - 4096, RAM_BASE + STRIDE, (1 << 39) - 4096])
def test_pages_do_not_go_where_something_is(tmp_path: Path, where: int) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    sent = handle(machine.send())
    before = machine.maps()
    expected = Code.INVALID_PARAMETERS if where >> 38 else Code.DENIED
    assert machine.retrieve(2, sent, ranges=(Range(where, 2),)) == expected
    assert machine.maps() == before


def test_a_refused_send_changes_no_entry(tmp_path: Path) -> None:
    """One of its pages is shared already."""
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    handle(machine.send(ranges=(Range(machine.page(1, 3), 1),)))
    before = machine.maps()
    assert machine.send(ranges=(Range(machine.page(1), 5),))[2] == Code.DENIED & 0xFFFF_FFFF
    assert machine.maps() == before


def test_tables_without_room_refuse_and_change_nothing(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    sent = handle(machine.send(ranges=(Range(machine.page(1), 1), Range(machine.page(1, 2), 1))))
    tables = machine.system.vms[1].stage2.tables
    tables._next = tables._end - 2 * 4096
    tables._free.clear()
    before = machine.maps()
    apart = (Range(0xC000_0000, 1), Range(0xC000_0000 + (1 << 30), 1))
    assert machine.retrieve(2, sent, ranges=apart) == Code.NO_MEMORY
    assert machine.maps() == before
    assert machine.retrieve(2, sent) == 0


def test_tables_without_room_for_all_of_a_send_split_no_block(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1)
    tables = machine.system.vms[0].stage2.tables
    first, taken = machine.system.config.board.firmware_base, tables._next
    tables._end = taken + 4096
    before = machine.system.memory.read(first, taken + 4096 - first)
    apart = (Range(machine.page(1), 1), Range(machine.ram(1), 1))
    assert machine.send(ranges=apart)[2] == Code.NO_MEMORY & 0xFFFF_FFFF
    assert machine.system.memory.read(first, taken + 4096 - first) == before
    handle(machine.send(ranges=apart[:1]))


def test_partitions_without_tables_have_pages_at_their_physical_addresses(tmp_path: Path) -> None:
    """So that VMs whose RAM is at one address can share the same pages, as they see them, with one of them."""
    alike = [(0x4000_0000, 0x4000_0000), (0x4000_0000, 0x4040_0000)]
    machine = Relaying(tmp_path, count=2, places=alike)
    machine.map_buffers(1, 2)
    for vm in (1, 2):
        sent = handle(machine.send(owner=vm, to=(0x8001,)))
        asked = (id_pair(vm, 0x8001), 0, StubCommand.RETRIEVE, sent & 0xFFFF_FFFF, sent >> 32)
        assert machine.call(vm, Function.MSG_SEND_DIRECT_REQ_32, *asked)[3] == 0
    held = [record.borrowers[0].ranges for record in machine.relay.table.records.values()]
    assert held == [(Range(machine.physical(vm, machine.page(vm)), 2),) for vm in (1, 2)]


def test_giving_one_region_back_does_not_end_the_answer_about_another(tmp_path: Path) -> None:
    """The response about the first needs two fragments."""
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    ranges = tuple(Range(machine.page(1, 500 - n), 1) for n in range(260))
    region = MemoryRegion(1, (EndpointAccess(2, RW, composite=Composite(ranges)),), NORMAL_WB_ISH)
    data = pack(region, V1_2)
    answer = machine.send_bytes(1, Function.MEM_SHARE_32, data)
    machine.write(1, machine.ram(1) + TX, data[4096:])
    long = handle(machine.call(1, Function.MEM_FRAG_TX, *answer[1:3], len(data) - 4096))
    short = handle(machine.send(ranges=(Range(machine.page(1), 1),)))
    assert machine.retrieve(2, short) == 0
    assert machine.retrieve(2, long) == 0
    assert machine.relinquish(2, short) == 0
    words = (long & 0xFFFF_FFFF, long >> 32)
    assert machine.call(2, Function.MEM_FRAG_RX, *words, 4096)[3] == len(data) - 4096
    machine.call(2, Function.RX_RELEASE)
    assert machine.relinquish(2, long) == 0
    assert machine.status(2, Function.MEM_FRAG_RX, *words, 4096) == Code.INVALID_PARAMETERS


def test_zeroing(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    machine.write(1, machine.page(1), b"secret")
    sent = handle(machine.send(Kind.LEND, flags=1))
    assert machine.read(1, machine.page(1), 6) == bytes(6)
    machine.write(1, machine.page(1), b"result")
    assert machine.retrieve(2, sent, RW_NX, flags=4) == 0
    assert machine.relinquish(2, sent) == 0
    assert machine.read(1, machine.page(1), 6) == bytes(6)
    machine.write(1, machine.page(1), b"others")
    assert machine.reclaim(1, sent, 1) == 0
    assert machine.read(1, machine.page(1), 6) == bytes(6)


def test_tables_return_to_the_allocator(tmp_path: Path) -> None:
    """The borrower's table of pages, the table above it where there was none, and the owner's, folded to a block."""
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    tables = machine.system.vms[1].stage2.tables
    used = tables.used
    sent = handle(machine.send())
    assert tables.used == used + 1
    for place, more in ((machine.page(1), 1), (machine.ram(2) - 0x20_0000, 1), (0x10_0000_0000, 2)):
        assert machine.retrieve(2, sent, ranges=(Range(place, 2),)) == 0
        assert tables.used == used + 1 + more
        assert machine.relinquish(2, sent) == 0
        assert tables.used == used + 1
    assert machine.reclaim(1, sent) == 0
    assert tables.used == used


def test_a_block_is_whole_again_when_all_of_it_has_come_back(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    whole = machine.descriptor(1, machine.page(1))
    first = handle(machine.send(ranges=(Range(machine.page(1, 3), 2),)))
    second = handle(machine.send(Kind.LEND, ranges=(Range(machine.page(1, 9), 1),)))
    assert machine.reclaim(1, first) == 0
    entry = machine.descriptor(1, machine.page(1))
    assert entry is not None
    assert entry & 2
    assert machine.reclaim(1, second) == 0
    assert machine.descriptor(1, machine.page(1)) == whole


def test_two_transactions_never_make_a_block_together(tmp_path: Path) -> None:
    """It would have to be split when the first of them ends, and there may be no memory for that."""
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    before, half = machine.maps(), (Range(machine.page(1), 256), Range(machine.page(1, 256), 256))
    assert not machine.page(1) % (2 << 20)
    sent = [handle(machine.send(ranges=(piece,))) for piece in half]
    entry = machine.descriptor(1, machine.page(1))
    assert entry is not None
    assert entry & 2
    tables = machine.system.vms[0].stage2.tables
    tables._next = tables._end
    tables._free.clear()
    assert [machine.reclaim(1, each) for each in sent] == [0, 0]
    assert machine.maps() == before


def test_a_whole_block_is_shared_as_one(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    before, used = machine.maps(), machine.system.vms[0].stage2.tables.used
    sent = handle(machine.send(ranges=(Range(machine.page(1), 512),)))
    assert machine.retrieve(2, sent) == 0
    for vm, state in ((1, PageState.SHARED_OWNED), (2, PageState.SHARED_BORROWED)):
        entry = machine.descriptor(vm, machine.page(1))
        assert entry is not None
        assert not entry & 2
        assert entry >> 55 & 3 == state
    assert machine.system.vms[0].stage2.tables.used == used
    assert machine.relinquish(2, sent) == 0
    assert machine.reclaim(1, sent) == 0
    assert machine.maps() == before


def test_each_call_invalidates_the_tlb_once(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    flushed: list[int] = []
    for vm in (1, 2):
        machine.system.vms[vm - 1].stage2.invalidate = partial(flushed.append, vm)
    ranges = tuple(Range(machine.page(1, n), 1) for n in range(0, 60, 2))
    sent = handle(machine.send(ranges=ranges))
    assert machine.retrieve(2, sent) == 0
    assert machine.relinquish(2, sent) == 0
    assert machine.reclaim(1, sent) == 0
    assert flushed == [1, 2, 1]


def test_more_pages_than_there_are_take_no_memory_of_the_host(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    tracemalloc.start()
    try:
        answer = machine.send(ranges=(Range(machine.page(1), 0xFFFF_FFFF),))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer[2] == Code.INVALID_PARAMETERS & 0xFFFF_FFFF
    assert peak < 1 << 20


def test_a_vm_that_ends_gives_back_and_gets_back(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    before = machine.maps()
    borrowed = handle(machine.send())
    assert machine.retrieve(2, borrowed) == 0
    own = handle(machine.send(owner=2, to=(1,)))
    assert machine.retrieve(1, own, RW, to=(1,), owner=2) == 0
    unused = handle(machine.send(owner=2, to=(1,), ranges=(Range(machine.page(2, 8), 1),)))
    machine.system.vms[1].power_on()
    assert shown(machine, 2) is None
    assert unused not in machine.relay.table.records
    assert machine.reclaim(1, borrowed) == 0
    assert machine.relinquish(1, own) == 0
    assert not machine.relay.table.records
    assert machine.maps() == before


def test_a_vm_that_starts_over_does_not_write_what_it_gave_away(tmp_path: Path) -> None:
    """Its image would go there."""
    machine = Relaying(tmp_path)
    machine.map_buffers(1, 2)
    sent = handle(machine.send(Kind.DONATE, ranges=(Range(machine.ram(1), 1),)))
    assert machine.retrieve(2, sent, RW_NX) == 0
    machine.write(1, machine.ram(1), b"the new owner's")
    machine.system.vms[0].power_on()
    assert machine.read(1, machine.ram(1), 15) == b"the new owner's"
    machine.system.vms[1].power_on()
    assert machine.read(1, machine.ram(1), 15) == b"the new owner's"
