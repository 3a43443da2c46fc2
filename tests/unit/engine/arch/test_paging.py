"""Descriptors bit by bit, and walks over tables in a dictionary (Arm ARM D8.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.arch.paging import (
    BLOCK_2M,
    ENTRIES,
    PAGE,
    S2AP,
    PageState,
    S2Leaf,
    S2Memory,
    fold,
    index,
    is_leaf,
    is_table,
    level_size,
    split,
    stage1_start_level,
    walk,
)

TABLE = 0b11
BLOCK = 0b01

leaves = st.builds(
    S2Leaf,
    address=st.integers(0, (1 << 27) - 1).map(lambda block: block << 21),
    access=st.sampled_from(S2AP),
    execute=st.booleans(),
    state=st.sampled_from(PageState),
    memory=st.sampled_from(S2Memory),
)


@given(leaves, st.sampled_from([2, 3]))
def test_a_leaf_survives_encoding(leaf: S2Leaf, level: int) -> None:
    descriptor = leaf.encode(level)
    assert S2Leaf.decode(descriptor, level) == leaf
    assert is_leaf(descriptor, level)
    assert not is_table(descriptor, level)


def test_a_page_as_the_architecture_spells_it() -> None:
    """Valid page, AF, inner shareable, write-back, read-only, XN, shared and borrowed."""
    leaf = S2Leaf(0x4_1234_5000, S2AP.READ, execute=False, state=PageState.SHARED_BORROWED)
    assert leaf.encode(3) == 1 << 56 | 1 << 54 | 0x4_1234_5000 | 1 << 10 | 3 << 8 | 1 << 6 | 0xF << 2 | 3


def test_a_device_block_as_the_architecture_spells_it() -> None:
    leaf = S2Leaf(0x4020_0000, S2AP.READ_WRITE, memory=S2Memory.DEVICE_nGnRE)
    assert leaf.encode(2) == 0x4020_0000 | 1 << 10 | 3 << 8 | 3 << 6 | 1 << 2 | 1


@pytest.mark.parametrize(
    ("descriptor", "level", "table", "leaf"),
    [
        (0, 1, False, False),
        (TABLE, 0, True, False),
        (BLOCK, 0, False, False),
        (BLOCK, 1, False, True),
        (BLOCK, 2, False, True),
        (TABLE, 2, True, False),
        (TABLE, 3, False, True),
        (BLOCK, 3, False, False),
        (0b10, 2, False, False),
    ],
)
def test_what_a_descriptor_is_depends_on_its_level(descriptor: int, level: int, table: bool, leaf: bool) -> None:
    assert (is_table(descriptor, level), is_leaf(descriptor, level)) == (table, leaf)


def test_levels() -> None:
    assert [level_size(level) for level in range(4)] == [512 << 30, 1 << 30, 2 << 20, 4096]
    address = 3 << 39 | 5 << 30 | 7 << 21 | 9 << 12 | 0xABC
    assert [index(address, level) for level in range(4)] == [3, 5, 7, 9]


@pytest.mark.parametrize(
    ("size_offset", "level"), [(16, 0), (24, 0), (25, 1), (33, 1), (34, 2), (39, 2), (0, 0), (63, 3)]
)
def test_start_levels_of_stage_1(size_offset: int, level: int) -> None:
    """48 to 40 address bits need four levels, 39 to 31 three, 30 to 22 two (Arm ARM table D8-14)."""
    assert stage1_start_level(size_offset) == level


class TestWalk:
    ROOT, FIRST, SECOND, THIRD = 0x1000, 0x2000, 0x3000, 0x4000

    def read(self, **entries: int) -> dict[int, int]:
        return {
            self.ROOT + 8: self.FIRST | TABLE,
            self.FIRST + 16: self.SECOND | TABLE,
            self.SECOND + 24: self.THIRD | TABLE,
            self.THIRD + 32: 0x5000 | TABLE,
        } | {getattr(self, name): value for name, value in entries.items()}

    ADDRESS = 1 << 39 | 2 << 30 | 3 << 21 | 4 << 12

    def test_down_to_the_page(self) -> None:
        steps = walk(self.read().__getitem__, self.ROOT, self.ADDRESS)
        assert [(step.level, step.entry_address) for step in steps] == [
            (0, self.ROOT + 8),
            (1, self.FIRST + 16),
            (2, self.SECOND + 24),
            (3, self.THIRD + 32),
        ]
        assert steps[-1].descriptor == 0x5000 | TABLE

    def test_from_a_later_level(self) -> None:
        steps = walk(self.read().__getitem__, self.FIRST, self.ADDRESS, 1)
        assert [step.level for step in steps] == [1, 2, 3]

    @pytest.mark.parametrize("descriptor", [0, 0x4000_0000 | BLOCK])
    def test_ends_at_an_invalid_entry_or_a_block(self, descriptor: int) -> None:
        entries = self.read() | {self.SECOND + 24: descriptor}
        assert [step.level for step in walk(entries.__getitem__, self.ROOT, self.ADDRESS)] == [0, 1, 2]

    def test_ends_where_memory_does(self) -> None:
        def read(address: int) -> int:
            if address >= self.SECOND:
                raise IndexError(address)
            return self.read()[address]

        assert [step.level for step in walk(read, self.ROOT, self.ADDRESS)] == [0, 1]

    def test_ignores_attributes_in_table_descriptors(self) -> None:
        entries = self.read() | {self.ROOT + 8: self.FIRST | TABLE | 0xF800_0000_0000_0000}
        assert len(walk(entries.__getitem__, self.ROOT, self.ADDRESS)) == 4


@given(leaves)
def test_a_split_block_maps_the_same_and_folds_back(leaf: S2Leaf) -> None:
    pages = split(leaf.encode(2), 2)
    entries = [int.from_bytes(pages[at : at + 8], "little") for at in range(0, len(pages), 8)]
    assert len(entries) == ENTRIES
    assert all(is_leaf(entry, 3) for entry in entries)
    assert [S2Leaf.decode(entry, 3) for entry in entries] == [
        replace(leaf, address=leaf.address + n * PAGE) for n in range(ENTRIES)
    ]
    assert fold(pages) == leaf.encode(2)


@given(leaves, st.integers(0, ENTRIES - 1), st.integers(0, 63))
def test_pages_that_differ_in_anything_do_not_fold(leaf: S2Leaf, page: int, bit: int) -> None:
    pages = bytearray(split(leaf.encode(2), 2))
    pages[8 * page + bit // 8] ^= 1 << bit % 8
    assert fold(pages) is None


def test_pages_off_a_block_boundary_do_not_fold() -> None:
    first = S2Leaf(BLOCK_2M + PAGE).encode(3)
    assert fold(b"".join((first + n * PAGE).to_bytes(8, "little") for n in range(ENTRIES))) is None


def test_a_block_of_1_gb_splits_into_blocks() -> None:
    table = split(S2Leaf(1 << 30).encode(1), 1)
    assert table[-8:] == S2Leaf((2 << 30) - BLOCK_2M).encode(2).to_bytes(8, "little")
