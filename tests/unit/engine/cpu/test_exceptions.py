"""Exception entry, as the Arm manual has it (D1.4): the part that Unicorn leaves undone."""

from __future__ import annotations

import pytest

from engine.arch.esr import EC, EC_SHIFT, syndrome
from engine.arch.sysreg import SysReg
from engine.cpu import exceptions
from engine.cpu.core import Core
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.cores import CODE, DATA, Rig

EL0T, EL1T, EL1H = 0x0, 0x4, 0x5
VBAR = CODE + 0x8000
SP_EL0, SP_EL1 = DATA + 0x100, DATA + 0x200
NZCV = 0xA000_0000


def standing_at(rig: Rig, mode: int, flags: int = 0, daif: int = 0) -> Core:
    """A core in some mode, with both stack pointers set by the guest itself."""
    program = Program().constant(0, SP_EL0).emit(a.msr(SysReg.SP_EL0, 0)).constant(1, SP_EL1).emit(a.add(a.SP, 1, 0))
    program.set_register(SysReg.VBAR_EL1, VBAR).set_register(SysReg.SPSR_EL1, flags | daif | mode)
    place = program.here + 12
    program.set_register(SysReg.ELR_EL1, CODE + 0x400).emit(a.ERET).at(0x400).emit(a.svc(7), *[a.NOP] * 8)
    assert place < 0x400
    core = rig.load(program)
    core.run(len(program.code) // 4)  # stops at the SVC
    assert core.state.pc == CODE + 0x404
    core.state.pc -= 4
    assert core.pstate & 0xF == mode
    return core


@pytest.mark.parametrize(
    ("mode", "kind", "offset"),
    [
        (EL1T, exceptions.SYNCHRONOUS, 0x000),
        (EL1T, exceptions.IRQ, 0x080),
        (EL1T, exceptions.FIQ, 0x100),
        (EL1T, exceptions.SERROR, 0x180),
        (EL1H, exceptions.SYNCHRONOUS, 0x200),
        (EL1H, exceptions.IRQ, 0x280),
        (EL1H, exceptions.FIQ, 0x300),
        (EL1H, exceptions.SERROR, 0x380),
        (EL0T, exceptions.SYNCHRONOUS, 0x400),
        (EL0T, exceptions.IRQ, 0x480),
        (EL0T, exceptions.FIQ, 0x500),
        (EL0T, exceptions.SERROR, 0x580),
    ],
)
def test_the_vector_depends_on_where_it_comes_from(rig: Rig, mode: int, kind: int, offset: int) -> None:
    core = standing_at(rig, mode)
    exceptions.enter(core, 1, syndrome(EC.SVC64, 7), None, kind)
    assert core.state.pc == VBAR + offset
    assert core.read(SysReg.ELR_EL1) == CODE + 0x400


@pytest.mark.parametrize("mode", [EL0T, EL1T, EL1H])
def test_the_state_before_is_saved(rig: Rig, mode: int) -> None:
    core = standing_at(rig, mode, NZCV, 0x80)
    core.write(SysReg.FAR_EL1, 0x99)
    exceptions.enter(core, 1, syndrome(EC.SVC64, 7), None)
    assert core.read(SysReg.SPSR_EL1) & 0xF000_03FF == NZCV | 0x80 | mode
    assert core.read(SysReg.ESR_EL1) == syndrome(EC.SVC64, 7)
    assert core.read(SysReg.FAR_EL1) == 0x99


@pytest.mark.parametrize("mode", [EL0T, EL1T, EL1H])
def test_the_handler_runs_masked_at_el1_with_its_own_stack(rig: Rig, mode: int) -> None:
    core = standing_at(rig, mode, NZCV)
    exceptions.enter(core, 1, 0, None)
    assert (core.state.el, core.state.spsel, core.pstate & 0x3C0) == (1, 1, 0x3C0)
    assert core.state.x[31] == SP_EL1
    assert core.pstate & 0xF000_0000 == NZCV
    assert (core.state.sp_el[0] if mode != EL1H else SP_EL0) == SP_EL0


@pytest.mark.parametrize("mode", [EL0T, EL1T, EL1H])
def test_eret_undoes_it(rig: Rig, mode: int) -> None:
    core = standing_at(rig, mode, NZCV, 0x40)
    stack, pstate = core.state.x[31], core.pstate
    rig.memory.write(VBAR, Program(*[a.ERET] * 0x200).code)
    exceptions.enter(core, 1, 0, None)
    core.run(1)
    assert (core.state.pc, core.state.x[31]) == (CODE + 0x400, stack)
    assert core.pstate & 0xF000_03FF == pstate & 0xF000_03FF


def test_a_stack_pointer_that_changed_since_is_the_one_that_is_kept(rig: Rig) -> None:
    core = standing_at(rig, EL1H)
    core.state.x[31] = SP_EL1 - 64
    exceptions.enter(core, 1, 0, None)
    assert core.state.x[31] == SP_EL1 - 64


def test_an_interrupt_leaves_the_syndrome_alone(rig: Rig) -> None:
    core = standing_at(rig, EL1H)
    core.write(SysReg.ESR_EL1, 0x1234)
    exceptions.enter(core, 1, 0xFFFF, None, exceptions.IRQ)
    assert core.read(SysReg.ESR_EL1) == 0x1234


@pytest.mark.parametrize(("mode", "ec"), [(EL0T, EC.DATA_ABORT_LOWER), (EL1H, EC.DATA_ABORT_SAME)])
@pytest.mark.parametrize("write", [False, True])
def test_data_aborts(rig: Rig, mode: int, ec: EC, write: bool) -> None:
    core = standing_at(rig, mode)
    exceptions.external_data_abort(core, 1, 0xB000_0000, write)
    esr = core.read(SysReg.ESR_EL1)
    assert (esr >> EC_SHIFT, esr & 0x3F, bool(esr & 0x40), bool(esr >> 24 & 1)) == (ec, 0x10, write, False)
    assert core.read(SysReg.FAR_EL1) == 0xB000_0000


@pytest.mark.parametrize(("mode", "ec"), [(EL0T, EC.INSTRUCTION_ABORT_LOWER), (EL1H, EC.INSTRUCTION_ABORT_SAME)])
def test_instruction_aborts(rig: Rig, mode: int, ec: EC) -> None:
    core = standing_at(rig, mode)
    exceptions.instruction_abort(core, 1, 0xB000_0000, 0x10)
    esr = core.read(SysReg.ESR_EL1)
    assert (esr >> EC_SHIFT, esr & 0x3F) == (ec, 0x10)
    assert core.read(SysReg.FAR_EL1) == 0xB000_0000


def test_undefined_instructions_have_class_zero_and_the_length_bit(rig: Rig) -> None:
    core = standing_at(rig, EL0T)
    exceptions.undefined(core, 1)
    assert core.read(SysReg.ESR_EL1) == 1 << 25


def test_entry_to_el2_banks_there_and_keeps_el1(rig: Rig) -> None:
    core = standing_at(rig, EL1H, NZCV)
    core.write(SysReg.VBAR_EL2, VBAR + 0x1000)
    core.state.sp_el[2] = DATA + 0x300
    before = core.read(SysReg.ELR_EL1)
    exceptions.enter(core, 2, syndrome(EC.HVC64, 1), 0x77)
    assert (core.state.el, core.state.pc, core.state.x[31]) == (2, VBAR + 0x1400, DATA + 0x300)
    assert (core.read(SysReg.ESR_EL2), core.read(SysReg.FAR_EL2)) == (syndrome(EC.HVC64, 1), 0x77)
    assert core.read(SysReg.SPSR_EL2) & 0xF000_000F == NZCV | EL1H
    assert core.read(SysReg.ELR_EL2) == CODE + 0x400
    assert core.read(SysReg.ELR_EL1) == before
    assert core.state.sp_el[1] == SP_EL1
