"""Registers seen in place mean the same as through Unicorn's own interface."""

from __future__ import annotations

import pytest

from engine.arch.sysreg import SysReg
from engine.cpu import unicorn_api as api
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.cores import CODE, Rig


@pytest.mark.parametrize("register", range(31))
def test_general_registers(rig: Rig, register: int) -> None:
    core = rig.load(Program(a.NOP))
    identifier = {number: identifier for identifier, number in api.GENERAL_REGISTER.items()}[register]
    core.state.x[register] = 0xF000 + register
    assert core._uc.reg_read(identifier) == 0xF000 + register


def test_pc(rig: Rig) -> None:
    core = rig.load(Program(a.NOP))
    core.state.pc = CODE + 0x40
    assert core._uc.reg_read(api.REG_PC) == CODE + 0x40


@pytest.mark.parametrize(
    ("pstate", "el", "spsel", "masked"),
    [(0x3C5, 1, 1, True), (0x004, 1, 0, False), (0x3C0, 0, 0, True), (0x340, 0, 0, False), (0x3C9, 2, 1, True)],
)
def test_pstate_fields(rig: Rig, pstate: int, el: int, spsel: int, masked: bool) -> None:
    core = rig.load(Program(a.NOP))
    core.pstate = pstate
    assert (core.state.el, core.state.spsel, core.state.irq_masked) == (el, spsel, masked)
    assert not core.state.aarch32


def test_exception_links(rig: Rig) -> None:
    core = rig.load(Program(a.NOP))
    core.state.elr_el[1], core.state.elr_el[2] = 0x111000, 0x222000
    assert (core.read(SysReg.ELR_EL1), core.read(SysReg.ELR_EL2)) == (0x111000, 0x222000)


def test_the_fault_page_of_stage_2(rig: Rig) -> None:
    core = rig.load(Program(a.NOP))
    core.write(SysReg.HPFAR_EL2, 0x0B00_1000 >> 8)
    assert core.exception.ipa_page == 0x0B00_1000
