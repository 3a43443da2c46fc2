"""Loads and stores that a data abort does not describe (ISV = 0): decoded from the instruction.

Covers what a driver can compile to on a device: register pairs, pre- and post-index, unscaled and
register offsets, SIMD&FP transfers (Arm ARM C4.1.94). Exclusives and atomics are not emulated: on
memory-mapped I/O they are a fault on real parts too.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.arch.bits import bits, signed


@dataclass(frozen=True, slots=True)
class Transfer:
    """One register moved to or from memory."""

    offset: int
    """Bytes from the address of the access."""
    size: int
    """1, 2, 4, 8 or (vectors) 16."""
    register: int
    load: bool
    sign_extend: bool = False
    sixty_four: bool = True
    """Sign extension goes to 64 bits, not 32."""
    vector: bool = False


@dataclass(frozen=True, slots=True)
class LoadStore:
    """A decoded access."""

    base: int
    """Rn, 31 is SP."""
    transfers: tuple[Transfer, ...]
    writeback: int | None = None
    """Added to Rn afterwards, None to leave it."""


def _single(word: int) -> Transfer | None:
    """The transfer of a load/store (one register) from its size, V, opc and Rt fields."""
    size, opc, register = bits(word, 31, 30), bits(word, 23, 22), bits(word, 4, 0)
    if bits(word, 26, 26):
        scale = (opc >> 1) << 2 | size
        return Transfer(0, 1 << scale, register, bool(opc & 1), vector=True) if scale <= 4 else None
    if (opc >= 2 and size == 3) or (opc == 3 and size == 2):
        return None  # prefetch or unallocated
    return Transfer(0, 1 << size, register, opc != 0, opc >= 2, opc != 3)


def _decode_single(word: int) -> LoadStore | None:
    transfer = _single(word)
    if transfer is None:
        return None
    base = bits(word, 9, 5)
    if bits(word, 25, 24) == 1:
        return LoadStore(base, (transfer,))
    if bits(word, 25, 24) != 0:
        return None
    mode = bits(word, 11, 10)
    if bits(word, 21, 21):
        return LoadStore(base, (transfer,)) if mode == 2 else None
    indexed = mode in (1, 3)
    return LoadStore(base, (transfer,), signed(bits(word, 20, 12), 9) if indexed else None)


def _decode_pair(word: int) -> LoadStore | None:
    opc, vector, load = bits(word, 31, 30), bool(bits(word, 26, 26)), bool(bits(word, 22, 22))
    if opc == 3 or (opc == 1 and not vector and not load):
        return None
    size = 4 << opc if vector else (8 if opc == 2 else 4)
    extends = opc == 1 and not vector
    mode = bits(word, 25, 23)
    transfers = tuple(
        Transfer(n * size, size, register, load, extends, vector=vector)
        for n, register in enumerate((bits(word, 4, 0), bits(word, 14, 10)))
    )
    delta = signed(bits(word, 21, 15), 7) * size
    return LoadStore(bits(word, 9, 5), transfers, delta if mode in (1, 3) else None)


def _decode_ordered(word: int) -> LoadStore | None:
    """LDAR and STLR."""
    if not (bits(word, 23, 23) and not bits(word, 21, 21) and bits(word, 15, 15)):
        return None
    transfer = Transfer(0, 1 << bits(word, 31, 30), bits(word, 4, 0), bool(bits(word, 22, 22)))
    return LoadStore(bits(word, 9, 5), (transfer,))


def writes_back(word: int) -> bool:
    """Whether a load/store of one register is pre- or post-indexed."""
    return word & 0x3B20_0400 == 0x3800_0400


def decode(word: int) -> LoadStore | None:
    """The access an instruction word makes, or None when it is not one that can be emulated."""
    kind = bits(word, 29, 27)
    if kind == 0b111:
        return _decode_single(word)
    if kind == 0b101 and not bits(word, 25, 25):
        return _decode_pair(word)
    if bits(word, 29, 24) == 0b001000:
        return _decode_ordered(word)
    return None
