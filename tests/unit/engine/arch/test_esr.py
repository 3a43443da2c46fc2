"""Syndromes taken apart and put together (Arm ARM D17.2.37)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.arch.esr import EC, HAS_FAR, DataAbort, SysregAccess, class_name, exception_class, syndrome
from engine.arch.sysreg import SysReg, key_of
from tests.support import assembler as a


def test_a_syndrome_names_a_32_bit_instruction() -> None:
    assert syndrome(EC.SVC64, 0x1234) == 0x5600_1234
    assert exception_class(0x5600_1234) == EC.SVC64


def test_a_described_store() -> None:
    """STR W3 to a device: ISV, SAS word, SRT 3, WnR, translation fault at level 3."""
    abort = DataAbort(1 << 24 | 2 << 22 | 3 << 16 | 1 << 6 | 7)
    assert (abort.valid, abort.size, abort.register, abort.write, abort.fault_status) == (True, 4, 3, True, 7)
    assert not any((abort.sign_extend, abort.sixty_four, abort.on_walk, abort.cache_maintenance))


def test_a_described_sign_extending_load() -> None:
    abort = DataAbort(1 << 24 | 1 << 22 | 1 << 21 | 31 << 16 | 1 << 15)
    assert (abort.size, abort.sign_extend, abort.register, abort.sixty_four, abort.write) == (2, True, 31, True, False)


def test_walk_and_maintenance_bits() -> None:
    assert DataAbort(1 << 7).on_walk
    assert DataAbort(1 << 8).cache_maintenance
    assert not DataAbort(0).valid


@pytest.mark.parametrize(("bits", "size"), [(0, 1), (1, 2), (2, 4), (3, 8)])
def test_sizes(bits: int, size: int) -> None:
    assert DataAbort(bits << 22).size == size


@given(st.sampled_from(SysReg), st.integers(0, 31), st.booleans())
def test_a_trapped_access_names_its_register(register: SysReg, rt: int, read: bool) -> None:
    """The ISS layout of EC 0x18, built field by field."""
    key = int(register)
    op0, op1, crn, crm, op2 = key >> 14, key >> 11 & 7, key >> 7 & 15, key >> 3 & 15, key & 7
    access = SysregAccess(op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | read)
    assert (access.key, access.register, access.read) == (register, rt, read)


@pytest.mark.parametrize(("word", "read"), [(a.mrs(7, SysReg.VBAR_EL1), True), (a.msr(SysReg.VBAR_EL1, 7), False)])
def test_the_syndrome_of_an_instruction_is_that_of_its_trap(word: int, read: bool) -> None:
    access = SysregAccess.of_instruction(word)
    assert (access.key, access.register, access.read) == (key_of(word), 7, read)


def test_classes_have_names() -> None:
    assert class_name(EC.HVC64) == "HVC"
    assert class_name(0x2A) == "EC 0x2a"
    assert class_name(EC.STEP_SAME) == "EC 0x33"


def test_only_aborts_alignment_of_pc_and_watchpoints_set_far() -> None:
    assert {EC.DATA_ABORT_SAME, EC.INSTRUCTION_ABORT_LOWER, EC.PC_ALIGNMENT} <= HAS_FAR
    assert not {EC.SVC64, EC.UNKNOWN, EC.SP_ALIGNMENT, EC.BRK64} & HAS_FAR
