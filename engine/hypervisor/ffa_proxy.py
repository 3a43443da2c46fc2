"""The FF-A relayer at NS-EL2: VMs call by SMC or HVC, and this answers (DEN0077A v1.2).

Every call is checked whole before anything changes, so that a refused one has changed nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.board.memory import Memory
from engine.config import FfaSection
from engine.events import FfaCall
from engine.ffa import abi
from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError, require_valid
from engine.ffa.registers import NARROW, WIDE, Result, arguments, check_mbz, error, is_wide, success_32
from engine.hypervisor.ffa_buffers import BufferCalls
from engine.hypervisor.ffa_discovery import DiscoveryCalls
from engine.hypervisor.ffa_endpoints import Call, Handlers, Relay
from engine.hypervisor.ffa_memory import MemoryCalls
from engine.hypervisor.ffa_messages import MessageCalls
from engine.hypervisor.ffa_notify import NotificationCalls

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.vcpu import Vcpu
    from engine.hypervisor.vm import Vm

_MASK32 = 0xFFFF_FFFF
_DONATIONS = frozenset({Function.MEM_DONATE_32, Function.MEM_DONATE_64})


class FfaProxy:
    """One machine's FF-A manager in the normal world."""

    def __init__(self, hypervisor: Hypervisor, memory: Memory, config: FfaSection) -> None:
        self.relay = Relay(hypervisor, memory, config)
        self._hypervisor = hypervisor
        self._notify = NotificationCalls(self.relay)
        self._memory = MemoryCalls(self.relay)
        self._messages = MessageCalls(self.relay, self._memory, self._notify)
        self._handlers: Handlers = {
            **DiscoveryCalls(self.relay, self._supported).handlers(),
            **BufferCalls(self.relay).handlers(),
            **self._memory.handlers(),
            **self._messages.handlers(),
            **self._notify.handlers(),
            Function.RXTX_UNMAP: self._unmap,
        }

    def add_vm(self, vm: Vm) -> None:
        """Make the next VM an endpoint; its id is its place, from 1."""
        self.relay.add(vm)
        vm.gives_pages = True
        vm.at_end = lambda: self._teardown(vm)
        vm.at_interrupted_wait = self._messages.chains.interrupted

    def call(self, vcpu: Vcpu) -> bool:
        """Serve the call in x0-x17 if its id lies in FF-A's range; False leaves the registers alone."""
        x = vcpu.registers.x
        fid = x[0] & _MASK32
        if not abi.is_ffa(fid):
            return False
        registers = tuple(x[: WIDE if is_wide(fid) else NARROW])
        call = Call(self.relay.of(vcpu.vm), vcpu, arguments(registers))
        self.relay.take_work()
        result, reason = self._serve(call)
        values = () if result is None else result.values
        x[: len(values)] = list(values)
        self._report(call, registers, values, reason)
        return True

    def _supported(self, function: Function) -> bool:
        return function in self._handlers and (self.relay.config.allow_donate or function not in _DONATIONS)

    def _serve(self, call: Call) -> tuple[Result | None, str]:
        """The answer, None where it comes later; and why it is a refusal."""
        known, negotiation = abi.function(call.args[0]), call.endpoint.negotiation
        try:
            if known is None or not self._supported(known) or abi.since(known) > negotiation.agreed:
                raise FfaError(Code.NOT_SUPPORTED, "not served")
            check_mbz(call.args)
            if known is not Function.VERSION:
                negotiation.settle()
            return self._handlers[known](call), ""
        except FfaError as refused:
            return error(refused.code), refused.reason

    def _report(self, call: Call, registers: tuple[int, ...], values: tuple[int, ...], reason: str) -> None:
        """What happened, as it was: nobody may ever look, so nothing is put into words here."""
        endpoint, vcpu, work = call.endpoint, call.vcpu, self.relay.take_work()
        head = (vcpu.pcore.now, vcpu.vm.name, vcpu.index, endpoint.id, registers, values, endpoint.version, reason)
        if work is None:
            self._hypervisor.events.emit(FfaCall(*head))
        else:
            event = FfaCall(*head, work.sent, work.received, work.cost)
            self._hypervisor.events.emit(event, len(work.sent) + len(work.received))

    def _unmap(self, call: Call) -> Result:
        """Half-done transfers go with the buffers they came through."""
        require_valid(call.args[1] >> 16 == 0, "only a hypervisor names another endpoint")
        call.endpoint.mailbox.check_unmap()
        self._memory.abandon(call.caller)
        call.endpoint.mailbox.unmap()
        return success_32()

    def _teardown(self, vm: Vm) -> None:
        """The VM stopped or starts over: what it borrowed goes back, and whoever waits for it is told."""
        endpoint = self.relay.of(vm)
        self._messages.teardown(endpoint)
        self._memory.teardown(endpoint)
        self.relay.notifications.teardown(endpoint.id)
        endpoint.mailbox.unmap()
        endpoint.negotiation = type(endpoint.negotiation)()
