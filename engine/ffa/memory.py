"""Attributes and permissions of memory regions (DEN0140 v1.2; tables 10.15 and 10.18 of DEN0077A v1.1)."""

from __future__ import annotations

import enum
from typing import NamedTuple


class MemoryType(enum.IntEnum):
    """Attributes [5:4]."""

    UNSPECIFIED = 0
    DEVICE = 1
    NORMAL = 2
    RESERVED = 3


class Data(enum.IntEnum):
    """Data access, permissions [1:0]; wider access compares greater."""

    UNSPECIFIED = 0
    RO = 1
    RW = 2
    RESERVED = 3


class Instruction(enum.IntEnum):
    """Instruction access, permissions [3:2]; wider access compares greater."""

    UNSPECIFIED = 0
    NX = 1
    X = 2
    RESERVED = 3


class Attributes(NamedTuple):
    """The attributes of a region, as sent."""

    raw: int
    """8 bits in v1.0, 16 after."""

    @property
    def type(self) -> MemoryType:
        """Normal, Device or unspecified."""
        return MemoryType(self.raw >> 4 & 3)

    @property
    def cacheability(self) -> int:
        """Normal: 1 non-cacheable, 3 write-back. Device: 0 nGnRnE to 3 GRE."""
        return self.raw >> 2 & 3

    @property
    def shareability(self) -> int:
        """Normal: 0 none, 2 outer, 3 inner."""
        return self.raw & 3

    @property
    def non_secure(self) -> bool:
        """Bit 6: the region is Non-secure memory. Only responses may set it."""
        return bool(self.raw & NS)

    @property
    def well_formed(self) -> bool:
        """Whether no field has a reserved value and no reserved bit is set."""
        if self.raw & ~0x7F or self.type is MemoryType.RESERVED:
            return False
        if self.type is MemoryType.NORMAL:
            return self.cacheability in (1, 3) and self.shareability != 1
        return self.shareability == 0 and (self.type is MemoryType.DEVICE or self.cacheability == 0)

    def within(self, other: Attributes) -> bool:
        """Whether these are no more permissive than `other`.

        Precedence, weakest first: Device nGnRnE, nGnRE, nGRE, GRE, Normal; there NC before WB, and none, inner, outer.
        """
        if self.type is not other.type:
            return self.type < other.type
        if self.type is MemoryType.NORMAL and _SHARE_RANK[self.shareability] > _SHARE_RANK[other.shareability]:
            return False
        return self.cacheability <= other.cacheability

    def __str__(self) -> str:
        security = "NS " if self.non_secure else ""
        if self.type is MemoryType.NORMAL:
            return f"{security}normal {_CACHE_TEXT[self.cacheability]} {_SHARE_TEXT[self.shareability]}"
        return security + (
            _DEVICE_TEXT[self.cacheability] if self.type is MemoryType.DEVICE else self.type.name.lower()
        )


NS = 1 << 6
_SHARE_RANK = {0: 0, 1: 0, 3: 1, 2: 2}
_DEVICE_TEXT = ("device nGnRnE", "device nGnRE", "device nGRE", "device GRE")
_CACHE_TEXT = ("?", "NC", "?", "WB")
_SHARE_TEXT = ("NSH", "?", "OSH", "ISH")
UNSPECIFIED = Attributes(0)
NORMAL_WB_ISH = Attributes(MemoryType.NORMAL << 4 | 3 << 2 | 3)
DEVICE_NGNRNE = Attributes(MemoryType.DEVICE << 4)


class Permissions(NamedTuple):
    """What an endpoint may do with a region."""

    data: Data
    instruction: Instruction = Instruction.UNSPECIFIED
    reserved: int = 0
    """Bits [7:4], which must be zero."""

    def pack(self) -> int:
        """The permission byte of an endpoint access entry."""
        return self.data | self.instruction << 2 | self.reserved << 4

    @property
    def well_formed(self) -> bool:
        """Whether no field has a reserved value and no reserved bit is set."""
        return self.data is not Data.RESERVED and self.instruction is not Instruction.RESERVED and not self.reserved

    def __str__(self) -> str:
        return f"{'??' if self.data is Data.UNSPECIFIED else self.data.name} {self.instruction.name}"


def parse_permissions(byte: int) -> Permissions:
    """Permissions of an endpoint access entry's byte; any value parses."""
    return Permissions(Data(byte & 3), Instruction(byte >> 2 & 3), byte >> 4 & 0xF)
