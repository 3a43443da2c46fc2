"""System registers that the hypervisor answers for the guest: timers, counters and a few ID registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.arch.sysreg import SysReg
from engine.cpu.timer import Comparator

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.partition import Partition
    from engine.hypervisor.vcpu import Vcpu

_EL0PCTEN, _EL0VCTEN, _EL0VTEN, _EL0PTEN = 1 << 0, 1 << 1, 1 << 8, 1 << 9
_EL0_ENABLE = {
    SysReg.CNTPCT_EL0: _EL0PCTEN,
    SysReg.CNTVCT_EL0: _EL0VCTEN,
    SysReg.CNTV_CTL_EL0: _EL0VTEN,
    SysReg.CNTV_CVAL_EL0: _EL0VTEN,
    SysReg.CNTV_TVAL_EL0: _EL0VTEN,
    SysReg.CNTP_CTL_EL0: _EL0PTEN,
    SysReg.CNTP_CVAL_EL0: _EL0PTEN,
    SysReg.CNTP_TVAL_EL0: _EL0PTEN,
}
"""The CNTKCTL_EL1 bit that lets EL0 use a register (Arm ARM D12.2)."""
_PFR0_GIC = 0xF << 24
_PFR0_EL0_EL1 = 0xFF
_DFR0_PMUVER = 0xF << 8

Read = Callable[["Vcpu", int], int]
Write = Callable[[Comparator, int, int], None]


def guest_id_registers(vm: Partition) -> dict[int, int]:
    """ID registers that differ from the model's.

    The board has the GICv3 system registers, although the model does not say so; EL1 and EL0 are
    AArch64 only; there is no PMU, since cycle counters of the host would make runs differ.
    """
    pfr0 = vm.core.read(SysReg.ID_AA64PFR0_EL1) & ~(_PFR0_GIC | _PFR0_EL0_EL1)
    dfr0 = vm.core.read(SysReg.ID_AA64DFR0_EL1) & ~_DFR0_PMUVER
    return {SysReg.ID_AA64PFR0_EL1: pfr0 | 1 << 24 | 0x11, SysReg.ID_AA64DFR0_EL1: dfr0}


def _timer_reads() -> dict[int, Read]:
    return {
        SysReg.CNTVCT_EL0: lambda _vcpu, now: now,
        SysReg.CNTPCT_EL0: lambda _vcpu, now: now,
        SysReg.CNTV_CTL_EL0: lambda vcpu, now: vcpu.virtual_timer.read_ctl(now),
        SysReg.CNTV_CVAL_EL0: lambda vcpu, _now: vcpu.virtual_timer.cval,
        SysReg.CNTV_TVAL_EL0: lambda vcpu, now: vcpu.virtual_timer.read_tval(now),
        SysReg.CNTP_CTL_EL0: lambda vcpu, now: vcpu.physical_timer.read_ctl(now),
        SysReg.CNTP_CVAL_EL0: lambda vcpu, _now: vcpu.physical_timer.cval,
        SysReg.CNTP_TVAL_EL0: lambda vcpu, now: vcpu.physical_timer.read_tval(now),
    }


def _set_cval(timer: Comparator, value: int, _now: int) -> None:
    timer.cval = value


_WRITES: dict[int, tuple[bool, Write]] = {
    SysReg.CNTV_CTL_EL0: (True, lambda timer, value, _now: timer.write_ctl(value)),
    SysReg.CNTV_CVAL_EL0: (True, _set_cval),
    SysReg.CNTV_TVAL_EL0: (True, lambda timer, value, now: timer.write_tval(value, now)),
    SysReg.CNTP_CTL_EL0: (False, lambda timer, value, _now: timer.write_ctl(value)),
    SysReg.CNTP_CVAL_EL0: (False, _set_cval),
    SysReg.CNTP_TVAL_EL0: (False, lambda timer, value, now: timer.write_tval(value, now)),
}
"""register -> (virtual timer?, how to write it)"""


class GuestSysregs:
    """Timer and ID registers of one VM, as the MSR and MRS hooks ask for them."""

    def __init__(self, vm: Partition, hypervisor: Hypervisor) -> None:
        self._vm = vm
        self._hypervisor = hypervisor
        self._constants = guest_id_registers(vm)
        self._reads = _timer_reads()

    def _allowed(self, key: int) -> bool:
        """EL0 may use it; where it may not, the model raises the exception itself."""
        core = self._vm.core
        return core.state.el > 0 or bool(core.read(SysReg.CNTKCTL_EL1) & _EL0_ENABLE[SysReg(key)])

    def read(self, key: int) -> int | None:
        """Value of a register that is answered here, None for the others."""
        reader = self._reads.get(key)
        vcpu = self._vm.loaded
        if reader is not None and vcpu is not None:
            return reader(vcpu, self._hypervisor.ticks(vcpu)) if self._allowed(key) else None
        constant = self._constants.get(key)
        return constant if constant is not None and self._vm.core.state.el > 0 else None

    def write(self, key: int, value: int) -> bool:
        """Take a write to a timer register; False for other registers."""
        entry = _WRITES.get(key)
        vcpu = self._vm.loaded
        if entry is None or vcpu is None or not self._allowed(key):
            return False
        virtual, action = entry
        timer = vcpu.virtual_timer if virtual else vcpu.physical_timer
        action(timer, value, self._hypervisor.ticks(vcpu))
        self._hypervisor.timer_changed(vcpu)
        return True
