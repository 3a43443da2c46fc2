"""MEM_RETRIEVE_REQ and its response: what a borrower may have (DEN0140 v1.2, 2.4, 2.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.ffa.abi import is_secure
from engine.ffa.descriptors import EndpointAccess, MemoryRegion
from engine.ffa.errors import Code, FfaError, require_allowed, require_valid
from engine.ffa.flags import KIND_MASK, KIND_SHIFT, NON_RETRIEVAL_BORROWER, RETRIEVE_FLAGS, RegionFlag
from engine.ffa.memory import NS, Attributes, Data, Instruction, MemoryType, Permissions
from engine.ffa.ranges import Composite, Range, overlap
from engine.ffa.transactions import Borrower, BorrowerState, Kind, Transaction, TransactionTable

_HINT = 0b1_1111 << 5


@dataclass(frozen=True, slots=True)
class RetrievePlan:
    """An accepted retrieval, to commit after the pages are in the borrower's map."""

    transaction: Transaction
    """As it will be; a donation ends with it."""
    borrower: Borrower
    """Permissions granted, and the addresses where the pages go."""
    attributes: Attributes
    """What to map with; bit 6 says Non-secure."""
    flags: RegionFlag
    """As the borrower asked."""

    @property
    def ends(self) -> bool:
        """Whether the record is gone after the commit: a donated region belongs to its receiver."""
        return self.transaction.kind is Kind.DONATE


def check_retrieve(table: TransactionTable, request: MemoryRegion, caller: int) -> RetrievePlan:
    """Whether `caller` may have what it asks for; raises FfaError and changes nothing."""
    record = table.get(request.handle)
    _check_flags(record, request)
    require_valid(request.tag == record.tag, "tag differs from the sender's")
    require_allowed(request.sender == record.owner, "sender is not the owner")
    entry, borrower = _find_entry(record, request, caller)
    for other in request.access:
        _check_entry(record, other, caller)
    granted = _grant(record, borrower, entry)
    _check_zero(record, request, granted)
    attributes = _check_attributes(record, request.attributes)
    require_allowed(not borrower.has_access, "already retrieved")
    ranges = _place(table, record, entry)
    zero_after = borrower.zero_after or bool(request.flags & RegionFlag.ZERO_AFTER)
    changed = replace(borrower, state=BorrowerState.RETRIEVED, granted=granted, ranges=ranges, zero_after=zero_after)
    return RetrievePlan(record.with_borrower(changed), changed, attributes, RegionFlag(request.flags))


def commit_retrieve(table: TransactionTable, plan: RetrievePlan) -> None:
    """Record an accepted retrieval."""
    table.replace(plan.transaction.handle, None if plan.ends else plan.transaction)


def response(plan: RetrievePlan, ns_bit: bool) -> MemoryRegion:
    """The descriptor of RETRIEVE_RESP for the borrower's RX buffer.

    `ns_bit` says whether the borrower understands the NS bit: from v1.1 on, or by FEATURES with bit 1.
    """
    record, borrower = plan.transaction, plan.borrower
    permissions = borrower.granted or borrower.offered
    entry = EndpointAccess(borrower.endpoint, permissions, 0, borrower.impdef, Composite(borrower.ranges))
    flags = record.kind << KIND_SHIFT | record.flags & RegionFlag.ZERO
    attributes = plan.attributes if ns_bit else Attributes(plan.attributes.raw & ~NS)
    return MemoryRegion(record.owner, (entry,), attributes, flags, record.handle, record.tag)


def _check_flags(record: Transaction, request: MemoryRegion) -> None:
    flags = request.flags
    require_valid(not record.orphaned, "the owner is gone")
    require_valid(not flags & ~RETRIEVE_FLAGS, f"reserved flags in 0x{flags:x}")
    kind = flags >> KIND_SHIFT & KIND_MASK
    require_valid(kind in (0, record.kind), f"transaction is {record.kind.name}, not type {kind}")
    require_valid(not flags & _HINT, "alignment hints are not supported")


def _find_entry(record: Transaction, request: MemoryRegion, caller: int) -> tuple[EndpointAccess, Borrower]:
    """The caller's entry and record. The list must be the sender's, or the caller alone with the bypass flag."""
    asked = [entry.endpoint for entry in request.access]
    if request.flags & RegionFlag.BYPASS_BORROWERS:
        require_valid(len(record.borrowers) > 1, "bypass flag with a single borrower")
        require_valid(asked == [caller], "bypass flag needs a list of the caller alone")
    else:
        expected = sorted(borrower.endpoint for borrower in record.borrowers)
        require_valid(sorted(asked) == expected, "receivers are not those the sender named")
    entry, borrower = request.entry(caller), record.borrower(caller)
    if entry is None or borrower is None:
        raise FfaError(Code.INVALID_PARAMETERS, f"0x{caller:x} is not a receiver")
    return entry, borrower


def _check_entry(record: Transaction, entry: EndpointAccess, caller: int) -> None:
    """Rules for each entry, the caller's and those of other borrowers."""
    allowed = 0 if entry.endpoint == caller else NON_RETRIEVAL_BORROWER
    require_valid(not entry.flags & ~allowed, f"flags of the entry of 0x{entry.endpoint:x}")
    require_valid(entry.permissions.well_formed, f"permissions of the entry of 0x{entry.endpoint:x}")
    require_valid(entry.composite is None or entry.endpoint == caller, "addresses for another borrower")
    borrower = record.borrower(entry.endpoint)
    require_valid(borrower is not None and entry.impdef == borrower.impdef, "implementation defined bytes differ")
    if borrower is not None:
        _grant(record, borrower, entry)


def _grant(record: Transaction, borrower: Borrower, entry: EndpointAccess) -> Permissions:
    """Permissions for an entry: data no wider than offered, instruction access only for a single borrower."""
    asked, offered = entry.permissions, borrower.offered
    require_allowed(asked.data <= offered.data, "data access wider than offered")
    data = offered.data if asked.data is Data.UNSPECIFIED else asked.data
    if not record.single:
        require_valid(asked.instruction is Instruction.UNSPECIFIED, "instruction access of shared memory is not to set")
        return Permissions(data, Instruction.NX)
    require_valid(asked.instruction is not Instruction.UNSPECIFIED, "instruction access must be set")
    runs = asked.instruction is Instruction.X
    from_normal_world = record.attributes.non_secure and is_secure(borrower.endpoint)
    require_valid(not (runs and from_normal_world), "an SP cannot execute Non-secure memory")
    require_allowed(asked.instruction <= offered.instruction, "instruction access wider than offered")
    return Permissions(data, asked.instruction)


def _check_zero(record: Transaction, request: MemoryRegion, granted: Permissions) -> None:
    zero, zero_after = request.flags & RegionFlag.ZERO, request.flags & RegionFlag.ZERO_AFTER
    require_valid(not (zero or zero_after) or record.kind is not Kind.SHARE, "shared memory cannot be cleared")
    require_allowed(not zero or record.flags & RegionFlag.ZERO, "the sender did not ask for clearing")
    require_allowed(not (zero or zero_after) or granted.data is Data.RW, "clearing memory that is read-only")


def _check_attributes(record: Transaction, asked: Attributes) -> Attributes:
    """What to map with: the sender's attributes, or weaker ones that the borrower asks for."""
    require_valid(asked.well_formed and not asked.non_secure, f"attributes 0x{asked.raw:x}")
    if asked.type is MemoryType.UNSPECIFIED:
        return record.attributes
    sent = Attributes(record.attributes.raw & ~NS)
    require_allowed(asked.within(sent), f"{asked} is more than {sent}")
    return Attributes(asked.raw | record.attributes.raw & NS)


def _place(table: TransactionTable, record: Transaction, entry: EndpointAccess) -> tuple[Range, ...]:
    """Where the borrower gets the pages: at the owner's addresses, or where it wants them."""
    if entry.composite is None:
        ranges = record.ranges
    else:
        require_valid(table.policy.borrower_addresses, "the manager chooses the addresses")
        require_valid(entry.composite.pages == record.pages, f"{entry.composite.pages} pages for {record.pages}")
        ranges = entry.composite.ranges
    tied = overlap(ranges, table.tied_ranges(entry.endpoint))
    require_allowed(tied is None, f"{tied} is part of another transaction")
    return ranges
