"""VMSAv8-64 translation tables with a 4 KB granule: descriptor bits and walks (Arm ARM D8.3)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

PAGE = 4096
BLOCK_2M = 2 << 20
ENTRIES = 512
LEVELS = 4
ADDRESS_MASK = 0x0000_FFFF_FFFF_F000
VALID = 1 << 0
TABLE_OR_PAGE = 1 << 1
"""At levels 0-2 set for a table, clear for a block; at level 3 always set."""
ACCESS_FLAG = 1 << 10


def level_shift(level: int) -> int:
    """Lowest address bit that a level's index covers: 39, 30, 21, 12."""
    return 39 - 9 * level


def level_size(level: int) -> int:
    """Bytes that one entry of a level maps."""
    return 1 << level_shift(level)


def stage1_start_level(size_offset: int) -> int:
    """First level of a stage-1 walk for TCR_EL1.TnSZ (16 to 39 with a 4 KB granule)."""
    return max(0, min(LEVELS - 1, LEVELS - -(-(52 - size_offset) // 9)))


def index(address: int, level: int) -> int:
    return address >> level_shift(level) & (ENTRIES - 1)


class S2AP(enum.IntEnum):
    """Stage-2 access permissions, descriptor bits 7:6."""

    NONE = 0
    READ = 1
    WRITE = 2
    READ_WRITE = 3


class PageState(enum.IntEnum):
    """Ownership kept in the software bits 56:55 of a stage-2 leaf."""

    OWNED = 0
    SHARED_OWNED = 1
    SHARED_BORROWED = 2
    DONATED = 3


class S2Memory(enum.IntEnum):
    """Stage-2 memory attributes, descriptor bits 5:2."""

    DEVICE_nGnRE = 0b0001
    NORMAL_WRITE_BACK = 0b1111


S2AP_SHIFT = 6
SHAREABILITY_SHIFT = 8
INNER_SHAREABLE = 3
XN = 1 << 54
"""Execute never at EL1 and EL0 (without FEAT_XNX bit 53 is RES0)."""
PXN, UXN = 1 << 53, 1 << 54
"""Of stage 1: execute never at EL1, and at EL0 (or EL2)."""
STATE_SHIFT = 55


@dataclass(frozen=True, slots=True)
class S2Leaf:
    """A stage-2 block or page descriptor, decoded."""

    address: int
    """Output address."""
    access: S2AP = S2AP.READ_WRITE
    execute: bool = True
    state: PageState = PageState.OWNED
    memory: S2Memory = S2Memory.NORMAL_WRITE_BACK

    def encode(self, level: int) -> int:
        """The descriptor at level 1, 2 (block) or 3 (page)."""
        value = self.address | VALID | ACCESS_FLAG | INNER_SHAREABLE << SHAREABILITY_SHIFT
        value |= self.access << S2AP_SHIFT | self.memory << 2 | self.state << STATE_SHIFT
        value |= 0 if self.execute else XN
        return value | (TABLE_OR_PAGE if level == LEVELS - 1 else 0)

    @classmethod
    def decode(cls, descriptor: int, level: int) -> S2Leaf:
        return cls(
            address=descriptor & ADDRESS_MASK & -level_size(level),
            access=S2AP(descriptor >> S2AP_SHIFT & 3),
            execute=not descriptor & XN,
            state=PageState(descriptor >> STATE_SHIFT & 3),
            memory=S2Memory.NORMAL_WRITE_BACK if descriptor >> 2 & 0xF == 0xF else S2Memory.DEVICE_nGnRE,
        )


def is_table(descriptor: int, level: int) -> bool:
    return level < LEVELS - 1 and descriptor & 3 == VALID | TABLE_OR_PAGE


def is_leaf(descriptor: int, level: int) -> bool:
    if level == LEVELS - 1:
        return descriptor & 3 == VALID | TABLE_OR_PAGE
    return level > 0 and descriptor & 3 == VALID


_TABLE = struct.Struct(f"<{ENTRIES}Q")


def entries(table: bytes) -> tuple[int, ...]:
    """The descriptors of a table of 4 KB."""
    return _TABLE.unpack(table)


@lru_cache(maxsize=32)
def split(descriptor: int, level: int) -> bytes:
    """The table of the next level that maps what a block at level 1 or 2 maps, in the same way."""
    step = level_size(level + 1)
    first = descriptor | (TABLE_OR_PAGE if level + 1 == LEVELS - 1 else 0)
    return _TABLE.pack(*range(first, first + ENTRIES * step, step))


def fold(pages: bytes | bytearray) -> int | None:
    """The level 2 block that maps what a table of pages maps, in the same way; None where no block can."""
    first, last = (int.from_bytes(pages[at : at + 8], "little") for at in (0, PAGE - 8))
    aligned = first & VALID and not first & ADDRESS_MASK & (BLOCK_2M - 1)
    if not aligned or last - first != BLOCK_2M - PAGE:
        return None
    block = first & ~TABLE_OR_PAGE
    return block if pages == split(block, LEVELS - 2) else None


class WalkStep(NamedTuple):
    """One entry looked at during a walk."""

    level: int
    entry_address: int
    descriptor: int


def walk(read: Callable[[int], int], root: int, address: int, start_level: int = 0) -> list[WalkStep]:
    """The entries a walk of `address` looks at, from the start level to the leaf or the fault.

    `read` returns the 64-bit entry at an address and may raise IndexError, which ends the walk there.
    """
    steps: list[WalkStep] = []
    table = root
    for level in range(start_level, LEVELS):
        entry_address = table + 8 * index(address, level)
        try:
            descriptor = read(entry_address)
        except IndexError:
            return steps
        steps.append(WalkStep(level, entry_address, descriptor))
        if not is_table(descriptor, level):
            return steps
        table = descriptor & ADDRESS_MASK
    return steps
