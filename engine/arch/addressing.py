"""Where a load or a store begins to access memory, from the instruction and the registers (Arm ARM C4.1.94)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.arch.bits import MASK64, bits, signed

LONGEST_ACCESS: Final = 64
"""Bytes that one instruction moves at most: LD4 of four 16-byte registers, and DC ZVA."""
_ZERO = 31


def zeroes_block(word: int) -> bool:
    """DC ZVA (Arm ARM C6.2.86)."""
    return word & ~0x1F == 0xD50B_7420


def stores_exclusive(word: int) -> bool:
    """STXR, STXP and their kin, which may store nothing (Arm ARM C4.1.94, load/store exclusive)."""
    return bits(word, 29, 24) == 0b001000 and not word & 1 << 22 and not word & 1 << 23


def status_register(word: int) -> int:
    """Where a store exclusive says whether it failed."""
    return bits(word, 20, 16)


def first_address(word: int, pc: int, x: Sequence[int]) -> int | None:
    """Lowest virtual address that an instruction accesses; None if it is no load, store or DC ZVA.

    `x` holds X0-X30 and SP as they are before it.
    """
    if zeroes_block(word):
        register = bits(word, 4, 0)
        return 0 if register == _ZERO else x[register] & -LONGEST_ACCESS
    if word & 1 << 25 or not word & 1 << 27:
        return None
    if bits(word, 29, 27) == 0b011 and not word & 1 << 24:
        return pc + 4 * signed(bits(word, 23, 5), 19) & MASK64
    return x[bits(word, 9, 5)] + _offset(word, x) & MASK64


def _offset(word: int, x: Sequence[int]) -> int:
    """What is added to the base before the access."""
    kind = bits(word, 29, 27)
    if kind == 0b101:
        return 0 if bits(word, 24, 23) == 1 else pair_offset(word)
    if kind == 0b111:
        return _single_offset(word, x)
    return 0  # exclusive, ordered, and structures of vectors


def pair_offset(word: int) -> int:
    """Bytes that a load or store of a pair adds to its base, before the access or after it."""
    opc = bits(word, 31, 30)
    return signed(bits(word, 21, 15), 7) << (2 + opc if word & 1 << 26 else 2 + (opc >> 1))


def _single_offset(word: int, x: Sequence[int]) -> int:
    scale = bits(word, 31, 30)
    if word & 1 << 26:
        scale |= bits(word, 23, 23) << 2
    if word & 1 << 24:
        return bits(word, 21, 10) << scale
    mode = bits(word, 11, 10)
    if not word & 1 << 21:
        return 0 if mode == 1 else signed(bits(word, 20, 12), 9)
    return _register_offset(word, x, scale) if mode == 2 else 0


def _register_offset(word: int, x: Sequence[int], scale: int) -> int:
    """UXTW, LSL, SXTW or SXTX of Rm, shifted by the size or not."""
    number = bits(word, 20, 16)
    value = 0 if number == _ZERO else x[number]
    option = bits(word, 15, 13)
    if not option & 1:
        value &= 0xFFFF_FFFF
        value = signed(value, 32) if option & 4 else value
    return value << (scale if word & 1 << 12 else 0)
