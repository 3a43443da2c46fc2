"""Translation regimes: what TCR_ELx and VTCR_EL2 say of a walk, with any granule (Arm ARM D8.2, D17.2)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.arch.controls import SCTLR_M, SCTLR_WXN
from engine.arch.paging import LEVELS

PHYSICAL_BITS = 44
"""Of a Cortex-A72 (ID_AA64MMFR0_EL1.PARange)."""
_ROOT_MASK = (1 << 48) - 2
"""Of a TTBR; bit 0 is CnP."""
_FEWEST_SIZE_OFFSET, _MOST_SIZE_OFFSET = 16, 39
_GRAIN_4K, _GRAIN_16K, _GRAIN_64K = 12, 14, 16
_TG0 = (_GRAIN_4K, _GRAIN_64K, _GRAIN_16K, _GRAIN_64K)
_TG1 = (_GRAIN_4K, _GRAIN_16K, _GRAIN_4K, _GRAIN_64K)
"""By field value; reserved ones as the model takes them."""


class Access(enum.Flag):
    """What is done to memory, and what may be."""

    READ = enum.auto()
    WRITE = enum.auto()
    EXECUTE = enum.auto()


NO_ACCESS = Access(0)
ANY_ACCESS = Access.READ | Access.WRITE | Access.EXECUTE


def letters(access: Access) -> str:
    """`rw-` and the like."""
    return "".join(c if each in access else "-" for c, each in zip("rwx", Access, strict=True))


@dataclass(frozen=True, slots=True)
class Stage:
    """What one walk begins with."""

    number: int
    """1 or 2."""
    register: str
    """Whose table it begins at, for example `TTBR0_EL1`."""
    root: int
    """Address of the first table."""
    grain: int
    """Address bits inside a page: 12, 14 or 16."""
    input_bits: int
    start_level: int
    hierarchical: bool = True
    """Table entries restrict what is below them."""

    def shift(self, level: int) -> int:
        """Lowest address bit that a level's index covers."""
        return self.grain + (LEVELS - 1 - level) * (self.grain - 3)

    def entry(self, table: int, address: int, level: int) -> int:
        """Address of the entry of a table for an address; the first table may be several side by side."""
        bits = self.input_bits - self.shift(level) if level == self.start_level else self.grain - 3
        return table + 8 * (address >> self.shift(level) & (1 << bits) - 1)

    @property
    def output_mask(self) -> int:
        """Of the address in a descriptor."""
        return (1 << 48) - (1 << self.grain)


@dataclass(frozen=True, slots=True)
class Stage1:
    """The registers of stage 1: of EL1&0, or of EL2."""

    el: int
    """Whose registers they are: 1 or 2."""
    enabled: bool
    sctlr: int
    tcr: int
    ttbr: tuple[int, int]
    """TTBR0 and TTBR1; EL2 has only the first."""
    mair: int

    @property
    def write_implies_xn(self) -> bool:
        return bool(self.sctlr & SCTLR_WXN)

    def untagged_bits(self, address: int) -> int:
        """Address bits that count: the top byte may be a tag (D8.8)."""
        bit = 20 if self.el == 2 else 37 + (address >> 55 & 1)
        return 56 if self.tcr >> bit & 1 else 64

    def stage(self, address: int) -> Stage | None:
        """How an address is walked; None where no walk begins: it is in neither half, or walks of it are disabled."""
        upper = self.el == 1 and address >> 55 & 1
        tcr = self.tcr >> 16 if upper else self.tcr
        size = min(max(tcr & 0x3F, _FEWEST_SIZE_OFFSET), _MOST_SIZE_OFFSET)
        input_bits, top = 64 - size, self.untagged_bits(address)
        above = (address & (1 << top) - 1) >> input_bits
        in_half = above == ((1 << top - input_bits) - 1 if upper else 0)
        disabled = self.el == 1 and tcr >> 7 & 1
        if not in_half or disabled:
            return None
        grain = (_TG1 if upper else _TG0)[tcr >> 14 & 3]
        return Stage(
            number=1,
            register=f"TTBR{1 if upper else 0}_EL{self.el}",
            root=_aligned(self.ttbr[1 if upper else 0], input_bits, grain, _start_level(input_bits, grain)),
            grain=grain,
            input_bits=input_bits,
            start_level=_start_level(input_bits, grain),
            hierarchical=not self.tcr >> (24 if self.el == 2 else 42 if upper else 41) & 1,
        )


def stage1_enabled(sctlr: int) -> bool:
    """SCTLR_ELx.M."""
    return bool(sctlr & SCTLR_M)


def stage2(vttbr: int, vtcr: int) -> Stage | None:
    """The stage that VTTBR_EL2 and VTCR_EL2 describe; None where no walk can begin like that (D8.2.7)."""
    input_bits = 64 - min(max(vtcr & 0x3F, _FEWEST_SIZE_OFFSET), _MOST_SIZE_OFFSET)
    grain = _TG0[vtcr >> 14 & 3]
    level = (2 if grain == _GRAIN_4K else 3) - (vtcr >> 6 & 3)
    first_bits = input_bits - grain - (LEVELS - 1 - level) * (grain - 3)
    concatenated = grain - 3 + 4
    too_big = input_bits > PHYSICAL_BITS or (level == 0 and grain != _GRAIN_4K)
    if level < 0 or too_big or not 1 <= first_bits <= concatenated:
        return None
    return Stage(2, "VTTBR_EL2", _aligned(vttbr, input_bits, grain, level), grain, input_bits, level)


def _start_level(input_bits: int, grain: int) -> int:
    return LEVELS - -(-(input_bits - grain) // (grain - 3))


def _aligned(base: int, input_bits: int, grain: int, level: int) -> int:
    """The first table is as large as its input bits ask for, and aligned to that."""
    size = 8 << input_bits - grain - (LEVELS - 1 - level) * (grain - 3)
    return base & _ROOT_MASK & -size
