"""Memory transactions at the SPMC: as everywhere, and with what only a hypervisor may do (DEN0140 v1.2)."""

from __future__ import annotations

from engine.ffa.abi import Function, PartitionId, handle_of, is_secure
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import require_valid
from engine.ffa.flags import KIND_SHIFT
from engine.ffa.ranges import Composite
from engine.ffa.registers import Result, call
from engine.ffa.transactions import Transaction
from engine.manager.buffers import read_tx
from engine.manager.endpoint import Call, Endpoint, Handlers
from engine.manager.memory_calls import HANDLE_AT, MemoryCalls

_SENDER_AT = slice(0, 2)
"""Where every version's memory region header names the sender."""


class SecureMemory(MemoryCalls):
    """The SPMC's memory calls."""

    def transfer_of(self, request: Call) -> int:
        """The VM that a hypervisor relays for: in the header, and in w4 of later fragments."""
        if request.caller != PartitionId.HYPERVISOR:
            return request.caller
        if request.args[0] == Function.MEM_FRAG_TX:
            return request.args[4] >> 16
        return int.from_bytes(read_tx(self._manager, request.endpoint, _SENDER_AT.stop), "little")

    def from_normal(self) -> Handlers:
        """What a hypervisor may call, or a kernel without one."""
        return {
            **self.handlers(),
            Function.MEM_RETRIEVE_REQ_32: self._look,
            Function.MEM_RETRIEVE_REQ_64: self._look,
            Function.MEM_FRAG_TX: self._next_or_drop,
        }

    def abandon_normal(self) -> None:
        """The normal world's buffers went: so do the half-done transfers of all its VMs."""
        for sender in [each for each in self._incoming.transfers if not is_secure(each)]:
            self.abandon(sender)
        self.abandon(PartitionId.HYPERVISOR)

    def _look(self, request: Call) -> Result:
        """A hypervisor's retrieve request: the whole record by its handle, nothing is mapped (DEN0140 v1.2, 2.4.4)."""
        endpoint, total = request.endpoint, request.args[1]
        size = endpoint.mailbox.check_send().size
        require_valid(HANDLE_AT.stop <= total == request.args[2] <= size, f"a request of {total} bytes")
        self._manager.work.sent = data = read_tx(self._manager, endpoint, total)
        record = self._table.get(int.from_bytes(data[HANDLE_AT], "little"))
        require_valid(endpoint.speaks_for(record.owner), "the owner is in the secure world")
        return self._answer(endpoint, record)

    def _answer(self, endpoint: Endpoint, record: Transaction) -> Result:
        answer = pack(_as_sent(record), endpoint.version)
        window = endpoint.mailbox.check_fill(0).size
        self._outgoing.check_begin(endpoint.id, len(answer))
        outgoing = self._outgoing.begin(endpoint.id, record.handle, answer, window)
        self._manager.work.received = answer
        self._deliver(endpoint, outgoing.fragment)
        if outgoing.complete:
            self._outgoing.abandon(endpoint.id)
        return call(Function.MEM_RETRIEVE_RESP, len(answer), len(outgoing.fragment))

    def _next_or_drop(self, request: Call) -> Result:
        """A fragment of no bytes gives the transfer up: the VM it came from did not finish it."""
        sender = self.transfer_of(request)
        incoming = self._incoming.transfers.get(sender)
        named = handle_of(request.args[1], request.args[2])
        if request.args[3] == 0 and incoming is not None and incoming.handle == named:
            self.abandon(sender)
        return self._next_in(request)


def _as_sent(record: Transaction) -> MemoryRegion:
    composite = Composite(record.ranges)
    access = tuple(
        EndpointAccess(each.endpoint, each.sent, impdef=each.impdef, composite=composite) for each in record.borrowers
    )
    flags = record.kind << KIND_SHIFT | int(record.flags)
    return MemoryRegion(record.owner, access, record.attributes, flags, record.handle, record.tag)
