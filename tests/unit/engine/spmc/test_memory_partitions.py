"""Memory that partitions send each other, by the entries of both secure stage-2 tables (DEN0140 v1.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.paging import S2AP, PageState
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.memory import NORMAL_WB_ISH, UNSPECIFIED
from engine.ffa.ranges import Composite, Range
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_2
from tests.unit.engine.spmc.standing import (
    ADDRESS,
    NOBODY,
    OPEN,
    RW,
    RW_NX,
    RW_X,
    SENDS,
    SP1,
    SP2,
    SP3,
    VM1,
    Standing,
    handle,
    status,
    wish,
)

INVALID, DENIED = Code.INVALID_PARAMETERS, Code.DENIED
KINDS = list(Kind)
OWNED = (S2AP.READ_WRITE, PageState.OWNED, True)
BORROWED = (S2AP.READ_WRITE, PageState.SHARED_BORROWED, False)
LEFT = {
    Kind.SHARE: (S2AP.READ, PageState.SHARED_OWNED, True),
    Kind.LEND: (S2AP.NONE, PageState.SHARED_OWNED, False),
    Kind.DONATE: (S2AP.NONE, PageState.DONATED, False),
}
"""What the owner's entry says once it sent the page."""


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    made = Standing(tmp_path)
    made.map_buffers(SP1, SP2, SP3, VM1)
    return made


def both(machine: Standing, address: int) -> tuple[object, object]:
    return machine.shown(SP1, address), machine.shown(SP2, address)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_share_and_lend_from_send_to_reclaim(machine: Standing, kind: Kind, wide: bool) -> None:
    page = machine.page(SP1)
    sent = machine.sent(kind, SP1, (SP2,), wide=wide)
    assert both(machine, page) == (LEFT[kind], None)
    assert machine.retrieve(SP2, sent, wish(kind), owner=SP1) == 0
    assert both(machine, page) == (LEFT[kind], BORROWED)
    entry = machine.entry(SP2, page)
    assert entry is not None
    assert entry & ADDRESS == page
    assert machine.reclaim(SP1, sent) == DENIED
    assert machine.relinquish(SP2, sent) == 0
    assert both(machine, page) == (LEFT[kind], None)
    assert machine.reclaim(SP1, sent) == 0
    assert both(machine, page) == (OWNED, None)
    assert machine.reclaim(SP1, sent) == INVALID


@pytest.mark.parametrize("wide", [False, True])
def test_a_donation_moves_the_page(machine: Standing, wide: bool) -> None:
    page = machine.page(SP1)
    sent = machine.sent(Kind.DONATE, SP1, (SP2,), wide=wide)
    assert both(machine, page) == (LEFT[Kind.DONATE], None)
    assert machine.retrieve(SP2, sent, RW_X, owner=SP1) == 0
    assert both(machine, page) == (LEFT[Kind.DONATE], OWNED)
    assert machine.reclaim(SP1, sent) == INVALID
    assert machine.relinquish(SP2, sent) == INVALID
    assert machine.manager.table.records == {}


def test_a_donated_page_is_the_receivers_to_send(machine: Standing) -> None:
    """It goes round by SP2 and SP3, and comes home."""
    page, home = machine.page(SP1), (Range(machine.page(SP1), 1),)
    for giver, taker in ((SP1, SP2), (SP2, SP3), (SP3, SP1)):
        sent = machine.sent(Kind.DONATE, giver, (taker,), ranges=home)
        assert machine.retrieve(taker, sent, RW_X, owner=giver) == 0
    assert [machine.shown(each, page) for each in (SP1, SP2, SP3)] == [OWNED, None, None]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_ones_own_cannot_be_sent(machine: Standing, kind: Kind) -> None:
    """Borrowed pages, and pages already sent or donated: DENIED; others' pages: INVALID_PARAMETERS."""
    pages = [(Range(machine.page(SP1, n), 1),) for n in range(3)]
    for number, first in enumerate(KINDS):
        sent = machine.sent(first, SP1, (SP2,), ranges=pages[number])
        assert machine.retrieve(SP2, sent, wish(first), owner=SP1) == 0
        assert status(machine.send(kind, SP1, (SP3,), ranges=pages[number])) == DENIED
        found = status(machine.send(kind, SP2, (SP3,), ranges=pages[number]))
        assert found == (0 if first is Kind.DONATE else DENIED)
    assert status(machine.send(kind, SP1, (SP2,), ranges=(Range(machine.page(SP3), 1),))) == INVALID
    assert status(machine.send(kind, SP1, (SP2,), ranges=(Range(machine.page(VM1), 1),))) == INVALID


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_memory_borrowed_from_a_vm_is_not_passed_on(machine: Standing, kind: Kind) -> None:
    assert machine.retrieve(SP1, machine.sent(), RW) == 0
    assert status(machine.send(kind, SP1, (SP2,), ranges=(Range(machine.page(VM1), 1),))) == DENIED


def test_memory_donated_by_a_vm_can_be_passed_on_and_stays_non_secure(machine: Standing) -> None:
    assert machine.retrieve(SP1, machine.sent(Kind.DONATE), RW_NX) == 0
    where = (Range(machine.page(VM1), 1),)
    sent = machine.sent(Kind.SHARE, SP1, (SP2,), ranges=where)
    region = machine.response(SP2, machine.retrieve_response(SP2, sent, owner=SP1))
    assert region.attributes.non_secure
    mixed = (*where, Range(machine.page(SP1, 3), 1))
    assert status(machine.send(Kind.SHARE, SP1, (SP3,), ranges=mixed)) == DENIED


@pytest.mark.parametrize(("policy", "kept"), [("read-only", S2AP.READ), ("read-write", S2AP.READ_WRITE)])
def test_what_the_owner_of_shared_memory_keeps(tmp_path: Path, policy: str, kept: S2AP) -> None:
    machine = Standing(tmp_path, count=2, owner_access_on_share=policy)
    machine.map_buffers(SP1)
    machine.sent(owner=SP1, to=(SP2,))
    assert machine.shown(SP1, machine.page(SP1)) == (kept, PageState.SHARED_OWNED, True)


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_three_pages_change_and_no_others(machine: Standing, kind: Kind) -> None:
    sent = machine.sent(kind, SP1, (SP2,), ranges=(Range(machine.page(SP1, 1), 3),))
    assert machine.retrieve(SP2, sent, wish(kind), owner=SP1) == 0
    assert [machine.shown(SP1, machine.page(SP1, n)) for n in range(5)] == [OWNED, *[LEFT[kind]] * 3, OWNED]
    assert [machine.shown(SP2, machine.page(SP1, n)) for n in range(5)] == [None, *[BORROWED] * 3, None]


def test_the_bytes_are_the_same_on_both_sides(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,))
    assert machine.retrieve(SP2, sent, owner=SP1, ranges=(Range(0x3000_0000, 1),)) == 0
    machine.write(machine.page(SP1), b"hello")
    entry = machine.entry(SP2, 0x3000_0000)
    assert entry is not None
    assert machine.read(entry & ADDRESS, 5) == b"hello"


# --- who ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("receiver", [SP1, NOBODY, 0x8004, 0x8000, 0xFFFF])
def test_oneself_and_nobody(machine: Standing, kind: Kind, receiver: int) -> None:
    assert status(machine.send(kind, SP1, (receiver,))) == INVALID
    assert machine.shown(SP1, machine.page(SP1)) == OWNED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vm", [0, 1, 4])
def test_a_partition_sends_nothing_to_a_vm(machine: Standing, kind: Kind, vm: int) -> None:
    assert status(machine.send(kind, SP1, (vm,))) == DENIED
    assert status(machine.send(Kind.SHARE, SP1, (SP2, vm))) == DENIED
    assert machine.shown(SP1, machine.page(SP1)) == OWNED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [SP2, SP3, VM1, 0, NOBODY])
def test_a_partition_sends_in_nobody_elses_name(machine: Standing, kind: Kind, name: int) -> None:
    """Neither its own pages nor those of whom it claims to be."""
    for page in (machine.page(SP1), machine.page(SP2)):
        composite = Composite((Range(page, 1),))
        attributes = NORMAL_WB_ISH if kind is Kind.SHARE else UNSPECIFIED
        permissions = OPEN if kind is Kind.DONATE else RW
        region = MemoryRegion(name, (EndpointAccess(SP3, permissions, composite=composite),), attributes)
        assert status(machine.send_bytes(SP1, SENDS[kind], pack(region, V1_2))) == DENIED
    assert (machine.shown(SP1, machine.page(SP1)), machine.shown(SP2, machine.page(SP2))) == (OWNED, OWNED)


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_only_the_owner_reclaims(machine: Standing, kind: Kind) -> None:
    """The borrower, a third partition and the normal world are told the handle is not theirs (DEN0140 v1.2, 2.7)."""
    sent = machine.sent(kind, SP1, (SP2,))
    assert [machine.reclaim(each, sent) for each in (SP2, SP3, VM1)] == [INVALID] * 3
    assert machine.shown(SP1, machine.page(SP1)) == LEFT[kind]
    assert machine.reclaim(SP1, sent) == 0


def test_only_the_receiver_retrieves_and_relinquishes(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,))
    for receivers in ((SP3,), (SP2,), (SP2, SP3)):
        assert machine.retrieve(SP3, sent, owner=SP1, to=receivers) == INVALID
    assert machine.retrieve(SP1, sent, owner=SP1, to=(SP2,)) == INVALID
    assert machine.retrieve(SP2, sent, owner=SP1) == 0
    assert [machine.relinquish(each, sent) for each in (SP1, SP3)] == [INVALID] * 2
    assert machine.shown(SP2, machine.page(SP1)) == BORROWED


def test_the_receiver_names_the_owner(machine: Standing) -> None:
    sent = machine.sent(owner=SP1, to=(SP2,))
    assert [machine.retrieve(SP2, sent, owner=each) for each in (SP2, SP3, VM1)] == [DENIED] * 3
    assert machine.retrieve(SP2, sent, owner=SP1) == 0


@pytest.mark.parametrize("kind", [Kind.SHARE, Kind.LEND])
def test_retrieving_twice_and_relinquishing_twice(machine: Standing, kind: Kind) -> None:
    sent = machine.sent(kind, SP1, (SP2,))
    assert machine.relinquish(SP2, sent) == INVALID
    assert machine.retrieve(SP2, sent, wish(kind), owner=SP1) == 0
    assert machine.retrieve(SP2, sent, wish(kind), owner=SP1) == DENIED
    assert machine.relinquish(SP2, sent) == 0
    assert machine.relinquish(SP2, sent) == INVALID


@pytest.mark.parametrize("wrong", [0xDEAD, 0, 1 << 63 | 1])
def test_handles_that_are_nobodys(machine: Standing, wrong: int) -> None:
    assert machine.reclaim(SP1, wrong) == INVALID
    assert machine.retrieve(SP2, wrong, owner=SP1) == INVALID
    assert machine.relinquish(SP2, wrong) == INVALID


# --- ends ------------------------------------------------------------------------------------------------------


def test_what_an_aborted_partition_had_goes_back(machine: Standing) -> None:
    """What it lent is its own again where nobody has it; what it borrowed is unmapped, and the lender reclaims."""
    from_sp2 = machine.sent(Kind.LEND, SP2, (SP1,))
    assert machine.retrieve(SP1, from_sp2, RW_NX, owner=SP2) == 0
    to_sp2 = machine.sent(Kind.LEND, SP1, (SP2,))
    to_sp3 = machine.sent(owner=SP1, to=(SP3,), ranges=(Range(machine.page(SP1, 4), 1),))
    assert machine.retrieve(SP3, to_sp3, owner=SP1) == 0
    machine.enter(SP1)
    machine.bench.hypervisor.stop_vm(machine.sp(SP1), machine.sp(SP1).state.CRASHED, "for a test")
    assert machine.entry(SP1, machine.page(SP2)) is None
    assert machine.reclaim(SP2, from_sp2) == 0
    assert machine.retrieve(SP2, to_sp2, RW_NX, owner=SP1) == INVALID
    assert machine.shown(SP3, machine.page(SP1, 4)) == BORROWED
    assert machine.relinquish(SP3, to_sp3) == 0
    assert machine.manager.table.records == {}
    assert machine.shown(SP1, machine.page(SP1, 4)) == OWNED


def test_handles_are_never_used_twice(machine: Standing) -> None:
    seen = set()
    for number in range(20):
        sent = handle(machine.send(owner=(VM1, SP1)[number % 2], to=(SP2,)))
        assert sent not in seen
        assert sent >> 63 == 0
        seen.add(sent)
        assert machine.reclaim((VM1, SP1)[number % 2], sent) == 0
