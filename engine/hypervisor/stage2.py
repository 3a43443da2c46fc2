"""A partition's stage-2 tables, built in emulated RAM (4 KB granule, Arm ARM D8.3 and D8.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    index,
    is_leaf,
    is_table,
    level_size,
    walk,
)
from engine.board.memory import Memory

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


class TableMemoryExhaustedError(Exception):
    """The firmware's carve-out holds no more translation tables."""


def _pieces(ipa: int, address: int, size: int) -> Iterator[tuple[int, int]]:
    """(offset, level) of the blocks and pages that a range is mapped with."""
    offset = 0
    while offset < size:
        fits = (ipa + offset | address + offset) % BLOCK_2M == 0 and size - offset >= BLOCK_2M
        level = _BLOCK_LEVEL if fits else _PAGE_LEVEL
        yield offset, level
        offset += level_size(level)


class TableAllocator:
    """Zeroed 4 KB pages for translation tables out of the firmware's own memory."""

    def __init__(self, memory: Memory, base: int, end: int) -> None:
        self._memory = memory
        self._next = base
        self._end = end
        self._free: list[int] = []

    def take(self) -> int:
        """Address of a zeroed page; raises TableMemoryExhaustedError."""
        if self._free:
            page = self._free.pop()
        elif self._next < self._end:
            page, self._next = self._next, self._next + PAGE
        else:
            raise TableMemoryExhaustedError(f"all of the translation table memory up to {self._end:#x} is in use")
        self._memory.fill_zero(page, PAGE)
        return page

    def give_back(self, page: int) -> None:
        self._free.append(page)


def _by_table(ipa: int, pages: int) -> Iterator[tuple[int, int]]:
    """A range cut where tables of pages end: (first IPA, pages)."""
    while pages:
        count = min(pages, (BLOCK_2M - ipa % BLOCK_2M) // PAGE)
        yield ipa, count
        ipa, pages = ipa + count * PAGE, pages - count


class Stage2:
    """IPA -> PA for one partition. The tables in RAM are the only record: every query reads them."""

    def __init__(self, memory: Memory, tables: TableAllocator, vmid: int) -> None:
        self._memory = memory
        self._tables = tables
        self.vmid = vmid
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
        self._memory.write_u64(entry, value)
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
            descriptor = self._memory.read_u64(slot)
            if not is_table(descriptor, above):
                descriptor = self._make_table(slot, descriptor, above)
            table = descriptor & ADDRESS_MASK
        return table + 8 * index(ipa, level)

    def _make_table(self, slot: int, descriptor: int, level: int) -> int:
        """Replace an invalid entry or a block by a table that maps the same; the caller flushes the TLB."""
        page = self._tables.take()
        if is_leaf(descriptor, level):
            leaf = S2Leaf.decode(descriptor, level)
            step = level_size(level + 1)
            for n in range(ENTRIES):
                part = replace(leaf, address=leaf.address + n * step)
                self._write(page + 8 * n, part.encode(level + 1))
        table = page | TABLE_OR_PAGE | VALID
        self._write(slot, 0)
        self._write(slot, table)
        return table

    def walk(self, ipa: int) -> list[WalkStep]:
        """The entries that a walk of an IPA looks at; none for an IPA that is too wide."""
        if ipa >> IPA_BITS:
            return []
        return walk(self._memory.read_u64, self.root, ipa, START_LEVEL)

    def lookup(self, ipa: int) -> S2Leaf | None:
        """The leaf that maps an IPA, or None."""
        steps = self.walk(ipa)
        if not steps or not is_leaf(steps[-1].descriptor, steps[-1].level):
            return None
        return S2Leaf.decode(steps[-1].descriptor, steps[-1].level)

    def translate(self, ipa: int) -> int | None:
        """Physical address, or None where nothing is mapped."""
        steps = self.walk(ipa)
        if not steps or not is_leaf(steps[-1].descriptor, steps[-1].level):
            return None
        step = steps[-1]
        return S2Leaf.decode(step.descriptor, step.level).address + ipa % level_size(step.level)

    def set_page(self, ipa: int, leaf: S2Leaf | None) -> None:
        """Set or (None) remove the leaf of one page, splitting a block; the caller flushes the TLB."""
        value = 0 if leaf is None else leaf.encode(_PAGE_LEVEL)
        self._write(self._entry(ipa, _PAGE_LEVEL), value)

    def prepare(self, ipa: int, pages: int) -> None:
        """Make page entries for a range, splitting blocks, so that `write_pages` cannot fail.

        Raises TableMemoryExhaustedError; what is mapped, and how, has not changed then either.
        """
        for first, _ in _by_table(ipa, pages):
            self._entry(first, _PAGE_LEVEL)

    def release(self, ipa: int, pages: int) -> None:
        """Give back page tables of a range that map nothing."""
        for first, _ in _by_table(ipa, pages):
            self._give_back_if_empty(first)

    def read_pages(self, ipa: int, pages: int) -> Iterator[S2Leaf | None]:
        """What maps each page of a range: one walk for each 2 MB."""
        for first, count in _by_table(ipa, pages):
            steps = self.walk(first)
            if not steps or steps[-1].level < _PAGE_LEVEL:
                yield from self._of_block(first, count, steps)
                continue
            entry = steps[-1].entry_address
            for slot in range(entry, entry + 8 * count, 8):
                descriptor = self._memory.read_u64(slot)
                yield S2Leaf.decode(descriptor, _PAGE_LEVEL) if is_leaf(descriptor, _PAGE_LEVEL) else None

    def _of_block(self, ipa: int, count: int, steps: list[WalkStep]) -> Iterator[S2Leaf | None]:
        if not steps or not is_leaf(steps[-1].descriptor, steps[-1].level):
            yield from (None for _ in range(count))
            return
        block = S2Leaf.decode(steps[-1].descriptor, steps[-1].level)
        base = block.address + ipa % level_size(steps[-1].level)
        yield from (replace(block, address=base + n * PAGE) for n in range(count))

    def write_pages(self, ipa: int, leaves: Sequence[S2Leaf | None]) -> None:
        """Set the leaves of consecutive pages, which `prepare` made entries for; the caller flushes the TLB."""
        position = 0
        for first, count in _by_table(ipa, len(leaves)):
            entry = self._entry(first, _PAGE_LEVEL)
            for offset, leaf in enumerate(leaves[position : position + count]):
                value = 0 if leaf is None else leaf.encode(_PAGE_LEVEL)
                self._write(entry + 8 * offset, value)
            position += count
            self._give_back_if_empty(first)

    def _give_back_if_empty(self, ipa: int) -> None:
        """A table of pages that maps nothing returns to the allocator."""
        steps = self.walk(ipa)
        if not steps or steps[-1].level != _PAGE_LEVEL:
            return
        table = steps[-1].entry_address & ADDRESS_MASK
        if not any(self._memory.read(table, PAGE)):
            self._write(steps[-2].entry_address, 0)
            self._tables.give_back(table)

    def leaves(self) -> Iterator[tuple[int, int, S2Leaf]]:
        """(ipa, size, leaf) of everything mapped, in address order."""
        yield from self._leaves(self.root, START_LEVEL, 0)

    def _leaves(self, table: int, level: int, base: int) -> Iterator[tuple[int, int, S2Leaf]]:
        for n in range(ENTRIES):
            descriptor = self._memory.read_u64(table + 8 * n)
            ipa = base + n * level_size(level)
            if is_table(descriptor, level):
                yield from self._leaves(descriptor & ADDRESS_MASK, level + 1, ipa)
            elif is_leaf(descriptor, level):
                yield ipa, level_size(level), S2Leaf.decode(descriptor, level)
