"""The core with its MMU on: translations, permissions, aliases of code, and the price of a store."""

from __future__ import annotations

import time

import pytest

from engine.arch.esr import EC, EC_SHIFT
from engine.arch.sysreg import SysReg
from engine.cpu.core import Core
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.cores import BASE, CODE, DATA, Rig

TABLE = BASE + 0x30_0000
ALIAS, READ_ONLY = 2 << 30, 3 << 30
"""The same RAM again, never executable, and never writable."""
_BLOCK = 1 | 1 << 10 | 3 << 8
_XN = 3 << 53
_READ_ONLY = 1 << 7
SCTLR_M_C_I = 1 << 0 | 1 << 2 | 1 << 12


@pytest.fixture
def mmu(rig: Rig) -> Rig:
    """One table of 1 GB blocks for 39-bit addresses: the identity, and two aliases of RAM."""
    for slot, attributes in ((1, 0), (2, _XN), (3, _READ_ONLY | _XN)):
        rig.memory.write_u64(TABLE + 8 * slot, BASE | _BLOCK | attributes)
    return rig


def load(rig: Rig, program: Program) -> Core:
    core = rig.load(program)
    core.write(SysReg.MAIR_EL1, 0xFF)
    core.write(SysReg.TCR_EL1, 1 << 32 | 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | 25)
    core.write(SysReg.TTBR0_EL1, TABLE)
    core.write(SysReg.SCTLR_EL1, core.read(SysReg.SCTLR_EL1) | SCTLR_M_C_I)
    core.flush_tlb()
    return core


def test_translate_follows_the_tables_and_their_permissions(mmu: Rig) -> None:
    core = load(mmu, Program(a.NOP))
    assert core.translate(ALIAS + 0x1234) == BASE + 0x1234
    assert core.translate(ALIAS + 0x1234, write=True) == BASE + 0x1234
    assert core.translate(ALIAS + 0x1234, execute=True) is None
    assert core.translate(READ_ONLY + 8) == BASE + 8
    assert core.translate(READ_ONLY + 8, write=True) is None
    assert core.translate(5 << 30) is None


def test_translating_changes_nothing(mmu: Rig) -> None:
    core = load(mmu, Program(a.NOP))
    before = core.exception.esr, core.exception.far, core.state.pc, core.pstate
    core.translate(5 << 30)
    assert (core.exception.esr, core.exception.far, core.state.pc, core.pstate) == before


def test_a_loaded_context_has_its_own_translations(mmu: Rig) -> None:
    """The TLB knows no owners: what one vCPU looked up must be gone when the next one runs."""
    other = TABLE + 0x1000
    mmu.memory.write(other, mmu.memory.read(TABLE, 4096))
    mmu.memory.write_u64(other + 8 * (ALIAS >> 30), (BASE + (1 << 30)) | _BLOCK)
    mmu.memory.write_u64(DATA, 0x1234)
    core = load(mmu, Program(a.ldr(0, 1)))
    core.state.x[1] = ALIAS + (DATA - BASE)
    first, second = core.new_context(), core.new_context()
    core.save(first)
    core.write(SysReg.TTBR0_EL1, other)
    core.flush_tlb()
    core.save(second)
    core.load(first)
    core.run(1)
    assert (core.state.x[0], mmu.client.aborts) == (0x1234, [])
    core.load(second)
    core.run(1)
    assert (core.state.x[0], mmu.client.aborts) == (0, [DATA + (1 << 30)])


def test_a_fault_tells_its_address_and_level(mmu: Rig) -> None:
    core = load(mmu, Program(a.NOP, a.str_(0, 1)))
    core.state.x[1] = READ_ONLY + 16
    core.run(5)
    (number, esr, pc, target) = mmu.client.exceptions[0]
    assert (number, esr >> EC_SHIFT, esr & 0x7F, pc, target) == (4, EC.DATA_ABORT_SAME, 0x4D, CODE + 4, 1)
    assert mmu.client.faults == [READ_ONLY + 16]


def test_a_fetch_from_a_page_that_may_not_execute_faults(mmu: Rig) -> None:
    core = load(mmu, Program(a.br(1)))
    core.state.x[1] = ALIAS
    core.run(5)
    (number, esr, pc, _) = mmu.client.exceptions[0]
    assert (number, esr >> EC_SHIFT, esr & 0x3F, pc) == (3, EC.INSTRUCTION_ABORT_SAME, 0xD, ALIAS)


def test_instruction_is_none_where_pc_cannot_be_read(mmu: Rig) -> None:
    core = load(mmu, Program(a.NOP))
    core.state.pc = 5 << 30
    assert core.instruction() is None


@pytest.mark.parametrize("named_by", ["alias", "identity"])
def test_code_patched_through_an_alias_is_fresh_after_ic_ivau(mmu: Rig, named_by: str) -> None:
    """As Linux patches its own text: written, and perhaps invalidated, where it may not be executed."""
    function = 0x1000
    program = Program().label("again").emit(a.blr(5), a.ldr32(6, 7), a.str32(6, 8), a.dc_cvau(8), a.DSB_SY)
    program.emit(a.ic_ivau(8 if named_by == "alias" else 5), a.DSB_SY, a.ISB, a.add(7, 7, 4)).b("again")
    program.at(function).emit(a.add(0, 0, 1), a.RET)
    core = load(mmu, program)
    increments = [10, 100, 1000, 1]
    for n, increment in enumerate(increments):
        mmu.memory.write(DATA + 4 * n, a.add(0, 0, increment).to_bytes(4, "little"))
    core.state.x[5], core.state.x[8], core.state.x[7] = CODE + function, ALIAS + function, DATA
    core.run(5 * 12)
    assert core.state.x[0] == 1 + 10 + 100 + 1000 + 1


@pytest.mark.parametrize("word", [a.ic_ivau(1), a.IC_IALLU])
def test_an_ic_instruction_counts_once(mmu: Rig, word: int) -> None:
    core = load(mmu, Program().label("again").emit(word, a.add(0, 0, 1)).b("again"))
    core.state.x[1] = CODE + 0x2000
    assert core.run(300) == 300
    assert core.state.x[0] == 100


@pytest.mark.parametrize("word", [a.ic_ivau(1), a.IC_IALLU])
def test_a_freshness_stop_does_not_end_the_slice(mmu: Rig, word: int) -> None:
    core = load(mmu, Program().label("again").emit(word, a.add(0, 0, 1)).b("again"))
    core.state.x[1] = CODE + 0x2000
    assert core.run(300) == 300
    assert core.state.x[0] >= 75


def test_ic_of_an_unmapped_line_does_no_harm(mmu: Rig) -> None:
    core = load(mmu, Program(a.ic_ivau(1), a.add(0, 0, 1), *[a.NOP] * 20))
    core.state.x[1] = 5 << 30
    core.run(3)
    assert mmu.client.exceptions == [] or core.state.pc == CODE  # a fault, or nothing: the model's choice


def _seconds_for(core: Core, count: int) -> float:
    """Of the fastest of a few runs, so that a busy host does not matter."""
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        core.run(count)
        best = min(best, time.perf_counter() - start)
    return best


def test_stores_stay_on_the_fast_path(mmu: Rig) -> None:
    """A hook over RAM for unmapped accesses would make every store ten times as dear."""
    count = 2_000_000
    core = load(mmu, Program().label("again").emit(a.add(2, 2, 1), a.add(3, 3, 1), a.add(4, 4, 1)).b("again"))
    arithmetic = _seconds_for(core, count)
    core = load(mmu, Program().label("again").emit(a.str_(2, 1), a.str_(3, 1, 8), a.str_(4, 1, 16)).b("again"))
    core.state.x[1] = ALIAS + (DATA - BASE)
    stores = _seconds_for(core, count)
    assert stores < 6 * arithmetic
