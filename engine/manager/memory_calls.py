"""MEM_SHARE, LEND, DONATE, RETRIEVE_REQ, RELINQUISH, RECLAIM and their fragments, between VMs and the stub's SPs.

Each call parses, asks the transaction rules, makes tables, then changes pages and records, which cannot fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.arch.paging import S2AP, PageState
from engine.ffa.abi import PAGE_SIZE, Function, handle_of, handle_words
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack, parse_retrieve, parse_send
from engine.ffa.errors import FfaError, require_valid
from engine.ffa.fragments import Delivery, Incoming, Reassembly
from engine.ffa.mailbox import Filled, RxContent
from engine.ffa.memory import Data, Instruction, Permissions
from engine.ffa.ranges import Composite
from engine.ffa.registers import Result, call, success_32
from engine.ffa.relinquish import LONGEST as LONGEST_RELINQUISH
from engine.ffa.relinquish import Relinquish, parse_relinquish
from engine.ffa.retrieving import RetrievePlan, check_retrieve, commit_retrieve, response
from engine.ffa.returning import (
    ReclaimPlan,
    RelinquishPlan,
    check_reclaim,
    check_relinquish,
    commit_reclaim,
    commit_relinquish,
    commit_teardown,
    plan_teardown,
)
from engine.ffa.sending import SendPlan, check_send, commit_send
from engine.ffa.transactions import Kind, Transaction
from engine.ffa.version import V1_1
from engine.manager import pages
from engine.manager.buffers import buffer_ranges, fill_rx, read_tx
from engine.manager.endpoint import Call, Endpoint, Handlers
from engine.manager.manager import Manager
from engine.manager.pages import Access

if TYPE_CHECKING:
    from engine.hypervisor.vcpu import Vcpu

KINDS = {
    Function.MEM_SHARE_32: Kind.SHARE,
    Function.MEM_SHARE_64: Kind.SHARE,
    Function.MEM_LEND_32: Kind.LEND,
    Function.MEM_LEND_64: Kind.LEND,
    Function.MEM_DONATE_32: Kind.DONATE,
    Function.MEM_DONATE_64: Kind.DONATE,
}
HANDLE_AT = slice(8, 16)
"""Where every version's memory region header keeps the handle."""


class MemoryCalls:
    """The memory transactions of all VMs."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._table = manager.table
        self._incoming = Reassembly()
        self._outgoing = Delivery()

    def handlers(self) -> Handlers:
        """What is served here."""
        served: Handlers = {
            **dict.fromkeys(KINDS, self._descriptor),
            Function.MEM_RETRIEVE_REQ_32: self._descriptor,
            Function.MEM_RETRIEVE_REQ_64: self._descriptor,
            Function.MEM_RELINQUISH: self._relinquish,
            Function.MEM_RECLAIM: self._reclaim,
            Function.MEM_FRAG_TX: self._next_in,
            Function.MEM_FRAG_RX: self._next_out,
        }
        return {function: self._manager.counted(handler) for function, handler in served.items()}

    # --- descriptors, whole or in fragments ------------------------------------------------------

    def _descriptor(self, request: Call) -> Result:
        """A send or a retrieve request: w1 total length, w2 length of the fragment in TX."""
        function, total, fragment = Function(request.args[0]), request.args[1], request.args[2]
        endpoint = request.endpoint
        size = endpoint.mailbox.check_send().size
        sender = self.transfer_of(request)
        more = self._incoming.check_begin(sender, total, fragment, size)
        self._manager.work.sent = data = read_tx(self._manager, endpoint, fragment)
        if not more:
            return self._whole(request, function, data, None)
        if function in KINDS:
            self.check_room(request.vcpu)
            self._table.check_room()
            handle = self.reserve(request, data)
        else:
            require_valid(len(data) >= HANDLE_AT.stop, f"fragment of {fragment} bytes")
            handle = self._table.get(int.from_bytes(data[HANDLE_AT], "little")).handle
        self._incoming.begin(sender, handle, function, total, data)
        return call(Function.MEM_FRAG_RX, *handle_words(handle), len(data))

    def _next_in(self, request: Call) -> Result:
        """FRAG_TX: handle in w1 and w2, length in w3."""
        endpoint, fragment = request.endpoint, request.args[3]
        size = endpoint.mailbox.check_send().size
        handle = handle_of(request.args[1], request.args[2])
        sender = self.transfer_of(request)
        self._incoming.check_append(sender, handle, fragment, size)
        incoming = self._incoming.append(sender, read_tx(self._manager, endpoint, fragment))
        if not incoming.complete:
            return call(Function.MEM_FRAG_RX, *handle_words(handle), len(incoming.data))
        self._manager.work.sent = incoming.data
        try:
            function = Function(incoming.function)
            return self._whole(request, function, incoming.data, handle if function in KINDS else None)
        except FfaError:
            self.release(incoming)
            raise

    def _whole(self, request: Call, function: Function, data: bytes, reserved: int | None) -> Result:
        kind = KINDS.get(function)
        if kind is None:
            return self._retrieve(request.endpoint, data)
        return self._send(request, kind, data, reserved)

    def abandon(self, endpoint: int) -> None:
        """Drop an endpoint's half-done transfers."""
        incoming = self._incoming.abandon(endpoint)
        if incoming is not None:
            self.release(incoming)
        self._outgoing.abandon(endpoint)

    def release(self, incoming: Incoming) -> None:
        if Function(incoming.function) in KINDS:
            self._table.release(incoming.handle)

    # --- sending -----------------------------------------------------------------------------------

    def _send(self, request: Call, kind: Kind, data: bytes, reserved: int | None) -> Result:
        endpoint = request.endpoint
        self.check_room(request.vcpu)
        region = parse_send(data, endpoint.version)
        ranges = region.composite.ranges if region.composite is not None else ()
        buffers = endpoint.mailbox.buffers
        found = endpoint.space.inspect(ranges, () if buffers is None else buffer_ranges(buffers))
        caller = region.sender if endpoint.speaks_for(region.sender) else endpoint.id
        plan = check_send(self._table, region, kind, caller, self._manager.visible(caller), found, reserved)
        make = endpoint.space.plan_access(ranges, self._left_to_owner(plan.transaction))
        plan = self.announce(request, region, plan)
        if plan.zero:
            self._clear(endpoint.space.physical(ranges))
        make()
        handle = commit_send(self._table, plan)
        return success_32(*handle_words(handle))

    def check_room(self, _vcpu: Vcpu) -> None:
        """Called before a new record is made: a chance to drop those that are over."""

    def transfer_of(self, request: Call) -> int:
        """Whose descriptor it is that comes in fragments."""
        return request.caller

    def reserve(self, _request: Call, _first: bytes) -> int:
        """The handle of a send whose first fragment came; `check_room` went before. Raises FfaError."""
        return self._table.reserve()

    def announce(self, _request: Call, _region: MemoryRegion, plan: SendPlan) -> SendPlan:
        """The last step that may refuse a send: a relayer tells the other world here. Raises FfaError."""
        return plan

    def before_reclaim(self, _request: Call, _plan: ReclaimPlan) -> None:
        """The last step that may refuse a reclaim. Raises FfaError."""

    def _clear(self, physical: Sequence[int]) -> None:
        pages.zero_pages(self._manager.memory, physical)
        self._manager.work.cleared += len(physical) * PAGE_SIZE

    def _left_to_owner(self, record: Transaction) -> Access:
        """What the owner keeps: of shared memory what the machine file says, of anything else nothing."""
        if record.kind is Kind.DONATE:
            return Access(S2AP.NONE, False, PageState.DONATED)
        if record.kind is Kind.LEND:
            return Access(S2AP.NONE, False, PageState.SHARED_OWNED)
        keeps = self._manager.owner_keeps_writing and record.owner_writable
        return Access(S2AP.READ_WRITE if keeps else S2AP.READ, record.owner_executable, PageState.SHARED_OWNED)

    # --- retrieving ----------------------------------------------------------------------------------

    def _retrieve(self, endpoint: Endpoint, data: bytes) -> Result:
        request = parse_retrieve(data, endpoint.version)
        plan = check_retrieve(self._table, request, endpoint.id)
        answer = pack(response(plan, endpoint.version >= V1_1), endpoint.version)
        self._outgoing.check_begin(endpoint.id, len(answer))
        with self._manager.filling(endpoint, 0) as buffers:
            self._map(endpoint, plan)
            self._retrieved(plan)
            outgoing = self._outgoing.begin(endpoint.id, plan.transaction.handle, answer, buffers.size)
            self._manager.work.received = answer
            self._deliver(endpoint, outgoing.fragment)
        if outgoing.complete:
            self._outgoing.abandon(endpoint.id)
        return call(Function.MEM_RETRIEVE_RESP, len(answer), len(outgoing.fragment))

    def _map(self, endpoint: Endpoint, plan: RetrievePlan) -> None:
        """The pages into the borrower's map; the last step that may refuse."""
        ranges, record = plan.borrower.ranges, plan.transaction
        endpoint.space.check_vacant(ranges)
        granted = plan.borrower.granted or plan.borrower.offered
        state = PageState.OWNED if plan.ends else PageState.SHARED_BORROWED
        endpoint.space.plan_map(ranges, self._physical(record), pages.borrowed(granted, state))()

    def _retrieved(self, plan: RetrievePlan) -> None:
        """Record a retrieval; with a donation the owner's part in it is over."""
        record = plan.transaction
        if plan.ends:
            self._manager.owner(record.owner).space.forget_donated(record.ranges)
        commit_retrieve(self._table, plan)

    def _physical(self, record: Transaction) -> list[int]:
        return self._manager.owner(record.owner).space.physical(record.ranges)

    def _next_out(self, request: Call) -> Result:
        """FRAG_RX: handle in w1 and w2, offset in w3."""
        endpoint, handle = request.endpoint, handle_of(request.args[1], request.args[2])
        outgoing = self._outgoing.check_next(endpoint.id, handle, request.args[3])
        with self._manager.filling(endpoint, len(outgoing.fragment)):
            self._outgoing.advance(outgoing)
            self._deliver(endpoint, outgoing.fragment)
        return call(Function.MEM_FRAG_TX, *handle_words(handle), len(outgoing.fragment))

    def _deliver(self, endpoint: Endpoint, fragment: bytes) -> None:
        fill_rx(self._manager, endpoint, fragment, Filled(RxContent.DESCRIPTOR, 0, len(fragment)))

    # --- giving back -----------------------------------------------------------------------------------

    def _relinquish(self, request: Call) -> Result:
        endpoint = request.endpoint
        data = read_tx(self._manager, endpoint)
        self._manager.work.sent = data[:LONGEST_RELINQUISH]
        plan = check_relinquish(self._table, parse_relinquish(data), endpoint.id)
        self._outgoing.relinquished(endpoint.id, plan.transaction.handle)
        self._give_back(plan)
        commit_relinquish(self._table, plan)
        return success_32()

    def _give_back(self, plan: RelinquishPlan) -> None:
        borrower = self._manager.endpoints.get(plan.endpoint)
        if borrower is not None:
            borrower.space.plan_unmap(plan.ranges)()
        if plan.zero:
            self._clear(self._physical(plan.transaction))
        if plan.ends:
            self._restore(plan.transaction)

    def _reclaim(self, request: Call) -> Result:
        handle = handle_of(request.args[1], request.args[2])
        caller = request.acting(self._table.get(handle).owner)
        plan = check_reclaim(self._table, handle, request.args[3], caller)
        self.before_reclaim(request, plan)
        if plan.zero:
            self._clear(self._physical(plan.transaction))
        self._restore(plan.transaction)
        commit_reclaim(self._table, plan)
        return success_32()

    def _restore(self, record: Transaction) -> None:
        """The pages are the owner's alone again."""
        access = S2AP.READ_WRITE if record.owner_writable else S2AP.READ
        owner = self._manager.owner(record.owner).space
        owner.plan_access(record.ranges, Access(access, record.owner_executable, PageState.OWNED))()

    def teardown(self, endpoint: Endpoint) -> None:
        """An endpoint ended: borrowed pages go back, its own come back as soon as no borrower has them."""
        self.abandon(endpoint.id)
        plan = plan_teardown(self._table, endpoint.id)
        for left in plan.relinquished:
            self._give_back(left)
        for record in plan.reclaimed:
            self._restore(record)
        commit_teardown(self._table, plan)

    # --- the stub's partitions -----------------------------------------------------------------------

    def stub_retrieve(self, stub: int, handle: int) -> None:
        """A stub partition retrieves what a VM sent it; without tables it uses physical addresses. Raises FfaError."""
        record = self._table.get(handle)
        here = Composite(pages.ranges_of(self._physical(record)))
        instruction = Instruction.NX if record.single else Instruction.UNSPECIFIED
        wanted = Permissions(Data.UNSPECIFIED, instruction)
        access = tuple(
            EndpointAccess(each.endpoint, wanted, impdef=each.impdef, composite=here if each.endpoint == stub else None)
            for each in record.borrowers
        )
        request = MemoryRegion(record.owner, access, handle=handle, tag=record.tag)
        self._retrieved(check_retrieve(self._table, request, stub))

    def stub_relinquish(self, stub: int, handle: int) -> None:
        """A stub partition gives memory back. Raises FfaError."""
        plan = check_relinquish(self._table, Relinquish(handle, (stub,)), stub)
        with self._manager.counting_tables():
            self._give_back(plan)
        commit_relinquish(self._table, plan)
