"""The FF-A relayer at NS-EL2: VMs call by SMC or HVC, and this answers (DEN0077A v1.2).

Every call is checked whole before anything changes, so that a refused one has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.board.memory import Memory
from engine.config import FfaSection
from engine.ffa.abi import Function
from engine.ffa.errors import require_valid
from engine.ffa.registers import Result, success_32
from engine.hypervisor.ffa_endpoints import Relay
from engine.hypervisor.ffa_memory import RelayedMemory
from engine.hypervisor.ffa_messages import MessageCalls
from engine.hypervisor.ffa_notify import PRIMARY, NotificationCalls
from engine.hypervisor.ffa_secure import SecureClient
from engine.hypervisor.ffa_secure_buffers import SecureBuffers
from engine.hypervisor.ffa_secure_calls import SecureCalls
from engine.manager.buffers import BufferCalls
from engine.manager.discovery import DiscoveryCalls
from engine.manager.endpoint import Call, Endpoint, Handlers
from engine.manager.memory_calls import MemoryCalls
from engine.manager.server import CallServer

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.vcpu import Vcpu
    from engine.hypervisor.vm import Vm

_DONATIONS = frozenset({Function.MEM_DONATE_32, Function.MEM_DONATE_64})


class FfaProxy:
    """One machine's FF-A manager in the normal world."""

    def __init__(
        self, hypervisor: Hypervisor, memory: Memory, config: FfaSection, secure: SecureClient | None = None
    ) -> None:
        self.relay = Relay(hypervisor, memory, config)
        self._secure = secure
        self.on_schedule_receiver: Callable[[], None] = lambda: None
        """Called when the secure world raises its schedule receiver interrupt."""
        self._notify = NotificationCalls(self.relay)
        self._memory = MemoryCalls(self.relay) if secure is None else RelayedMemory(self.relay, secure)
        self._messages = MessageCalls(self.relay, self._memory, self._notify)
        self._handlers: Handlers = {
            **DiscoveryCalls(self.relay, self._supported).handlers(),
            **BufferCalls(self.relay).handlers(),
            **self._memory.handlers(),
            **self._messages.handlers(),
            **self._notify.handlers(),
            Function.RXTX_UNMAP: self._unmap,
        }
        self._buffers: SecureBuffers | None = None
        self._calls: SecureCalls | None = None
        if secure is not None:
            self.relay.other = self._buffers = SecureBuffers(self.relay, secure, dict(self._handlers))
            self._handlers |= self._buffers.handlers()
            calls = self._calls = SecureCalls(self.relay, secure, dict(self._handlers), self._notify)
            self._handlers |= calls.handlers()
            self.on_schedule_receiver = calls.on_schedule_receiver
        self._server = CallServer(self.relay, self._handlers, self._supported)

    def add_vm(self, vm: Vm) -> None:
        """Make the next VM an endpoint; its id is its place, from 1."""
        self.relay.add(vm)
        vm.gives_pages = True
        vm.at_end = lambda: self._teardown(vm)
        vm.at_interrupted_wait = self._messages.chains.interrupted

    def call(self, vcpu: Vcpu) -> bool:
        """Serve the call in x0-x17 if its id lies in FF-A's range; False leaves the registers alone."""
        return self._server.serve(self.relay.of(vcpu.vm), vcpu)

    def meet_secure_world(self) -> None:
        """The secure world has booted: agree on a version with it and learn of its partitions."""
        if self._secure is not None:
            vcpu = self.relay.endpoints[PRIMARY].vm.vcpus[0]
            self._secure.start(vcpu)
            self.relay.limit_buffers(self._secure.max_buffer_pages(vcpu))
            self.relay.meet(self._secure.partitions(vcpu))

    def _supported(self, function: Function, _endpoint: Endpoint) -> bool:
        return function in self._handlers and (self.relay.config.allow_donate or function not in _DONATIONS)

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
        if self._calls is not None and self._buffers is not None:
            self._calls.drop(endpoint)
            self._buffers.drop(endpoint)
        self.relay.notifications.teardown(endpoint.id)
        endpoint.mailbox.unmap()
        endpoint.negotiation = type(endpoint.negotiation)()
