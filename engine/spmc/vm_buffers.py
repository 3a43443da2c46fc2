"""RX/TX buffers of VMs at the SPMC: their hypervisor registers them, and takes RX before it fills one itself.

DEN0077A v1.2, 7.2.2 (who owns an RX buffer of which there are two producers) and 13.4-13.7.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.arch.paging import PAGE
from engine.board.memory import Memory
from engine.ffa.abi import Function, PartitionId, is_secure, receiver_of, sender_of
from engine.ffa.endpoint_buffers import EndpointBuffers, parse_endpoint_buffers
from engine.ffa.errors import Code, FfaError, require, require_allowed, require_valid
from engine.ffa.flags import PartitionProperty
from engine.ffa.mailbox import Mailbox
from engine.ffa.ranges import Range, overlap
from engine.ffa.registers import Result, success_32
from engine.ffa.transactions import TransactionTable
from engine.manager.buffers import buffer_ranges, read_tx
from engine.manager.endpoint import Call, Endpoint, Handlers
from engine.manager.space import NormalSpace
from engine.spmc.secure_manager import SecureManager


class BufferSpace(NormalSpace):
    """The buffers of a VM as addresses from 0, TX before RX; on the board their pages may lie anywhere."""

    def __init__(self, memory: Memory, table: TransactionTable, pages: Sequence[int]) -> None:
        super().__init__(memory, table)
        self._pages = tuple(pages)

    def translate(self, address: int) -> int | None:
        page, offset = divmod(address, PAGE)
        return self._pages[page] + offset if page < len(self._pages) else None


class VmBuffers:
    """What a hypervisor calls for its VMs; `own` serves the same calls where they concern its own buffers."""

    def __init__(self, manager: SecureManager, own: Handlers) -> None:
        self._manager = manager
        self._own = own

    def handlers(self) -> Handlers:
        """What is served here."""
        return {
            Function.RXTX_MAP_32: self._map,
            Function.RXTX_MAP_64: self._map,
            Function.RXTX_UNMAP: self._unmap,
            Function.RX_ACQUIRE: self._acquire,
            Function.RX_RELEASE: self._release,
        }

    def _map(self, request: Call) -> Result | None:
        """No addresses and no pages: a descriptor in TX names a VM."""
        if any(request.args[1:4]):
            return self._own[Function(request.args[0])](request)
        found = parse_endpoint_buffers(read_tx(self._manager, request.endpoint))
        vms, pages = self._manager.vms, found.rx.pages
        require_valid(not is_secure(found.endpoint), f"0x{found.endpoint:x} is no VM")
        require_valid(found.endpoint != PartitionId.HYPERVISOR, "a hypervisor's own buffers need no descriptor")
        require_allowed(found.endpoint not in vms, f"buffers of 0x{found.endpoint:x} are already mapped")
        require(len(vms) < self._manager.config.max_endpoints, Code.NO_MEMORY, "too many VMs have buffers")
        mailbox = Mailbox(max_pages=self._manager.max_buffer_pages)
        buffers = mailbox.check_map(0, pages * PAGE, pages)
        self._check_memory(request.endpoint, (*found.tx.ranges, *found.rx.ranges))
        mailbox.map(buffers)
        self._register(found, mailbox)
        return success_32()

    def _check_memory(self, hypervisor: Endpoint, ranges: tuple[Range, ...]) -> None:
        own = hypervisor.mailbox.check_send()
        require_allowed(overlap(ranges, buffer_ranges(own)) is None, "a page is in the hypervisor's buffers")
        for piece in ranges:
            hypervisor.space.check_exclusive(piece)

    def _register(self, found: EndpointBuffers, mailbox: Mailbox) -> None:
        """It speaks the version of its hypervisor: the SPMC knows of no other."""
        manager, normal = self._manager, self._manager.normal
        ranges = (*found.tx.ranges, *found.rx.ranges)
        pages = manager.normal_space.physical(ranges)
        manager.normal_space.buffers[found.endpoint] = ranges
        manager.vms[found.endpoint] = Endpoint(
            id=found.endpoint,
            name=f"VM {found.endpoint}",
            space=BufferSpace(manager.memory, manager.table, pages),
            contexts=1,
            uuids=(),
            properties=PartitionProperty.INDIRECT,
            mailbox=mailbox,
            negotiation=normal.negotiation,
        )

    def _unmap(self, request: Call) -> Result | None:
        """w1[31:16] names a VM, or nobody."""
        vm, reserved = sender_of(request.args[1]), receiver_of(request.args[1])
        require_valid(reserved == 0, "bits of w1 must be zero")
        if vm == PartitionId.HYPERVISOR:
            return self._own[Function.RXTX_UNMAP](request)
        self._vm(vm)
        self._manager.forget_buffers(vm)
        return success_32()

    def _acquire(self, request: Call) -> Result:
        """RX of the VM in w1 is the hypervisor's to fill: DENIED while it is not free."""
        mailbox = self._vm(request.args[1]).mailbox
        mailbox.check_acquire()
        mailbox.acquire()
        return success_32()

    def _release(self, request: Call) -> Result | None:
        """w1 names a VM, or nobody: it released RX, or its hypervisor gives up what it acquired."""
        if request.args[1] == PartitionId.HYPERVISOR:
            return self._own[Function.RX_RELEASE](request)
        mailbox = self._vm(request.args[1]).mailbox
        mailbox.check_release(forwarded=True)
        mailbox.release()
        return success_32()

    def _vm(self, vm: int) -> Endpoint:
        found = self._manager.vms.get(vm)
        if found is None:
            raise FfaError(Code.INVALID_PARAMETERS, f"0x{vm:x} has no buffers")
        return found
