"""Chance that can be repeated: a number for each place in a sequence, from the seed alone."""

from __future__ import annotations

import hashlib

MILLION = 1_000_000
_BITS = 64
_MASK = (1 << _BITS) - 1


def parts_per_million(seed: int, name: str, sequence: int) -> int:
    """0 to 999 999, evenly spread; the same for the same arguments, unrelated for others.

    Of seed and sequence the lower 64 bits count. No state is kept, so nothing but `sequence` has to be saved.
    """
    place = (seed & _MASK).to_bytes(8, "little") + (sequence & _MASK).to_bytes(8, "little") + name.encode()
    draw = int.from_bytes(hashlib.blake2b(place, digest_size=_BITS // 8).digest(), "little")
    return draw * MILLION >> _BITS
