"""MEM_RELINQUISH, MEM_RECLAIM and the end of an endpoint: how pages come back (DEN0140 v1.2, 2.6, 2.7)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.ffa.errors import Code, FfaError, require_allowed, require_valid
from engine.ffa.flags import RELINQUISH_FLAGS, RelinquishFlag
from engine.ffa.memory import Data
from engine.ffa.ranges import Range
from engine.ffa.relinquish import Relinquish
from engine.ffa.transactions import Borrower, BorrowerState, Kind, Transaction, TransactionTable


@dataclass(frozen=True, slots=True)
class RelinquishPlan:
    """An accepted relinquish, to commit after the pages left the borrower's map."""

    transaction: Transaction
    """As it will be."""
    endpoint: int
    ranges: tuple[Range, ...]
    """What to unmap, in the borrower's addresses."""
    zero: bool
    """Clear the pages once they are unmapped: nobody has them any more, and a borrower asked for it."""

    @property
    def ends(self) -> bool:
        """Whether the record is gone after the commit: the owner died and no borrower is left."""
        return self.transaction.orphaned and not self.transaction.in_use


@dataclass(frozen=True, slots=True)
class ReclaimPlan:
    """An accepted reclaim, to commit after the pages are the owner's again."""

    transaction: Transaction
    zero: bool
    """Clear the pages before the owner gets them."""


@dataclass(frozen=True, slots=True)
class TeardownPlan:
    """What the end of an endpoint does to the transactions it takes part in."""

    endpoint: int
    relinquished: tuple[RelinquishPlan, ...]
    """Pages it had borrowed, to unmap from it."""
    reclaimed: tuple[Transaction, ...]
    """Its own transactions that nobody uses: the records end and the pages are free."""
    orphaned: tuple[Transaction, ...]
    """Its own transactions that borrowers still use: they end with the last relinquish."""


def check_relinquish(table: TransactionTable, request: Relinquish, caller: int) -> RelinquishPlan:
    """Whether `caller` may give the pages back; raises FfaError and changes nothing."""
    require_valid(request.endpoints == (caller,), "the list must name the caller alone")
    record = table.get(request.handle)
    borrower = record.borrower(caller)
    if borrower is None or not borrower.has_access:
        raise FfaError(Code.INVALID_PARAMETERS, f"0x{caller:x} has not retrieved 0x{request.handle:x}")
    require_valid(not request.flags & ~RELINQUISH_FLAGS, f"flags 0x{request.flags:x}")
    zero = bool(request.flags & RelinquishFlag.ZERO)
    require_valid(not zero or record.kind is not Kind.SHARE, "shared memory cannot be cleared")
    writable = borrower.granted is not None and borrower.granted.data is Data.RW
    require_allowed(not zero or writable, "clearing memory that is read-only")
    return _relinquish(record, borrower, zero)


def commit_relinquish(table: TransactionTable, plan: RelinquishPlan) -> None:
    """Record an accepted relinquish."""
    table.replace(plan.transaction.handle, None if plan.ends else plan.transaction)


def _relinquish(record: Transaction, borrower: Borrower, zero: bool) -> RelinquishPlan:
    left = replace(
        borrower,
        state=BorrowerState.RELINQUISHED,
        granted=None,
        ranges=(),
        zero_after=borrower.zero_after or zero,
    )
    after = record.with_borrower(left)
    due = after.zero_due
    if due:
        after = replace(after, borrowers=tuple(replace(each, zero_after=False) for each in after.borrowers))
    return RelinquishPlan(after, borrower.endpoint, borrower.ranges, due)


def check_reclaim(table: TransactionTable, handle: int, flags: int, caller: int) -> ReclaimPlan:
    """Whether `caller` may have its pages back; raises FfaError and changes nothing."""
    record = table.get(handle)
    require_valid(record.owner == caller and not record.orphaned, f"0x{caller:x} is not the owner")
    require_valid(not flags & ~RELINQUISH_FLAGS, f"flags 0x{flags:x}")
    require_allowed(not record.in_use, "a borrower still has the pages")
    zero = bool(flags & RelinquishFlag.ZERO)
    require_allowed(not zero or record.owner_writable, "clearing memory that is read-only")
    return ReclaimPlan(record, zero)


def commit_reclaim(table: TransactionTable, plan: ReclaimPlan) -> None:
    """End the transaction of an accepted reclaim."""
    table.replace(plan.transaction.handle, None)


def plan_teardown(table: TransactionTable, endpoint: int) -> TeardownPlan:
    """What to undo when an endpoint is destroyed or aborts; nobody can refuse it."""
    left = [
        _relinquish(record, borrower, False)
        for record in table.borrowed_by(endpoint)
        if (borrower := record.borrower(endpoint)) is not None and borrower.has_access
    ]
    own = [record for record in table.owned_by(endpoint) if not record.orphaned]
    return TeardownPlan(
        endpoint,
        tuple(left),
        tuple(record for record in own if not record.in_use),
        tuple(replace(record, orphaned=True) for record in own if record.in_use),
    )


def commit_teardown(table: TransactionTable, plan: TeardownPlan) -> None:
    """Record what a teardown did."""
    for left in plan.relinquished:
        commit_relinquish(table, left)
    for record in plan.reclaimed:
        table.replace(record.handle, None)
    for record in plan.orphaned:
        table.replace(record.handle, record)
