"""A partition's stage-2 tables, built in emulated RAM (4 KB granule, Arm ARM D8.3 and D8.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from engine.arch.paging import (
    ADDRESS_MASK,
    BLOCK_2M,
    ENTRIES,
    PAGE,
    TABLE_OR_PAGE,
    VALID,
    S2Leaf,
    WalkStep,
    entries,
    index,
    is_leaf,
    is_table,
    level_size,
    split,
    walk,
)
from engine.board.memory import Memory
from engine.hypervisor.stage2_tables import TableAllocator, TableMemoryExhaustedError

VMID_SHIFT = 48
VTCR_EL2 = (
    1 << 31  # RES1
    | 0b100 << 16  # PS: 44-bit physical addresses, what a Cortex-A72 has
    | 3 << 12 | 1 << 10 | 1 << 8  # walks are inner shareable, write-back cacheable
    | 1 << 6  # SL0: start at level 1
    | 25  # T0SZ: 39-bit intermediate physical addresses, which that level covers with one table (D8.2.7)
)  # fmt: skip
START_LEVEL: Final = 1
"""512 GB of IPA space are plenty for this board, and every level saved is saved many times per TLB miss."""
IPA_BITS: Final = 39
_BLOCK_LEVEL, _PAGE_LEVEL = 2, 3


def by_table(ipa: int, pages: int) -> Iterator[tuple[int, int]]:
    """A range cut where tables of pages end: (first IPA, pages)."""
    while pages:
        count = min(pages, (BLOCK_2M - ipa % BLOCK_2M) // PAGE)
        yield ipa, count
        ipa, pages = ipa + count * PAGE, pages - count


def _pieces(ipa: int, address: int, size: int) -> Iterator[tuple[int, int]]:
    """(offset, level) of the blocks and pages that a range is mapped with."""
    offset = 0
    while offset < size:
        fits = (ipa + offset | address + offset) % BLOCK_2M == 0 and size - offset >= BLOCK_2M
        level = _BLOCK_LEVEL if fits else _PAGE_LEVEL
        yield offset, level
        offset += level_size(level)


class Stage2:
    """IPA -> PA for one partition. The tables in RAM are the only record: every query reads them."""

    def __init__(self, memory: Memory, tables: TableAllocator, vmid: int) -> None:
        self.memory = memory
        self.tables = tables
        self.vmid = vmid
        self.invalidate: Callable[[], None] = lambda: None
        """TLBI VMALLS12E1IS: makes the engine of the partition forget its translations."""
        self.root = tables.take()
        self.entries_written = 0
        """Table entries ever written, a measure of what changes cost."""

    @property
    def vttbr(self) -> int:
        """VTTBR_EL2: the root table and the VMID."""
        return self.vmid << VMID_SHIFT | self.root

    def map(self, ipa: int, leaf: S2Leaf, size: int) -> None:
        """Map [ipa, ipa + size) to leaf.address onwards, with 2 MB blocks where both addresses allow.

        All three must be multiples of 4 KB. Raises ValueError where something is mapped already, and
        TableMemoryExhaustedError; then nothing has changed.
        """
        if self._anything_in(ipa, ipa + size):
            raise ValueError(f"{ipa:#x}+{size:#x} is already mapped")
        written: list[int] = []
        try:
            for offset, level in _pieces(ipa, leaf.address, size):
                entry = self._entry(ipa + offset, level)
                self._write(entry, replace(leaf, address=leaf.address + offset).encode(level))
                written.append(entry)
        except TableMemoryExhaustedError:
            for entry in written:
                self._write(entry, 0)
            raise

    def _write(self, entry: int, value: int) -> None:
        self.memory.write_u64(entry, value)
        self.entries_written += 1

    def _anything_in(self, start: int, end: int) -> bool:
        """Whether any page of [start, end) is mapped."""
        while start < end:
            last = self.walk(start)[-1]
            if is_leaf(last.descriptor, last.level):
                return True
            start = (start // level_size(last.level) + 1) * level_size(last.level)
        return False

    def _entry(self, ipa: int, level: int) -> int:
        """Address of the entry for an IPA at a level, making the tables above it and splitting blocks."""
        table = self.root
        for above in range(START_LEVEL, level):
            slot = table + 8 * index(ipa, above)
            descriptor = self.memory.read_u64(slot)
            if not is_table(descriptor, above):
                descriptor = self._make_table(slot, descriptor, above)
            table = descriptor & ADDRESS_MASK
        return table + 8 * index(ipa, level)

    def _make_table(self, slot: int, descriptor: int, level: int) -> int:
        """Replace an invalid entry or a block by a table that maps the same."""
        page = self.tables.take()
        if is_leaf(descriptor, level):
            self.memory.write(page, split(descriptor, level))
            self.entries_written += ENTRIES
            self._write(slot, 0)
            self.invalidate()
        table = page | TABLE_OR_PAGE | VALID
        self._write(slot, table)
        return table

    def block_entry(self, ipa: int) -> int:
        """Address of the level 2 entry for an IPA, making the table that holds it.

        Raises TableMemoryExhaustedError.
        """
        return self._entry(ipa, _BLOCK_LEVEL)

    def prune(self, ipa: int) -> None:
        """Give back the table that holds the level 2 entry for an IPA, if it maps nothing."""
        steps = self.walk(ipa)
        if len(steps) <= _BLOCK_LEVEL - START_LEVEL:
            return
        table = steps[_BLOCK_LEVEL - START_LEVEL].entry_address & ADDRESS_MASK
        if self.memory.read(table, PAGE) == bytes(PAGE):
            self._write(steps[0].entry_address, 0)
            self.invalidate()
            self.tables.give_back(table)

    def clear(self) -> None:
        """Map nothing, and give back all tables but the root."""
        tables = list(self.tables_below_root())
        self.memory.fill_zero(self.root, PAGE)
        self.invalidate()
        for table in tables:
            self.tables.give_back(table)

    def tables_below_root(self) -> Iterator[int]:
        """Physical addresses of all tables but the root, each after those below it."""
        return self._tables_below(self.root, START_LEVEL)

    def _tables_below(self, table: int, level: int) -> Iterator[int]:
        for descriptor in entries(self.memory.read(table, PAGE)):
            if is_table(descriptor, level):
                below = descriptor & ADDRESS_MASK
                if level + 1 < _PAGE_LEVEL:
                    yield from self._tables_below(below, level + 1)
                yield below

    def walk(self, ipa: int) -> list[WalkStep]:
        """The entries that a walk of an IPA looks at; none for an IPA that is too wide."""
        if ipa >> IPA_BITS:
            return []
        return walk(self.memory.read_u64, self.root, ipa, START_LEVEL)

    def resolve(self, ipa: int) -> tuple[S2Leaf, int] | None:
        """The leaf that maps an IPA and the physical address that it becomes, or None where nothing is mapped."""
        steps = self.walk(ipa)
        if not steps or not is_leaf(steps[-1].descriptor, steps[-1].level):
            return None
        step = steps[-1]
        leaf = S2Leaf.decode(step.descriptor, step.level)
        return leaf, leaf.address + ipa % level_size(step.level)

    def lookup(self, ipa: int) -> S2Leaf | None:
        """The leaf that maps an IPA, or None."""
        found = self.resolve(ipa)
        return None if found is None else found[0]

    def translate(self, ipa: int) -> int | None:
        """Physical address, or None where nothing is mapped."""
        found = self.resolve(ipa)
        return None if found is None else found[1]

    def read_pages(self, ipa: int, pages: int) -> Iterator[Sequence[int]]:
        """A page descriptor for each page of a range, also where blocks map them; 0 where nothing is mapped.

        They come in parts, one for each 2 MB that the range touches: a guest may name more pages than there are.
        """
        return (self._read_pages(first, count) for first, count in by_table(ipa, pages))

    def _read_pages(self, ipa: int, count: int) -> Sequence[int]:
        steps = self.walk(ipa)
        if not steps:
            return (0,) * count
        last = steps[-1]
        if last.level == _PAGE_LEVEL:
            return struct.unpack(f"<{count}Q", self.memory.read(last.entry_address, 8 * count))
        if not is_leaf(last.descriptor, last.level):
            return (0,) * count
        first = (last.descriptor | TABLE_OR_PAGE) + ipa % level_size(last.level)
        return range(first, first + count * PAGE, PAGE)

    def leaves(self) -> Iterator[tuple[int, int, S2Leaf]]:
        """(ipa, size, leaf) of everything mapped, in address order."""
        return ((ipa, size, S2Leaf.decode(first, _PAGE_LEVEL)) for ipa, size, first in self.descriptors())

    def descriptors(self) -> Iterator[tuple[int, int, int]]:
        """(ipa, size, page descriptor of its first page) of everything mapped, in address order."""
        return self._descriptors(self.root, START_LEVEL, 0)

    def _descriptors(self, table: int, level: int, base: int) -> Iterator[tuple[int, int, int]]:
        size = level_size(level)
        for n, descriptor in enumerate(entries(self.memory.read(table, PAGE))):
            if is_table(descriptor, level):
                yield from self._descriptors(descriptor & ADDRESS_MASK, level + 1, base + n * size)
            elif is_leaf(descriptor, level):
                yield base + n * size, size, descriptor | TABLE_OR_PAGE
