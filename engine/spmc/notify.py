"""Notifications at the SPMC: bitmaps of partitions, and those of VMs for what partitions signal (DEN0077A v1.2, 10)."""

from __future__ import annotations

from collections.abc import Callable

from engine.ffa.abi import Function, is_64, is_secure, receiver_of, sender_of
from engine.ffa.errors import Code, FfaError, require_valid
from engine.ffa.flags import FrameworkNotification
from engine.ffa.notification_info import pack_info
from engine.ffa.notifications import bitmap_of
from engine.ffa.registers import Result, success_32, success_64
from engine.manager.endpoint import Call, Handlers
from engine.spmc.secure_manager import SecureManager


class SecureNotifications:
    """The NOTIFICATION calls of both sides. `raise_sri` tells the normal world's scheduler."""

    def __init__(self, manager: SecureManager, raise_sri: Callable[[], None]) -> None:
        self._manager = manager
        self._state = manager.notifications
        self._raise_sri = raise_sri
        self._delayed = False
        """A partition asked that the scheduler be told only when the normal world runs again."""

    def from_partitions(self) -> Handlers:
        """What partitions may call."""
        return {
            Function.NOTIFICATION_BIND: self._bind,
            Function.NOTIFICATION_UNBIND: self._unbind,
            Function.NOTIFICATION_SET: self._set,
            Function.NOTIFICATION_GET: self._get,
        }

    def from_normal(self) -> Handlers:
        """What the normal world's hypervisor or kernel may call besides."""
        return {
            **self.from_partitions(),
            Function.NOTIFICATION_BITMAP_CREATE: self._create,
            Function.NOTIFICATION_BITMAP_DESTROY: self._destroy,
            Function.NOTIFICATION_INFO_GET_32: self._info,
            Function.NOTIFICATION_INFO_GET_64: self._info,
        }

    def reset(self) -> None:
        """Every partition that supports notifications has empty bitmaps; VMs have none."""
        self._state.endpoints.clear()
        self._delayed = False
        for partition in self._manager.partitions.values():
            if partition.manifest.notifications:
                self._state.create(partition.endpoint.id, len(partition.contexts))

    def _create(self, call: Call) -> Result:
        vm = call.args[1] & 0xFFFF
        require_valid(not is_secure(vm), f"0x{vm:x} is no VM")
        self._state.create(vm, call.args[2])
        return success_32()

    def _destroy(self, call: Call) -> Result:
        vm = call.args[1] & 0xFFFF
        require_valid(not is_secure(vm), f"0x{vm:x} is no VM")
        self._state.destroy(vm)
        return success_32()

    def _bind(self, call: Call) -> Result:
        sender, receiver, bitmap = _request(call)
        self._state.bind(call.acting(receiver), sender, receiver, call.args[2], bitmap, self._manager.visible(receiver))
        return success_32()

    def _unbind(self, call: Call) -> Result:
        sender, receiver, bitmap = _request(call)
        self._state.unbind(call.acting(receiver), sender, receiver, call.args[2], bitmap)
        return success_32()

    def _set(self, call: Call) -> Result:
        sender, receiver, bitmap = _request(call)
        if receiver not in self._manager.visible(sender):
            raise FfaError(Code.INVALID_PARAMETERS, f"unknown receiver 0x{receiver:x}")
        outcome = self._state.set(call.acting(sender), sender, receiver, call.args[2], bitmap)
        if outcome.fresh:
            self._tell(receiver, outcome.vcpu, outcome.delay_sri)
        return success_32()

    def _get(self, call: Call) -> Result:
        vcpu, receiver = sender_of(call.args[1]), receiver_of(call.args[1])
        taken = self._state.get(call.acting(receiver), receiver, vcpu, call.args[2])
        partition = self._manager.partitions.get(receiver)
        if partition is not None and not self._state.has_pending(receiver, vcpu):
            partition.interrupts.cancel(self._manager.config.npi, vcpu)
        return success_32(*taken.words())

    def _info(self, call: Call) -> Result:
        wide = is_64(call.args[0])
        info = self._state.info_get(wide)
        registers = pack_info(info.lists, info.more, wide)
        return success_64(*registers) if wide else success_32(*registers)

    def rx_full(self, receiver: int, delay: bool) -> None:
        """An indirect message arrived in a receiver's RX buffer; its sender may want the scheduler told later."""
        if self._state.raise_framework(receiver, FrameworkNotification.SPM_RX_FULL):
            self._tell(receiver, None, delay)

    def _tell(self, receiver: int, vcpu: int | None, delay: bool) -> None:
        """The receiver by its NPI, when it runs; and the scheduler, which makes it run."""
        partition = self._manager.partitions.get(receiver)
        if partition is not None:
            partition.interrupts.inject(self._manager.config.npi, vcpu or 0)
        if delay:
            self._delayed = True
        else:
            self._raise_sri()

    def leaving(self) -> None:
        """Control goes back to the normal world: the scheduler hears now of what was delayed."""
        if self._delayed:
            self._delayed = False
            self._raise_sri()

    def drop(self, endpoint: int) -> None:
        """A partition ended."""
        self._state.teardown(endpoint)

    def has_pending(self, endpoint: int) -> bool:
        """Whether a partition has notifications to take."""
        return self._state.has_pending(endpoint)


def _request(call: Call) -> tuple[int, int, int]:
    """Sender, receiver and bitmap of BIND, UNBIND and SET."""
    return sender_of(call.args[1]), receiver_of(call.args[1]), bitmap_of(call.args[3], call.args[4])
