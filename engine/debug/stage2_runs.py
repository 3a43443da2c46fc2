"""What a stage 2 maps, read from its tables in RAM and joined where it goes on alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.arch.paging import LEVELS, PAGE, S2Leaf
from engine.hypervisor.stage2 import Stage2


class Run(NamedTuple):
    """Consecutive addresses that are mapped to consecutive ones in the same way."""

    ipa: int
    size: int
    """Bytes."""
    descriptor: int
    """Of its first page, as a page descriptor."""

    @property
    def leaf(self) -> S2Leaf:
        return S2Leaf.decode(self.descriptor, LEVELS - 1)

    @property
    def end(self) -> int:
        return self.ipa + self.size


def runs(stage2: Stage2) -> Iterator[Run]:
    """Everything mapped, in address order, joined as far as possible."""
    open_run: Run | None = None
    for ipa, size, descriptor in stage2.descriptors():
        if open_run is not None and ipa == open_run.end and descriptor == open_run.descriptor + open_run.size:
            open_run = Run(open_run.ipa, open_run.size + size, open_run.descriptor)
            continue
        if open_run is not None:
            yield open_run
        open_run = Run(ipa, size, descriptor)
    if open_run is not None:
        yield open_run


def tables(stage2: Stage2) -> tuple[tuple[int, int], ...]:
    """(physical address, bytes) of the memory that the tables themselves are in, ascending."""
    found: list[tuple[int, int]] = []
    for page in sorted([stage2.root, *stage2.tables_below_root()]):
        if found and sum(found[-1]) == page:
            found[-1] = (found[-1][0], found[-1][1] + PAGE)
        else:
            found.append((page, PAGE))
    return tuple(found)
