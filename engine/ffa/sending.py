"""MEM_DONATE, MEM_LEND and MEM_SHARE: what an owner may send (DEN0140 v1.2, 2.1-2.3)."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from engine.ffa.abi import is_secure
from engine.ffa.descriptors import EndpointAccess, MemoryRegion
from engine.ffa.errors import Code, FfaError, require, require_allowed, require_valid
from engine.ffa.flags import RegionFlag
from engine.ffa.memory import DEVICE_NGNRNE, NORMAL_WB_ISH, NS, Attributes, Data, Instruction, MemoryType, Permissions
from engine.ffa.ranges import overlap
from engine.ffa.transactions import Borrower, Kind, Transaction, TransactionTable


@dataclass(frozen=True, slots=True)
class OwnerPages:
    """What the owner's own tables say of every page it wants to send."""

    mapped: bool = True
    """All pages are in its map."""
    exclusive: bool = True
    """It owns all of them, and none is shared, lent or borrowed."""
    uniform: bool = True
    """Permissions, type and security are the same everywhere."""
    writable: bool = True
    executable: bool = True
    device: bool = False
    non_secure: bool = True


@dataclass(frozen=True, slots=True)
class SendPlan:
    """An accepted send, to commit after the owner's tables changed."""

    transaction: Transaction
    zero: bool
    """Clear the pages before the commit."""


def check_send(
    table: TransactionTable,
    region: MemoryRegion,
    kind: Kind,
    caller: int,
    endpoints: Container[int],
    pages: OwnerPages,
    handle: int | None = None,
) -> SendPlan:
    """Whether `caller` may send `region`; raises FfaError and changes nothing.

    `endpoints` are the ids the caller may name. `handle` is the reservation of a send that came in fragments.
    """
    require(kind is not Kind.DONATE or table.policy.allow_donate, Code.NOT_SUPPORTED, "donation is switched off")
    require_allowed(region.sender == caller, f"sender 0x{region.sender:x} is not the caller 0x{caller:x}")
    require_valid(region.handle == 0, "handle must be zero")
    _check_receivers(table, region, kind, endpoints)
    _check_flags(region, kind)
    for entry in region.access:
        _check_entry(entry, kind)
    _check_attributes(region, kind)
    _check_pages(table, region, kind, pages)
    if handle is None:
        table.check_room()
    flags = RegionFlag(region.flags)
    return SendPlan(_record(table, region, kind, pages, handle), bool(flags & RegionFlag.ZERO))


def commit_send(table: TransactionTable, plan: SendPlan) -> int:
    """Record an accepted send and return its handle. No other operation may come between check and commit."""
    table.insert(plan.transaction)
    return plan.transaction.handle


def _check_receivers(table: TransactionTable, region: MemoryRegion, kind: Kind, endpoints: Container[int]) -> None:
    receivers = [entry.endpoint for entry in region.access]
    require_valid(0 < len(receivers) <= table.policy.max_receivers, f"{len(receivers)} receivers")
    require_valid(kind is not Kind.DONATE or len(receivers) == 1, "a donation has one receiver")
    require_valid(len(set(receivers)) == len(receivers), "an endpoint is named twice")
    for receiver in receivers:
        require_valid(receiver != region.sender, "the sender names itself")
        require_valid(receiver in endpoints, f"unknown receiver 0x{receiver:x}")
        require_allowed(is_secure(receiver) or not is_secure(region.sender), "an SP sends to a VM")


def _check_flags(region: MemoryRegion, kind: Kind) -> None:
    require_valid(not region.flags & ~int(RegionFlag.ZERO), f"flags 0x{region.flags:x}")
    require_valid(not region.flags or kind is not Kind.SHARE, "shared memory cannot be cleared")


def _check_entry(entry: EndpointAccess, kind: Kind) -> None:
    wanted = entry.permissions
    require_valid(wanted.well_formed and not entry.flags, f"reserved bits in the entry of 0x{entry.endpoint:x}")
    require_valid(wanted.instruction is Instruction.UNSPECIFIED, "the sender sets instruction access")
    left_open = wanted.data is Data.UNSPECIFIED
    require_valid(left_open == (kind is Kind.DONATE), "data access is left open by donations, and only by them")


def _check_attributes(region: MemoryRegion, kind: Kind) -> None:
    attributes = region.attributes
    require_valid(attributes.well_formed and not attributes.non_secure, f"attributes 0x{attributes.raw:x}")
    if _attributes_left_open(region, kind):
        require_valid(attributes.type is MemoryType.UNSPECIFIED, "the single receiver sets the memory type")
    else:
        require_allowed(attributes in (NORMAL_WB_ISH, DEVICE_NGNRNE), f"memory type {attributes}")


def _attributes_left_open(region: MemoryRegion, kind: Kind) -> bool:
    return kind is not Kind.SHARE and len(region.access) == 1


def _check_pages(table: TransactionTable, region: MemoryRegion, kind: Kind, pages: OwnerPages) -> None:
    composite = region.composite
    if composite is None:
        raise FfaError(Code.INVALID_PARAMETERS, "no region is described")
    require_valid(pages.mapped, "a page is not in the sender's map")
    require_allowed(pages.exclusive, "a page is not the sender's alone")
    tied = overlap(composite.ranges, table.tied_ranges(region.sender))
    require_allowed(tied is None, f"{tied} is part of another transaction")
    require_allowed(pages.uniform, "pages differ in attributes")
    require_allowed(not pages.device or (kind is Kind.LEND and len(region.access) == 1), "device memory is lent to one")
    require_allowed(pages.device or region.attributes.type is not MemoryType.DEVICE, "normal memory sent as device")
    widest = max(entry.permissions.data for entry in region.access)
    require_allowed(pages.writable or widest is not Data.RW, "write access that the sender does not have")
    require_allowed(pages.writable or not region.flags & RegionFlag.ZERO, "clearing memory the sender cannot write")


def _record(
    table: TransactionTable, region: MemoryRegion, kind: Kind, pages: OwnerPages, handle: int | None
) -> Transaction:
    composite = region.composite
    attributes = region.attributes
    if attributes.type is MemoryType.UNSPECIFIED:
        attributes = DEVICE_NGNRNE if pages.device else NORMAL_WB_ISH
    single = _attributes_left_open(region, kind)
    return Transaction(
        handle=table.next_handle if handle is None else handle,
        tag=region.tag,
        kind=kind,
        owner=region.sender,
        flags=RegionFlag(region.flags),
        attributes=Attributes(attributes.raw | NS if pages.non_secure else attributes.raw),
        ranges=composite.ranges if composite is not None else (),
        borrowers=tuple(_borrower(entry, single, pages) for entry in region.access),
        owner_writable=pages.writable,
        owner_executable=pages.executable,
    )


def _borrower(entry: EndpointAccess, single: bool, pages: OwnerPages) -> Borrower:
    """A donation offers the owner's own access; only a single borrower of a lent or donated region may execute."""
    data = entry.permissions.data
    if data is Data.UNSPECIFIED:
        data = Data.RW if pages.writable else Data.RO
    runs = single and pages.executable and not pages.device
    offered = Permissions(data, Instruction.X if runs else Instruction.NX)
    return Borrower(entry.endpoint, offered, entry.permissions, entry.impdef)
