"""What an EL2-owning payload's exceptions mean: its own, by the architecture's rules, or EL3's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.arch import esr as syndromes
from engine.arch import loadstore, sysreg
from engine.arch.esr import EC, HAS_FAR, FaultStatus, SysregAccess
from engine.arch.psci import NOT_SUPPORTED_32, SMC64, function_name
from engine.arch.sysreg import SysReg
from engine.cpu import exceptions
from engine.events import ExceptionInjected, Trap
from engine.ffa import abi
from engine.hypervisor.emulated_sysregs import SysregMove, emulate
from engine.hypervisor.mmio import MisalignedError, Mmio
from engine.hypervisor.partition import MPIDR_RES1
from engine.hypervisor.sysregs import GuestSysregs
from engine.hypervisor.traps import Calls
from engine.monitor.payload_gic import PayloadGic
from engine.views import VmRunState

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.vcpu import Vcpu
    from engine.monitor.payload import Payload

_MONITOR_EL = 3
_HCR_TEA, _HCR_TGE = 1 << 37, 1 << 27
_RUNAWAY = 100
"""Instruction aborts in a row, without an instruction in between, after which a payload counts as crashed."""
_MASK64 = (1 << 64) - 1


class PayloadTraps:
    """The CoreClient of a payload: EL3's vectors, and the exception entry that the engine leaves to its user."""

    def __init__(self, vm: Payload, hypervisor: Hypervisor, mmio: Mmio, calls: Calls) -> None:
        self._vm = vm
        self._hypervisor = hypervisor
        self._mmio = mmio
        self._serve = calls
        self._sysregs: GuestSysregs | None = None

    def _registers(self) -> GuestSysregs:
        if self._sysregs is None:
            self._sysregs = GuestSysregs(self._vm, self._hypervisor)
        return self._sysregs

    def on_timer_read(self, key: int) -> int | None:
        """Also which PE this is: EL1 sees it by VMPIDR_EL2, but EL2 asks the model, for which all are the first."""
        if key == SysReg.MPIDR_EL1 and self._vm.core.state.el == 2:
            return MPIDR_RES1 | self._loaded().index
        return self._registers().read(key)

    def on_timer_write(self, key: int, value: int) -> bool:
        return self._registers().write(key, value)

    def on_exception(self, _number: int) -> None:
        vcpu = self._loaded()
        core, record = self._vm.core, self._vm.core.exception
        esr, exits = record.esr, vcpu.exits
        ec = esr >> syndromes.EC_SHIFT
        if core.state.aarch32:
            self._hypervisor.stop_vm(self._vm, VmRunState.CRASHED, "entered AArch32 state, which this machine has not")
        elif ec == EC.UNKNOWN:
            self._undefined(vcpu, record.target_el)
        elif record.target_el == _MONITOR_EL:
            vcpu.exits += 1
            self._to_monitor(vcpu, ec)
        else:
            self._deliver(vcpu, max(1, record.target_el), esr, record.far if ec in HAS_FAR else None)
        self._hypervisor.after_trap(vcpu, vcpu.exits != exits)

    def on_external_abort(self, physical: int) -> None:
        """No memory there: a device register, or nothing at all."""
        vcpu = self._loaded()
        core = self._vm.core
        word = core.instruction()
        access = None if word is None else loadstore.decode(word)
        try:
            if access is not None and self._mmio.emulate(vcpu, access, physical):
                self._hypervisor.after_trap(vcpu, True)
                return
            status = FaultStatus.EXTERNAL
        except MisalignedError:
            status = FaultStatus.ALIGNMENT
        hcr = core.read(SysReg.HCR_EL2)
        target = 2 if core.state.el == 2 or hcr & (_HCR_TEA | _HCR_TGE) else 1
        far = core.state.pc if access is None else core.state.x[access.base]
        if word is None:
            lower, same = EC.INSTRUCTION_ABORT_LOWER, EC.INSTRUCTION_ABORT_SAME
        else:
            lower, same = EC.DATA_ABORT_LOWER, EC.DATA_ABORT_SAME
        write = access is not None and not access.transfers[0].load
        ec = lower if core.state.el < target else same
        self._deliver(vcpu, target, syndromes.syndrome(ec, status | write << 6), far)

    def _loaded(self) -> Vcpu:
        vcpu = self._vm.loaded
        if vcpu is None:
            raise RuntimeError(f"{self._vm.name}: an exception while no vCPU is loaded")
        return vcpu

    def _deliver(self, vcpu: Vcpu, target: int, esr: int, far: int | None) -> None:
        """Exception entry at EL1 or EL2."""
        core = self._vm.core
        pc = core.state.pc
        exceptions.enter(core, target, esr, far)
        event = ExceptionInjected(vcpu.pcore.now, self._vm.name, vcpu.index, target, esr, far or 0, pc)
        self._hypervisor.events.emit(event)
        if esr >> syndromes.EC_SHIFT in (EC.INSTRUCTION_ABORT_LOWER, EC.INSTRUCTION_ABORT_SAME):
            self._count_fetch_fault(vcpu, pc)

    def _count_fetch_fault(self, vcpu: Vcpu, pc: int) -> None:
        """A fetch that faults runs no instruction: it costs one cycle, or time would stand still."""
        core = self._vm.core
        vcpu.fetch_faults += 1
        vcpu.faults_in_a_row = vcpu.faults_in_a_row + 1 if core.executed == 0 else 1
        if vcpu.faults_in_a_row > _RUNAWAY:
            self._hypervisor.stop_vm(self._vm, VmRunState.CRASHED, f"exceptions in exceptions: cannot fetch at {pc:#x}")
        core.stop()

    def _undefined(self, vcpu: Vcpu, target: int) -> None:
        core = self._vm.core
        word = core.instruction() if core.state.el else None
        if word is not None and self._traps(vcpu, word):
            return
        move = None if word is None else self._emulate(vcpu, word)
        if move is None:
            self._deliver(vcpu, max(1, min(target, 2)), syndromes.syndrome(EC.UNKNOWN), None)
            return
        vcpu.exits += 1
        self._report(vcpu, EC.SYSREG, f"{'read' if move.read else 'write'} {sysreg.name(move.key)}", move.value)
        core.state.pc += 4

    def _traps(self, vcpu: Vcpu, word: int) -> bool:
        """Deliver what EL2 has trapped, although the model knows no such register."""
        core, access = self._vm.core, SysregAccess.of_instruction(word)
        trapped = PayloadGic.traps(access.key, core.state.el, core.read(SysReg.HCR_EL2))
        if trapped:
            self._deliver(vcpu, 2, syndromes.syndrome(EC.SYSREG, access.iss), None)
        return trapped

    def _emulate(self, vcpu: Vcpu, word: int) -> SysregMove | None:
        core, key = self._vm.core, SysregAccess.of_instruction(word).key
        gic = self._vm.gic.seen_from(key, core.state.el, core.read(SysReg.HCR_EL2))
        return None if gic is None else emulate(vcpu, word, self._registers(), gic)

    def _to_monitor(self, vcpu: Vcpu, ec: int) -> None:
        """EL3: SMC, and WFI (SCR_EL3.TWI)."""
        core = self._vm.core
        if ec == EC.WFX:
            self._report(vcpu, ec, "WFI", 0)
            core.state.pc += 4
            self._hypervisor.wait_for_interrupt(vcpu, "wfi")
            return
        x = core.state.x
        fid = x[0] & 0xFFFF_FFFF
        known = abi.function(fid)
        name = function_name(fid) or (f"FFA_{known.name}" if known else hex(fid))
        self._report(vcpu, ec, f"SMC {name}", fid)
        if core.exception.esr & 0xFFFF or not self._serve(vcpu, False):
            x[0] = _MASK64 if fid & SMC64 else NOT_SUPPORTED_32

    def _report(self, vcpu: Vcpu, ec: int, what: str, value: int) -> None:
        event = Trap(vcpu.pcore.now, self._vm.name, vcpu.index, ec, self._vm.core.state.pc, what, value)
        self._hypervisor.events.emit(event)
