"""The NOTIFICATION calls, and the virtual interrupts that tell of them (DEN0077A v1.2, 10 and 16)."""

from __future__ import annotations

from engine.ffa.abi import Function, is_64, receiver_of, sender_of
from engine.ffa.errors import Code, FfaError, require_valid
from engine.ffa.flags import FrameworkNotification
from engine.ffa.notification_info import pack_info
from engine.ffa.notifications import bitmap_of
from engine.ffa.registers import Result, success_32, success_64
from engine.hypervisor.ffa_endpoints import Relay, VmEndpoint
from engine.manager.endpoint import Call, Handlers
from engine.views import VcpuState

PRIMARY = 1
"""The first VM: the scheduler that hears of everybody's notifications."""
_NON_SECURE_BITMAPS = "only a VM's own bitmaps"


class NotificationCalls:
    """All eight NOTIFICATION calls."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._state = relay.notifications

    def handlers(self) -> Handlers:
        """What is served here."""
        return {
            Function.NOTIFICATION_BITMAP_CREATE: self._create,
            Function.NOTIFICATION_BITMAP_DESTROY: self._destroy,
            Function.NOTIFICATION_BIND: self._bind,
            Function.NOTIFICATION_UNBIND: self._unbind,
            Function.NOTIFICATION_SET: self._set,
            Function.NOTIFICATION_GET: self._get,
            Function.NOTIFICATION_INFO_GET_32: self._info,
            Function.NOTIFICATION_INFO_GET_64: self._info,
        }

    def _create(self, call: Call) -> Result:
        require_valid(call.args[1] == call.caller, _NON_SECURE_BITMAPS)
        require_valid(call.args[2] == call.endpoint.contexts, f"{call.args[2]} vCPUs")
        self._state.create(call.caller, call.args[2])
        return success_32()

    def _destroy(self, call: Call) -> Result:
        require_valid(call.args[1] == call.caller, _NON_SECURE_BITMAPS)
        self._state.destroy(call.caller)
        return success_32()

    def _bind(self, call: Call) -> Result:
        ids, flags, bitmap = _request(call)
        self._state.bind(call.caller, *ids, flags, bitmap, self._relay.visible(call.caller))
        return success_32()

    def _unbind(self, call: Call) -> Result:
        ids, flags, bitmap = _request(call)
        self._state.unbind(call.caller, *ids, flags, bitmap)
        return success_32()

    def _set(self, call: Call) -> Result:
        ids, flags, bitmap = _request(call)
        require_valid(ids[1] in self._relay.visible(call.caller), f"unknown receiver 0x{ids[1]:x}")
        outcome = self._state.set(call.caller, *ids, flags, bitmap)
        if outcome.fresh:
            self.signal(outcome.receiver, outcome.vcpu, outcome.delay_sri)
        return success_32()

    def notify(self, stub: int, receiver: int, bitmap: int) -> None:
        """A stub partition calls NOTIFICATION_SET; raises FfaError."""
        if self._state.set(stub, stub, receiver, 0, bitmap).fresh:
            self.signal(receiver, None)

    def _get(self, call: Call) -> Result:
        vcpu, receiver = sender_of(call.args[1]), receiver_of(call.args[1])
        return success_32(*self._state.get(call.caller, receiver, vcpu, call.args[2]).words())

    def _info(self, call: Call) -> Result:
        """The primary VM hears of all endpoints, any other VM of itself."""
        wide = is_64(call.args[0])
        info = self._state.info_get(wide, None if call.caller == PRIMARY else (call.caller,))
        registers = pack_info(info.lists, info.more, wide)
        return success_64(*registers) if wide else success_32(*registers)

    def rx_full(self, receiver: int) -> None:
        """An indirect message arrived."""
        if self._state.raise_framework(receiver, FrameworkNotification.HYPERVISOR_RX_FULL):
            self.signal(receiver, None)

    def signal(self, receiver: int, vcpu: int | None, delay_sri: bool = False) -> None:
        """Raise the receiver's NPI; where that cannot end its wait, the scheduler's SRI as well."""
        endpoint = self._relay.endpoints[receiver]
        target = self._chosen(endpoint, vcpu)
        self._inject(endpoint, target, self._relay.config.npi, "notification pending")
        asleep = endpoint.vm.vcpus[target].state is VcpuState.WAITING
        if asleep and not delay_sri and receiver != PRIMARY:
            self.signal_scheduler()

    def signal_scheduler(self) -> None:
        """Raise the primary VM's SRI."""
        scheduler = self._relay.endpoints[PRIMARY]
        self._inject(scheduler, self._chosen(scheduler, None), self._relay.config.sri, "schedule receiver")

    @staticmethod
    def _chosen(endpoint: VmEndpoint, vcpu: int | None) -> int:
        """Global notifications may go to any vCPU: the first that is on."""
        if vcpu is not None:
            return vcpu
        on = (each.index for each in endpoint.vm.vcpus if each.state is not VcpuState.OFF)
        return next(on, 0)

    def _inject(self, endpoint: VmEndpoint, vcpu: int, intid: int, source: str) -> None:
        vm = endpoint.vm
        self._relay.hypervisor.interrupt_raised(vm.vcpus[vcpu], intid, source)
        vm.interrupts.inject(intid, vcpu)


def _request(call: Call) -> tuple[tuple[int, int], int, int]:
    """(sender, receiver), flags and bitmap of BIND, UNBIND and SET."""
    args = call.args
    if not args[1]:
        raise FfaError(Code.INVALID_PARAMETERS, "no endpoints")
    return (sender_of(args[1]), receiver_of(args[1])), args[2], bitmap_of(args[3], args[4])
