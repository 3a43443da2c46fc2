"""A change of stage-2 page entries, worked out whole and then written with one TLB invalidation."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.arch.paging import (
    ADDRESS_MASK,
    ENTRIES,
    PAGE,
    TABLE_OR_PAGE,
    VALID,
    XN,
    PageState,
    S2Leaf,
    fold,
    index,
    is_leaf,
    is_table,
    split,
)
from engine.hypervisor.stage2 import Stage2, by_table
from engine.hypervisor.stage2_tables import TableMemoryExhaustedError

_BLOCK_LEVEL, _PAGE_LEVEL = 2, 3
_EMPTY = bytes(PAGE)


@dataclass(slots=True)
class _Table:
    """What shall map the 2 MB of one level 2 entry."""

    ipa: int
    """An address of these."""
    slot: int
    """Address of that entry."""
    descriptor: int
    """What it is now: invalid, a block, or a table of pages."""
    before: bytes
    """The page entries now, also those that a block or an invalid entry stands for."""
    pages: bytearray
    """The page entries to be."""
    first: int = ENTRIES
    last: int = 0
    """All changes are in [first, last)."""
    changed: int = 0
    """Entries set, each once."""

    @property
    def table(self) -> int:
        """Address of the table of pages that is there now, 0 if there is none."""
        return self.descriptor & ADDRESS_MASK if is_table(self.descriptor, _BLOCK_LEVEL) else 0

    def block(self) -> int | None:
        """The block to use for it, if one can and may.

        It may where it never has to be split behind somebody's back: its pages are their owner's alone, or were all
        changed together and will be again.
        """
        changed = int.from_bytes(self.pages[8 * self.first : 8 * self.first + 8], "little")
        whole = self.changed == ENTRIES
        return fold(self.pages) if whole or S2Leaf.decode(changed, _PAGE_LEVEL).state is PageState.OWNED else None


@dataclass(frozen=True, slots=True)
class _Write:
    """Bytes of a table that live entries may be in: zero until the TLB has forgotten them."""

    address: int
    made: bytes


class PageEdit:
    """New entries for ranges of pages; splits blocks, folds them back, and returns tables that map nothing.

    Raises TableMemoryExhaustedError when built, having changed no translation. `apply`, which has to come before any
    other change, cannot fail.
    """

    def __init__(self, stage2: Stage2, runs: Iterable[tuple[int, Sequence[int]]]) -> None:
        """`runs` are (first IPA, page descriptors or 0); no page is in two of them."""
        self._stage2 = stage2
        self._memory = stage2.memory
        self._tables: dict[int, _Table] = {}
        self._writes: list[_Write] = []
        self._unused: list[int] = []
        self._taken: list[int] = []
        self._vacated: list[int] = []
        self._live = False
        try:
            for ipa, entries in runs:
                self._set(ipa, entries)
            self._plan()
        except TableMemoryExhaustedError:
            self._abandon()
            raise

    def apply(self) -> None:
        """Break, invalidate, make (Arm ARM D8.16)."""
        for write in self._writes if self._live else ():
            self._write(write.address, bytes(len(write.made)))
        if self._live:
            self._stage2.invalidate()
        for write in self._writes:
            self._write(write.address, write.made)
        for table in self._unused:
            self._stage2.tables.give_back(table)
        for ipa in self._vacated:
            self._stage2.prune(ipa)

    def _write(self, address: int, entries: bytes) -> None:
        self._memory.write(address, entries)
        self._stage2.entries_written += len(entries) // 8

    def executable(self) -> list[int]:
        """Physical pages that may be executed before or after the change, ascending; some beside it, too."""
        found: set[int] = set()
        for table in self._tables.values():
            part = slice(8 * table.first, 8 * table.last)
            for content in (table.before[part], table.pages[part]):
                entries = struct.unpack(f"<{len(content) // 8}Q", content)
                found.update(entry & ADDRESS_MASK for entry in entries if entry & (VALID | XN) == VALID)
        return sorted(found)

    def _set(self, ipa: int, entries: Sequence[int]) -> None:
        position = 0
        for start, count in by_table(ipa, len(entries)):
            table = self._table(start)
            first = index(start, _PAGE_LEVEL)
            struct.pack_into(f"<{count}Q", table.pages, 8 * first, *entries[position : position + count])
            table.first, table.last = min(table.first, first), max(table.last, first + count)
            table.changed += count
            position += count

    def _table(self, ipa: int) -> _Table:
        slot = self._stage2.block_entry(ipa)
        known = self._tables.get(slot)
        if known is None:
            descriptor = self._memory.read_u64(slot)
            before = self._pages_of(descriptor)
            known = self._tables[slot] = _Table(ipa, slot, descriptor, before, bytearray(before))
        return known

    def _pages_of(self, descriptor: int) -> bytes:
        if is_table(descriptor, _BLOCK_LEVEL):
            return self._memory.read(descriptor & ADDRESS_MASK, PAGE)
        return split(descriptor, _BLOCK_LEVEL) if is_leaf(descriptor, _BLOCK_LEVEL) else _EMPTY

    def _abandon(self) -> None:
        for page in self._taken:
            self._stage2.tables.give_back(page)
        for table in self._tables.values():
            self._stage2.prune(table.ipa)

    def _plan(self) -> None:
        for table in self._tables.values():
            if table.pages != table.before:
                self._plan_table(table)

    def _plan_table(self, table: _Table) -> None:
        block = 0 if table.pages == _EMPTY else table.block()
        if block is None and table.table:
            part = slice(8 * table.first, 8 * table.last)
            self._live |= table.before[part] != bytes(part.stop - part.start)
            self._writes.append(_Write(table.table + part.start, bytes(table.pages[part])))
            return
        self._live |= bool(table.descriptor)
        if block is None:
            page = self._stage2.tables.take()
            self._taken.append(page)
            self._write(page, bytes(table.pages))
            block = page | TABLE_OR_PAGE | VALID
        elif table.table:
            self._unused.append(table.table)
        if not block:
            self._vacated.append(table.ipa)
        self._writes.append(_Write(table.slot, block.to_bytes(8, "little")))
