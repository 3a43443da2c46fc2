"""What a stage 2 maps, read from its tables in RAM and joined where it goes on alike."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from engine.arch.paging import ADDRESS_MASK, ENTRIES, PAGE, TABLE_OR_PAGE, S2Leaf, is_leaf, is_table, level_size
from engine.hypervisor.stage2 import START_LEVEL, Stage2

_TABLE = struct.Struct(f"<{ENTRIES}Q")
_PAGE_LEVEL = 3


class Run(NamedTuple):
    """Consecutive addresses that are mapped to consecutive ones in the same way."""

    ipa: int
    size: int
    """Bytes."""
    descriptor: int
    """Of its first page, as a page descriptor."""

    @property
    def leaf(self) -> S2Leaf:
        return S2Leaf.decode(self.descriptor, _PAGE_LEVEL)

    @property
    def end(self) -> int:
        return self.ipa + self.size


def runs(stage2: Stage2) -> Iterator[Run]:
    """Everything mapped, in address order, joined as far as possible."""
    open_run: Run | None = None
    for ipa, size, descriptor in _leaves(stage2, stage2.root, START_LEVEL, 0):
        if open_run is not None and ipa == open_run.end and descriptor == open_run.descriptor + open_run.size:
            open_run = Run(open_run.ipa, open_run.size + size, open_run.descriptor)
            continue
        if open_run is not None:
            yield open_run
        open_run = Run(ipa, size, descriptor)
    if open_run is not None:
        yield open_run


def _leaves(stage2: Stage2, table: int, level: int, base: int) -> Iterator[tuple[int, int, int]]:
    size = level_size(level)
    for n, descriptor in enumerate(_TABLE.unpack(stage2.memory.read(table, PAGE))):
        if not descriptor:
            continue
        if is_table(descriptor, level):
            yield from _leaves(stage2, descriptor & ADDRESS_MASK, level + 1, base + n * size)
        elif is_leaf(descriptor, level):
            yield base + n * size, size, descriptor | TABLE_OR_PAGE


def tables(stage2: Stage2) -> tuple[tuple[int, int], ...]:
    """(physical address, bytes) of the memory that the tables themselves are in, ascending."""
    found: list[tuple[int, int]] = []
    for page in sorted(_tables(stage2, stage2.root, START_LEVEL)):
        if found and sum(found[-1]) == page:
            found[-1] = (found[-1][0], found[-1][1] + PAGE)
        else:
            found.append((page, PAGE))
    return tuple(found)


def _tables(stage2: Stage2, table: int, level: int) -> Iterator[int]:
    yield table
    if level == _PAGE_LEVEL:
        return
    for descriptor in _TABLE.unpack(stage2.memory.read(table, PAGE)):
        if is_table(descriptor, level):
            yield from _tables(stage2, descriptor & ADDRESS_MASK, level + 1)
