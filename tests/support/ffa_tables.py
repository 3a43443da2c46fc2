"""Stage-2 tables as they are in RAM, read by the bits of Arm ARM D8.3, fast enough for every step of a test."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.arch.paging import PAGE, S2AP, PageState
from engine.board.memory import PhysicalMemory
from tests.support.ffa_model import Page, Ram

ENTRIES = struct.Struct("<512Q")
ADDRESS = 0x0000_FFFF_FFFF_F000
BLOCK = 512 * PAGE
GIGABYTE = 512 * BLOCK
FIXED = 0xF << 2 | 3 << 8 | 1 << 10
"""Write-back, inner shareable, accessed: what every page of RAM is."""
OWNED = FIXED | 3 << 6
"""Read, write, execute, software bits zero."""


class Map(NamedTuple):
    """What a VM's tables say."""

    pages: dict[int, Page | None]
    """By IPA, every page that is not as at power-on."""
    tables: list[int]
    """Physical addresses, the root first."""


def _decode(entry: int) -> Page:
    """A page descriptor whose fixed fields are as they must be."""
    state = PageState(entry >> 55 & 3)
    variable = ADDRESS | 3 << 6 | 1 << 54 | 3 << 55
    assert entry & ~variable == FIXED | 3, f"{entry:#x}"
    return Page(entry & ADDRESS, S2AP(entry >> 6 & 3), not entry >> 54 & 1, state)


@dataclass
class TableReader:
    """Reads the tables of one VM; keeps what it made of tables that did not change."""

    memory: PhysicalMemory
    root: int
    ram: Ram
    _seen: dict[tuple[int, int], tuple[bytes, dict[int, int]]] = field(default_factory=dict)
    _leaves: dict[tuple[int, int], tuple[bytes, dict[int, Page | None]]] = field(default_factory=dict)

    def read(self) -> Map:
        """The whole map. AssertionError where an entry, or a table without entries, should not be there."""
        pages: dict[int, Page | None] = {}
        tables = [self.root]
        missing = set(range(self.ram.ipa, self.ram.ipa + self.ram.size, BLOCK))
        for high, upper in self._entries(self.root, 0).items():
            assert upper & ~ADDRESS == 3, f"{upper:#x}"
            tables.append(upper & ADDRESS)
            middle = self._entries(upper & ADDRESS, high * GIGABYTE)
            assert middle, "an empty table"
            for index, entry in middle.items():
                ipa = high * GIGABYTE + index * BLOCK
                missing.discard(ipa)
                if entry & 3 == 1:
                    assert entry == self._own(ipa) | OWNED | 1, f"{entry:#x}"
                    continue
                assert entry & ~ADDRESS == 3, f"{entry:#x}"
                tables.append(entry & ADDRESS)
                pages |= self._pages(entry & ADDRESS, ipa)
        pages |= dict.fromkeys(ipa + n * PAGE for ipa in missing for n in range(512))
        return Map(pages, tables)

    def _own(self, ipa: int) -> int:
        assert self.ram.ipa <= ipa < self.ram.ipa + self.ram.size, f"{ipa:#x} is not RAM"
        return self.ram.address + ipa - self.ram.ipa

    def _entries(self, table: int, ipa: int) -> dict[int, int]:
        """Entries of an upper table that are not zero."""
        data = self.memory.read(table, PAGE)
        known = self._seen.get((table, ipa))
        if known is None or known[0] != data:
            entries = {index: entry for index, entry in enumerate(ENTRIES.unpack(data)) if entry}
            known = self._seen[table, ipa] = (data, entries)
        return known[1]

    def _pages(self, table: int, ipa: int) -> dict[int, Page | None]:
        """Pages of a last-level table that are not as at power-on."""
        data = self.memory.read(table, PAGE)
        known = self._leaves.get((table, ipa))
        if known is None or known[0] != data:
            entries = ENTRIES.unpack(data)
            assert any(entries), "an empty table"
            home = self.ram.ipa <= ipa < self.ram.ipa + self.ram.size
            default = (
                range(self._own(ipa) | OWNED | 3, (self._own(ipa) | OWNED | 3) + BLOCK, PAGE) if home else [0] * 512
            )
            found = {
                ipa + index * PAGE: _decode(entry) if entry else None
                for index, (entry, usual) in enumerate(zip(entries, default, strict=True))
                if entry != usual
            }
            known = self._leaves[table, ipa] = (data, found)
        return known[1]
