"""Memory of the normal world sent to partitions, by the entries of their secure tables (DEN0140 v1.2).

The SPMC has no tables of the normal world: what its senders keep is for their hypervisor to decide.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.paging import S2AP, PageState
from engine.ffa.abi import Function
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.memory import NORMAL_WB_ISH
from engine.ffa.ranges import Composite, Range
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_2
from tests.unit.engine.spmc.standing import (
    ADDRESS,
    OPEN,
    OPEN_NX,
    PAGE,
    RW,
    RW_NX,
    RX,
    SP1,
    SP2,
    SP3,
    TX,
    VM1,
    VM2,
    Standing,
    handle,
    status,
    wish,
)

INVALID, DENIED, NO_MEMORY = Code.INVALID_PARAMETERS, Code.DENIED, Code.NO_MEMORY
KINDS = list(Kind)
BORROWED = (S2AP.READ_WRITE, PageState.SHARED_BORROWED, False)
OWN = (S2AP.READ_WRITE, PageState.OWNED, False)


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    made = Standing(tmp_path)
    made.map_buffers(VM1, SP1, SP2, SP3)
    return made


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("receiver", [SP1, SP2, SP3])
@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_share_and_lend_from_send_to_reclaim(machine: Standing, kind: Kind, receiver: int, wide: bool) -> None:
    """The page is in the receiver's tables from RETRIEVE to RELINQUISH, read-write, not to execute, borrowed."""
    page = machine.page(VM1)
    sent = machine.sent(kind, to=(receiver,), wide=wide)
    assert machine.entry(receiver, page) is None
    assert machine.retrieve(receiver, sent, wish(kind)) == 0
    assert machine.shown(receiver, page) == BORROWED
    entry = machine.entry(receiver, page)
    assert entry is not None
    assert entry & ADDRESS == page
    assert all(machine.entry(other, page) is None for other in (SP1, SP2, SP3) if other != receiver)
    assert machine.reclaim(VM1, sent) == DENIED
    assert machine.relinquish(receiver, sent) == 0
    assert machine.entry(receiver, page) is None
    assert machine.reclaim(VM1, sent) == 0
    assert machine.reclaim(VM1, sent) == INVALID
    assert machine.manager.table.records == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pages", [3, 64])
def test_regions_of_several_pages(machine: Standing, kind: Kind, pages: int) -> None:
    sent = machine.sent(kind, ranges=(Range(machine.page(VM1), pages),))
    answer = machine.retrieve_response(SP1, sent, wish(kind))
    region = machine.response(SP1, answer)
    assert region.composite is not None
    assert (region.composite.pages, region.handle, region.sender) == (pages, sent, VM1)
    shown = [machine.shown(SP1, machine.page(VM1, n)) for n in range(pages + 1)]
    assert shown == [OWN if kind is Kind.DONATE else BORROWED] * pages + [None]
    assert machine.status(SP1, Function.RX_RELEASE) == 0
    if kind is not Kind.DONATE:
        assert machine.relinquish(SP1, sent) == 0
        assert machine.reclaim(VM1, sent) == 0


@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_as_many_ranges_as_the_descriptor_holds(machine: Standing, count: int) -> None:
    """None is dropped."""
    ranges = tuple(Range(machine.page(VM1, 3 * n), 1 + n % 2) for n in range(count))
    sent = machine.sent(ranges=ranges)
    assert machine.retrieve(SP1, sent) == 0
    mapped = [machine.page(VM1, n) for n in range(3 * count) if machine.entry(SP1, machine.page(VM1, n))]
    assert mapped == [piece.address + PAGE * n for piece in ranges for n in range(piece.pages)]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("receiver", [SP1, SP2])
def test_a_donation_is_for_ever(machine: Standing, receiver: int, wide: bool) -> None:
    """Its record is free as soon as it was retrieved: nobody relinquishes or reclaims it, nor retrieves it again."""
    sent = machine.sent(Kind.DONATE, to=(receiver,), wide=wide)
    assert machine.retrieve(receiver, sent, OPEN_NX) == 0
    assert machine.shown(receiver, machine.page(VM1)) == OWN
    assert machine.manager.table.records == {}
    assert machine.reclaim(VM1, sent) == INVALID
    assert machine.relinquish(receiver, sent) == INVALID
    assert machine.retrieve(receiver, sent, OPEN_NX) == INVALID
    assert machine.shown(receiver, machine.page(VM1)) == OWN


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_donated_cannot_be_sent_again(machine: Standing, kind: Kind) -> None:
    assert machine.retrieve(SP1, machine.sent(Kind.DONATE), RW_NX) == 0
    assert status(machine.send(kind, to=(SP2,))) == DENIED


def test_a_donation_nobody_retrieved_can_be_taken_back(machine: Standing) -> None:
    sent = machine.sent(Kind.DONATE)
    assert machine.reclaim(VM1, sent) == 0
    assert status(machine.send()) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_retrieving_twice_is_refused(machine: Standing, kind: Kind) -> None:
    sent = machine.sent(kind)
    assert machine.retrieve(SP1, sent, wish(kind)) == 0
    assert machine.retrieve(SP1, sent, wish(kind)) == (INVALID if kind is Kind.DONATE else DENIED)


def test_a_region_may_be_retrieved_again_after_it_was_relinquished(machine: Standing) -> None:
    sent = machine.sent()
    for _ in range(3):
        assert machine.retrieve(SP1, sent) == 0
        assert machine.relinquish(SP1, sent) == 0
    assert machine.reclaim(VM1, sent) == 0


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_relinquish_without_retrieve(machine: Standing, kind: Kind) -> None:
    """INVALID_PARAMETERS (DEN0140 v1.2, 2.6), and nothing is lost: the owner reclaims."""
    sent = machine.sent(kind)
    assert machine.relinquish(SP1, sent) == INVALID
    assert machine.retrieve(SP1, sent, wish(kind)) == 0
    assert machine.relinquish(SP1, sent) == 0
    assert machine.relinquish(SP1, sent) == INVALID
    assert machine.reclaim(VM1, sent) == 0


@pytest.mark.parametrize("wrong", [0xDEAD, 0, 1 << 63 | 1, (1 << 64) - 1])
def test_handles_that_are_nobodys(machine: Standing, wrong: int) -> None:
    assert machine.reclaim(VM1, wrong) == INVALID
    assert machine.retrieve(SP1, wrong) == INVALID
    assert machine.relinquish(SP1, wrong) == INVALID


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_another_partitions_region(machine: Standing, kind: Kind) -> None:
    """SP2 can neither retrieve nor relinquish what SP1 was sent; SP1 can all the time."""
    sent = machine.sent(kind)
    for receivers in ((SP2,), (SP1,), (SP1, SP2)):
        assert machine.retrieve(SP2, sent, wish(kind), to=receivers) in (INVALID, DENIED)
    assert machine.entry(SP2, machine.page(VM1)) is None
    assert machine.retrieve(SP1, sent, wish(kind)) == 0
    assert machine.relinquish(SP2, sent) == INVALID
    assert machine.shown(SP1, machine.page(VM1)) == BORROWED
    assert machine.relinquish(SP1, sent) == 0


def test_interleaved_shares_with_two_partitions(machine: Standing) -> None:
    first = machine.sent(to=(SP1,), ranges=(Range(machine.page(VM1, 0), 1),))
    second = machine.sent(to=(SP2,), ranges=(Range(machine.page(VM1, 1), 1),))
    assert first != second
    assert machine.retrieve(SP2, second) == 0
    assert machine.retrieve(SP1, first) == 0
    assert machine.relinquish(SP1, second) == INVALID
    assert machine.relinquish(SP1, first) == 0
    assert machine.reclaim(VM1, first) == 0
    assert machine.reclaim(VM1, second) == DENIED
    assert machine.shown(SP2, machine.page(VM1, 1)) == BORROWED
    assert machine.relinquish(SP2, second) == 0
    assert machine.reclaim(VM1, second) == 0


# --- limits ------------------------------------------------------------------------------------------------


def test_thirteen_shares_and_three_donations(machine: Standing) -> None:
    """Donations that were retrieved hold no place: sixteen shares fit beside them, the next is NO_MEMORY."""
    for number in range(3):
        sent = machine.sent(Kind.DONATE, ranges=(Range(machine.page(VM1, number), 1),))
        assert machine.retrieve(SP1, sent, RW_NX) == 0
    handles = [machine.sent(ranges=(Range(machine.page(VM1, 10 + n), 1),)) for n in range(13)]
    handles += [machine.sent(ranges=(Range(machine.page(VM1, 30 + n), 1),)) for n in range(3)]
    assert len(set(handles)) == 16
    assert status(machine.send(ranges=(Range(machine.page(VM1, 50), 1),))) == NO_MEMORY
    assert [machine.reclaim(VM1, each) for each in handles] == [0] * 16
    assert status(machine.send(ranges=(Range(machine.page(VM1, 50), 1),))) == 0


def test_donations_that_wait_hold_their_places(machine: Standing) -> None:
    for number in range(3):
        machine.sent(Kind.DONATE, ranges=(Range(machine.page(VM1, number), 1),))
    for number in range(13):
        machine.sent(ranges=(Range(machine.page(VM1, 10 + number), 1),))
    assert status(machine.send(ranges=(Range(machine.page(VM1, 30), 1),))) == NO_MEMORY


def test_the_machine_file_says_how_many_transactions(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1, max_transactions=2)
    machine.map_buffers(VM1)
    found = [status(machine.send(ranges=(Range(machine.page(VM1, n), 1),))) for n in range(3)]
    assert found == [0, 0, NO_MEMORY]


@pytest.mark.parametrize("most", [1, 2])
def test_the_machine_file_says_how_many_receivers(tmp_path: Path, most: int) -> None:
    machine = Standing(tmp_path, max_receivers=most)
    machine.map_buffers(VM1)
    assert status(machine.send(to=(SP1, SP2, SP3)[:most])) == 0
    assert status(machine.send(to=(SP1, SP2, SP3), ranges=(Range(machine.page(VM1, 5), 1),))) == INVALID


# --- several receivers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_one_transaction_for_three_partitions(machine: Standing, kind: Kind) -> None:
    """RECLAIM has to wait for the last of them."""
    receivers = (SP1, SP2, SP3)
    sent = machine.sent(kind, to=receivers)
    for receiver in receivers:
        assert machine.retrieve(receiver, sent, to=receivers) == 0
        assert machine.shown(receiver, machine.page(VM1)) == BORROWED
    for receiver in receivers:
        assert machine.reclaim(VM1, sent) == DENIED
        assert machine.relinquish(receiver, sent) == 0
        assert machine.entry(receiver, machine.page(VM1)) is None
    assert machine.reclaim(VM1, sent) == 0


def test_a_receiver_may_retrieve_without_knowing_the_others(machine: Standing) -> None:
    """By the bypass flag; without it the list has to be the sender's."""
    sent = machine.sent(to=(SP1, SP2))
    assert machine.retrieve(SP2, sent) == INVALID
    assert machine.retrieve(SP2, sent, flags=1 << 10) == 0
    assert machine.retrieve(SP3, sent, flags=1 << 10) == INVALID


# --- who calls ---------------------------------------------------------------------------------------------


def test_the_hypervisor_speaks_for_its_vms_but_not_for_partitions(machine: Standing) -> None:
    assert handle(machine.send(owner=VM2))
    composite = Composite((Range(machine.page(VM1, 5), 1),))
    region = MemoryRegion(SP2, (EndpointAccess(SP1, RW, composite=composite),), NORMAL_WB_ISH)
    assert status(machine.send_bytes(VM1, Function.MEM_SHARE_32, pack(region, V1_2))) == DENIED


def test_the_normal_world_cannot_reclaim_what_a_partition_owns(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,))
    assert machine.reclaim(VM1, sent) == INVALID
    assert sent in machine.manager.table.records


def test_a_partition_cannot_reclaim_what_a_vm_owns(machine: Standing) -> None:
    sent = machine.sent()
    assert machine.reclaim(SP1, sent) == INVALID
    assert machine.reclaim(VM1, sent) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_hypervisors_retrieve_tells_and_maps_nothing(machine: Standing, kind: Kind) -> None:
    """The whole record into its own RX, as the owner sent it; the borrower has not retrieved it yet."""
    sent = machine.sent(kind, ranges=(Range(machine.page(VM1), 3),))
    region = machine.response(VM1, machine.retrieve_response(VM1, sent, OPEN, to=(SP1,)))
    assert region.composite == Composite((Range(machine.page(VM1), 3),))
    assert [(each.endpoint, each.permissions) for each in region.access] == [(SP1, OPEN if kind is Kind.DONATE else RW)]
    assert machine.entry(SP1, machine.page(VM1)) is None
    assert machine.read(machine.ram(SP1) + RX, 64) == bytes(64)
    assert machine.status(VM1, Function.RX_RELEASE) == 0
    assert machine.retrieve(SP1, sent, wish(kind)) == 0


def test_the_hypervisor_does_not_look_into_the_secure_world(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,))
    assert machine.retrieve(VM1, sent, OPEN, owner=SP1, to=(SP2,)) == INVALID


def test_the_normal_world_relinquishes_nothing(machine: Standing) -> None:
    """It is nobody's borrower, and cannot give back in a partition's name."""
    sent = machine.sent()
    assert machine.retrieve(SP1, sent) == 0
    machine.write(
        machine.ram(VM1) + TX, sent.to_bytes(8, "little") + bytes(4) + b"\1\0\0\0" + SP1.to_bytes(2, "little")
    )
    assert machine.status(VM1, Function.MEM_RELINQUISH) == INVALID
    assert machine.shown(SP1, machine.page(VM1)) == BORROWED


@pytest.mark.parametrize("bits", [4, 1 << 31])
def test_reserved_flags_of_reclaim_and_relinquish(machine: Standing, bits: int) -> None:
    sent = machine.sent(Kind.LEND)
    assert machine.reclaim(VM1, sent, flags=bits) == INVALID
    assert machine.retrieve(SP1, sent, RW_NX) == 0
    assert machine.relinquish(SP1, sent, flags=bits) == INVALID
    assert machine.relinquish(SP1, sent) == 0
    assert machine.reclaim(VM1, sent) == 0
