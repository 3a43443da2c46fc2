"""System register keys against instruction words from an assembler."""

from __future__ import annotations

import pytest

from engine.arch.sysreg import SysReg, encode, key_of, name

ASSEMBLED = {
    0xD538CC00: SysReg.ICC_IAR1_EL1,
    0xD518CC20: SysReg.ICC_EOIR1_EL1,
    0xD518CBA0: SysReg.ICC_SGI1R_EL1,
    0xD5384600: SysReg.ICC_PMR_EL1,
    0xD53CCDE0: SysReg.ICH_LR15_EL2,
    0xD53BE040: SysReg.CNTVCT_EL0,
    0xD53FE240: SysReg.CNTPS_CVAL_EL1,
    0xD53C2600: SysReg.VSTTBR_EL2,
    0xD53C2640: SysReg.VSTCR_EL2,
    0xD5380400: SysReg.ID_AA64PFR0_EL1,
    0xD53E1100: SysReg.SCR_EL3,
    0xD5100240: SysReg.MDSCR_EL1,
}


@pytest.mark.parametrize(("insn", "register"), ASSEMBLED.items())
def test_key_is_bits_20_to_5_of_the_instruction(insn: int, register: SysReg) -> None:
    assert key_of(insn) == register
    assert name(key_of(insn)) == register.name


def test_keys_are_distinct() -> None:
    assert len({int(register) for register in SysReg}) == len(SysReg.__members__)


def test_unnamed_registers_have_their_generic_name() -> None:
    assert name(encode(3, 7, 12, 12, 7)) == "S3_7_C12_C12_7"


def test_numbered_families_are_named() -> None:
    assert name(encode(2, 0, 0, 3, 4)) == "DBGBVR3_EL1"
    assert name(encode(2, 0, 0, 15, 7)) == "DBGWCR15_EL1"
    assert name(encode(3, 3, 14, 9, 2)) == "PMEVCNTR10_EL0"
    assert name(encode(3, 3, 14, 15, 6)) == "PMEVTYPER30_EL0"
