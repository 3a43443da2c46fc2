"""Addresses that A64 instructions name relative to themselves (Arm ARM C4.1)."""

from __future__ import annotations

import enum
from typing import NamedTuple

from engine.arch.bits import MASK64, signed
from engine.arch.paging import PAGE


class Relative(enum.Enum):
    """What an instruction does with the address."""

    CALL = enum.auto()
    BRANCH = enum.auto()
    LITERAL = enum.auto()
    """It loads from there."""
    ADDRESS = enum.auto()
    """It computes it."""
    PAGE = enum.auto()
    """It computes that of a page, to which another instruction adds."""


class Target(NamedTuple):
    """An address that an instruction names."""

    kind: Relative
    address: int


class _Form(NamedTuple):
    mask: int
    value: int
    kind: Relative
    low: int
    """Lowest bit of the immediate."""
    bits: int


_FORMS = (
    _Form(0xFC00_0000, 0x9400_0000, Relative.CALL, 0, 26),
    _Form(0xFC00_0000, 0x1400_0000, Relative.BRANCH, 0, 26),
    _Form(0xFF00_0000, 0x5400_0000, Relative.BRANCH, 5, 19),
    _Form(0x7E00_0000, 0x3400_0000, Relative.BRANCH, 5, 19),
    _Form(0x7E00_0000, 0x3600_0000, Relative.BRANCH, 5, 14),
    _Form(0x3B00_0000, 0x1800_0000, Relative.LITERAL, 5, 19),
)
"""BL, B, B.cond, CBZ and CBNZ, TBZ and TBNZ, LDR (literal): all count in instructions."""
_ADR_MASK, _ADR, _ADRP = 0x9F00_0000, 0x1000_0000, 0x9000_0000


def target(word: int, address: int) -> Target | None:
    """What the instruction at an address names, None if nothing."""
    for form in _FORMS:
        if word & form.mask == form.value:
            offset = 4 * signed(word >> form.low, form.bits)
            return Target(form.kind, address + offset & MASK64)
    if word & _ADR_MASK in (_ADR, _ADRP):
        offset = signed(word >> 5 << 2 | word >> 29 & 3, 21)
        if word & _ADR_MASK == _ADRP:
            return Target(Relative.PAGE, (address & -PAGE) + offset * PAGE & MASK64)
        return Target(Relative.ADDRESS, address + offset & MASK64)
    return None


def based(word: int) -> tuple[int, int] | None:
    """(base register, offset) of an ADD, load or store with an immediate, as it completes an ADRP; None for others."""
    base, immediate = word >> 5 & 0x1F, word >> 10 & 0xFFF
    if word & 0xFF80_0000 == 0x9100_0000:
        return base, immediate << (12 if word >> 22 & 1 else 0)
    if word & 0x3B00_0000 != 0x3900_0000:
        return None
    quad = word >> 26 & 1 and word >> 23 & 1
    return base, immediate << (4 if quad else word >> 30)


def literal_size(word: int) -> int:
    """Bytes that an LDR (literal) loads; 0 for a prefetch."""
    opc, vector = word >> 30, word >> 26 & 1
    return (4, 8, 16, 0)[opc] if vector else (4, 8, 4, 0)[opc]


def is_call(word: int) -> bool:
    """BL or BLR: what comes after it is where the callee returns to."""
    return word & 0xFC00_0000 == 0x9400_0000 or word & 0xFFFF_FC1F == 0xD63F_0000
