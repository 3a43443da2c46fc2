"""Bit fields of instructions, and 64-bit arithmetic."""

from __future__ import annotations

from typing import Final

MASK64: Final = (1 << 64) - 1


def bits(word: int, high: int, low: int) -> int:
    """word[high:low], as the Arm ARM writes it."""
    return word >> low & (1 << (high - low + 1)) - 1


def signed(value: int, width: int) -> int:
    """A two's complement number in the lowest `width` bits of `value`; what is above them does not count."""
    value &= (1 << width) - 1
    return value - (1 << width) if value >> width - 1 else value
