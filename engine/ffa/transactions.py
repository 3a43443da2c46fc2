"""Records of memory transactions: who lent what to whom, and how far each borrower got (DEN0140 v1.2, 1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from engine.ffa.descriptors import MAX_RECEIVERS, NO_IMPDEF
from engine.ffa.errors import Code, FfaError, require
from engine.ffa.flags import RegionFlag
from engine.ffa.memory import Attributes, Permissions
from engine.ffa.ranges import Range, total_pages

HYPERVISOR_HANDLE = 1 << 63
"""Set in handles the hypervisor allocates, clear in the SPMC's (DEN0140 v1.2: memory region handle)."""
DEFAULT_CAPACITY = 16


class Kind(enum.IntEnum):
    """What the owner does with the region; the value of flags [4:3] in a retrieve request or response."""

    SHARE = 1
    LEND = 2
    DONATE = 3


class BorrowerState(enum.Enum):
    """How far a borrower got."""

    OFFERED = "offered"
    RETRIEVED = "retrieved"
    RELINQUISHED = "relinquished"


@dataclass(frozen=True, slots=True)
class Borrower:
    """One endpoint that may use a region."""

    endpoint: int
    offered: Permissions
    """The most it may have: what the owner wrote, with what the rules add."""
    sent: Permissions
    """What the owner wrote."""
    impdef: bytes = NO_IMPDEF
    state: BorrowerState = BorrowerState.OFFERED
    granted: Permissions | None = None
    """What it has; None unless retrieved."""
    ranges: tuple[Range, ...] = ()
    """Where it has the pages, in its own addresses; empty unless retrieved."""
    zero_after: bool = False
    """It asked that the pages be cleared once nobody has them, and they have not been yet."""

    @property
    def has_access(self) -> bool:
        """Whether it has the pages now."""
        return self.state is BorrowerState.RETRIEVED


@dataclass(frozen=True, slots=True)
class Transaction:
    """A region between send and reclaim."""

    handle: int
    tag: int
    kind: Kind
    owner: int
    flags: RegionFlag
    """As sent."""
    attributes: Attributes
    """As sent, or the region's own where the owner had to leave them open; bit 6 says Non-secure."""
    ranges: tuple[Range, ...]
    """In the owner's addresses."""
    borrowers: tuple[Borrower, ...]
    owner_writable: bool = True
    """Whether the owner may write what it sent."""
    owner_executable: bool = True
    """Whether the owner may run what it sent."""
    orphaned: bool = False
    """The owner is gone: nobody may retrieve, and the last borrower to leave ends the record."""

    @property
    def pages(self) -> int:
        """Pages of the region."""
        return total_pages(self.ranges)

    @property
    def single(self) -> bool:
        """Whether one borrower gets it for itself: donated, or lent to one."""
        return self.kind is not Kind.SHARE and len(self.borrowers) == 1

    @property
    def in_use(self) -> bool:
        """Whether a borrower has the pages."""
        return any(borrower.has_access for borrower in self.borrowers)

    def borrower(self, endpoint: int) -> Borrower | None:
        """The record of one borrower."""
        return next((borrower for borrower in self.borrowers if borrower.endpoint == endpoint), None)

    def with_borrower(self, changed: Borrower) -> Transaction:
        """The transaction with one borrower's record replaced."""
        borrowers = (changed if old.endpoint == changed.endpoint else old for old in self.borrowers)
        return replace(self, borrowers=tuple(borrowers))

    @property
    def zero_due(self) -> bool:
        """Whether pages must be cleared now that nobody has them, because a borrower asked for it."""
        return not self.in_use and any(borrower.zero_after for borrower in self.borrowers)


@dataclass(frozen=True, slots=True)
class Policy:
    """Choices that the specification leaves to the manager."""

    max_receivers: int = MAX_RECEIVERS
    allow_donate: bool = True
    """False: MEM_DONATE is NOT_SUPPORTED."""
    borrower_addresses: bool = True
    """Whether a borrower may say where it wants the pages. False: INVALID_PARAMETERS when it does."""


@dataclass(slots=True)
class TransactionTable:
    """All transactions of one manager. Methods that change it cannot fail; `sending` and `receiving` ask first."""

    handle_base: int = 0
    """HYPERVISOR_HANDLE in the NS-EL2 proxy."""
    capacity: int = DEFAULT_CAPACITY
    policy: Policy = Policy()
    records: dict[int, Transaction] = field(default_factory=dict)
    reserved: set[int] = field(default_factory=set)
    """Handles of sends whose fragments still arrive; each holds a place."""
    next_number: int = 1

    @property
    def next_handle(self) -> int:
        """The handle that the next send or reservation gets; handles are never used twice."""
        return self.handle_base | self.next_number

    def get(self, handle: int) -> Transaction:
        """A transaction by handle; INVALID_PARAMETERS where there is none."""
        found = self.records.get(handle)
        if found is None:
            raise FfaError(Code.INVALID_PARAMETERS, f"unknown handle 0x{handle:x}")
        return found

    def check_room(self) -> None:
        """NO_MEMORY where every place is taken."""
        require(len(self.records) + len(self.reserved) < self.capacity, Code.NO_MEMORY, "transaction table is full")

    def reserve(self) -> int:
        """A handle and a place for a send in fragments; `check_room` went before."""
        handle = self.next_handle
        self.next_number += 1
        self.reserved.add(handle)
        return handle

    def release(self, handle: int) -> None:
        """Give up a reservation whose send failed or was abandoned."""
        self.reserved.discard(handle)

    def insert(self, transaction: Transaction) -> None:
        """Record a new transaction under its handle."""
        if transaction.handle in self.reserved:
            self.reserved.remove(transaction.handle)
        else:
            self.next_number += 1
        self.records[transaction.handle] = transaction

    def replace(self, handle: int, after: Transaction | None) -> None:
        """Record a transaction's next state, or its end."""
        if after is None:
            self.records.pop(handle, None)
        else:
            self.records[handle] = after

    def owned_by(self, endpoint: int) -> tuple[Transaction, ...]:
        """Transactions an endpoint started."""
        return tuple(record for record in self.records.values() if record.owner == endpoint)

    def borrowed_by(self, endpoint: int) -> tuple[Transaction, ...]:
        """Transactions that name an endpoint as borrower."""
        return tuple(record for record in self.records.values() if record.borrower(endpoint) is not None)

    def tied_ranges(self, endpoint: int) -> tuple[Range, ...]:
        """Addresses of an endpoint that transactions bind: what it sent, and what it has borrowed."""
        own = (piece for record in self.owned_by(endpoint) for piece in record.ranges)
        borrowed = (b.ranges for r in self.borrowed_by(endpoint) if (b := r.borrower(endpoint)) and b.has_access)
        return (*own, *(piece for ranges in borrowed for piece in ranges))
