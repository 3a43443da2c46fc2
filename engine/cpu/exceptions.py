"""Architectural exception entry (Arm ARM D1.4): what Unicorn leaves to its user."""

from __future__ import annotations

from typing import Final

from engine.arch import esr as syndromes
from engine.arch.controls import PSTATE_DAIF
from engine.arch.esr import EC, FaultStatus
from engine.arch.sysreg import SysReg
from engine.cpu.core import Core

SYNCHRONOUS: Final = 0x000
IRQ: Final = 0x080
FIQ: Final = 0x100
SERROR: Final = 0x180
_FROM_CURRENT_SPX = 0x200
_FROM_LOWER_AARCH64 = 0x400

_VBAR = {1: SysReg.VBAR_EL1, 2: SysReg.VBAR_EL2}
_SPSR = {1: SysReg.SPSR_EL1, 2: SysReg.SPSR_EL2}
_ESR = {1: SysReg.ESR_EL1, 2: SysReg.ESR_EL2}
_FAR = {1: SysReg.FAR_EL1, 2: SysReg.FAR_EL2}


def vector_offset(source_el: int, spsel: int, target_el: int) -> int:
    """Offset of the vector group: current EL with SP_EL0, with SP_ELx, or a lower EL in AArch64."""
    if source_el < target_el:
        return _FROM_LOWER_AARCH64
    return _FROM_CURRENT_SPX if spsel else 0


def enter(core: Core, target_el: int, esr: int, far: int | None, kind: int = SYNCHRONOUS) -> None:
    """Take an exception from the current state to `target_el` (1 or 2), preferred return address = PC.

    `far` None leaves FAR_ELx alone, as the exceptions that do not set it do.
    """
    state = core.state
    source_el, spsel = state.el, state.spsel
    offset = vector_offset(source_el, spsel, target_el) + kind
    old_pstate = core.pstate
    state.sp_el[source_el if spsel else 0] = state.x[31]
    core.write(_SPSR[target_el], old_pstate)
    state.elr_el[target_el] = state.pc
    if kind in (SYNCHRONOUS, SERROR):
        core.write(_ESR[target_el], esr)
    if far is not None:
        core.write(_FAR[target_el], far)
    state.x[31] = state.sp_el[target_el]
    state.pc = core.read(_VBAR[target_el]) + offset
    core.pstate = old_pstate & 0xF000_0000 | PSTATE_DAIF | target_el << 2 | 1


def _abort_class(core: Core, target_el: int, lower: EC, same: EC) -> EC:
    return lower if core.state.el < target_el else same


def undefined(core: Core, target_el: int) -> None:
    """UNDEFINED: exception class 0 (Arm ARM D1.4.5)."""
    enter(core, target_el, syndromes.syndrome(EC.UNKNOWN), None)


def data_abort(core: Core, target_el: int, far: int, status: int, write: bool) -> None:
    """A synchronous data abort without instruction syndrome."""
    ec = _abort_class(core, target_el, EC.DATA_ABORT_LOWER, EC.DATA_ABORT_SAME)
    enter(core, target_el, syndromes.syndrome(ec, status | write << 6), far)


def instruction_abort(core: Core, target_el: int, far: int, status: int) -> None:
    """A synchronous instruction abort."""
    ec = _abort_class(core, target_el, EC.INSTRUCTION_ABORT_LOWER, EC.INSTRUCTION_ABORT_SAME)
    enter(core, target_el, syndromes.syndrome(ec, status), far)


def external_data_abort(core: Core, target_el: int, far: int, write: bool) -> None:
    """A synchronous external abort on a data access: nothing answers at the physical address."""
    data_abort(core, target_el, far, FaultStatus.EXTERNAL, write)
