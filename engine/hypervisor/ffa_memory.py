"""Memory transactions of VMs whose borrowers may be in the secure world: recorded on both sides, decided by both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.ffa.abi import PAGE_SIZE, Function
from engine.ffa.descriptors import MemoryRegion, parse_send_head
from engine.ffa.errors import Code, FfaError, require_allowed, require_valid
from engine.ffa.fragments import Incoming
from engine.ffa.ranges import Range
from engine.ffa.returning import ReclaimPlan
from engine.ffa.sending import SendPlan
from engine.ffa.transactions import HYPERVISOR_HANDLE, Borrower, BorrowerState, Kind, Transaction
from engine.hypervisor.ffa_endpoints import Relay, VmEndpoint
from engine.hypervisor.ffa_secure import SecureClient, goes_there
from engine.manager.endpoint import Call
from engine.manager.memory_calls import KINDS, MemoryCalls

if TYPE_CHECKING:
    from engine.hypervisor.vcpu import Vcpu


class RelayedMemory(MemoryCalls):
    """The relayer's memory calls on a machine with a secure world.

    The handle of such a transaction is the SPMC's. Each manager knows how far its own borrowers got: here those in the
    secure world stay "offered", and the SPMC refuses a reclaim while one of them has the pages.
    """

    def __init__(self, relay: Relay, secure: SecureClient) -> None:
        super().__init__(relay)
        self._relay = relay
        self._secure = secure
        self._begun: set[int] = set()
        """Handles of sends whose constituents the SPMC waits for."""

    def announce(self, request: Call, region: MemoryRegion, plan: SendPlan) -> SendPlan:
        record = plan.transaction
        if not _secure_borrowers(record):
            return plan
        space = request.endpoint.space
        if record.handle in self._table.reserved:
            require_valid(not record.handle & HYPERVISOR_HANDLE, "the first fragment does not name all receivers")
            ranges = tuple(_run(space.physical([piece])) for piece in record.ranges)
            self._begun.discard(record.handle)
            self._secure.finish(request.vcpu, record.handle, ranges, request.caller)
            return plan
        ranges = _runs(space.physical(record.ranges))
        handle = self._secure.send(request.vcpu, record.kind, region, ranges)
        return replace(plan, transaction=replace(record, handle=handle))

    def reserve(self, request: Call, first: bytes) -> int:
        """The SPMC's handle where the first fragment names one of its partitions, else one of ours."""
        head = parse_send_head(first, request.endpoint.version)
        if head is None or not any(goes_there(entry.endpoint) for entry in head.region.access):
            return super().reserve(request, first)
        require_allowed(head.region.sender == request.caller, "the sender is not the caller")
        handle = self._secure.begin(request.vcpu, KINDS[Function(request.args[0])], head)
        self._table.reserved.add(handle)
        self._begun.add(handle)
        return handle

    def release(self, incoming: Incoming) -> None:
        """A send in fragments failed or was given up: the SPMC need not wait for the rest."""
        super().release(incoming)
        if incoming.handle in self._begun:
            self._begun.discard(incoming.handle)
            vcpu = self._relay.endpoints[incoming.sender].vm.vcpus[0]
            self._secure.give_up(vcpu, incoming.handle, incoming.sender)

    def before_reclaim(self, request: Call, plan: ReclaimPlan) -> None:
        record = plan.transaction
        if not _secure_borrowers(record):
            return
        try:
            self._secure.reclaim(request.vcpu, record.handle, int(plan.zero))
        except FfaError as refused:
            if refused.code is Code.INVALID_PARAMETERS:
                self._table.replace(record.handle, None)  # a donation that was retrieved: nobody's record any more
            raise

    def check_room(self, vcpu: Vcpu) -> None:
        """Make room: nobody tells the hypervisor when a donation is retrieved, or an ended VM's memory given back."""
        for record in list(self._table.records.values()):
            if record.kind is Kind.DONATE and _secure_borrowers(record):
                if not self._secure.knows(vcpu, record.handle):
                    self._table.replace(record.handle, None)
            elif record.orphaned and any(borrower.has_access for borrower in _secure_borrowers(record)):
                self._collect(vcpu, record)

    def _collect(self, vcpu: Vcpu, record: Transaction) -> None:
        """An ended VM's memory is its again once no partition has it, and no VM either."""
        try:
            self._secure.reclaim(vcpu, record.handle, 0)
        except FfaError:
            return
        for borrower in _secure_borrowers(record):
            left = replace(borrower, state=BorrowerState.RELINQUISHED, granted=None)
            record = record.with_borrower(left)
        if record.in_use:
            self._table.replace(record.handle, record)
            return
        self._restore(record)
        self._table.replace(record.handle, None)

    def teardown(self, endpoint: VmEndpoint) -> None:  # type: ignore[override]
        """What partitions still hold of an ended VM stays theirs until they give it back; the rest comes back."""
        for record in self._table.owned_by(endpoint.id):
            if _secure_borrowers(record) and not record.orphaned:
                self._end(endpoint, record)
        super().teardown(endpoint)
        self.check_room(endpoint.vm.vcpus[0])

    def _end(self, endpoint: VmEndpoint, record: Transaction) -> None:
        try:
            self._secure.reclaim(endpoint.vm.vcpus[0], record.handle, 0)
        except FfaError:
            for borrower in _secure_borrowers(record):
                held = replace(borrower, state=BorrowerState.RETRIEVED, granted=borrower.offered)
                record = record.with_borrower(held)
            self._table.replace(record.handle, record)


def _secure_borrowers(record: Transaction) -> list[Borrower]:
    return [borrower for borrower in record.borrowers if goes_there(borrower.endpoint)]


def _run(pages: Sequence[int]) -> Range:
    """The pages of one constituent, which must be one on the board as well: the SPMC was told how many will come."""
    require_allowed(pages[-1] - pages[0] == (len(pages) - 1) * PAGE_SIZE, "a range in pieces on the board")
    return Range(pages[0], len(pages))


def _runs(pages: Iterable[int]) -> tuple[Range, ...]:
    """Physical pages as ranges."""
    runs: list[Range] = []
    for page in pages:
        if runs and runs[-1].end == page:
            runs[-1] = Range(runs[-1].address, runs[-1].pages + 1)
        else:
            runs.append(Range(page, 1))
    return tuple(runs)
