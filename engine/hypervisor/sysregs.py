"""System registers that the hypervisor answers for the guest: timers, counters and a few ID registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from engine.arch.sysreg import SysReg, op1_of
from engine.cpu.timer import Comparator, TimerPpi

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.partition import Partition
    from engine.hypervisor.vcpu import Vcpu

_EL0PCTEN, _EL0VCTEN, _EL0VTEN, _EL0PTEN = 1 << 0, 1 << 1, 1 << 8, 1 << 9
_NEVER_EL0 = 0


class _Timer(NamedTuple):
    """The registers of one timer."""

    ppi: TimerPpi
    ctl: SysReg
    cval: SysReg
    tval: SysReg
    el0: int
    """The CNTKCTL_EL1 bit that lets EL0 use them (Arm ARM D12.2)."""


_R = SysReg
_TIMERS = (
    _Timer(TimerPpi.VIRTUAL, _R.CNTV_CTL_EL0, _R.CNTV_CVAL_EL0, _R.CNTV_TVAL_EL0, _EL0VTEN),
    _Timer(TimerPpi.PHYSICAL, _R.CNTP_CTL_EL0, _R.CNTP_CVAL_EL0, _R.CNTP_TVAL_EL0, _EL0PTEN),
    _Timer(TimerPpi.HYPERVISOR, _R.CNTHP_CTL_EL2, _R.CNTHP_CVAL_EL2, _R.CNTHP_TVAL_EL2, _NEVER_EL0),
    _Timer(TimerPpi.SECURE_PHYSICAL, _R.CNTPS_CTL_EL1, _R.CNTPS_CVAL_EL1, _R.CNTPS_TVAL_EL1, _NEVER_EL0),
)
_EL0_ENABLE = {key: timer.el0 for timer in _TIMERS for key in timer[1:4]}
_EL0_ENABLE |= {_R.CNTPCT_EL0: _EL0PCTEN, _R.CNTVCT_EL0: _EL0VCTEN}
_LEAST_EL = {4: 2}
"""op1 of the registers of EL2."""
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


def _reads_of(timer: _Timer) -> dict[int, Read]:
    ppi = timer.ppi
    return {
        timer.ctl: lambda vcpu, now: vcpu.timers[ppi].read_ctl(now),
        timer.cval: lambda vcpu, _now: vcpu.timers[ppi].cval,
        timer.tval: lambda vcpu, now: vcpu.timers[ppi].read_tval(now),
    }


def _set_cval(timer: Comparator, value: int, _now: int) -> None:
    timer.cval = value


def _writes_of(timer: _Timer) -> dict[int, tuple[TimerPpi, Write]]:
    return {
        timer.ctl: (timer.ppi, lambda timer, value, _now: timer.write_ctl(value)),
        timer.cval: (timer.ppi, _set_cval),
        timer.tval: (timer.ppi, lambda timer, value, now: timer.write_tval(value, now)),
    }


class GuestSysregs:
    """Timer and ID registers of one VM, as the MSR and MRS hooks ask for them."""

    def __init__(self, vm: Partition, hypervisor: Hypervisor) -> None:
        self._vm = vm
        self._hypervisor = hypervisor
        self._constants = guest_id_registers(vm)
        self._reads: dict[int, Read] = {_R.CNTVCT_EL0: lambda _vcpu, now: now, _R.CNTPCT_EL0: lambda _vcpu, now: now}
        self._writes: dict[int, tuple[TimerPpi, Write]] = {}
        for timer in _TIMERS:
            if timer.ppi in vm.vcpus[0].timers:
                self._reads |= _reads_of(timer)
                self._writes |= _writes_of(timer)

    def _allowed(self, key: int) -> bool:
        """Whether its exception level may use it; where it may not, the model raises the exception itself."""
        core = self._vm.core
        if core.state.el:
            return core.state.el >= _LEAST_EL.get(op1_of(key), 1)
        return bool(core.read(SysReg.CNTKCTL_EL1) & _EL0_ENABLE[SysReg(key)])

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
        entry = self._writes.get(key)
        vcpu = self._vm.loaded
        if entry is None or vcpu is None or not self._allowed(key):
            return False
        ppi, action = entry
        action(vcpu.timers[ppi], value, self._hypervisor.ticks(vcpu))
        self._hypervisor.timer_changed(vcpu)
        return True
