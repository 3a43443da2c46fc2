"""Where a function returns to, worked out from its code: what its prologue has done to SP and LR so far.

Compilers move SP and save LR (x30) in a few known ways (AAPCS64 6.4). From the place where the function stands, either
the way to its RET is straight and says it all, or the prologue before it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from engine.arch.addressing import pair_offset
from engine.arch.bits import MASK64, bits, signed

FARTHEST: Final = 4096
"""Instructions that are looked through on the way back to the start of a function."""
_EPILOGUE = 32
"""Instructions to RET that are looked through on the way there."""
_GUESSED = 256
"""Instructions before it that are looked through for the start of a function without a symbol."""
_B = 0b000101
_SP, _LR = 31, 30

Fetch = Callable[[int], int | None]
"""The instruction word at a virtual address, None where none can be read."""


@dataclass(frozen=True, slots=True)
class Return:
    """How a function returns."""

    sp: int
    """Stack pointer then; the lowest that it can be where only a frame record tells."""
    saved_at: int | None
    """Virtual address of the saved return address; None while LR has it."""
    exact: bool = True


@dataclass(slots=True)
class _Frame:
    """What straight code did, relative to the SP it began with."""

    moved: int = 0
    saved: int | None = None
    pointer: int | None = None
    """Where x29 points."""


def _sp_change(word: int) -> int | None:
    """ADD or SUB of a constant to SP (Arm ARM C6.2.4, C6.2.308); None for anything else."""
    if word & 0xBF80_03FF != 0x9100_03FF:
        return None
    value = bits(word, 21, 10) << (12 if word & 1 << 22 else 0)
    return -value if word & 1 << 30 else value


def _pointer(word: int) -> int | None:
    """ADD X29, SP, #constant, or MOV X29, SP."""
    return bits(word, 21, 10) if word & 0xFFC0_03FF == 0x9100_03FD else None


def _stack_access(word: int) -> tuple[bool, int | None, int] | None:
    """(load, place of LR from SP, what SP moves by) of a load or store at SP; place None without LR."""
    if bits(word, 9, 5) != _SP:
        return None
    if word & 0x3A00_0000 == 0x2800_0000:
        return _pair(word)
    load, has_lr = bool(word & 1 << 22), word & 0xFF80_001F in (0xF900_0000 | _LR, 0xF800_0000 | _LR)
    if word & 0xFF80_0000 == 0xF900_0000:
        return load, bits(word, 21, 10) * 8 if has_lr else None, 0
    if word & 0x3B20_0400 == 0x3800_0400:
        offset, pre = signed(bits(word, 20, 12), 9), bool(word & 1 << 11)
        return load, (offset if pre else 0) if has_lr else None, offset
    return None


def _pair(word: int) -> tuple[bool, int | None, int]:
    """STP and LDP, of X registers or others."""
    whole = word & 0xC400_0000 == 0x8000_0000  # of general registers, all 64 bits
    offset, mode = pair_offset(word), bits(word, 24, 23)
    names = (bits(word, 4, 0), bits(word, 14, 10))
    place = (0 if mode == 1 else offset) + 8 * names.index(_LR) if _LR in names and whole else None
    return bool(word & 1 << 22), place, offset if mode in (1, 3) else 0


def _is_return(word: int) -> bool:
    return word & 0xFFFF_FC1F == 0xD65F_0000


def _branches(word: int) -> bool:
    """Any branch or exception, but no system instruction (Arm ARM C4.1.88)."""
    return word & 0x1C00_0000 == 0x1400_0000 and bits(word, 31, 22) != 0b1101010100


def find(fetch: Fetch, pc: int, start: int | None, sp: int, fp: int) -> Return | None:
    """How the function that stands before the instruction at `pc` returns; None if its code does not tell.

    `start` is its first instruction. None is a guess: a function with early returns may be taken for two, and then what
    comes out is a frame further up.
    """
    begin = _guess(fetch, pc) if start is None else start
    found = _straight(fetch, pc, sp) or _body(fetch, pc, begin, sp, fp)
    if found is None and fp and fp % 8 == 0:
        return Return(fp + 16 & MASK64, fp + 8 & MASK64, exact=False)
    return found


def _guess(fetch: Fetch, pc: int) -> int | None:
    """Start of a function without a symbol: behind the last one's end. None if its prologue lies before even that."""
    begin = pc
    saved = _saves_soon(fetch, pc)
    while pc - begin < 4 * _GUESSED:
        word = fetch(begin - 4)
        if word is None or word == 0 or _is_return(word) or word >> 26 == _B:
            break
        saved = saved or _saves(word)
        begin -= 4
    return begin if saved or not _restores(fetch, pc) else None


def _restores(fetch: Fetch, pc: int) -> bool:
    """LR comes from the stack before the next RET, or the next function: this is no leaf function."""
    for address in range(pc, pc + 4 * _GUESSED, 4):
        word = fetch(address)
        if word is None or _is_return(word) or _saves(word):
            return False
        access = _stack_access(word)
        if access is not None and access[0] and access[1] is not None:
            return True
    return False


def _saves(word: int) -> bool:
    access = _stack_access(word)
    return access is not None and not access[0] and access[1] is not None


def _saves_soon(fetch: Fetch, pc: int) -> bool:
    """The prologue is still to come."""
    for address in range(pc, pc + 4 * _EPILOGUE, 4):
        word = fetch(address)
        if word is None or _branches(word):
            return False
        if _saves(word):
            return True
    return False


def _straight(fetch: Fetch, pc: int, sp: int) -> Return | None:
    """There is no branch before RET."""
    frame = _Frame()
    for n in range(_EPILOGUE):
        word = fetch(pc + 4 * n)
        if word is None:
            return None
        if _is_return(word):
            return Return(sp + frame.moved & MASK64, None if frame.saved is None else sp + frame.saved & MASK64)
        if _branches(word):
            return None
        access = _stack_access(word)
        if access is not None and access[0] and access[1] is not None:
            frame.saved = frame.moved + access[1]
        frame.moved += (access[2] if access is not None else _sp_change(word)) or 0
    return None


def _body(fetch: Fetch, pc: int, start: int | None, sp: int, fp: int) -> Return | None:
    if start is None or not 0 <= pc - start <= 4 * FARTHEST:
        return None
    words = [fetch(address) for address in range(start, pc, 4)]
    frame = _prologue([word for word in words if word is not None])
    entry = sp - frame.moved if frame.pointer is None else fp - frame.pointer
    return Return(entry & MASK64, None if frame.saved is None else entry + frame.saved & MASK64)


def _prologue(words: Sequence[int]) -> _Frame:
    """Only what makes the frame counts: an early return on the way takes down what it made, and is not ours."""
    frame = _Frame()
    for word in words:
        access = _stack_access(word)
        if access is not None:
            load, place, moves = access
            if not load and place is not None and frame.saved is None:
                frame.saved = frame.moved + place
            frame.moved += min(moves, 0)
        elif (change := _sp_change(word)) is not None:
            frame.moved += min(change, 0)
        elif (offset := _pointer(word)) is not None and frame.pointer is None:
            frame.pointer = frame.moved + offset
    return frame
