"""RELINQUISH, RECLAIM and teardown (DEN0140 v1.2, 2.6, 2.7)."""

from __future__ import annotations

import copy

import pytest

from engine.ffa.errors import Code, FfaError
from engine.ffa.memory import Permissions
from engine.ffa.relinquish import Relinquish
from engine.ffa.returning import check_reclaim, check_relinquish, commit_reclaim, commit_teardown, plan_teardown
from engine.ffa.sending import OwnerPages
from engine.ffa.transactions import BorrowerState, Kind, TransactionTable
from tests.unit.engine.ffa.sharing import (
    OWNER,
    RANGES,
    RO,
    RW_NX,
    VM2,
    VM3,
    new_table,
    region,
    relinquish,
    request,
    retrieve,
    send,
)

INV, DEN = Code.INVALID_PARAMETERS, Code.DENIED


def retrieved(kind: Kind = Kind.SHARE) -> tuple[TransactionTable, int]:
    table = new_table()
    handle = send(table, region(kind), kind)
    retrieve(table, request(handle, permissions=RW_NX) if kind is Kind.LEND else request(handle))
    return table, handle


@pytest.mark.parametrize(
    ("endpoints", "offset", "flags", "caller", "kind", "code"),
    [
        ((VM2, VM3), 0, 0, VM2, Kind.SHARE, INV),
        ((), 0, 0, VM2, Kind.SHARE, INV),
        ((VM3,), 0, 0, VM2, Kind.SHARE, INV),
        ((VM2,), 1, 0, VM2, Kind.SHARE, INV),
        ((VM3,), 0, 0, VM3, Kind.SHARE, INV),
        ((VM2,), 0, 4, VM2, Kind.LEND, INV),
        ((VM2,), 0, 1, VM2, Kind.SHARE, INV),
    ],
    ids=["two", "none", "id != caller", "bad handle", "not a borrower", "reserved flags", "zero on share"],
)
def test_relinquish_row(
    endpoints: tuple[int, ...], offset: int, flags: int, caller: int, kind: Kind, code: Code
) -> None:
    table, handle = retrieved(kind)
    before = copy.deepcopy(table)
    with pytest.raises(FfaError) as refused:
        check_relinquish(table, Relinquish(handle + offset, endpoints, flags), caller)
    assert refused.value.code is code
    assert table == before


def test_relinquish_needs_a_retrieval() -> None:
    table = new_table()
    handle = send(table, region())
    with pytest.raises(FfaError) as refused:
        relinquish(table, handle)
    assert refused.value.code is INV


def test_zero_with_read_only_access_is_denied() -> None:
    table = new_table()
    handle = send(table, region(Kind.LEND, permissions=RO), Kind.LEND)
    retrieve(table, request(handle, permissions=Permissions(RO.data, RW_NX.instruction)))
    with pytest.raises(FfaError) as refused:
        relinquish(table, handle, flags=1)
    assert refused.value.code is DEN


def test_relinquish_says_what_to_unmap_and_clear() -> None:
    table, handle = retrieved(Kind.LEND)
    plan = check_relinquish(table, Relinquish(handle, (VM2,), 1), VM2)
    assert (plan.ranges, plan.zero, plan.ends) == (RANGES, True, False)
    assert plan.transaction.borrowers[0].state is BorrowerState.RELINQUISHED
    assert plan.transaction.borrowers[0].ranges == ()


def test_zero_after_waits_for_the_last_borrower() -> None:
    """RETRIEVE_REQ flag bit 2: clearing must not be seen by borrowers that still have the pages."""
    table = new_table()
    handle = send(table, region(Kind.LEND, (VM2, VM3)), Kind.LEND)
    retrieve(table, request(handle, (VM2,), flags=1 << 10 | 4))
    retrieve(table, request(handle, (VM3,), flags=1 << 10), VM3)
    assert not relinquish(table, handle)
    assert relinquish(table, handle, VM3)
    retrieve(table, request(handle, (VM3,), flags=1 << 10), VM3)
    assert not relinquish(table, handle, VM3)


def test_asking_for_clearing_outlasts_a_second_retrieval() -> None:
    table = new_table()
    handle = send(table, region(Kind.LEND, (VM2, VM3)), Kind.LEND)
    for caller in (VM2, VM3):
        retrieve(table, request(handle, (VM2, VM3)), caller)
    assert not relinquish(table, handle, VM2, flags=1)
    retrieve(table, request(handle, (VM2, VM3)), VM2)
    assert not relinquish(table, handle, VM3)
    assert relinquish(table, handle, VM2)


@pytest.mark.parametrize(
    ("offset", "flags", "caller", "code"),
    [(1, 0, OWNER, INV), (0, 0, VM2, INV), (0, 4, OWNER, INV), (0, 0, OWNER, DEN)],
    ids=["unknown handle", "not owner", "reserved flags", "a borrower still has it"],
)
def test_reclaim_row(offset: int, flags: int, caller: int, code: Code) -> None:
    table, handle = retrieved()
    before = copy.deepcopy(table)
    with pytest.raises(FfaError) as refused:
        check_reclaim(table, handle + offset, flags, caller)
    assert refused.value.code is code
    assert table == before


@pytest.mark.parametrize("kind", list(Kind))
def test_reclaim_before_any_retrieval(kind: Kind) -> None:
    table = new_table()
    plan = check_reclaim(table, send(table, region(kind), kind), 1, OWNER)
    assert (plan.zero, plan.transaction.ranges) == (True, RANGES)
    commit_reclaim(table, plan)
    assert not table.records
    assert table.tied_ranges(OWNER) == ()


def test_reclaim_with_clearing_needs_write_access() -> None:
    table = new_table()
    handle = send(table, region(permissions=RO), pages=OwnerPages(writable=False))
    with pytest.raises(FfaError) as refused:
        check_reclaim(table, handle, 1, OWNER)
    assert refused.value.code is DEN


def test_reclaim_after_relinquish() -> None:
    table, handle = retrieved()
    relinquish(table, handle)
    commit_reclaim(table, check_reclaim(table, handle, 0, OWNER))
    assert not table.records


def test_end_of_a_borrower_returns_what_it_had() -> None:
    table, handle = retrieved()
    plan = plan_teardown(table, VM2)
    assert [left.ranges for left in plan.relinquished] == [RANGES]
    commit_teardown(table, plan)
    commit_reclaim(table, check_reclaim(table, handle, 0, OWNER))


def test_end_of_an_owner_frees_unused_pages_and_orphans_the_rest() -> None:
    table, used = retrieved()
    unused = send(table, region(ranges=((RANGES[0]._replace(address=0x1000)),)))
    plan = plan_teardown(table, OWNER)
    assert [record.handle for record in plan.reclaimed] == [unused]
    assert [record.handle for record in plan.orphaned] == [used]
    commit_teardown(table, plan)
    with pytest.raises(FfaError) as refused:
        check_reclaim(table, used, 0, OWNER)
    assert refused.value.code is INV
    assert check_relinquish(table, Relinquish(used, (VM2,)), VM2).ends
    relinquish(table, used)
    assert not table.records


def test_nobody_retrieves_from_a_dead_owner() -> None:
    table = new_table()
    handle = send(table, region(receivers=(VM2, VM3)))
    retrieve(table, request(handle, (VM2,), flags=1 << 10))
    commit_teardown(table, plan_teardown(table, OWNER))
    with pytest.raises(FfaError) as refused:
        retrieve(table, request(handle, (VM3,), flags=1 << 10), VM3)
    assert refused.value.code is INV
