"""What partitions may not send each other, and what the receiver may do with the rest (DEN0140 v1.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.paging import S2AP, PageState
from engine.ffa.abi import Function
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.memory import DEVICE_NGNRNE, NORMAL_WB_ISH, UNSPECIFIED, Attributes
from engine.ffa.ranges import Composite, Range
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_2
from tests.unit.engine.spmc.standing import (
    PAGE,
    RO,
    RO_NX,
    RW,
    RW_X,
    RX,
    SP1,
    SP2,
    SP3,
    TX,
    VM1,
    Standing,
    status,
)

INVALID, DENIED, NO_MEMORY = Code.INVALID_PARAMETERS, Code.DENIED, Code.NO_MEMORY
KINDS = list(Kind)
OWNED = (S2AP.READ_WRITE, PageState.OWNED, True)
BORROWED = (S2AP.READ_WRITE, PageState.SHARED_BORROWED, False)


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    made = Standing(tmp_path)
    made.map_buffers(SP1, SP2, SP3, VM1)
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("offset", "pages"),
    [(0, 0), (1, 1), (0x800, 1), (0, 65_537), (0, 0xFFFF_FFFF), (0, 0x61)],
)
def test_pages_that_cannot_be(machine: Standing, kind: Kind, offset: int, pages: int) -> None:
    """None, misaligned ones, and more than the partition's RAM has behind them."""
    assert status(machine.send(kind, SP1, (SP2,), ranges=(Range(machine.page(SP1) + offset, pages),))) == INVALID
    assert machine.shown(SP1, machine.page(SP1)) == OWNED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", [0xFFFF_FFFF_FFFF_F000, 1 << 39, 0x0900_0000, 0x0E10_0000, 0x0E60_0000, 0])
def test_addresses_that_it_does_not_have(machine: Standing, kind: Kind, address: int) -> None:
    """Past the end of addresses, past its stage 2, its device, the SPMC's own RAM and the secure heap."""
    assert status(machine.send(kind, SP1, (SP2,), ranges=(Range(address, 2),))) == INVALID


@pytest.mark.parametrize("kind", KINDS)
def test_one_bad_range_spoils_all(machine: Standing, kind: Kind) -> None:
    good = Range(machine.page(SP1), 2)
    for bad in (Range(machine.page(SP2), 1), Range(machine.page(SP1, 1), 1), Range(machine.page(SP1, 8), 0)):
        assert status(machine.send(kind, SP1, (SP2,), ranges=(good, bad))) == INVALID
    assert machine.shown(SP1, machine.page(SP1)) == OWNED
    assert machine.manager.table.records == {}


def test_the_buffers_cannot_be_sent(machine: Standing) -> None:
    for offset in (TX, RX):
        assert status(machine.send(owner=SP1, to=(SP2,), ranges=(Range(machine.ram(SP1) + offset, 1),))) == DENIED


def test_normal_memory_is_not_sent_as_a_device(machine: Standing) -> None:
    composite = Composite((Range(machine.page(SP1), 1),))
    for attributes, code in ((DEVICE_NGNRNE, DENIED), (Attributes(0x26), DENIED), (UNSPECIFIED, DENIED)):
        region = MemoryRegion(SP1, (EndpointAccess(SP2, RW, composite=composite),), attributes)
        assert status(machine.send_bytes(SP1, Function.MEM_SHARE_32, pack(region, V1_2))) == code
    region = MemoryRegion(SP1, (EndpointAccess(SP2, RW, composite=composite),), NORMAL_WB_ISH)
    assert status(machine.send_bytes(SP1, Function.MEM_LEND_32, pack(region, V1_2))) == INVALID


def test_a_full_table_changes_nothing(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=2, max_transactions=1)
    machine.map_buffers(SP1, SP2)
    first = machine.sent(owner=SP1, to=(SP2,))
    second = (Range(machine.page(SP1, 1), 1),)
    assert status(machine.send(owner=SP1, to=(SP2,), ranges=second)) == NO_MEMORY
    assert machine.shown(SP1, second[0].address) == OWNED
    assert machine.reclaim(SP1, first) == 0
    assert machine.sent(owner=SP1, to=(SP2,), ranges=second) != first


# --- permissions ------------------------------------------------------------------------------------------------


def test_secure_memory_lent_to_one_may_be_executed(machine: Standing) -> None:
    sent = machine.sent(Kind.LEND, SP1, (SP2,))
    assert machine.retrieve(SP2, sent, RW_X, owner=SP1) == 0
    assert machine.shown(SP2, machine.page(SP1)) == (S2AP.READ_WRITE, PageState.SHARED_BORROWED, True)


def test_shared_memory_is_never_executed_by_borrowers(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,))
    assert machine.retrieve(SP2, sent, RW_X, owner=SP1) == INVALID
    assert machine.retrieve(SP2, sent, RW, owner=SP1) == 0
    assert machine.shown(SP2, machine.page(SP1)) == BORROWED


def test_permissions_are_narrowed_never_widened(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,), permissions=RO)
    assert machine.retrieve(SP2, sent, RW, owner=SP1) == DENIED
    assert machine.retrieve(SP2, sent, RO, owner=SP1) == 0
    assert machine.shown(SP2, machine.page(SP1)) == (S2AP.READ, PageState.SHARED_BORROWED, False)


def test_only_who_may_write_clears(machine: Standing) -> None:
    machine.write(machine.page(SP1), b"data")
    sent = machine.sent(Kind.LEND, SP1, (SP2,), permissions=RO)
    assert machine.retrieve(SP2, sent, RO_NX, owner=SP1, flags=4) == DENIED
    assert machine.retrieve(SP2, sent, RO_NX, owner=SP1) == 0
    assert machine.relinquish(SP2, sent, flags=1) == DENIED
    assert machine.relinquish(SP2, sent) == 0
    assert machine.read(machine.page(SP1), 4) == b"data"
    assert machine.reclaim(SP1, sent, flags=1) == 0
    assert machine.read(machine.page(SP1), PAGE) == bytes(PAGE)


def test_the_response_says_secure(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,))
    region = machine.response(SP2, machine.retrieve_response(SP2, sent, owner=SP1))
    assert region.attributes == NORMAL_WB_ISH
    assert not region.attributes.non_secure
    assert (region.sender, region.flags, region.handle) == (SP1, 1 << 3, sent)


def test_the_answer_is_in_the_callers_own_rx(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,))
    rx = {each: machine.read(machine.ram(each) + RX, 128) for each in (VM1, SP1, SP3)}
    answer = machine.retrieve_response(SP2, sent, owner=SP1)
    assert machine.response(SP2, answer).handle == sent
    assert {each: machine.read(machine.ram(each) + RX, 128) for each in (VM1, SP1, SP3)} == rx


def test_a_full_rx_refuses_before_anything_is_mapped(machine: Standing) -> None:
    assert machine.status(SP2, Function.PARTITION_INFO_GET) == 0
    sent = machine.sent(owner=SP1, to=(SP2,))
    assert machine.retrieve(SP2, sent, owner=SP1) == Code.BUSY
    assert machine.entry(SP2, machine.page(SP1)) is None
    assert machine.status(SP2, Function.RX_RELEASE) == 0
    assert machine.retrieve(SP2, sent, owner=SP1) == 0
