"""EL3's secure partition manager dispatcher: relays FF-A calls between the worlds, and switches cores between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.events import FfaAnswer, WorldSwitch
from engine.ffa.abi import Function, PartitionId, function, is_ffa
from engine.ffa.errors import Code
from engine.ffa.registers import NARROW, WIDE, Result, error, is_wide, success_32
from engine.views import VcpuState

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.physical_core import PhysicalCore
    from engine.hypervisor.vcpu import Vcpu

_SECURE_ONLY = frozenset(
    {
        Function.NORMAL_WORLD_RESUME,
        Function.SECONDARY_EP_REGISTER_32,
        Function.SECONDARY_EP_REGISTER_64,
        Function.MSG_WAIT,
        Function.YIELD,
        Function.EL3_INTR_HANDLE,
    }
)
"""Calls of the SPMC to EL3, or of partitions: NOT_SUPPORTED from the normal world (DEN0077A v1.2, 13 and 14)."""


class SecureManager(Protocol):
    """The SPMC as the SPMD calls it."""

    def from_normal(self, vcpu: Vcpu, registers: tuple[int, ...], report: bool) -> Result | None:
        """Serve a call of the normal world; None where a partition runs and the answer comes later."""

    @property
    def refusal(self) -> str:
        """Why the last call of the normal world was refused, for people."""


class Spmd:
    """One for the machine; what is per core is in `PhysicalCore`."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self.spmc: SecureManager | None = None
        self.suspended: dict[int, str] = {}
        """Which VM's call a suspended context works for, by target word."""
        self.endpoint_of: dict[str, int] = {}
        """Partition id of each VM, for events; 0 where there is none."""

    def serve(self, vcpu: Vcpu) -> bool:
        """The FF-A call in the registers of a payload that owns EL2; False if its id is not in FF-A's range."""
        x = vcpu.registers.x
        fid = x[0] & 0xFFFF_FFFF
        if not is_ffa(fid):
            return False
        result = self.call(vcpu, tuple(x[: WIDE if is_wide(fid) else NARROW]))
        if result is not None:
            x[: len(result.values)] = list(result.values)
        return True

    def call(self, vcpu: Vcpu, registers: tuple[int, ...], report: bool = True) -> Result | None:
        """An FF-A call by SMC from Non-secure EL2; None when the vCPU now waits for the secure world.

        Without `report` a VM's own call, which is relayed as it is, is not told of twice.
        """
        known = function(registers[0])
        if known is None or known in _SECURE_ONLY or self.spmc is None:
            return error(Code.NOT_SUPPORTED)
        if known is Function.SPM_ID_GET:
            return success_32(PartitionId.SPMC)
        if known is Function.ID_GET:
            return success_32(PartitionId.HYPERVISOR)
        pcore = vcpu.pcore
        result = self.spmc.from_normal(vcpu, registers, report)
        if result is None:
            pcore.caller = vcpu
            self._hypervisor.block(vcpu, VcpuState.CALLING, f"ff-a {known.name} in the secure world")
            self._hypervisor.events.emit(WorldSwitch(pcore.now, vcpu.vm.name, vcpu.index, pcore.index, True))
        return result

    def return_to_normal(self, pcore: PhysicalCore, result: Result | None) -> None:
        """The secure world is done with a core: its call is answered, or what ran before goes on."""
        caller = pcore.caller
        now = pcore.now
        if caller is not None and result is not None and caller.state is VcpuState.CALLING:
            x = caller.registers.x
            for number, value in enumerate(result.values):
                x[number] = value
            endpoint = self.endpoint_of.get(caller.vm.name, PartitionId.HYPERVISOR)
            self._hypervisor.events.emit(FfaAnswer(now, caller.vm.name, caller.index, endpoint, result.values))
            self._note_suspension(caller, result)
        name, index = ("", -1) if caller is None else (caller.vm.name, caller.index)
        self._hypervisor.events.emit(WorldSwitch(now, name, index, pcore.index, False))
        self._hypervisor.release(pcore)

    def _note_suspension(self, caller: Vcpu, result: Result) -> None:
        """FFA_INTERRUPT and FFA_YIELD leave the call to whoever made it."""
        self.suspended = {word: vm for word, vm in self.suspended.items() if vm != caller.vm.name}
        if result.fid in (Function.INTERRUPT, Function.YIELD):
            self.suspended[result.values[1]] = caller.vm.name
