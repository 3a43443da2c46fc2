"""Memory transactions of VMs whose borrowers may be in the secure world: recorded on both sides, decided by both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.ffa.descriptors import MemoryRegion
from engine.ffa.errors import FfaError, require_allowed
from engine.ffa.ranges import Range
from engine.ffa.returning import ReclaimPlan
from engine.ffa.sending import SendPlan
from engine.ffa.transactions import Borrower, BorrowerState, Transaction
from engine.hypervisor.ffa_endpoints import Relay, VmEndpoint
from engine.hypervisor.ffa_secure import SecureClient, goes_there
from engine.manager.endpoint import Call
from engine.manager.memory_calls import MemoryCalls


class RelayedMemory(MemoryCalls):
    """The relayer's memory calls on a machine with a secure world.

    The handle of such a transaction is the SPMC's. Each manager knows how far its own borrowers got: here those in the
    secure world stay "offered", and the SPMC refuses a reclaim while one of them has the pages.
    """

    def __init__(self, relay: Relay, secure: SecureClient) -> None:
        super().__init__(relay)
        self._relay = relay
        self._secure = secure

    def announce(self, request: Call, region: MemoryRegion, plan: SendPlan) -> SendPlan:
        record = plan.transaction
        if not _secure_borrowers(record):
            return plan
        require_allowed(record.handle not in self._table.reserved, "a descriptor in fragments for the secure world")
        ranges = _runs(request.endpoint.space.physical(record.ranges))
        handle = self._secure.send(request.vcpu, record.kind, region, ranges)
        return replace(plan, transaction=replace(record, handle=handle))

    def before_reclaim(self, request: Call, plan: ReclaimPlan) -> None:
        record = plan.transaction
        if _secure_borrowers(record):
            self._secure.reclaim(request.vcpu, record.handle, int(plan.zero))

    def teardown(self, endpoint: VmEndpoint) -> None:  # type: ignore[override]
        """What partitions still hold of an ended VM stays theirs; the rest comes back."""
        for record in self._table.owned_by(endpoint.id):
            if _secure_borrowers(record) and not record.orphaned:
                self._end(endpoint, record)
        super().teardown(endpoint)

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


def _runs(pages: Iterable[int]) -> tuple[Range, ...]:
    """Physical pages as ranges."""
    runs: list[Range] = []
    for page in pages:
        if runs and runs[-1].end == page:
            runs[-1] = Range(runs[-1].address, runs[-1].pages + 1)
        else:
            runs.append(Range(page, 1))
    return tuple(runs)
