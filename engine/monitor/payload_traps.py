"""What an EL2-owning payload's exceptions mean: its own, by the architecture's rules, or EL3's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.arch import esr as syndromes
from engine.arch import loadstore
from engine.arch.controls import HCR_TEA, HCR_TGE, MPIDR_RES1
from engine.arch.esr import EC, HAS_FAR, FaultStatus, SysregAccess
from engine.arch.sysreg import SysReg
from engine.cpu import exceptions
from engine.hypervisor.emulated_sysregs import GicRegisters
from engine.hypervisor.mmio import MisalignedError, Mmio
from engine.hypervisor.trap_base import Calls, TrapBase
from engine.monitor.payload_gic import PayloadGic

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.vcpu import Vcpu
    from engine.monitor.payload import Payload

_MONITOR_EL = 3


class PayloadTraps(TrapBase):
    """The CoreClient of a payload: EL3's vectors, and the exception entry that the engine leaves to its user."""

    def __init__(self, vm: Payload, hypervisor: Hypervisor, mmio: Mmio, calls: Calls) -> None:
        super().__init__(vm, hypervisor, mmio, calls)
        self._payload = vm

    def on_timer_read(self, key: int) -> int | None:
        """Also which PE this is: EL1 sees it by VMPIDR_EL2, but EL2 asks the model, for which all are the first."""
        if key == SysReg.MPIDR_EL1 and self._vm.core.state.el == 2:
            return MPIDR_RES1 | self._loaded().index
        return super().on_timer_read(key)

    def on_exception(self, _number: int) -> None:
        vcpu = self._loaded()
        core, record = self._vm.core, self._vm.core.exception
        esr = record.esr
        ec = esr >> syndromes.EC_SHIFT
        if core.state.aarch32:
            self._crash("entered AArch32 state, which this machine has not")
        elif ec == EC.UNKNOWN:
            self._undefined(vcpu, record.target_el)
        elif record.target_el == _MONITOR_EL:
            vcpu.exits += 1
            self._to_monitor(vcpu, ec)
        else:
            self._deliver(vcpu, max(1, record.target_el), esr, record.far if ec in HAS_FAR else None)
        self._hypervisor.after_trap(vcpu)

    def on_external_abort(self, physical: int) -> None:
        """No memory there: a device register, or nothing at all."""
        vcpu = self._loaded()
        core = self._vm.core
        word = core.instruction()
        access = None if word is None else loadstore.decode(word)
        try:
            if access is not None and self._mmio.emulate(vcpu, access, physical):
                self._hypervisor.after_trap(vcpu)
                return
            status = FaultStatus.EXTERNAL
        except MisalignedError:
            status = FaultStatus.ALIGNMENT
        hcr = core.read(SysReg.HCR_EL2)
        target = 2 if core.state.el == 2 or hcr & (HCR_TEA | HCR_TGE) else 1
        far = core.state.pc if access is None else core.state.x[access.base]
        if word is None:
            lower, same = EC.INSTRUCTION_ABORT_LOWER, EC.INSTRUCTION_ABORT_SAME
        else:
            lower, same = EC.DATA_ABORT_LOWER, EC.DATA_ABORT_SAME
        write = access is not None and not access.transfers[0].load
        ec = lower if core.state.el < target else same
        self._deliver(vcpu, target, syndromes.syndrome(ec, status | write << 6), far)

    def _deliver(self, vcpu: Vcpu, target: int, esr: int, far: int | None) -> None:
        """Exception entry at EL1 or EL2."""
        core = self._vm.core
        pc = core.state.pc
        exceptions.enter(core, target, esr, far)
        self._injected(vcpu, target, esr, far, pc)
        if esr >> syndromes.EC_SHIFT in (EC.INSTRUCTION_ABORT_LOWER, EC.INSTRUCTION_ABORT_SAME):
            self._count_fetch_fault(vcpu, pc)

    def _undefined(self, vcpu: Vcpu, target: int) -> None:
        if not self._trapped(vcpu) and not self._emulated(vcpu, EC.SYSREG, 1):
            self._deliver(vcpu, max(1, min(target, 2)), syndromes.syndrome(EC.UNKNOWN), None)

    def _trapped(self, vcpu: Vcpu) -> bool:
        """Deliver to EL2 what it has trapped, although the model knows no such register."""
        core = self._vm.core
        word = core.instruction()
        access = SysregAccess.of_instruction(word or 0)
        trapped = PayloadGic.traps(access.key, core.state.el, core.read(SysReg.HCR_EL2))
        if trapped:
            self._deliver(vcpu, 2, syndromes.syndrome(EC.SYSREG, access.iss), None)
        return trapped

    def _gic(self, word: int) -> GicRegisters | None:
        core, key = self._vm.core, SysregAccess.of_instruction(word).key
        return self._payload.gic.seen_from(key, core.state.el, core.read(SysReg.HCR_EL2))

    def _to_monitor(self, vcpu: Vcpu, ec: int) -> None:
        """EL3: SMC, and WFI (SCR_EL3.TWI)."""
        core = self._vm.core
        if ec == EC.WFX:
            self._report(vcpu, ec, "WFI", 0, 0)
            core.state.pc += 4
            self._hypervisor.wait_for_interrupt(vcpu, "wfi")
        else:
            self._call(vcpu, ec, "SMC", core.exception.esr)
