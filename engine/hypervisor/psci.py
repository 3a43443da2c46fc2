"""PSCI 1.1 and the SMCCC discovery calls, for guests by HVC or SMC (DEN0022, DEN0028)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.arch.psci import (
    HAS_64,
    NOT_SUPPORTED_32,
    PSCI_1_1,
    SMC64,
    SMCCC_1_2,
    AffinityState,
    Function,
    MigrateType,
    Result,
    Smccc,
    function_name,
)
from engine.events import PsciCall
from engine.views import VcpuState, VmRunState

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.vcpu import Vcpu

_SUSPEND_POWERDOWN = 1 << 16
_SUSPEND_RESERVED = 0xFCFE_0000
"""Bits of the original power_state format that must be zero (DEN0022 5.4.2)."""
_RESET2_WARM = 0

Arguments = tuple[int, int, int]
Handler = Callable[["Vcpu", Arguments], int]


class VcpuPower:
    """What CPU_ON and CPU_OFF do to a vCPU: at once, where nobody else needs to know."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor

    def turn_on(self, vcpu: Vcpu) -> None:
        """Let a vCPU run that was reset to its entry point."""
        self._hypervisor.start_vcpu(vcpu)

    def turn_off(self, vcpu: Vcpu) -> None:
        """Off; a VM without any vCPU left is off, too."""
        self._hypervisor.block(vcpu, VcpuState.OFF, "off")
        if all(other.state is VcpuState.OFF for other in vcpu.vm.vcpus):
            self._hypervisor.stop_vm(vcpu.vm, VmRunState.OFF, "every vCPU is off")


class Psci:
    """Power control of the VMs' vCPUs."""

    def __init__(self, hypervisor: Hypervisor, power: VcpuPower) -> None:
        self._hypervisor = hypervisor
        self._power = power
        self._handlers: dict[int, Handler] = {
            Function.VERSION: lambda _vcpu, _args: PSCI_1_1,
            Function.CPU_SUSPEND: self._cpu_suspend,
            Function.CPU_OFF: self._cpu_off,
            Function.CPU_ON: self._cpu_on,
            Function.AFFINITY_INFO: self._affinity_info,
            Function.MIGRATE_INFO_TYPE: lambda _vcpu, _args: MigrateType.NOT_REQUIRED,
            Function.SYSTEM_OFF: self._system_off,
            Function.SYSTEM_RESET: self._system_reset,
            Function.FEATURES: self._features,
            Function.SYSTEM_RESET2: self._system_reset2,
        }

    def call(self, vcpu: Vcpu) -> bool:
        """Serve the call in x0-x3 if it is one of these; False leaves the registers alone."""
        x = vcpu.registers.x
        fid = x[0] & 0xFFFF_FFFF
        wide = bool(fid & SMC64)
        if Smccc.VERSION <= fid <= Smccc.ARCH_WORKAROUND_1:
            x[0] = self._architecture_service(fid, x[1] & 0xFFFF_FFFF)
            return True
        handler = self._handlers.get(fid & ~SMC64)
        if handler is None or (wide and fid & ~SMC64 not in HAS_64):
            return False
        mask = (1 << 64) - 1 if wide else 0xFFFF_FFFF
        args = (x[1] & mask, x[2] & mask, x[3] & mask)
        result = handler(vcpu, args)
        x[0] = result & mask
        if fid != Function.VERSION:
            self._report(vcpu, fid, args, result)
        return True

    def _report(self, vcpu: Vcpu, fid: int, args: Arguments, result: int) -> None:
        name = function_name(fid) or f"{fid:#x}"
        emit, cycle = self._hypervisor.events.emit, vcpu.pcore.now
        emit(PsciCall(cycle, vcpu.vm.name, vcpu.index, name, args, result))

    def _architecture_service(self, fid: int, argument: int) -> int:
        """SMCCC_VERSION and SMCCC_ARCH_FEATURES; this CPU needs none of the workarounds (1, or -2 for number 2)."""
        if fid == Smccc.VERSION:
            return SMCCC_1_2
        if fid != Smccc.ARCH_FEATURES:
            return NOT_SUPPORTED_32
        known = {Smccc.VERSION: 0, Smccc.ARCH_FEATURES: 0, Smccc.ARCH_WORKAROUND_1: 1, Smccc.ARCH_WORKAROUND_2: -2}
        return known.get(Smccc(argument), -1) & 0xFFFF_FFFF if argument in known else NOT_SUPPORTED_32

    # --- functions, each returning the PSCI result ---------------------------------------------

    def _features(self, _vcpu: Vcpu, args: Arguments) -> int:
        fid = args[0]
        if fid == Smccc.VERSION:
            return Result.SUCCESS
        base = fid & ~SMC64
        known = base in self._handlers and (fid == base or base in HAS_64)
        return Result.SUCCESS if known else Result.NOT_SUPPORTED

    def _target(self, vcpu: Vcpu, affinity: int) -> Vcpu | None:
        """The vCPU with this MPIDR affinity, None if there is none (or bits that are no affinity are set)."""
        vcpus = vcpu.vm.vcpus
        return vcpus[affinity] if affinity < len(vcpus) else None

    def _cpu_on(self, vcpu: Vcpu, args: Arguments) -> int:
        affinity, entry, context_id = args
        target = self._target(vcpu, affinity)
        if target is None:
            return Result.INVALID_PARAMETERS
        if target.state is not VcpuState.OFF:
            return Result.ALREADY_ON if target.started else Result.ON_PENDING
        if entry & 3 or not vcpu.vm.in_ram(entry):
            return Result.INVALID_ADDRESS
        vcpu.vm.reset_vcpu(target, entry, context_id)
        self._power.turn_on(target)
        return Result.SUCCESS

    def _cpu_off(self, vcpu: Vcpu, _args: Arguments) -> int:
        self._power.turn_off(vcpu)
        return Result.SUCCESS

    def _cpu_suspend(self, vcpu: Vcpu, args: Arguments) -> int:
        """Standby. A power-down request is downgraded to standby, as DEN0022 5.4.5 allows."""
        power_state, entry, _ = args
        if power_state & _SUSPEND_RESERVED:
            return Result.INVALID_PARAMETERS
        if power_state & _SUSPEND_POWERDOWN and (entry & 3 or not vcpu.vm.in_ram(entry)):
            return Result.INVALID_ADDRESS
        self._hypervisor.wait_for_interrupt(vcpu, "suspend")
        return Result.SUCCESS

    def _affinity_info(self, vcpu: Vcpu, args: Arguments) -> int:
        target = self._target(vcpu, args[0])
        if target is None or args[1]:
            return Result.INVALID_PARAMETERS
        if target.state is VcpuState.OFF:
            return AffinityState.OFF
        return AffinityState.ON if target.started else AffinityState.ON_PENDING

    def _system_off(self, vcpu: Vcpu, _args: Arguments) -> int:
        self._hypervisor.stop_vm(vcpu.vm, VmRunState.OFF, "SYSTEM_OFF")
        return Result.SUCCESS

    def _system_reset(self, vcpu: Vcpu, _args: Arguments) -> int:
        self._hypervisor.request_reset(vcpu.vm, "SYSTEM_RESET")
        return Result.SUCCESS

    def _system_reset2(self, vcpu: Vcpu, args: Arguments) -> int:
        if args[0] & 0xFFFF_FFFF != _RESET2_WARM:
            return Result.INVALID_PARAMETERS
        self._hypervisor.request_reset(vcpu.vm, "SYSTEM_RESET2")
        return Result.SUCCESS
