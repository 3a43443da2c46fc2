"""System registers that the CPU model has not: UNDEFINED for it, emulated from the instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from engine.arch.sysreg import crn_of, key_of
from engine.cpu.state import XZR

if TYPE_CHECKING:
    from engine.hypervisor.sysregs import GuestSysregs
    from engine.hypervisor.vcpu import Vcpu

_MSR_MRS_MASK, _MSR, _MRS = 0xFFF0_0000, 0xD510_0000, 0xD530_0000
_TIMER_CRN = 14


class SysregMove(NamedTuple):
    """An MSR or MRS of a general register that was carried out."""

    key: int
    value: int
    read: bool


class GicRegisters(Protocol):
    """Registers of a CPU interface."""

    def sysreg_read(self, vcpu: int, key: int) -> int | None:
        """An MRS; None where it must be UNDEFINED."""

    def sysreg_write(self, vcpu: int, key: int, value: int) -> bool:
        """An MSR; False where it must be UNDEFINED."""


def emulate(vcpu: Vcpu, word: int, registers: GuestSysregs, gic: GicRegisters) -> SysregMove | None:
    """Carry out an access to the GIC's registers or to a timer's; None where it must stay UNDEFINED.

    `gic` has the registers that the access means.
    """
    operation, key, register = word & _MSR_MRS_MASK, key_of(word), word & 0x1F
    x = vcpu.vm.core.state.x
    if operation == _MRS:
        value = registers.read(key) if _is_timer(key) else gic.sysreg_read(vcpu.index, key)
        if value is None:
            return None
        if register != XZR:
            x[register] = value
        return SysregMove(key, value, True)
    if operation != _MSR:
        return None
    value = 0 if register == XZR else x[register]
    taken = registers.write(key, value) if _is_timer(key) else gic.sysreg_write(vcpu.index, key, value)
    return SysregMove(key, value, False) if taken else None


def _is_timer(key: int) -> bool:
    return crn_of(key) == _TIMER_CRN
