"""What the SPMC refuses to take from the normal world, and what partitions may do with what it took (DEN0140 v1.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.paging import S2AP, PageState
from engine.ffa.abi import Function
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.memory import NORMAL_WB_ISH, NS, UNSPECIFIED
from engine.ffa.ranges import Composite, Range
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_0, V1_1, V1_2
from tests.unit.engine.spmc.standing import (
    ADDRESS,
    HYPERVISOR,
    NOBODY,
    OPEN,
    PAGE,
    RO,
    RO_NX,
    RW,
    RW_NX,
    RW_X,
    RX,
    SP1,
    SP2,
    SP3,
    TX,
    VM1,
    VM2,
    Standing,
    status,
    wish,
)

INVALID, DENIED = Code.INVALID_PARAMETERS, Code.DENIED
KINDS = list(Kind)


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    made = Standing(tmp_path)
    made.map_buffers(VM1, SP1, SP2, SP3)
    return made


def refused(machine: Standing, code: Code, *ranges: Range, kind: Kind = Kind.SHARE) -> None:
    assert status(machine.send(kind, ranges=ranges)) == code
    assert machine.manager.table.records == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("receiver", [NOBODY, 0x8004, 0x8000, 0xFFFF])
def test_receivers_that_do_not_exist(machine: Standing, kind: Kind, receiver: int) -> None:
    assert status(machine.send(kind, to=(receiver,))) == INVALID
    assert status(machine.send(Kind.SHARE, to=(SP1, receiver))) == INVALID


@pytest.mark.parametrize("to", [(), (SP1, SP1), (VM1,), (SP1, VM1)])
def test_receivers_that_cannot_be(machine: Standing, to: tuple[int, ...]) -> None:
    """Nobody, somebody twice, and the sender itself."""
    if to:
        assert status(machine.send(to=to)) == INVALID
        return
    region = MemoryRegion(VM1, (), NORMAL_WB_ISH)
    assert status(machine.send_bytes(VM1, Function.MEM_SHARE_32, pack(region, V1_2))) == INVALID


def test_a_donation_has_one_receiver(machine: Standing) -> None:
    assert status(machine.send(Kind.DONATE, to=(SP1, SP2))) == INVALID


@pytest.mark.parametrize("kind", KINDS)
def test_misaligned_addresses(machine: Standing, kind: Kind) -> None:
    refused(machine, INVALID, Range(machine.page(VM1) + 1, 1), kind=kind)
    refused(machine, INVALID, Range(machine.page(VM1) + 0x800, 1), kind=kind)
    refused(machine, INVALID, Range(machine.page(VM1), 1), Range(machine.page(VM1, 4) + 8, 1), kind=kind)


@pytest.mark.parametrize("pages", [0, 65_537, 100_000, 0xFFFF_FFFF])
def test_page_counts_that_the_memory_does_not_have(machine: Standing, pages: int) -> None:
    refused(machine, INVALID, Range(machine.page(VM1), pages))


@pytest.mark.parametrize("address", [0xFFFF_FFFF_FFFF_F000, 0xFFFF_FFFF_0000_0000, 0x7FFF_FFFF_FFFF_F000])
@pytest.mark.parametrize("pages", [1, 2, 0x10_0000])
def test_addresses_that_wrap(machine: Standing, address: int, pages: int) -> None:
    refused(machine, INVALID, Range(address, pages))


@pytest.mark.parametrize("kind", KINDS)
def test_secure_memory_is_not_the_normal_worlds_to_send(machine: Standing, kind: Kind) -> None:
    refused(machine, INVALID, Range(machine.page(SP2), 1), kind=kind)
    refused(machine, INVALID, Range(machine.page(VM1), 1), Range(machine.page(SP2), 1), kind=kind)
    refused(machine, INVALID, Range(0x0900_0000, 1), kind=kind)


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_a_page_is_in_one_transaction(machine: Standing, first: Kind, second: Kind) -> None:
    machine.sent(first, ranges=(Range(machine.page(VM1, 2), 2),))
    assert status(machine.send(second, to=(SP2,), ranges=(Range(machine.page(VM1, 3), 2),))) == DENIED
    assert status(machine.send(second, to=(SP2,), ranges=(Range(machine.page(VM1, 4), 2),))) == 0


def test_ranges_that_overlap_and_totals_that_lie(machine: Standing) -> None:
    refused(machine, INVALID, Range(machine.page(VM1), 2), Range(machine.page(VM1, 1), 1))
    composite = Composite((Range(machine.page(VM1), 2),))
    data = bytearray(pack(MemoryRegion(VM1, (EndpointAccess(SP1, RW, composite=composite),), NORMAL_WB_ISH), V1_2))
    data[-32] = 3
    assert status(machine.send_bytes(VM1, Function.MEM_SHARE_32, bytes(data))) == INVALID


def test_the_buffers_cannot_be_sent(machine: Standing) -> None:
    ram = machine.ram(VM1)
    for offset in (TX, RX):
        assert status(machine.send(ranges=(Range(ram + offset, 1),))) == DENIED


@pytest.mark.parametrize("length", [0, 16, 47, 95])
def test_descriptors_that_are_too_short(machine: Standing, length: int) -> None:
    region = MemoryRegion(VM1, (EndpointAccess(SP1, RW, composite=Composite((Range(machine.page(VM1), 1),))),))
    assert status(machine.send_bytes(VM1, Function.MEM_SHARE_32, pack(region, V1_2)[:length])) == INVALID


def test_without_buffers_there_is_nothing_to_read(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1)
    for caller in (VM1, SP1):
        for function in (Function.MEM_SHARE_32, Function.MEM_LEND_64, Function.MEM_RETRIEVE_REQ_32):
            assert machine.status(caller, function, 96, 96) == INVALID
        assert machine.status(caller, Function.MEM_RELINQUISH) == INVALID


@pytest.mark.parametrize("flags", [2, 4, 8, 0x800, 1 << 31])
@pytest.mark.parametrize("kind", KINDS)
def test_flags_that_no_sender_sets(machine: Standing, kind: Kind, flags: int) -> None:
    assert status(machine.send(kind, flags=flags)) == INVALID


def test_permissions_that_no_sender_sets(machine: Standing) -> None:
    """Instruction access never; data access left open by donations, and only by them."""
    for kind, permissions in (
        (Kind.SHARE, RW_NX),
        (Kind.LEND, RW_X),
        (Kind.SHARE, OPEN),
        (Kind.LEND, OPEN),
        (Kind.DONATE, RW),
    ):
        assert status(machine.send(kind, permissions=permissions)) == INVALID


# --- clearing ----------------------------------------------------------------------------------------------


def test_zero_flag_clears_before_the_borrower_sees_it(machine: Standing) -> None:
    machine.write(machine.page(VM1), b"secret" * 600)
    sent = machine.sent(Kind.LEND, flags=1)
    assert machine.read(machine.page(VM1), PAGE) == bytes(PAGE)
    assert machine.retrieve(SP1, sent, RW_NX, flags=1) == 0


def test_shared_memory_is_not_cleared(machine: Standing) -> None:
    machine.write(machine.page(VM1), b"data")
    assert status(machine.send(flags=1)) == INVALID
    sent = machine.sent()
    assert machine.retrieve(SP1, sent, flags=1) == INVALID
    assert machine.retrieve(SP1, sent) == 0
    assert machine.relinquish(SP1, sent, flags=1) == INVALID
    assert machine.read(machine.page(VM1), 4) == b"data"


@pytest.mark.parametrize("how", ["retrieve", "relinquish", "reclaim"])
def test_clearing_when_memory_comes_back(machine: Standing, how: str) -> None:
    machine.write(machine.page(VM1), b"data")
    sent = machine.sent(Kind.LEND)
    assert machine.retrieve(SP1, sent, RW_NX, flags=4 if how == "retrieve" else 0) == 0
    assert machine.read(machine.page(VM1), 4) == b"data"
    assert machine.relinquish(SP1, sent, flags=1 if how == "relinquish" else 0) == 0
    assert machine.read(machine.page(VM1), 4) == (b"data" if how == "reclaim" else bytes(4))
    assert machine.reclaim(VM1, sent, flags=1 if how == "reclaim" else 0) == 0
    assert machine.read(machine.page(VM1), 4) == bytes(4)


# --- permissions and attributes --------------------------------------------------------------------------------


def test_permissions_are_narrowed_never_widened(machine: Standing) -> None:
    page = machine.page(VM1)
    sent = machine.sent(permissions=RO)
    assert machine.retrieve(SP1, sent, RW) == DENIED
    assert machine.retrieve(SP1, sent, RO) == 0
    assert machine.shown(SP1, page) == (S2AP.READ, PageState.SHARED_BORROWED, False)
    assert machine.relinquish(SP1, sent) == 0
    assert machine.reclaim(VM1, sent) == 0
    sent = machine.sent()
    assert machine.retrieve(SP1, sent, RO) == 0
    assert machine.shown(SP1, page) == (S2AP.READ, PageState.SHARED_BORROWED, False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_partition_never_executes_memory_of_the_normal_world(machine: Standing, kind: Kind) -> None:
    sent = machine.sent(kind)
    assert machine.retrieve(SP1, sent, RW_X) == INVALID
    assert machine.entry(SP1, machine.page(VM1)) is None


def test_a_lone_borrower_says_whether_it_executes_and_sharers_do_not(machine: Standing) -> None:
    shared, lent = machine.sent(), machine.sent(Kind.LEND, ranges=(Range(machine.page(VM1, 1), 1),))
    assert machine.retrieve(SP1, shared, RW_NX) == INVALID
    assert machine.retrieve(SP1, lent, RW) == INVALID
    assert machine.retrieve(SP1, lent, RO_NX) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_response_says_non_secure(machine: Standing, kind: Kind) -> None:
    region = machine.response(SP1, machine.retrieve_response(SP1, machine.sent(kind), wish(kind)))
    assert region.attributes.raw == NORMAL_WB_ISH.raw | NS
    assert region.flags >> 3 == kind


@pytest.mark.parametrize(("version", "bit"), [(0, 0), (1, NS), (2, NS)])
def test_the_ns_bit_is_for_those_who_know_it(tmp_path: Path, version: int, bit: int) -> None:
    machine = Standing(
        tmp_path, count=1, properties={1: {"ffa-version": (0x1_0000 | version,), "messaging-method": (3,)}}
    )
    machine.map_buffers(VM1, SP1)
    region = machine.response(SP1, machine.retrieve_response(SP1, machine.sent()))
    assert region.attributes.raw == NORMAL_WB_ISH.raw | bit


def test_neither_side_sets_the_ns_bit_in_a_request(machine: Standing) -> None:
    composite = Composite((Range(machine.page(VM1), 1),))
    access = (EndpointAccess(SP1, RW, composite=composite),)
    region = MemoryRegion(VM1, access, type(NORMAL_WB_ISH)(NORMAL_WB_ISH.raw | NS))
    assert status(machine.send_bytes(VM1, Function.MEM_SHARE_32, pack(region, V1_2))) == INVALID
    sent = machine.sent()
    wanted = MemoryRegion(VM1, (EndpointAccess(SP1, RW),), type(UNSPECIFIED)(NS), handle=sent)
    assert status(machine.send_bytes(SP1, Function.MEM_RETRIEVE_REQ_32, pack(wanted, V1_2))) == INVALID


def test_a_receiver_must_name_the_owner_and_the_tag(machine: Standing) -> None:
    sent = machine.sent()
    assert machine.retrieve(SP1, sent, owner=VM2) == DENIED
    wanted = MemoryRegion(VM1, (EndpointAccess(SP1, RW),), handle=sent, tag=1)
    assert status(machine.send_bytes(SP1, Function.MEM_RETRIEVE_REQ_32, pack(wanted, V1_2))) == INVALID


def test_a_place_that_is_taken(machine: Standing) -> None:
    """The borrower chose an address where it has something: refused, and nothing is mapped."""
    sent = machine.sent()
    assert machine.retrieve(SP1, sent, ranges=(Range(machine.page(SP1), 1),)) == DENIED
    assert machine.shown(SP1, machine.page(SP1)) == (S2AP.READ_WRITE, PageState.OWNED, True)
    assert machine.retrieve(SP1, sent, ranges=(Range(0x2000_0000, 1),)) == 0
    entry = machine.entry(SP1, 0x2000_0000)
    assert entry is not None
    assert entry & ADDRESS == machine.page(VM1)


@pytest.mark.parametrize("version", [V1_0, V1_1])
def test_an_older_sender_and_a_newer_receiver(tmp_path: Path, version: tuple[int, int]) -> None:
    """Descriptors follow the version of each side."""
    machine = Standing(tmp_path, count=1)
    machine.negotiate(HYPERVISOR, type(V1_0)(*version))
    machine.map_buffers(VM1, SP1)
    sent = machine.sent()
    region = machine.response(SP1, machine.retrieve_response(SP1, sent))
    assert region.composite == Composite((Range(machine.page(VM1), 1),))
