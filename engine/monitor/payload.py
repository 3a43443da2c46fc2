"""A normal-world payload that owns EL2: firmware, a hypervisor or a kernel without one above it (BL33)."""

from __future__ import annotations

from engine.arch.controls import (
    HCR_FMO,
    HCR_IMO,
    HCR_RW,
    HCR_TGE,
    HCR_VF,
    HCR_VI,
    MPIDR_RES1,
    PSTATE_EL2H,
    SCR_HCE,
    SCR_NS,
    SCR_RW,
    SCR_TWI,
)
from engine.arch.sysreg import SysReg
from engine.board.gic.virtual_control import EN
from engine.board.memory_map import COUNTER_HZ
from engine.cpu import exceptions
from engine.cpu.core import Core
from engine.cpu.timer import TimerPpi
from engine.hypervisor.physical_core import PhysicalCore
from engine.hypervisor.vcpu import Vcpu
from engine.hypervisor.vm import Vm
from engine.monitor.payload_gic import PayloadGic

_SCR = SCR_RW | SCR_HCE | SCR_NS | SCR_TWI
"""TWI: WFI goes to EL3, so that a waiting core costs nothing."""
_I, _F = 0x80, 0x40
UNMASK_GRAIN = 256
"""Cycles after which the core looks again whether a payload at EL2 has unmasked a pending interrupt.

The engine takes only virtual interrupts by itself, which EL2 has not. Looking at multiples of this number, rather than
whenever a slice happens to end, keeps runs equal wherever somebody stops them.
"""


class Payload(Vm):
    """The one partition of the normal world where no hypervisor of ours runs.

    Its stage 2 says what memory it has, for whoever looks; its engine translates by what the payload itself sets up.
    Its interrupt controller is the board's as Non-secure state sees it.
    """

    timers = (*Vm.timers, TimerPpi.HYPERVISOR)
    gic: PayloadGic

    def add_vcpu(self, pcore: PhysicalCore) -> Vcpu:
        """A core's Non-secure state, reset to EL2."""
        core = self.core
        vcpu = Vcpu(self, len(self.vcpus), pcore, core.new_context(), core.new_context(), self.timers)
        core.reset()
        core.write(SysReg.SCR_EL3, _SCR)
        core.write(SysReg.VPIDR_EL2, core.read(SysReg.MIDR_EL1))
        core.write(SysReg.VMPIDR_EL2, MPIDR_RES1 | vcpu.index)
        core.write(SysReg.CNTFRQ_EL0, COUNTER_HZ)
        core.write(SysReg.HCR_EL2, HCR_RW)
        core.pstate = PSTATE_EL2H
        core.save(vcpu.reset_context)
        self.vcpus.append(vcpu)
        return vcpu

    def present_interrupts(self, vcpu: Vcpu) -> None:
        """Take a pending IRQ or FIQ, if the state it runs in lets it."""
        core = self.core
        if not vcpu.interrupts_new and vcpu.pcore.now % UNMASK_GRAIN:
            return
        vcpu.interrupts_new = False
        for pending, mask, route, kind in (
            (self.interrupts.vfiq(vcpu.index), _F, HCR_FMO, exceptions.FIQ),
            (self.interrupts.virq(vcpu.index), _I, HCR_IMO, exceptions.IRQ),
        ):
            target = _target(core, route)
            if pending and target >= core.state.el and (target > core.state.el or not core.pstate & mask):
                exceptions.enter(core, target, 0, None, kind)
                break
        self._present_virtual(vcpu)

    def _present_virtual(self, vcpu: Vcpu) -> None:
        """Virtual interrupts of the payload's guest are for the engine to take, while list registers are in use."""
        view, signalled = self.gic.guests[vcpu.index], vcpu.index in self.gic.signalled
        if not view.hcr & EN and not signalled:
            return
        lines = (HCR_VI if view.virq() else 0) | (HCR_VF if view.vfiq() else 0)
        hcr = self.core.read(SysReg.HCR_EL2)
        if hcr & (HCR_VI | HCR_VF) != lines:
            self.core.write(SysReg.HCR_EL2, hcr & ~(HCR_VI | HCR_VF) | lines)
        (self.gic.signalled.add if lines else self.gic.signalled.discard)(vcpu.index)

    def next_look(self, vcpu: Vcpu, now: int) -> int | None:
        """Cycle at which a pending but masked interrupt must be looked at again, None without one."""
        own = self.gic.virq(vcpu.index) or self.gic.vfiq(vcpu.index)
        if own or self.gic.guests[vcpu.index].has_pending() or vcpu.index in self.gic.signalled:
            return (now // UNMASK_GRAIN + 1) * UNMASK_GRAIN
        return None


def _target(core: Core, route: int) -> int:
    """The exception level that physical interrupts go to (Arm ARM D1.3.6)."""
    return 2 if core.state.el == 2 or core.read(SysReg.HCR_EL2) & (route | HCR_TGE) else 1
