"""A table and requests that tests of memory transactions start from."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ffa.descriptors import NO_IMPDEF, EndpointAccess, MemoryRegion
from engine.ffa.memory import NORMAL_WB_ISH, UNSPECIFIED, Attributes, Data, Instruction, Permissions
from engine.ffa.ranges import Composite, Range
from engine.ffa.relinquish import Relinquish
from engine.ffa.retrieving import check_retrieve, commit_retrieve
from engine.ffa.returning import check_relinquish, commit_relinquish
from engine.ffa.sending import OwnerPages, check_send, commit_send
from engine.ffa.transactions import HYPERVISOR_HANDLE, Kind, TransactionTable

OWNER, VM2, VM3, SP1 = 1, 2, 3, 0x8001
ENDPOINTS = frozenset({OWNER, VM2, VM3, SP1, 0x8002})
RANGES = (Range(0x5000_0000, 2), Range(0x5001_0000, 1))
RW, RO, OPEN = Permissions(Data.RW), Permissions(Data.RO), Permissions(Data.UNSPECIFIED)
RW_NX = Permissions(Data.RW, Instruction.NX)
PAGES = OwnerPages()


def new_table(capacity: int = 16) -> TransactionTable:
    return TransactionTable(HYPERVISOR_HANDLE, capacity)


def region(
    kind: Kind = Kind.SHARE,
    receivers: Sequence[int] = (VM2,),
    permissions: Permissions | None = None,
    ranges: tuple[Range, ...] = RANGES,
    sender: int = OWNER,
    attributes: Attributes | None = None,
    flags: int = 0,
    impdef: bytes = NO_IMPDEF,
    tag: int = 7,
    handle: int = 0,
    entry_flags: int = 0,
) -> MemoryRegion:
    """A send that is right for its kind unless told otherwise."""
    single = kind is not Kind.SHARE and len(receivers) == 1
    chosen = permissions or (OPEN if kind is Kind.DONATE else RW)
    access = tuple(EndpointAccess(r, chosen, entry_flags, impdef, Composite(ranges)) for r in receivers)
    default = UNSPECIFIED if single else NORMAL_WB_ISH
    return MemoryRegion(sender, access, attributes if attributes is not None else default, flags, handle, tag)


def send(table: TransactionTable, sent: MemoryRegion, kind: Kind = Kind.SHARE, pages: OwnerPages = PAGES) -> int:
    return commit_send(table, check_send(table, sent, kind, sent.sender, ENDPOINTS, pages))


def request(
    handle: int,
    receivers: Sequence[int] = (VM2,),
    permissions: Permissions = OPEN,
    flags: int = 0,
    tag: int = 7,
    sender: int = OWNER,
    attributes: Attributes = UNSPECIFIED,
    impdef: bytes = NO_IMPDEF,
    entry_flags: int = 0,
    composite: Composite | None = None,
) -> MemoryRegion:
    """A retrieve request for a share; lends to one borrower and donations must say NX or X."""
    access = tuple(EndpointAccess(r, permissions, entry_flags, impdef, composite) for r in receivers)
    return MemoryRegion(sender, access, attributes, flags, handle, tag)


def retrieve(table: TransactionTable, asked: MemoryRegion, caller: int = VM2) -> None:
    commit_retrieve(table, check_retrieve(table, asked, caller))


def relinquish(table: TransactionTable, handle: int, caller: int = VM2, flags: int = 0) -> bool:
    plan = check_relinquish(table, Relinquish(handle, (caller,), flags), caller)
    commit_relinquish(table, plan)
    return plan.zero
