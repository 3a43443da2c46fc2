"""What a guest's exceptions mean: delivered to its own EL1, or served at EL2 by exception class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.arch import esr as syndromes
from engine.arch import sysreg
from engine.arch.controls import HCR_TDZ
from engine.arch.esr import EC, HAS_FAR, DataAbort, FaultStatus, SysregAccess
from engine.arch.paging import ADDRESS_MASK, PAGE, stage1_start_level, walk
from engine.arch.sysreg import SysReg
from engine.cpu import exceptions
from engine.cpu.state import XZR
from engine.hypervisor import jailhouse
from engine.hypervisor.mmio import MisalignedError, Mmio
from engine.hypervisor.trap_base import Calls, TrapBase

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.partition import Partition
    from engine.hypervisor.vcpu import Vcpu

GUEST_EL = 1
_DC_ZVA = sysreg.encode(1, 3, 7, 4, 1)
_ZVA_BYTES = 64


class GuestTraps(TrapBase):
    """The CoreClient of one VM: everything its engine reports comes here first."""

    def __init__(self, vm: Partition, hypervisor: Hypervisor, mmio: Mmio, calls: Calls) -> None:
        super().__init__(vm, hypervisor, mmio, calls)
        self._handlers: dict[int, Callable[[Vcpu, int], None]] = {
            EC.WFX: self._wait,
            EC.HVC64: self._hvc,
            EC.SVC64: self._svc,
            EC.SMC64: self._smc,
            EC.SYSREG: self._sysreg,
            EC.DATA_ABORT_LOWER: self._data_abort,
            EC.INSTRUCTION_ABORT_LOWER: self._instruction_abort,
        }

    # --- CoreClient --------------------------------------------------------------------------

    def on_external_abort(self, physical: int) -> None:
        """Stage 2 never maps what nothing backs, so this is a host-side inconsistency of the tables."""
        vcpu = self._vm.loaded
        if vcpu is not None:
            self._crash(f"nothing answers at physical {physical:#x}")

    def on_exception(self, _number: int) -> None:
        vcpu = self._loaded()
        record = self._vm.core.exception
        esr = record.esr or self._lost_syndrome()
        ec = esr >> syndromes.EC_SHIFT
        if not self._vm.hcr & HCR_TDZ:
            vcpu.interrupts_changed = True
        if vcpu.registers.aarch32:
            self._crash("entered AArch32 state, which this machine has not")
            return
        # The model calls an access by EL1 to EL3's registers a trap to EL1, which is UNDEFINED.
        own = ec == EC.SYSREG and vcpu.registers.el == GUEST_EL >= record.target_el
        if ec == EC.UNKNOWN or own:
            self._undefined(vcpu)
        elif record.target_el <= GUEST_EL:
            self._deliver(vcpu, esr, record.far if ec in HAS_FAR else None)
        else:
            vcpu.exits += 1
            handler = self._handlers.get(ec)
            if handler is not None:
                handler(vcpu, esr)
            elif not self._fails(esr, self._vm.core.state.pc):
                self._inject_undefined(vcpu)
        self._hypervisor.after_trap(vcpu)

    def _lost_syndrome(self) -> int:
        """The engine forgets the syndrome of MSR DAIFSet/DAIFClr at EL0 while SCTLR_EL1.UMA is clear; work it out."""
        word = self._vm.core.instruction()
        iss = 0 if word is None else SysregAccess.of_instruction(word).iss
        return syndromes.syndrome(EC.SYSREG, iss)

    # --- to the guest's EL1 --------------------------------------------------------------------

    def _deliver(self, vcpu: Vcpu, esr: int, far: int | None) -> None:
        """Exception entry that the engine leaves to its user."""
        core = self._vm.core
        pc = core.state.pc
        if self._fails(esr, pc):
            return
        exceptions.enter(core, GUEST_EL, esr, far)
        self._injected(vcpu, GUEST_EL, esr, far, pc)
        if esr >> syndromes.EC_SHIFT in (EC.INSTRUCTION_ABORT_LOWER, EC.INSTRUCTION_ABORT_SAME):
            self._count_fetch_fault(vcpu, pc)

    def _fails(self, esr: int, pc: int) -> bool:
        """A partition without EL1 has nobody to take its exceptions: it is over."""
        if self._vm.user:
            ec = esr >> syndromes.EC_SHIFT
            self._crash(f"exception class {ec:#x} at {pc:#x}")
        return self._vm.user

    def _inject_undefined(self, vcpu: Vcpu) -> None:
        pc = self._vm.core.state.pc
        if self._fails(syndromes.syndrome(EC.UNKNOWN), pc):
            return
        exceptions.undefined(self._vm.core, GUEST_EL)
        self._injected(vcpu, GUEST_EL, syndromes.syndrome(EC.UNKNOWN), None, pc)

    def _inject_abort(self, vcpu: Vcpu, abort: DataAbort | None, status: int, far: int) -> None:
        """An abort on a data access, or (abort None) on an instruction fetch."""
        core = self._vm.core
        pc = core.state.pc
        ec = EC.INSTRUCTION_ABORT_LOWER if abort is None else EC.DATA_ABORT_LOWER
        if self._fails(syndromes.syndrome(ec, status), pc):
            return
        if abort is None:
            exceptions.instruction_abort(core, GUEST_EL, far, status)
        else:
            exceptions.data_abort(core, GUEST_EL, far, status, abort.write)
        esr = core.read(SysReg.ESR_EL1)
        self._injected(vcpu, GUEST_EL, esr, far, pc)
        if abort is None:
            self._count_fetch_fault(vcpu, pc)

    # --- served at EL2 ---------------------------------------------------------------------------

    def _wait(self, vcpu: Vcpu, _esr: int) -> None:
        self._report(vcpu, EC.WFX, "WFI", 0, 0)
        self._vm.core.state.pc += 4
        self._hypervisor.wait_for_interrupt(vcpu, "wfi")

    def _hvc(self, vcpu: Vcpu, esr: int) -> None:
        if syndromes.immediate(esr) == jailhouse.IMMEDIATE:
            self._report(vcpu, EC.HVC64, "HVC Jailhouse debug console", 0, self._vm.core.state.x[0])
            jailhouse.serve(self._vm)
            return
        self._call(vcpu, EC.HVC64, "HVC", esr)

    def _svc(self, vcpu: Vcpu, esr: int) -> None:
        """The conduit of a partition that has nothing at EL1."""
        self._call(vcpu, EC.SVC64, "SVC", esr)

    def _smc(self, vcpu: Vcpu, esr: int) -> None:
        self._vm.core.state.pc += 4
        self._call(vcpu, EC.SMC64, "SMC", esr)

    def _sysreg(self, vcpu: Vcpu, esr: int) -> None:
        access = SysregAccess(esr)
        if access.key == _DC_ZVA:
            self._zero_block(access.register)
        else:
            self._report(vcpu, EC.SYSREG, "read" if access.read else "write", access.key, 0)
            self._inject_undefined(vcpu)

    def _zero_block(self, register: int) -> None:
        """DC ZVA from a guest that ignores DCZID_EL0.DZP."""
        core = self._vm.core
        address = (0 if register == XZR else core.state.x[register]) & -_ZVA_BYTES
        physical = core.translate(address, write=True)
        if physical is None:
            # It will fault: let the engine execute it, for the exact syndrome. The next trap sets TDZ again.
            self._vm.set_hcr(self._vm.hcr & ~HCR_TDZ)
            return
        core.write_physical(physical, bytes(_ZVA_BYTES))
        core.state.pc += 4

    def _undefined(self, vcpu: Vcpu) -> None:
        """UNDEFINED for the model; some system registers are ours to emulate from EL1."""
        if not self._emulated(vcpu, EC.SYSREG, GUEST_EL):
            self._inject_undefined(vcpu)

    def _data_abort(self, vcpu: Vcpu, esr: int) -> None:
        record = self._vm.core.exception
        far = record.far
        ipa = record.ipa_page | far & (PAGE - 1)
        abort = DataAbort(esr & 0x1FF_FFFF)
        if abort.on_walk:
            self._inject_abort(vcpu, abort, self._walk_status(far), far)
            return
        try:
            if self._mmio.access(vcpu, abort, ipa):
                return
            status = FaultStatus.EXTERNAL
        except MisalignedError:
            status = FaultStatus.ALIGNMENT
        self._report(vcpu, EC.DATA_ABORT_LOWER, "stage-2 data abort", 0, ipa)
        self._inject_abort(vcpu, abort, status, far)

    def _instruction_abort(self, vcpu: Vcpu, esr: int) -> None:
        record = self._vm.core.exception
        on_walk = DataAbort(esr).on_walk
        far, ipa = record.far, record.ipa_page
        self._report(vcpu, EC.INSTRUCTION_ABORT_LOWER, "stage-2 instruction abort", 0, ipa)
        status = self._walk_status(far) if on_walk else FaultStatus.EXTERNAL
        self._inject_abort(vcpu, None, status, far)

    def _walk_status(self, far: int) -> int:
        """External abort on a stage-1 table walk, at the level whose table is not there (Arm ARM D8.14)."""
        core, stage2 = self._vm.core, self._vm.stage2
        upper = far >> 55 & 1
        root = core.read(SysReg.TTBR1_EL1 if upper else SysReg.TTBR0_EL1) & ADDRESS_MASK
        size_offset = core.read(SysReg.TCR_EL1) >> (16 if upper else 0) & 0x3F
        start = stage1_start_level(size_offset)

        def read(ipa: int) -> int:
            physical = stage2.translate(ipa)
            if physical is None:
                raise IndexError(ipa)
            return self._vm.memory.read_u64(physical)

        return FaultStatus.EXTERNAL_ON_WALK_L0 + min(3, start + len(walk(read, root, far, start)))
