"""RX/TX buffers at the SPMC, and descriptors in fragments (DEN0077A v1.2, 7.2 and 13.4-13.7; DEN0140 v1.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ffa.abi import Function, handle_of, handle_words
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack, parse_retrieve
from engine.ffa.errors import Code
from engine.ffa.memory import NORMAL_WB_ISH, UNSPECIFIED
from engine.ffa.ranges import Composite, Range
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_2
from tests.unit.engine.spmc.standing import (
    HYPERVISOR,
    NORMAL_RAM,
    OPEN,
    PAGE,
    PAGES,
    RW,
    RW_NX,
    RX,
    SP1,
    SP2,
    TX,
    VM1,
    Standing,
    handle,
    status,
)

INVALID, DENIED, BUSY = Code.INVALID_PARAMETERS, Code.DENIED, Code.BUSY
MAP, UNMAP, RELEASE = Function.RXTX_MAP_64, Function.RXTX_UNMAP, Function.RX_RELEASE
BOTH = (HYPERVISOR, SP1)
COUNT = 300
"""Ranges of a descriptor that does not fit a page."""


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    return Standing(tmp_path, count=2)


@pytest.mark.parametrize("caller", BOTH)
@pytest.mark.parametrize("function", [Function.RXTX_MAP_32, Function.RXTX_MAP_64])
def test_map_and_unmap(machine: Standing, caller: int, function: Function) -> None:
    """Mapping again takes an unmapping first; unmapping what is not mapped is INVALID_PARAMETERS (13.7)."""
    tx, rx = machine.ram(caller) + TX, machine.ram(caller) + RX
    assert machine.status(caller, function, tx, rx, 1) == 0
    assert machine.status(caller, function, tx, rx, 1) == DENIED
    assert machine.status(caller, UNMAP) == 0
    assert machine.status(caller, UNMAP) == INVALID
    assert machine.status(caller, function, rx, tx, 1) == 0


@pytest.mark.parametrize("caller", BOTH)
@pytest.mark.parametrize(
    ("tx", "rx", "pages"),
    [
        (TX + 1, RX, 1),
        (TX, RX + 0x800, 1),
        (TX, RX, 0),
        (TX, RX, 2),
        (TX, TX, 1),
        (-0x1000_0000_0000, RX, 1),
        (TX, 0x3000_0000, 1),
    ],
)
def test_buffers_that_cannot_be(machine: Standing, caller: int, tx: int, rx: int, pages: int) -> None:
    """Misaligned, of no or too many pages, on top of each other, or outside the caller's memory."""
    ram = machine.ram(caller)
    assert machine.status(caller, MAP, ram + tx & (1 << 64) - 1, ram + rx, pages) == INVALID
    assert machine.status(caller, UNMAP) == INVALID


def test_the_normal_world_has_no_buffers_in_secure_memory(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, MAP, machine.page(SP1), NORMAL_RAM + RX, 1) == INVALID
    assert machine.status(HYPERVISOR, MAP, NORMAL_RAM + TX, machine.page(SP1), 1) == INVALID


def test_a_partition_has_no_buffers_in_anothers_memory(machine: Standing) -> None:
    assert machine.status(SP1, MAP, machine.page(SP1), machine.page(SP2), 1) == INVALID


@pytest.mark.parametrize("kind", list(Kind))
def test_no_buffer_lies_in_memory_that_was_sent(machine: Standing, kind: Kind) -> None:
    """Filling RX would write to what another one may have by now; also after a donation was retrieved."""
    machine.map_buffers(VM1, SP1)
    sent = machine.sent(kind)
    assert machine.status(HYPERVISOR, UNMAP) == 0
    where = (machine.page(VM1), NORMAL_RAM + RX, 1)
    assert machine.status(HYPERVISOR, MAP, *where) == DENIED
    assert machine.retrieve(SP1, sent, RW if kind is Kind.SHARE else RW_NX) == 0
    assert machine.status(HYPERVISOR, MAP, *where) == DENIED
    if kind is not Kind.DONATE:
        assert machine.relinquish(SP1, sent) == 0
        assert machine.reclaim(VM1, sent) == 0
        assert machine.status(HYPERVISOR, MAP, *where) == 0


def test_a_partitions_buffers_are_not_in_memory_it_shares(machine: Standing) -> None:
    machine.map_buffers(SP1)
    machine.sent(owner=SP1, to=(SP2,))
    assert machine.status(SP1, UNMAP) == 0
    assert machine.status(SP1, MAP, machine.page(SP1), machine.ram(SP1) + RX, 1) == DENIED


@pytest.mark.parametrize("caller", BOTH)
def test_release_takes_an_rx_that_is_full(machine: Standing, caller: int) -> None:
    assert machine.status(caller, RELEASE) == DENIED
    machine.map_buffers(caller)
    assert machine.status(caller, RELEASE) == DENIED
    assert machine.status(caller, Function.PARTITION_INFO_GET) == 0
    assert machine.status(caller, RELEASE) == 0
    assert machine.status(caller, RELEASE) == DENIED


def test_release_returns_to_the_partition(machine: Standing) -> None:
    machine.map_buffers(SP1)
    machine.enter(SP1)
    assert status(machine.raw(SP1, Function.PARTITION_INFO_GET)) == 0
    assert machine.raw(SP1, RELEASE)[0] == Function.SUCCESS_32
    machine.respond(SP1)


def test_only_the_physical_instance_names_a_vm(machine: Standing) -> None:
    machine.map_buffers(HYPERVISOR, SP1)
    assert machine.status(SP1, UNMAP, SP1 << 16) == INVALID
    assert machine.status(HYPERVISOR, UNMAP, VM1 << 16) == INVALID
    assert machine.status(HYPERVISOR, UNMAP, VM1) == INVALID
    assert machine.status(HYPERVISOR, UNMAP) == 0


def test_unmapping_forgets_what_rx_held(machine: Standing) -> None:
    machine.map_buffers(HYPERVISOR)
    assert machine.status(HYPERVISOR, Function.PARTITION_INFO_GET) == 0
    assert machine.status(HYPERVISOR, UNMAP) == 0
    machine.map_buffers(HYPERVISOR)
    assert machine.status(HYPERVISOR, Function.PARTITION_INFO_GET) == 0


# --- fragments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", BOTH)
def test_fragments_without_a_transfer(machine: Standing, caller: int) -> None:
    machine.map_buffers(caller)
    for function in (Function.MEM_FRAG_TX, Function.MEM_FRAG_RX):
        assert machine.status(caller, function, 1, 0, 16) == INVALID
        assert machine.status(caller, function, 0xDEAD, 0, 0) == INVALID
    assert machine.status(caller, UNMAP) == 0


def long_send(machine: Standing, owner: int, receiver: int, count: int = COUNT) -> bytes:
    """A lend of every other page."""
    step = 2 if owner == VM1 else 1
    pieces = tuple(Range(machine.page(owner, step * n), 1) for n in range(count))
    access = (EndpointAccess(receiver, RW, composite=Composite(pieces)),)
    return pack(MemoryRegion(owner, access, UNSPECIFIED), V1_2)


def begin(machine: Standing, data: bytes, function: int = Function.MEM_LEND_32, total: int | None = None) -> list[int]:
    """The first page of a descriptor."""
    machine.write(NORMAL_RAM + TX, data[:PAGE])
    return machine.call(VM1, function, len(data) if total is None else total, min(len(data), PAGE))


def go_on(machine: Standing, sent: int, piece: bytes, sender: int = VM1) -> list[int]:
    machine.write(NORMAL_RAM + TX, piece)
    return machine.call(VM1, Function.MEM_FRAG_TX, *handle_words(sent), len(piece), sender << 16)


def test_a_lend_of_300_ranges_in_fragments(machine: Standing) -> None:
    """As many ranges as the descriptor has; the answer comes out in fragments as well."""
    machine.map_buffers(VM1, SP1)
    data = long_send(machine, VM1, SP1)
    answer = begin(machine, data)
    sent = handle_of(answer[1], answer[2])
    assert answer[:4] == [Function.MEM_FRAG_RX, *handle_words(sent), PAGE]
    answer = go_on(machine, sent, data[PAGE:])
    assert handle(answer) == sent
    reply = machine.retrieve_response(SP1, sent, RW_NX)
    assert reply[0] == Function.MEM_RETRIEVE_RESP
    total, first = reply[1:3]
    assert (total, first) == (len(data), PAGE)
    whole = machine.read(machine.ram(SP1) + RX, PAGE)
    assert machine.status(SP1, Function.MEM_FRAG_RX, *handle_words(sent), PAGE) == BUSY
    assert machine.status(SP1, RELEASE) == 0
    assert machine.status(SP1, Function.MEM_FRAG_RX, *handle_words(sent), PAGE + 16) == INVALID
    reply = machine.call(SP1, Function.MEM_FRAG_RX, *handle_words(sent), PAGE)
    assert reply[:4] == [Function.MEM_FRAG_TX, *handle_words(sent), total - PAGE]
    region = parse_retrieve(whole + machine.read(machine.ram(SP1) + RX, total - PAGE), V1_2)
    assert region.composite is not None
    assert len(region.composite.ranges) == COUNT
    assert all(machine.entry(SP1, piece.address) for piece in region.composite.ranges)
    assert machine.entry(SP1, machine.page(VM1, 1)) is None


def test_bad_fragments_change_nothing_and_the_right_one_may_follow(machine: Standing) -> None:
    machine.map_buffers(VM1)
    data = long_send(machine, VM1, SP1)
    answer = begin(machine, data)
    sent = handle_of(answer[1], answer[2])
    assert status(go_on(machine, sent + 1, data[PAGE:])) == INVALID
    assert status(go_on(machine, sent, data[PAGE:] + bytes(16))) == INVALID
    assert status(go_on(machine, sent, data[PAGE:], sender=2)) == INVALID
    assert status(begin(machine, data)) == BUSY
    assert machine.manager.table.records == {}
    assert handle(go_on(machine, sent, data[PAGE:])) == sent


@pytest.mark.parametrize(("total", "fragment"), [(0, 0), (PAGE, PAGE + 1), (96, 97), (96, 0)])
def test_lengths_that_cannot_be(machine: Standing, total: int, fragment: int) -> None:
    machine.map_buffers(VM1)
    assert machine.status(VM1, Function.MEM_SHARE_32, total, fragment) == INVALID


@pytest.mark.parametrize("receiver", [0x9999, 0x8004])
def test_a_whole_descriptor_is_judged_like_one_that_came_at_once(machine: Standing, receiver: int) -> None:
    """Unknown receivers, and pages that wrap, are found at the end of the last fragment; the place is free again."""
    machine.map_buffers(VM1)
    for data in (long_send(machine, VM1, receiver), long_send(machine, VM1, SP1)[:-16] + b"\xff" * 12 + bytes(4)):
        answer = begin(machine, data)
        sent = handle_of(answer[1], answer[2])
        assert status(go_on(machine, sent, data[PAGE:])) == INVALID
    assert (machine.manager.table.records, machine.manager.table.reserved) == ({}, set())


def test_unmapping_ends_a_transfer_and_frees_its_place(machine: Standing) -> None:
    """RXTX_UNMAP of a partition in the middle of a descriptor: no fragment may follow."""
    machine.map_buffers(SP1)
    composite = Composite((Range(machine.page(SP1), 1),))
    region = MemoryRegion(SP1, (EndpointAccess(SP2, RW, composite=composite),), NORMAL_WB_ISH)
    data = pack(region, V1_2)
    machine.write(machine.ram(SP1) + TX, data)
    answer = machine.call(SP1, Function.MEM_SHARE_32, len(data), 64)
    assert answer[0] == Function.MEM_FRAG_RX
    assert machine.manager.table.reserved == {handle_of(answer[1], answer[2])}
    assert machine.status(SP1, UNMAP) == 0
    assert machine.manager.table.reserved == set()
    machine.map_buffers(SP1)
    assert machine.status(SP1, Function.MEM_FRAG_TX, *answer[1:3], len(data) - 64) == INVALID
    assert status(machine.send_bytes(SP1, Function.MEM_SHARE_32, data)) == 0


def test_unmapping_ends_the_transfers_of_the_normal_worlds_vms(machine: Standing) -> None:
    machine.map_buffers(VM1)
    answer = begin(machine, long_send(machine, VM1, SP1))
    assert machine.status(HYPERVISOR, UNMAP) == 0
    assert machine.manager.table.reserved == set()
    machine.map_buffers(VM1)
    assert machine.status(VM1, Function.MEM_FRAG_TX, *answer[1:3], 16, VM1 << 16) == INVALID
    assert status(machine.send()) == 0


def test_a_hypervisor_gives_a_transfer_up_by_a_fragment_of_no_bytes(machine: Standing) -> None:
    machine.map_buffers(VM1)
    answer = begin(machine, long_send(machine, VM1, SP1))
    sent = handle_of(answer[1], answer[2])
    assert status(go_on(machine, sent, b"")) == INVALID
    assert machine.manager.table.reserved == set()
    assert status(begin(machine, long_send(machine, VM1, SP1))) == 0


def test_two_vms_send_at_the_same_time(machine: Standing) -> None:
    """Transfers are told apart by the VM that the hypervisor relays for."""
    machine.map_buffers(VM1)
    first = long_send(machine, VM1, SP1)
    pieces = tuple(Range(NORMAL_RAM + PAGES + (2 * n + 1) * PAGE, 1) for n in range(COUNT))
    second = pack(MemoryRegion(2, (EndpointAccess(SP2, OPEN, composite=Composite(pieces)),)), V1_2)
    one = begin(machine, first)
    two = begin(machine, second, Function.MEM_DONATE_32)
    one_handle, two_handle = handle_of(*one[1:3]), handle_of(*two[1:3])
    assert one_handle != two_handle
    assert handle(go_on(machine, two_handle, second[PAGE:], sender=2)) == two_handle
    assert handle(go_on(machine, one_handle, first[PAGE:])) == one_handle
    records = machine.manager.table.records
    assert [(records[each].owner, records[each].kind) for each in (one_handle, two_handle)] == [
        (VM1, Kind.LEND),
        (2, Kind.DONATE),
    ]
