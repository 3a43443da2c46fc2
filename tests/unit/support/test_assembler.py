"""The tests' own little assembler against words from a real one."""

from __future__ import annotations

import struct

import pytest

from engine.arch.sysreg import SysReg
from tests.support import assembler as a
from tests.support.assembler import Program

ASSEMBLED = {
    "wfe": (a.WFE, 0xD503205F),
    "wfi": (a.WFI, 0xD503207F),
    "sev": (a.SEV, 0xD503209F),
    "isb": (a.ISB, 0xD5033FDF),
    "dsb sy": (a.DSB_SY, 0xD5033F9F),
    "eret": (a.ERET, 0xD69F03E0),
    "ic iallu": (a.IC_IALLU, 0xD508751F),
    "tlbi vmalle1": (a.TLBI_VMALLE1, 0xD508871F),
    "msr spsel, #0": (a.SPSEL_0, 0xD50040BF),
    "msr daifclr, #2": (a.UNMASK_IRQ, 0xD50342FF),
    "movz x3, #0x1234, lsl #32": (a.movz(3, 0x1234, 32), 0xD2C24683),
    "movk x4, #0xabcd, lsl #16": (a.movk(4, 0xABCD, 16), 0xF2B579A4),
    "mov x5, x6": (a.mov(5, 6), 0xAA0603E5),
    "mov x5, xzr": (a.mov(5, a.XZR), 0xAA1F03E5),
    "add x1, x2, #0x30": (a.add(1, 2, 0x30), 0x9100C041),
    "subs x3, x4, #1": (a.subs(3, 4, 1), 0xF1000483),
    "add x1, x2, x3": (a.add_register(1, 2, 3), 0x8B030041),
    "cmp x3, x2": (a.cmp(3, 2), 0xEB02007F),
    "ldr x1, [x2, #24]": (a.ldr(1, 2, 24), 0xF9400C41),
    "str x3, [sp, #8]": (a.str_(3, a.SP, 8), 0xF90007E3),
    "ldr w4, [x5, #12]": (a.ldr32(4, 5, 12), 0xB9400CA4),
    "str w6, [x7, #4]": (a.str32(6, 7, 4), 0xB90004E6),
    "ldxr x2, [x1]": (a.ldxr(2, 1), 0xC85F7C22),
    "stxr w3, x2, [x1]": (a.stxr(3, 2, 1), 0xC8037C22),
    "mrs x4, vbar_el1": (a.mrs(4, SysReg.VBAR_EL1), 0xD538C004),
    "msr vbar_el1, x5": (a.msr(SysReg.VBAR_EL1, 5), 0xD518C005),
    "svc #0x1234": (a.svc(0x1234), 0xD4024681),
    "hvc #1": (a.hvc(1), 0xD4000022),
    "smc #2": (a.smc(2), 0xD4000043),
    "brk #3": (a.brk(3), 0xD4200060),
    "br x9": (a.br(9), 0xD61F0120),
    "blr x5": (a.blr(5), 0xD63F00A0),
    "ret": (a.RET, 0xD65F03C0),
    "ic ivau, x1": (a.ic_ivau(1), 0xD50B7521),
    "dc cvau, x2": (a.dc_cvau(2), 0xD50B7B22),
    "dc zva, x3": (a.dc_zva(3), 0xD50B7423),
}


@pytest.mark.parametrize("text", ASSEMBLED)
def test_words(text: str) -> None:
    made, expected = ASSEMBLED[text]
    assert made == expected


def words(program: Program) -> list[int]:
    return [word for (word,) in struct.iter_unpack("<I", program.code)]


def test_branches_go_to_their_labels() -> None:
    forward = Program().b("on").emit(a.NOP).label("on")
    assert words(forward)[0] == 0x14000002
    backward = Program().label("back").emit(a.NOP).b("back")
    assert words(backward)[1] == 0x17FFFFFF
    assert words(Program().label("x").emit(a.NOP, a.NOP).b_cond(a.NE, "x"))[2] == 0x54FFFFC1
    assert words(Program().b_cond(a.EQ, "x").emit(a.NOP, a.NOP).label("x"))[0] == 0x54000060
    assert words(Program().cbz(3, "x").emit(a.NOP).label("x"))[0] == 0xB4000043
    assert words(Program().label("x").emit(a.NOP).cbnz(4, "x"))[1] == 0xB5FFFFE4


def test_constants() -> None:
    assert words(Program().constant(1, 0)) == [a.movz(1, 0)]
    assert words(Program().constant(2, 0x1234_0000_0000_5678)) == [a.movz(2, 0x5678), a.movk(2, 0x1234, 48)]


def test_places() -> None:
    program = Program(a.ISB).at(12).label("here").emit(a.ERET)
    assert words(program) == [a.ISB, a.NOP, a.NOP, a.ERET]
    assert program.offset("here") == 12
