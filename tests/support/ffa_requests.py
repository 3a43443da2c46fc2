"""Memory requests of FF-A as plain data, good and bad, for models and drivers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from engine.arch.paging import PAGE
from engine.ffa.abi import Function
from engine.ffa.memory import Data, Instruction

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""(address, pages)"""
ZERO, ZERO_AFTER, BYPASS = 1, 1 << 2, 1 << 10
SHARE, LEND, DONATE = Function.MEM_SHARE_32, Function.MEM_LEND_32, Function.MEM_DONATE_32
NORMAL = 0x2F
"""Normal, write-back, inner shareable."""
_MOST = 2048
"""More pages than a VM of a test has."""


@dataclass(frozen=True)
class Send:
    """MEM_SHARE, LEND or DONATE as asked for."""

    kind: Function
    sender: int
    to: tuple[int, ...]
    ranges: Ranges
    data: Data
    instruction: Instruction = Instruction.UNSPECIFIED
    flags: int = 0
    handle: int = 0
    attributes: int = NORMAL
    tag: int = 0
    announced: int = 0
    """Pages that the total in the descriptor says beyond those it lists."""
    damage: int = 0
    """Not 0: the bytes are damaged in a way that every reader must notice."""

    @property
    def single(self) -> bool:
        """One borrower gets the pages for itself."""
        return self.kind is not SHARE and len(self.to) == 1

    @property
    def shapeless(self) -> bool:
        """The descriptor says nothing that could be judged."""
        return bool(self.damage) or _shapeless(self.ranges, self.announced)

    @property
    def pages(self) -> tuple[int, ...]:
        """Addresses of all pages."""
        return tuple(_spread(self.ranges))


@dataclass(frozen=True)
class Retrieve:
    """MEM_RETRIEVE_REQ as asked for."""

    handle: int
    sender: int
    to: tuple[int, ...]
    data: Data = Data.UNSPECIFIED
    instruction: Instruction = Instruction.UNSPECIFIED
    flags: int = 0
    tag: int = 0
    attributes: int = 0
    ranges: Ranges = ()
    """Where the borrower wants the pages; empty: at the owner's addresses."""
    announced: int = 0
    damage: int = 0

    @property
    def shapeless(self) -> bool:
        """The descriptor says nothing that could be judged."""
        return bool(self.damage) or (bool(self.ranges) and _shapeless(self.ranges, self.announced))

    @property
    def pages(self) -> tuple[int, ...]:
        """Addresses of all pages that it names."""
        return tuple(_spread(self.ranges))


def _spread(ranges: Ranges) -> Iterator[int]:
    return (address + PAGE * n for address, count in ranges for n in range(min(count, _MOST)))


def _shapeless(ranges: Ranges, announced: int) -> bool:
    """Empty, unaligned, wrapping or overlapping ranges, or another number of pages than announced."""
    ordered = sorted((address, address + PAGE * count) for address, count in ranges)
    meet = any(after[0] < before[1] for before, after in itertools.pairwise(ordered))
    bad = any(address % PAGE or end > 1 << 64 or end == address for address, end in ordered)
    return bool(announced) or meet or bad or not ranges
