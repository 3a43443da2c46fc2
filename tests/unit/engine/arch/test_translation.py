"""Walks against the CPU model itself: tables of random entries, every granule, both stages, every level and access."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arch.controls import HCR_RW, HCR_TGE, HCR_VM, PSTATE_EL0T, PSTATE_EL1H, PSTATE_EL2H
from engine.arch.esr import FaultStatus
from engine.arch.regime import ANY_ACCESS, NO_ACCESS, Access, Stage1, letters, stage2
from engine.arch.sysreg import SysReg
from engine.arch.translation import EntryKind, Fault, Regime, walk_stage2
from tests.support.cores import BASE, SIZE, Rig

TABLES, FIRST_SECOND, LEAVES, IDENTITY = BASE, BASE + 0x8_0000, BASE + 0x10_0000, BASE + 0x20_0000
"""Tables of random entries for stage 1 and stage 2, what they map, and a stage 2 that maps RAM to itself."""
SLOT, SLOTS, PATTERN = 0x1_0000, 6, 4
SCTLR = 0x30D5_1818
WXN = 1 << 19
GRAINS = {12: (0, 2), 14: (2, 1), 16: (1, 3)}
"""TG0 and TG1 by granule."""
ACCESSES = {Access.READ: {}, Access.WRITE: {"write": True}, Access.EXECUTE: {"execute": True}}
AF = 1 << 10
VTCR = 1 << 31 | 0b100 << 16
PAGE_ATTRIBUTES = st.sampled_from([0x3 << 6, 0x1 << 6, 0, 0x2 << 6, 0x3 << 6 | 1 << 54, 0x3 << 6])


@pytest.fixture(scope="module")
def rig() -> Rig:
    return Rig()


def attributes() -> st.SearchStrategy[int]:
    """AF, which most have, and everything that says who may do what."""
    flag = st.sampled_from([AF, AF, AF, AF, AF, 0])
    low = st.integers(0, 0xFF).map(lambda bits: bits << 2 & ~AF)
    high = st.sampled_from([0, 0, 1 << 53, 1 << 54, 3 << 53, 1 << 52])
    return st.builds(lambda f, lo, hi: f | lo | hi, flag, low, high)


def entries(tables: int) -> st.SearchStrategy[int]:
    slot = st.integers(0, SLOTS - 1).map(lambda n: tables + n * SLOT)
    above = st.sampled_from([0, 0, 0, 1 << 59, 1 << 60, 1 << 61, 1 << 62])
    table = st.builds(lambda at, bits: at | bits | 3, slot, above)
    leaf = st.builds(
        lambda at, bits, page: LEAVES + at * 0x1_0000 | bits | (3 if page else 1),
        st.integers(0, 15),
        attributes(),
        st.booleans(),
    )
    return st.one_of(table, table, table, leaf, leaf, st.sampled_from([0, 2]))


@dataclass(frozen=True)
class Setting:
    """Tables in which the index, modulo the pattern's length, chooses the entry."""

    grain: int
    size_offset: int
    patterns: list[list[int]]

    def write(self, rig: Rig, tables: int) -> None:
        for n, pattern in enumerate(self.patterns):
            words = pattern * (SLOT // 8 // len(pattern))
            rig.memory.write(tables + n * SLOT, struct.pack(f"<{len(words)}Q", *words))


def settings_of(tables: int) -> st.SearchStrategy[Setting]:
    pattern = st.lists(entries(tables), min_size=PATTERN, max_size=PATTERN)
    patterns = st.lists(pattern, min_size=SLOTS, max_size=SLOTS)
    return st.builds(Setting, st.sampled_from(sorted(GRAINS)), st.integers(16, 39), patterns)


def first(rig: Rig, el: int, setting: Setting, tcr_more: int, wxn: bool) -> Stage1:
    """Set up stage 1 of EL1&0, with both halves alike, or of EL2."""
    tg0, tg1 = GRAINS[setting.grain]
    sctlr = SCTLR | 1 | (WXN if wxn else 0)
    tcr = setting.size_offset | tg0 << 14 | tcr_more
    if el == 2:
        values = {SysReg.TTBR0_EL2: TABLES, SysReg.TCR_EL2: tcr, SysReg.SCTLR_EL2: sctlr}
    else:
        tcr |= setting.size_offset << 16 | tg1 << 30
        values = {SysReg.TTBR0_EL1: TABLES, SysReg.TTBR1_EL1: TABLES + SLOT, SysReg.TCR_EL1: tcr}
        values |= {SysReg.SCTLR_EL1: sctlr}
    for key, value in values.items():
        rig.core.write(key, value)
    return Stage1(max(1, el), True, sctlr, tcr, (TABLES, 0 if el == 2 else TABLES + SLOT), 0)


def enter(rig: Rig, el: int, hcr: int) -> None:
    rig.core.write(SysReg.HCR_EL2, hcr)
    rig.core.pstate = (PSTATE_EL0T, PSTATE_EL1H, PSTATE_EL2H)[el]
    rig.core.flush_tlb()


def addresses() -> st.SearchStrategy[int]:
    low = st.integers(0, (1 << 48) - 1)
    near = st.integers(0, 64).map(lambda n: n << 28)
    return st.one_of(low, near, low.map(lambda a: a | 0xFFFF << 48), st.integers(0, (1 << 64) - 1))


def agree(rig: Rig, regime: Regime, address: int) -> None:
    for access, how in ACCESSES.items():
        found = regime.translate(rig.memory.read_u64, address, access)
        assert found.physical == rig.core.translate(address, **how), (hex(address), access, str(found.fault))


@settings(max_examples=150, deadline=None)
@given(st.data(), settings_of(TABLES), st.sampled_from([0, 1, 2]), st.booleans())
def test_stage_1_as_the_model_walks_it(rig: Rig, data: st.DataObject, setting: Setting, el: int, wxn: bool) -> None:
    """Also top bytes that are tags, and halves whose walks are disabled."""
    bits = [0, 0, 1 << 20] if el == 2 else [0, 0, 1 << 7, 1 << 23, 1 << 37, 1 << 38, 1 << 41, 1 << 42]
    setting.write(rig, TABLES)
    stage = first(rig, el, setting, data.draw(st.sampled_from(bits)), wxn)
    enter(rig, el, HCR_RW)
    regime = Regime(el, stage, None, False, HCR_RW)
    for address in data.draw(st.lists(addresses(), min_size=8, max_size=8)):
        agree(rig, regime, address)


@settings(max_examples=100, deadline=None)
@given(st.data(), settings_of(FIRST_SECOND), st.integers(0, 3))
def test_stage_2_as_the_model_walks_it(rig: Rig, data: st.DataObject, setting: Setting, sl0: int) -> None:
    """Also registers that make no sense together: then every walk faults at level 0."""
    setting.write(rig, FIRST_SECOND)
    vtcr = VTCR | setting.size_offset | sl0 << 6 | GRAINS[setting.grain][0] << 14
    rig.core.write(SysReg.SCTLR_EL1, SCTLR)
    rig.core.write(SysReg.TCR_EL1, 0)
    rig.core.write(SysReg.VTCR_EL2, vtcr)
    rig.core.write(SysReg.VTTBR_EL2, FIRST_SECOND)
    enter(rig, 1, HCR_RW | HCR_VM)
    off = Stage1(1, False, SCTLR, 0, (0, 0), 0)
    regime = Regime(1, off, stage2(FIRST_SECOND, vtcr), True, HCR_RW | HCR_VM)
    for address in data.draw(st.lists(addresses(), min_size=8, max_size=8)):
        agree(rig, regime, address)


@settings(max_examples=100, deadline=None)
@given(st.data(), settings_of(TABLES), st.sampled_from([0, 1]), st.lists(PAGE_ATTRIBUTES, min_size=8, max_size=8))
def test_stage_1_under_stage_2(rig: Rig, data: st.DataObject, setting: Setting, el: int, pages: list[int]) -> None:
    """Tables of stage 1 that stage 2 hides, and leaves of which it takes something away."""
    setting.write(rig, TABLES)
    vtcr = VTCR | 1 << 6 | 25
    rig.memory.write_u64(IDENTITY + 8, IDENTITY + 0x1000 | 3)
    for block in range(SIZE >> 21):
        rig.memory.write_u64(IDENTITY + 0x1000 + 8 * block, IDENTITY + 0x2000 + 0x1000 * block | 3)
    words = [BASE + (n << 12) | pages[(n ^ n >> 4) % 8] | AF | 0x3C | 3 for n in range(SIZE >> 12)]
    rig.memory.write(IDENTITY + 0x2000, struct.pack(f"<{len(words)}Q", *words))
    rig.core.write(SysReg.VTCR_EL2, vtcr)
    rig.core.write(SysReg.VTTBR_EL2, IDENTITY)
    stage = first(rig, el, setting, 0, False)
    enter(rig, el, HCR_RW | HCR_VM)
    regime = Regime(el, stage, stage2(IDENTITY, vtcr), True, HCR_RW | HCR_VM)
    for address in data.draw(st.lists(addresses(), min_size=8, max_size=8)):
        agree(rig, regime, address)


@pytest.mark.parametrize("wxn", [False, True])
@pytest.mark.parametrize("el", [0, 1, 2])
def test_every_permission_that_a_leaf_can_have(rig: Rig, el: int, wxn: bool) -> None:
    for bits in itertools.product(range(4), range(4), range(4)):
        access, never, above = bits
        leaf = LEAVES | AF | access << 6 | never << 53 | 1
        table = TABLES + 2 * SLOT | above << 59 | 3
        one_table = Setting(12, 25, [[TABLES + SLOT | 3], [table], [leaf | 2]])
        one_table.write(rig, TABLES)
        stage = first(rig, el, one_table, 0, wxn)
        enter(rig, el, HCR_RW)
        agree(rig, Regime(el, stage, None, False, HCR_RW), 0x1234)


def test_el0_alone_has_no_stage_1_of_its_own(rig: Rig) -> None:
    """HCR_EL2.TGE: whatever SCTLR_EL1 says, as for partitions at S-EL0."""
    rig.core.write(SysReg.SCTLR_EL1, SCTLR | 1)
    rig.core.write(SysReg.TCR_EL1, 0)
    enter(rig, 0, HCR_RW | HCR_TGE)
    assert rig.core.translate(0x1234_5678) == 0x1234_5678


# --- what each step says ---------------------------------------------------------------------------


class Ram(dict[int, int]):
    """Entries by address; IndexError elsewhere."""

    def read(self, address: int) -> int:
        if address not in self:
            raise IndexError
        return self[address]


def page_walk(leaf: int, table: int = 0x2000 | 3) -> tuple[Ram, Regime]:
    """A 4 KB granule and 30 bits of address: two levels."""
    ram = Ram({0x1000: table, 0x2000: leaf})
    return ram, Regime(1, Stage1(1, True, 1, 34, (0x1000, 0), 0xFF), None, False, 0)


@pytest.mark.parametrize(
    ("leaf", "access", "words", "status"),
    [
        (0, Access.READ, "translation fault level 3 of stage 1", 0x07),
        (0x5000 | 1, Access.READ, "translation fault level 3 of stage 1", 0x07),
        (0x5000 | 3, Access.READ, "access flag fault level 3 of stage 1", 0x0B),
        (0x5000 | AF | 1 << 7 | 3, Access.WRITE, "permission fault level 3 of stage 1", 0x0F),
    ],
)
def test_faults_by_name_and_code(leaf: int, access: Access, words: str, status: int) -> None:
    ram, regime = page_walk(leaf)
    fault = regime.translate(ram.read, 0x123, access).fault
    assert fault is not None
    assert (str(fault), fault.status, fault.iss(access)) == (
        words,
        status,
        status | (64 if access is Access.WRITE else 0),
    )


def test_every_entry_in_order() -> None:
    ram, regime = page_walk(0x5000 | AF | 3)
    found = regime.translate(ram.read, 0x123, Access.READ)
    assert found.first is not None
    told = [(step.level, step.table, step.address, step.physical, step.kind) for step in found.first.steps]
    assert told == [(2, 0x1000, 0x1000, 0x1000, EntryKind.TABLE), (3, 0x2000, 0x2000, 0x2000, EntryKind.PAGE)]
    assert (found.ipa, found.physical, letters(found.allowed)) == (0x5123, 0x5123, "rwx")


def test_a_table_takes_away_what_its_leaf_allows() -> None:
    ram, regime = page_walk(0x5000 | AF | 3, table=0x2000 | 1 << 62 | 1 << 59 | 3)
    assert regime.translate(ram.read, 0, Access.READ).allowed == Access.READ


def test_a_table_outside_of_memory_is_an_external_abort_on_the_walk() -> None:
    ram, regime = page_walk(0, table=0x9000 | 3)
    found = regime.translate(ram.read, 0, Access.READ)
    assert found.fault == Fault(FaultStatus.EXTERNAL_ON_WALK_L0, 1, 3)
    assert found.fault.status == 0x17


def test_a_table_that_stage_2_hides_is_a_fault_of_stage_2() -> None:
    ram = Ram({0x8000 + 8 * n: 0 for n in range(4)})
    hidden = Regime(1, Stage1(1, True, 1, 34, (0x1000, 0), 0), stage2(0x8000, 34), True, HCR_VM)
    found = hidden.translate(ram.read, 0x40_0000, Access.WRITE)
    assert (str(found.fault), found.second) == ("translation fault level 2 of stage 2, on the walk of stage 1", None)
    assert found.fault is not None
    assert found.fault.iss(Access.WRITE) == 0x86
    assert found.first is not None
    assert (found.first.steps[-1].physical, found.first.steps[-1].descriptor) == (None, None)


def test_ptw_keeps_tables_out_of_device_memory() -> None:
    device = BASE | AF | 3 << 6 | 1
    ram = Ram({0x8000: device, BASE: 0})
    stage = stage2(0x8000, 34)
    first_stage = Stage1(1, True, 1, 34, (0, 0), 0)
    protected = Regime(1, first_stage, stage, True, HCR_VM | 1 << 2).translate(ram.read, 0, Access.READ)
    assert str(protected.fault) == "permission fault level 2 of stage 2, on the walk of stage 1"
    free = Regime(1, first_stage, stage, True, HCR_VM).translate(ram.read, 0, Access.READ)
    assert str(free.fault) == "translation fault level 2 of stage 1"


@pytest.mark.parametrize("grain", sorted(GRAINS))
def test_an_ipa_that_is_too_wide_is_a_fault_at_level_0(grain: int) -> None:
    stage = stage2(0, 1 << 6 | 32 | GRAINS[grain][0] << 14)
    walk = walk_stage2(Ram().read, stage, 1 << 32, Access.READ)
    assert (str(walk.fault), walk.allowed, walk.steps) == ("translation fault level 0 of stage 2", NO_ACCESS, ())


def test_letters() -> None:
    assert [letters(each) for each in (NO_ACCESS, Access.WRITE, ANY_ACCESS)] == ["---", "-w-", "rwx"]
