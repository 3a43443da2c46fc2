"""Stage-2 tables in RAM: mapping, splitting, lookups and what the CPU itself makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arch.esr import EC, EC_SHIFT
from engine.arch.paging import BLOCK_2M, PAGE, S2AP, PageState, S2Leaf, level_size
from engine.arch.sysreg import SysReg
from engine.board.memory import PhysicalMemory
from engine.hypervisor.partition import HCR_GUEST
from engine.hypervisor.stage2 import IPA_BITS, VTCR_EL2, Stage2
from engine.hypervisor.stage2_edit import PageEdit
from engine.hypervisor.stage2_tables import TableAllocator, TableMemoryExhaustedError
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.cores import BASE, CODE, DATA, SIZE, Rig

TABLES = 0x9000_0000
MB = 1 << 20


@pytest.fixture
def memory() -> PhysicalMemory:
    return PhysicalMemory(TABLES, 2 * MB)


def stage2(memory: PhysicalMemory, pages: int = 64, vmid: int = 1) -> Stage2:
    return Stage2(memory, TableAllocator(memory, TABLES, TABLES + pages * PAGE), vmid)


def set_page(tables: Stage2, ipa: int, leaf: S2Leaf | None) -> None:
    PageEdit(tables, [(ipa, [0 if leaf is None else leaf.encode(3)])]).apply()


# --- tables -----------------------------------------------------------------------------------------


def test_vttbr_holds_the_root_and_the_vmid(memory: PhysicalMemory) -> None:
    assert stage2(memory, vmid=5).vttbr == 5 << 48 | TABLES


def test_two_megabyte_blocks_where_both_addresses_allow(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x4000_0000, S2Leaf(0x8000_0000), 4 * MB)
    assert [(ipa, size, leaf.address) for ipa, size, leaf in tables.leaves()] == [
        (0x4000_0000, BLOCK_2M, 0x8000_0000),
        (0x4020_0000, BLOCK_2M, 0x8020_0000),
    ]


def test_pages_where_an_address_is_not_aligned(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x4000_0000, S2Leaf(0x8000_1000), BLOCK_2M)
    leaves = list(tables.leaves())
    assert len(leaves) == 512
    assert {size for _, size, _ in leaves} == {PAGE}
    assert tables.translate(0x4000_0ABC) == 0x8000_1ABC


def test_a_range_starts_and_ends_with_pages(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x401F_F000, S2Leaf(0x801F_F000), PAGE + BLOCK_2M + PAGE)
    assert [(ipa, size) for ipa, size, _ in tables.leaves()] == [
        (0x401F_F000, PAGE),
        (0x4020_0000, BLOCK_2M),
        (0x4040_0000, PAGE),
    ]


def test_what_is_mapped_cannot_be_mapped_again(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x4020_0000, S2Leaf(0x8000_0000), BLOCK_2M)
    before = list(tables.leaves())
    for ipa, size in ((0x4020_0000, PAGE), (0x4000_0000, 4 * MB), (0x403F_F000, PAGE)):
        with pytest.raises(ValueError, match="already mapped"):
            tables.map(ipa, S2Leaf(0x9000_0000), size)
    assert list(tables.leaves()) == before


def test_one_mapped_page_inside_a_big_range_is_noticed(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x4030_0000, S2Leaf(0x8000_0000), PAGE)
    with pytest.raises(ValueError, match="already mapped"):
        tables.map(0x4000_0000, S2Leaf(0x9000_0000), 4 * MB)


def test_lookups_of_what_is_not_mapped(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x4000_0000, S2Leaf(0x8000_0000), BLOCK_2M)
    for ipa in (0, 0x3FFF_FFFF, 0x4020_0000, (1 << IPA_BITS) - 1):
        assert tables.lookup(ipa) is None
        assert tables.translate(ipa) is None


@pytest.mark.parametrize("ipa", [1 << IPA_BITS, 0x4000_0000 | 1 << 40, (1 << 64) - 1])
def test_an_ipa_too_wide_for_the_tables_is_not_wrapped(memory: PhysicalMemory, ipa: int) -> None:
    tables = stage2(memory)
    tables.map(0x4000_0000, S2Leaf(0x8000_0000), BLOCK_2M)
    assert tables.walk(ipa) == []
    assert tables.lookup(ipa) is None


def test_a_walk_shows_every_entry(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x4000_1000, S2Leaf(0x8000_0000), PAGE)
    steps = tables.walk(0x4000_1000)
    assert [step.level for step in steps] == [1, 2, 3]
    assert steps[0].entry_address == tables.root + 8
    assert all(memory.read_u64(step.entry_address) == step.descriptor for step in steps)


def test_a_page_out_of_a_block_splits_it_and_leaves_the_rest(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x4000_0000, S2Leaf(0x8000_0000, execute=False), BLOCK_2M)
    set_page(tables, 0x4000_3000, None)
    leaves = {ipa: leaf for ipa, _, leaf in tables.leaves()}
    assert len(leaves) == 511
    assert 0x4000_3000 not in leaves
    assert all(leaf == S2Leaf(ipa + 0x4000_0000, execute=False) for ipa, leaf in leaves.items())


def test_a_page_can_be_changed_and_put_back(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    tables.map(0x4000_0000, S2Leaf(0x8000_0000), BLOCK_2M)
    shared = S2Leaf(0x8765_4000, S2AP.READ, execute=False, state=PageState.SHARED_BORROWED)
    set_page(tables, 0x4000_3000, shared)
    assert tables.lookup(0x4000_3FFF) == shared
    set_page(tables, 0x4000_3000, S2Leaf(0x8000_3000))
    assert tables.translate(0x4000_3004) == 0x8000_3004


def test_unmapping_what_is_not_mapped_changes_no_translation(memory: PhysicalMemory) -> None:
    tables = stage2(memory)
    set_page(tables, 0x4000_3000, None)
    assert list(tables.leaves()) == []


pages = st.integers(0, 1023)


@settings(max_examples=40)
@given(st.lists(st.tuples(pages, st.one_of(st.none(), st.integers(0, 999), st.integers(0, 3)))))
def test_pages_are_as_last_set_whatever_the_order(changes: list[tuple[int, int | None]]) -> None:
    """Against a dictionary of pages over two blocks."""
    tables = stage2(PhysicalMemory(TABLES, MB))
    tables.map(0x4000_0000, S2Leaf(0x8000_0000), 2 * BLOCK_2M)
    model = {n: 0x8000_0000 + n * PAGE for n in range(1024)}
    for page, target in changes:
        set_page(tables, 0x4000_0000 + page * PAGE, None if target is None else S2Leaf(target * PAGE))
        model.pop(page, None)
        if target is not None:
            model[page] = target * PAGE
    for page in {page for page, _ in changes} | {0, 511, 512, 1023}:
        assert tables.translate(0x4000_0000 + page * PAGE) == model.get(page)
    assert sum(size for _, size, _ in tables.leaves()) == len(model) * PAGE


# --- memory for tables --------------------------------------------------------------------------------


def test_exhausted_tables_are_an_error_of_their_own(memory: PhysicalMemory) -> None:
    tables = stage2(memory, pages=2)
    with pytest.raises(TableMemoryExhaustedError, match="0x90002000"):
        tables.map(0x4000_1000, S2Leaf(0x8000_0000), PAGE)
    assert tables.lookup(0x4000_1000) is None


def test_a_mapping_that_finds_no_memory_half_way_leaves_nothing(memory: PhysicalMemory) -> None:
    tables = stage2(memory, pages=3)
    with pytest.raises(TableMemoryExhaustedError):
        tables.map(0x401F_F000, S2Leaf(0x8000_0000), 2 * PAGE)
    assert list(tables.leaves()) == []


def test_a_split_that_finds_no_memory_leaves_the_block(memory: PhysicalMemory) -> None:
    tables = stage2(memory, pages=2)
    tables.map(0x4000_0000, S2Leaf(0x8000_0000), BLOCK_2M)
    with pytest.raises(TableMemoryExhaustedError):
        set_page(tables, 0x4000_0000, None)
    assert [(ipa, size) for ipa, size, _ in tables.leaves()] == [(0x4000_0000, BLOCK_2M)]


def test_pages_are_zeroed_and_reused(memory: PhysicalMemory) -> None:
    allocator = TableAllocator(memory, TABLES, TABLES + 2 * PAGE)
    first, second = allocator.take(), allocator.take()
    assert {first, second} == {TABLES, TABLES + PAGE}
    memory.write(first, b"\xff" * PAGE)
    allocator.give_back(first)
    assert allocator.take() == first
    assert memory.read(first, PAGE) == bytes(PAGE)
    with pytest.raises(TableMemoryExhaustedError):
        allocator.take()


# --- and the CPU ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rig() -> Rig:
    return Rig()


def under_stage2(rig: Rig, program: Program, data: S2Leaf | None) -> None:
    """The identity for code, one page for data, nothing else."""
    tables = Stage2(rig.memory, TableAllocator(rig.memory, BASE + SIZE - MB, BASE + SIZE), 3)
    tables.map(CODE, S2Leaf(CODE), MB)
    if data is not None:
        tables.map(DATA, data, PAGE)
    core = rig.load(program)
    core.write(SysReg.VTCR_EL2, VTCR_EL2)
    core.write(SysReg.VTTBR_EL2, tables.vttbr)
    core.write(SysReg.HCR_EL2, HCR_GUEST)
    core.flush_tlb()
    core.state.x[1] = DATA
    rig.client.exceptions.clear()
    rig.client.faults.clear()


def test_the_cpu_translates_as_lookup_does(rig: Rig) -> None:
    rig.memory.write_u64(DATA + PAGE + 8, 0x1122)
    under_stage2(rig, Program(a.ldr(0, 1, 8)), S2Leaf(DATA + PAGE))
    assert rig.core.run(1) == 1
    assert (rig.core.state.x[0], rig.client.exceptions) == (0x1122, [])


@pytest.mark.parametrize(
    ("leaf", "word", "status"),
    [
        (None, a.ldr(0, 1), 0x07),
        (S2Leaf(DATA, S2AP.READ), a.str_(0, 1), 0x4F),
        (S2Leaf(DATA, S2AP.NONE), a.ldr(0, 1), 0x0F),
    ],
)
def test_the_cpu_faults_to_el2_where_the_tables_say_so(rig: Rig, leaf: S2Leaf | None, word: int, status: int) -> None:
    under_stage2(rig, Program(word), leaf)
    rig.core.run(1)
    (number, esr, pc, target) = rig.client.exceptions[0]
    assert (number, target, pc) == (4, 2, CODE)
    assert esr >> EC_SHIFT == EC.DATA_ABORT_LOWER
    assert esr & 0x7F in (status, status - 1)  # the level of a missing entry depends on its tables
    assert rig.core.exception.ipa_page == DATA


def test_the_cpu_does_not_execute_what_is_execute_never(rig: Rig) -> None:
    under_stage2(rig, Program(a.br(1)), S2Leaf(DATA, execute=False))
    rig.core.run(3)
    (_, esr, pc, target) = rig.client.exceptions[0]
    assert (esr >> EC_SHIFT, target, pc) == (EC.INSTRUCTION_ABORT_LOWER, 2, DATA)


def test_a_changed_page_is_seen_after_a_flush(rig: Rig) -> None:
    under_stage2(rig, Program(a.ldr(0, 1), a.ldr(2, 1)), S2Leaf(DATA))
    rig.memory.write_u64(DATA, 1)
    rig.memory.write_u64(DATA + PAGE, 2)
    rig.core.run(1)
    root = rig.core.read(SysReg.VTTBR_EL2) & (1 << 48) - 1
    level2 = rig.memory.read_u64(root + 8) & ~(PAGE - 1)
    level3 = rig.memory.read_u64(level2 + 8 * (DATA >> 21 & 511)) & ~(PAGE - 1)
    rig.memory.write_u64(level3, S2Leaf(DATA + PAGE).encode(3))
    rig.core.flush_tlb()
    rig.core.run(1)
    assert (rig.core.state.x[0], rig.core.state.x[2]) == (1, 2)


def test_sizes_of_levels_used() -> None:
    assert [level_size(level) for level in (2, 3)] == [BLOCK_2M, PAGE]
