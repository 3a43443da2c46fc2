"""Edits of page entries: what is mapped afterwards, by what, and in which order it was written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arch.paging import BLOCK_2M, PAGE, S2AP, PageState, S2Leaf
from engine.board.memory import PhysicalMemory
from engine.hypervisor.stage2 import Stage2
from engine.hypervisor.stage2_edit import PageEdit
from engine.hypervisor.stage2_tables import TableAllocator, TableMemoryExhaustedError

TABLES, IPA, PA = 0x9000_0000, 0x4000_0000, 0x8000_0000
PAGES = 1024
"""Of the region under test: two blocks."""


class Rig:
    """Two blocks at IPA, and what is mapped whenever the TLB is invalidated."""

    def __init__(self, tables: int = 64) -> None:
        memory = PhysicalMemory(TABLES, 1 << 20)
        self.stage2 = Stage2(memory, TableAllocator(memory, TABLES, TABLES + tables * PAGE), 1)
        self.stage2.map(IPA, S2Leaf(PA), PAGES * PAGE)
        self.stage2.invalidate = lambda: self.at_flush.append(self.pages())
        self.at_flush: list[dict[int, S2Leaf]] = []

    def pages(self) -> dict[int, S2Leaf]:
        """What maps each page, by number."""
        return {
            (ipa - IPA) // PAGE + n: S2Leaf(leaf.address + n * PAGE, leaf.access, leaf.execute, leaf.state)
            for ipa, size, leaf in self.stage2.leaves()
            for n in range(size // PAGE)
        }

    def sizes(self) -> list[int]:
        return [size for _, size, _ in self.stage2.leaves()]

    def edit(self, *runs: tuple[int, list[S2Leaf | None]]) -> None:
        entries = [(IPA + n * PAGE, [0 if leaf is None else leaf.encode(3) for leaf in run]) for n, run in runs]
        PageEdit(self.stage2, entries).apply()


def own(*numbers: int, state: PageState = PageState.OWNED) -> list[S2Leaf | None]:
    """Pages as they were before any edit, but for the state."""
    return [S2Leaf(PA + n * PAGE, state=state) for n in numbers]


def test_break_before_make_with_one_invalidation() -> None:
    """Whatever was mapped and changes is not mapped when the TLB is invalidated; nothing else matters then."""
    rig = Rig()
    rig.edit((3, [None]), (600, own(600, 601, state=PageState.SHARED_OWNED)))
    assert len(rig.at_flush) == 1
    assert not {3, 600, 601} & rig.at_flush[0].keys()
    rig.edit((600, own(600, 601)), (3, own(3)))
    assert len(rig.at_flush) == 2
    assert not {600, 601} & rig.at_flush[1].keys()
    assert rig.sizes() == [BLOCK_2M, BLOCK_2M]


def test_what_was_not_mapped_needs_no_invalidation() -> None:
    rig = Rig()
    rig.edit((PAGES, own(0, 1)))
    assert rig.at_flush == []
    assert rig.pages()[PAGES + 1] == S2Leaf(PA + PAGE)


def test_an_edit_that_changes_nothing_writes_nothing() -> None:
    rig = Rig()
    rig.edit((5, own(5, 6, 7)), (PAGES + 3, [None]))
    assert rig.at_flush == []
    assert rig.sizes() == [BLOCK_2M, BLOCK_2M]


@pytest.mark.parametrize(
    "last",
    [
        S2Leaf(PA + 511 * PAGE, access=S2AP.READ),
        S2Leaf(PA + 511 * PAGE, execute=False),
        S2Leaf(PA + 511 * PAGE, state=PageState.SHARED_BORROWED),
        S2Leaf(PA + 512 * PAGE),
        None,
    ],
)
def test_pages_fold_only_if_all_are_alike_and_in_a_row(last: S2Leaf | None) -> None:
    rig = Rig()
    used = rig.stage2.tables.used
    rig.edit((511, [last]))
    rig.edit((0, [None]))
    rig.edit((0, own(0)))
    assert rig.stage2.tables.used == used + 1
    rig.edit((511, own(511)))
    assert (rig.stage2.tables.used, rig.sizes()) == (used, [BLOCK_2M, BLOCK_2M])


def test_without_memory_for_tables_nothing_changes() -> None:
    rig = Rig(tables=3)
    before, used = rig.pages(), rig.stage2.tables.used
    with pytest.raises(TableMemoryExhaustedError):
        rig.edit((0, [None]), (700, [None]))
    with pytest.raises(TableMemoryExhaustedError):
        rig.edit((1 << 18, own(0)))
    assert (rig.pages(), rig.stage2.tables.used) == (before, used)


runs = st.lists(
    st.tuples(
        st.integers(0, PAGES - 1),
        st.sampled_from([1, 2, 3, 255, 512, 600]),
        st.sampled_from([None, *PageState]),
        st.sampled_from([0, 0, 0, 1]),
    ),
    max_size=12,
)


@settings(max_examples=30)
@given(runs)
def test_any_edits_in_any_order(changes: list[tuple[int, int, PageState | None, int]]) -> None:
    """Against a dictionary; what is all its owner's again is mapped by blocks, and no table is lost.

    When nothing is mapped any more, the table above goes as well, with an invalidation of its own.
    """
    rig = Rig()
    model, used = rig.pages(), rig.stage2.tables.used
    for first, count, state, shift in changes:
        numbers = range(first, min(first + count, PAGES))
        leaves = [None if state is None else S2Leaf(PA + (n ^ shift) * PAGE, state=state) for n in numbers]
        rig.at_flush.clear()
        before, model = model, model | {n: leaf for n, leaf in zip(numbers, leaves, strict=True) if leaf is not None}
        model = {n: leaf for n, leaf in model.items() if state is not None or n not in numbers}
        rig.edit((first, leaves))
        assert rig.pages() == model
        changed = {n for n in numbers if n in before and before[n] != model.get(n)}
        emptied = bool(before) and not model
        assert bool(changed) <= len(rig.at_flush) <= 1 + emptied
        assert not any(changed & mapped.keys() for mapped in rig.at_flush)
    rig.edit((0, own(*range(PAGES))))
    assert (rig.sizes(), rig.stage2.tables.used) == ([BLOCK_2M, BLOCK_2M], used)
