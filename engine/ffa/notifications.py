"""Notifications: bindings, pending bits and who is told of them (DEN0077A v1.2, 10 and 16).

A manager keeps one `Notifications`. Each receiver has a bitmap for SPs and one for VMs, chosen by the sender's id.
Every method checks the whole request, then changes state; one that raises FfaError has changed nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.ffa.abi import is_secure
from engine.ffa.errors import Code, FfaError, require, require_allowed, require_valid
from engine.ffa.flags import BindFlag, FrameworkNotification, GetFlag, SetFlag
from engine.ffa.notification_info import VCPUS_PER_LIST, IdList, capacity
from engine.ffa.notification_state import ALL, Bitmap, EndpointNotifications, new_endpoint

MAX_ENDPOINTS = 8
MAX_VCPUS = 64


class SetOutcome(NamedTuple):
    """What NOTIFICATION_SET did."""

    receiver: int
    vcpu: int | None
    """The vCPU that was notified; None for a global notification."""
    fresh: int
    """Bits that were not pending before."""
    delay_sri: bool
    """The schedule receiver interrupt may wait."""


class Taken(NamedTuple):
    """What NOTIFICATION_GET returned and cleared; zero for bitmaps that were not asked for."""

    sp: int
    vm: int
    framework: int
    """SPM's in the low half, the hypervisor's in the high half."""

    def words(self) -> tuple[int, ...]:
        """w2-w7 of the answer."""
        low_high = (half >> shift & 0xFFFF_FFFF for half in self for shift in (0, 32))
        return tuple(low_high)


class Info(NamedTuple):
    """What NOTIFICATION_INFO_GET tells; `notification_info.pack_info` makes registers of it."""

    lists: tuple[IdList, ...]
    more: bool


@dataclass(slots=True)
class Notifications:
    """The notification state of one manager."""

    max_endpoints: int = MAX_ENDPOINTS
    """NO_MEMORY for bitmaps of more."""
    max_vcpus: int = MAX_VCPUS
    endpoints: dict[int, EndpointNotifications] = field(default_factory=dict)

    def create(self, endpoint: int, vcpus: int) -> None:
        """BITMAP_CREATE: DENIED when it exists, INVALID_PARAMETERS for a count, NO_MEMORY where the table is full."""
        require_valid(0 < vcpus <= self.max_vcpus, f"{vcpus} vCPUs")
        require_allowed(endpoint not in self.endpoints, f"0x{endpoint:x} has bitmaps")
        require(len(self.endpoints) < self.max_endpoints, Code.NO_MEMORY, "too many bitmaps")
        self.endpoints[endpoint] = new_endpoint(vcpus)

    def destroy(self, endpoint: int) -> None:
        """BITMAP_DESTROY: DENIED when there is none or something is pending."""
        state = self.endpoints.get(endpoint)
        require_allowed(state is not None, f"0x{endpoint:x} has no bitmaps")
        require_allowed(state is None or not state.has_pending(), "notifications are pending")
        del self.endpoints[endpoint]

    def bind(self, caller: int, sender: int, receiver: int, flags: int, bitmap: int, endpoints: Container[int]) -> None:
        """NOTIFICATION_BIND: let `sender` signal bits of `bitmap` to the caller. Binding again is fine.

        INVALID_PARAMETERS for ids, flags or an empty bitmap, NOT_SUPPORTED without bitmaps, DENIED where a bit is
        pending or another sender's. `endpoints` are the ids that exist.
        """
        target = self._binding(caller, sender, receiver, bitmap)
        require_valid(sender in endpoints, f"unknown sender 0x{sender:x}")
        require_valid(not flags & ~int(BindFlag.PER_VCPU), f"flags 0x{flags:x}")
        require_allowed(not target.any_pending & bitmap, "a notification is pending")
        others = sum(1 << bit for bit, owner in target.senders.items() if owner != sender)
        require_allowed(not others & bitmap, "a notification is bound to another sender")
        target.bind(sender, bitmap, bool(flags & BindFlag.PER_VCPU))

    def unbind(self, caller: int, sender: int, receiver: int, flags: int, bitmap: int) -> None:
        """NOTIFICATION_UNBIND: DENIED where a bit is pending or not bound to `sender`; otherwise as bind.

        `flags` is w2, which must be zero.
        """
        target = self._binding(caller, sender, receiver, bitmap)
        require_valid(flags == 0, f"w2 0x{flags:x}")
        require_allowed(not target.any_pending & bitmap, "a notification is pending")
        require_allowed(not bitmap & ~target.bound_to(sender), "a notification is not bound to the sender")
        target.unbind(bitmap)

    def set(self, caller: int, sender: int, receiver: int, flags: int, bitmap: int) -> SetOutcome:
        """NOTIFICATION_SET, `flags` being w2: vCPU in [31:16], `SetFlag` below.

        INVALID_PARAMETERS for ids, flags, a vCPU the receiver lacks, an empty bitmap or one bound the other way
        (global or per vCPU); DENIED where the receiver has no bitmaps or a bit is not bound to the sender.
        """
        require_valid(caller == sender and sender != receiver, f"0x{sender:x} signals 0x{receiver:x}")
        vcpu = _check_set_flags(sender, flags)
        require_valid(0 < bitmap <= ALL, f"bitmap 0x{bitmap:x}")
        state = self.endpoints.get(receiver)
        if state is None:
            raise FfaError(Code.DENIED, f"0x{receiver:x} has no bitmaps")
        target = _bitmap_for(state, sender)
        require_allowed(not bitmap & ~target.bound_to(sender), "a notification is not bound to the sender")
        expected = target.per_vcpu & bitmap
        require_valid(expected == (bitmap if vcpu is not None else 0), "global and per-vCPU notifications differ")
        require_valid(vcpu is None or vcpu < state.vcpus, f"vCPU {vcpu} of {state.vcpus}")
        return SetOutcome(receiver, vcpu, target.set(bitmap, vcpu), bool(flags & SetFlag.DELAY_SRI))

    def get(self, caller: int, receiver: int, vcpu: int, flags: int) -> Taken:
        """NOTIFICATION_GET for the caller's vCPU: what `flags` (GetFlag) ask for, cleared. Other flags are SBZ.

        INVALID_PARAMETERS for another endpoint's bitmaps, a vCPU that does not exist, or without bitmaps.
        """
        state = self.endpoints.get(receiver)
        require_valid(caller == receiver, f"0x{caller:x} asks for notifications of 0x{receiver:x}")
        if state is None:
            raise FfaError(Code.INVALID_PARAMETERS, f"0x{receiver:x} has no bitmaps")
        require_valid(vcpu < state.vcpus, f"vCPU {vcpu} of {state.vcpus}")
        sp = state.from_sp.take(vcpu) if flags & GetFlag.SP else 0
        vm = state.from_vm.take(vcpu) if flags & GetFlag.VM else 0
        return Taken(sp, vm, _take_framework(state, flags))

    def raise_framework(self, receiver: int, notification: FrameworkNotification) -> bool:
        """A manager signals `receiver`; False where it has no bitmaps or the notification was pending."""
        state = self.endpoints.get(receiver)
        if state is None or notification in state.framework:
            return False
        state.framework |= notification
        return True

    def has_pending(self, endpoint: int, vcpu: int | None = None) -> bool:
        """Whether the notification pending interrupt is due, for one vCPU or for any."""
        state = self.endpoints.get(endpoint)
        return state is not None and state.has_pending(vcpu)

    def info_get(self, wide: bool, endpoints: Iterable[int] | None = None) -> Info:
        """NOTIFICATION_INFO_GET: who has to run, told once for each pending notification; NO_DATA for nobody.

        Pending bits stay. `endpoints` limits the answer to ids the caller schedules.
        """
        room, lists, more = capacity(wide), [], False
        chosen = self.endpoints if endpoints is None else [e for e in endpoints if e in self.endpoints]
        for entry in (entry for endpoint in sorted(chosen) for entry in _news(endpoint, self.endpoints[endpoint])):
            if entry.ids > room:
                more = True
                continue
            room -= entry.ids
            lists.append(entry)
        for entry in lists:
            _tell(self.endpoints[entry.endpoint], entry)
        require(lists, Code.NO_DATA, "nothing new is pending")
        return Info(tuple(lists), more)

    def teardown(self, endpoint: int) -> None:
        """An endpoint ended: its bitmaps go, and so does everything it bound or set at others."""
        self.endpoints.pop(endpoint, None)
        for state in self.endpoints.values():
            target = _bitmap_for(state, endpoint)
            target.drop(target.bound_to(endpoint))

    def _binding(self, caller: int, sender: int, receiver: int, bitmap: int) -> Bitmap:
        require_valid(caller == receiver, f"0x{caller:x} binds for 0x{receiver:x}")
        require_valid(sender != receiver, "sender and receiver are the same")
        require_valid(0 < bitmap <= ALL, f"bitmap 0x{bitmap:x}")
        state = self.endpoints.get(receiver)
        if state is None:
            raise FfaError(Code.NOT_SUPPORTED, f"0x{receiver:x} has no bitmaps")
        return _bitmap_for(state, sender)


def bitmap_of(low: int, high: int) -> int:
    """A 64-bit bitmap from w3 and w4."""
    return (high & 0xFFFF_FFFF) << 32 | low & 0xFFFF_FFFF


def _bitmap_for(state: EndpointNotifications, sender: int) -> Bitmap:
    return state.from_sp if is_secure(sender) else state.from_vm


def _check_set_flags(sender: int, flags: int) -> int | None:
    """The vCPU that w2 of NOTIFICATION_SET names, None for a global notification."""
    require_valid(not flags & 0xFFFF & ~int(SetFlag.PER_VCPU | SetFlag.DELAY_SRI), f"flags 0x{flags:x}")
    require_valid(is_secure(sender) or not flags & SetFlag.DELAY_SRI, "only SPs may delay the interrupt")
    vcpu = flags >> 16 & 0xFFFF
    if flags & SetFlag.PER_VCPU:
        return vcpu
    require_valid(vcpu == 0, "a global notification names a vCPU")
    return None


def _take_framework(state: EndpointNotifications, flags: int) -> int:
    asked = FrameworkNotification(0xFFFF_FFFF if flags & GetFlag.SPM else 0)
    asked |= FrameworkNotification(0xFFFF_FFFF << 32 if flags & GetFlag.HYPERVISOR else 0)
    taken = state.framework & asked
    state.framework &= ~taken
    state.framework_told &= ~taken
    return int(taken)


def _news(endpoint: int, state: EndpointNotifications) -> list[IdList]:
    """Lists for one endpoint: its id alone for global notifications, then its vCPUs by threes."""
    alone = [IdList(endpoint)] if state.global_news() else []
    vcpus = state.news_vcpus()
    return alone + [IdList(endpoint, vcpus[i : i + VCPUS_PER_LIST]) for i in range(0, len(vcpus), VCPUS_PER_LIST)]


def _tell(state: EndpointNotifications, entry: IdList) -> None:
    if not entry.vcpus:
        state.tell_global()
    for vcpu in entry.vcpus:
        state.tell_vcpu(vcpu)
