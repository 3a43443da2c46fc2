"""VMs' RX/TX buffers on a machine with a secure world: the SPMC fills RX as well, and knows whose it is.

The relayer registers a VM's buffers there, acquires RX before it fills it, and forwards the VM's release
(DEN0077A v1.2, 7.2.2 and 13.4-13.7). VMs of v1.0, which know no indirect messages, are the relayer's alone.
"""

from __future__ import annotations

from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError
from engine.ffa.registers import Result, success_32
from engine.ffa.version import V1_1
from engine.hypervisor.ffa_endpoints import Relay, VmEndpoint
from engine.hypervisor.ffa_secure import SecureClient
from engine.manager.buffers import buffer_ranges
from engine.manager.endpoint import Call, Handlers
from engine.manager.pages import ranges_of


class SecureBuffers:
    """Wraps the relayer's own handlers; the relay asks it before it fills an RX."""

    def __init__(self, relay: Relay, secure: SecureClient, local: Handlers) -> None:
        self._relay = relay
        self._secure = secure
        self._local = local
        self._registered: set[int] = set()
        """VMs whose buffers the SPMC knows."""

    def handlers(self) -> Handlers:
        """What replaces the relayer's own handlers."""
        return {
            Function.RXTX_MAP_32: self._map,
            Function.RXTX_MAP_64: self._map,
            Function.RXTX_UNMAP: self._unmap,
            Function.RX_RELEASE: self._release,
        }

    def _map(self, request: Call) -> Result | None:
        """Both managers know the buffers, or neither does."""
        endpoint = request.endpoint
        done = self._local[Function(request.args[0])](request)
        if endpoint.version < V1_1:
            return done
        tx, rx = buffer_ranges(endpoint.mailbox.check_send())
        try:
            places = (ranges_of(endpoint.space.physical([piece])) for piece in (tx, rx))
            self._secure.map_buffers(request.vcpu, endpoint.id, *places)
        except FfaError:
            endpoint.mailbox.unmap()
            raise
        self._registered.add(endpoint.id)
        return done

    def _unmap(self, request: Call) -> Result | None:
        done = self._local[Function.RXTX_UNMAP](request)
        self.drop(self._relay.endpoints[request.caller])
        return done

    def _release(self, request: Call) -> Result | None:
        """What the SPMC put there is released there as well as what the relayer did."""
        if request.caller not in self._registered:
            return self._local[Function.RX_RELEASE](request)
        self._secure.release_rx(request.vcpu, request.caller)
        request.endpoint.mailbox.release()
        return success_32()

    def acquire(self, endpoint: VmEndpoint) -> None:
        """RX is the relayer's to fill; BUSY while the SPMC has put something there."""
        if endpoint.id not in self._registered:
            return
        try:
            self._secure.acquire_rx(endpoint.vm.vcpus[0], endpoint.id)
        except FfaError as refused:
            code = Code.BUSY if refused.code is Code.DENIED else refused.code
            raise FfaError(code, refused.reason) from refused

    def release(self, endpoint: VmEndpoint) -> None:
        """RX is free, whoever filled or acquired it; nothing where it was."""
        if endpoint.id in self._registered:
            self._secure.try_release_rx(endpoint.vm.vcpus[0], endpoint.id)

    def drop(self, endpoint: VmEndpoint) -> None:
        """A VM's buffers went; cannot fail."""
        if endpoint.id in self._registered:
            self._registered.discard(endpoint.id)
            self._secure.unmap_buffers(endpoint.vm.vcpus[0], endpoint.id)
