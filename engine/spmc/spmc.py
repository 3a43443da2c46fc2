"""The secure partition manager core: calls of its partitions and of the normal world, and the partitions' boot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from engine.board.memory import SecureView
from engine.ffa.abi import (
    FRAMEWORK_MESSAGE,
    FrameworkMessage,
    Function,
    PartitionId,
    id_pair,
    is_secure,
    receiver_of,
    sender_of,
)
from engine.ffa.errors import Code, FfaError, code_name, require_allowed, require_valid
from engine.ffa.registers import Result, call, success_32
from engine.ffa.version import V1_2, Negotiation
from engine.machine_file import SecureSection
from engine.manager.buffers import BufferCalls
from engine.manager.discovery import DiscoveryCalls
from engine.manager.endpoint import Call, Endpoint, Handlers
from engine.manager.server import CallServer
from engine.spmc import paravirt
from engine.spmc.booting import Booting
from engine.spmc.call_chain import Context
from engine.spmc.indirect import IndirectMessages
from engine.spmc.manifest import ExceptionLevel
from engine.spmc.memory import SecureMemory
from engine.spmc.messages import REQUESTS, RESPONSES, Messages
from engine.spmc.notify import SecureNotifications
from engine.spmc.permissions import PERMISSIONS, PermissionCalls
from engine.spmc.power import PowerMessages
from engine.spmc.secure_manager import SecureManager
from engine.spmc.states import ContextState, RuntimeModel, check_allowed
from engine.spmc.switching import NormalWorld, Switching
from engine.spmc.vm_buffers import VmBuffers

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.physical_core import PhysicalCore
    from engine.hypervisor.vcpu import Vcpu
    from engine.spmc.partition import SecurePartition


class Spmc:
    """One for the machine. It runs at S-EL2 in name only: its code is this, its state is data."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        memory: SecureView,
        config: SecureSection,
        normal: NormalWorld,
        raise_sri: Callable[[], None],
    ) -> None:
        self._hypervisor = hypervisor
        self.manager = SecureManager(hypervisor, memory, config)
        self.partitions = self.manager.partitions
        self.switching = Switching(hypervisor, self.partitions, normal, config.managed_exit)
        self.notifications = SecureNotifications(self.manager, raise_sri)
        self.switching.leaving = self.notifications.leaving
        self.boot = Booting(hypervisor, self.partitions, self.switching)
        self.power = PowerMessages(hypervisor, self.partitions, self.switching)
        self.switching.settle = self._settle
        self._memory = SecureMemory(self.manager)
        self.messages = Messages(
            self.partitions, self.switching, self.notifications.has_pending, self.boot.initialized, config.max_depth
        )
        self._indirect = IndirectMessages(self.manager, self.notifications)
        self._of_partition = self._partition_handlers()
        self._of_normal = self._normal_handlers()
        self._partition_server = CallServer(
            self.manager, self._of_partition, self._of_partition_has, before=self._check_model
        )
        self._normal_server = CallServer(self.manager, self._of_normal, self._of_normal_has, virtual=False)

    def add(self, partition: SecurePartition) -> None:
        """Make a partition known."""
        self.manager.add(partition)
        partition.at_end = lambda: self._ended(partition)
        for context in partition.contexts:
            self.switching.add(context)

    def _partition_handlers(self) -> Handlers:
        return {
            **DiscoveryCalls(self.manager, self._of_partition_has).handlers(),
            **BufferCalls(self.manager).handlers(),
            **self._memory.handlers(),
            **self.notifications.from_partitions(),
            **PermissionCalls(self.manager).handlers(),
            Function.RXTX_UNMAP: self._unmap,
            Function.MSG_SEND2: self._indirect.send,
            Function.MSG_WAIT: lambda request: self.messages.wait(self._context(request), request.args),
            Function.RUN: lambda request: self.messages.run(self._context(request), request.args),
            Function.YIELD: lambda request: self.messages.give_way(self._context(request)),
            Function.SECONDARY_EP_REGISTER_32: self._register_secondary,
            Function.SECONDARY_EP_REGISTER_64: self._register_secondary,
            Function.ERROR: self._failed,
            **dict.fromkeys(REQUESTS, lambda request: self.messages.request(self._context(request), request.args)),
            **dict.fromkeys(RESPONSES, lambda request: self.messages.respond(self._context(request), request.args)),
        }

    def _normal_handlers(self) -> Handlers:
        discovery = DiscoveryCalls(self.manager, self._of_normal_has).handlers()
        own = {**BufferCalls(self.manager).handlers(), Function.RXTX_UNMAP: self._unmap}
        return {
            **discovery,
            **VmBuffers(self.manager, own).handlers(),
            **self._memory.from_normal(),
            **self.notifications.from_normal(),
            Function.MSG_SEND2: self._indirect.send,
            Function.RUN: lambda request: self.messages.run_from_normal(request.vcpu.pcore, request.args),
            **dict.fromkeys(REQUESTS, self._request_from_normal),
        }

    def _of_partition_has(self, function: Function, endpoint: Endpoint) -> bool:
        level = self.partitions[endpoint.id].manifest.level
        return function in self._of_partition and (function not in PERMISSIONS or level is ExceptionLevel.S_EL0)

    def _of_normal_has(self, function: Function, _endpoint: Endpoint) -> bool:
        return function in self._of_normal

    # --- calls ---------------------------------------------------------------------------------------

    def call(self, vcpu: Vcpu, hvc: bool) -> bool:
        """Serve the call in a partition's registers, FF-A's by SMC or HVC, or a hypercall; False if it is unknown."""
        partition = self._partition(vcpu)
        return self._partition_server.serve(partition.endpoint, vcpu) or (
            hvc and paravirt.serve(partition.interrupts, vcpu)
        )

    def from_normal(self, vcpu: Vcpu, registers: tuple[int, ...], report: bool = True) -> Result | None:
        """Serve a call of the normal world; None where a partition runs and the answer comes later."""
        return self._normal_server.answer(self.manager.normal, vcpu, registers, report)

    @property
    def refusal(self) -> str:
        """Why the last call of the normal world was refused."""
        return self._normal_server.refusal

    def normal_interrupt(self, pcore: PhysicalCore) -> None:
        """A Non-secure interrupt is pending for a core that the secure world holds."""
        self.switching.normal_interrupt(pcore)

    def _partition(self, vcpu: Vcpu) -> SecurePartition:
        return next(each for each in self.partitions.values() if each is vcpu.vm)

    def _context(self, request: Call) -> Context:
        return self.partitions[request.caller].contexts[request.vcpu.index]

    def _check_model(self, request: Call, function: Function) -> None:
        check_allowed(self._context(request).model, function)

    def _request_from_normal(self, request: Call) -> Result | None:
        args = request.args
        if args[1] == id_pair(PartitionId.SPMD, PartitionId.SPMC):
            return self._framework(args)
        self.messages.request_from_normal(request.vcpu.pcore, args)
        return None

    @staticmethod
    def _framework(args: tuple[int, ...]) -> Result:
        """Framework messages of the SPMD: the version it is to speak with us (DEN0077A v1.2, 18.3)."""
        asked = args[2] == FRAMEWORK_MESSAGE | FrameworkMessage.VERSION_REQ
        if args[0] != Function.MSG_SEND_DIRECT_REQ_32 or not asked:
            raise FfaError(Code.NOT_SUPPORTED, f"framework message 0x{args[2]:x}")
        ids = id_pair(receiver_of(args[1]), sender_of(args[1]))
        kind = FRAMEWORK_MESSAGE | FrameworkMessage.VERSION_RESP
        return call(Function.MSG_SEND_DIRECT_RESP_32, ids, kind, V1_2.pack())

    def _unmap(self, request: Call) -> Result:
        """Half-done transfers go with the buffers they came through."""
        request.endpoint.mailbox.check_unmap()
        if is_secure(request.caller):
            self._memory.abandon(request.caller)
        else:
            self._memory.abandon_normal()
        request.endpoint.mailbox.unmap()
        return success_32()

    def _register_secondary(self, request: Call) -> Result:
        """Where a partition's other contexts begin; while it initializes (DEN0077A v1.2, 18.2.1)."""
        context, partition = self._context(request), self.partitions[request.caller]
        entry = request.args[1]
        require_allowed(context.model is RuntimeModel.INIT and context.index == 0, "only while it initializes")
        require_valid(partition.in_ram(entry) and not entry & 3, f"0x{entry:x} is not in its memory")
        partition.secondary_entry = entry
        return success_32()

    # --- boot and end --------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Start all partitions over, in boot order; the normal world starts after those of the primary core."""
        self._forget_calls()
        self._forget_normal_world()
        for partition in self.partitions.values():
            partition.power_on()
        self.notifications.reset()
        self.power.reset()
        self.boot.start(self._in_boot_order())

    def _forget_calls(self) -> None:
        """Whatever was under way is over, and nobody is told."""
        for pcore in self._hypervisor.cores:
            pcore.held, pcore.caller, pcore.normal_interrupt = None, None, False
        for partition in self.partitions.values():
            for context in partition.contexts:
                context.forget()
                context.restart()

    def _forget_normal_world(self) -> None:
        """No memory is shared, no buffers are known, no version is agreed on."""
        self._memory.abandon_normal()
        self.manager.table.records.clear()
        self.manager.table.reserved.clear()
        self.manager.normal.mailbox.unmap()
        self.manager.vms.clear()
        self.manager.normal_space.reset()
        self.manager.normal.negotiation = Negotiation()

    def _in_boot_order(self) -> Iterator[Context]:
        """All contexts; those of one core are in the order in which they initialize and hear of its power."""
        for partition in sorted(
            self.partitions.values(), key=lambda each: (each.manifest.boot_order, each.endpoint.id)
        ):
            yield from partition.contexts

    def _settle(self, pcore: PhysicalCore, result: Result | None) -> bool:
        return self.boot.settle(pcore) or self.power.settle(pcore, result)

    def core_on(self, pcore: PhysicalCore) -> None:
        """The normal world turned a core on (PSCI CPU_ON): the secure world has it first."""
        self.boot.core_on(pcore)

    def core_off(self, pcore: PhysicalCore) -> bool:
        """A core is to go off (PSCI CPU_OFF). True if partitions are told first, until `power.gone` is called."""
        return self.power.begin(pcore, self._in_boot_order())

    def _failed(self, request: Call) -> None:
        """FFA_ERROR of a partition that could not initialize: it is aborted, the others go on (DEN0077A v1.2, 5.5)."""
        partition = self.partitions[request.caller]
        require_allowed(self._context(request).model is RuntimeModel.INIT, "FFA_ERROR outside initialization")
        partition.fail(f"initialization failed with {code_name(request.args[2])}")
        self._withdraw(partition)
        self._abort_running(partition, "initialization failed")

    def _withdraw(self, partition: SecurePartition) -> None:
        """None of its contexts that do not run now will run again."""
        for context in partition.contexts:
            if context.state is not ContextState.RUNNING:
                self.messages.withdraw(context)
        self.boot.withdraw(partition.endpoint.id)

    def _abort_running(self, partition: SecurePartition, why: str) -> None:
        """Its contexts that run now, on whatever core, end here."""
        for context in partition.contexts:
            if context.state is not ContextState.RUNNING:
                continue
            if context.model is RuntimeModel.INIT:
                self.switching.pause(context, ContextState.ABORTED, why)
                self.boot.initialized(context.core)
            else:
                self.messages.abort(context)

    def _ended(self, partition: SecurePartition) -> None:
        """A partition stopped or starts over: it gives back what it has, and whoever waits for it is told."""
        self._withdraw(partition)
        self._abort_running(partition, "aborted")
        self._memory.teardown(partition.endpoint)
        self.notifications.drop(partition.endpoint.id)
        partition.endpoint.mailbox.unmap()
        partition.endpoint.negotiation = partition.fresh_negotiation()
