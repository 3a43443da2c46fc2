"""The decoder of loads and stores, against words from an assembler (Arm ARM C4.1.94)."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.arch.loadstore import LoadStore, Transfer, decode

LOAD, STORE = True, False
SP = XZR = 31


def integer(size: int, register: int, load: bool, offset: int = 0) -> Transfer:
    return Transfer(offset, size, register, load)


def signed(size: int, register: int, wide: bool, offset: int = 0) -> Transfer:
    return Transfer(offset, size, register, LOAD, sign_extend=True, sixty_four=wide)


def vector(size: int, register: int, load: bool, offset: int = 0) -> Transfer:
    return Transfer(offset, size, register, load, vector=True)


def access(base: int, *transfers: Transfer, writeback: int | None = None) -> LoadStore:
    return LoadStore(base, transfers, writeback)


DECODED = {
    "ldr w0, [x1]": (0xB9400020, access(1, integer(4, 0, LOAD))),
    "ldr x2, [x3, #8]": (0xF9400462, access(3, integer(8, 2, LOAD))),
    "ldr wzr, [x4]": (0xB940009F, access(4, integer(4, XZR, LOAD))),
    "ldrb w5, [x6, #3]": (0x39400CC5, access(6, integer(1, 5, LOAD))),
    "ldrh w7, [sp, #2]": (0x794007E7, access(SP, integer(2, 7, LOAD))),
    "ldrsb w8, [x9]": (0x39C00128, access(9, signed(1, 8, False))),
    "ldrsb x10, [x11]": (0x3980016A, access(11, signed(1, 10, True))),
    "ldrsh w12, [x13]": (0x79C001AC, access(13, signed(2, 12, False))),
    "ldrsh x14, [x15]": (0x798001EE, access(15, signed(2, 14, True))),
    "ldrsw x16, [x17, #4]": (0xB9800630, access(17, signed(4, 16, True))),
    "str w18, [x19]": (0xB9000272, access(19, integer(4, 18, STORE))),
    "str xzr, [x20]": (0xF900029F, access(20, integer(8, XZR, STORE))),
    "strb w21, [x22]": (0x390002D5, access(22, integer(1, 21, STORE))),
    "strh w23, [x24]": (0x79000317, access(24, integer(2, 23, STORE))),
    "ldr w0, [x1], #4": (0xB8404420, access(1, integer(4, 0, LOAD), writeback=4)),
    "ldr x0, [x1, #-8]!": (0xF85F8C20, access(1, integer(8, 0, LOAD), writeback=-8)),
    "str w0, [x1], #-4": (0xB81FC420, access(1, integer(4, 0, STORE), writeback=-4)),
    "strb w2, [x3, #1]!": (0x38001C62, access(3, integer(1, 2, STORE), writeback=1)),
    "ldrsw x4, [x5], #255": (0xB88FF4A4, access(5, signed(4, 4, True), writeback=255)),
    "str x6, [sp, #-256]!": (0xF8100FE6, access(SP, integer(8, 6, STORE), writeback=-256)),
    "ldur x0, [x1, #-3]": (0xF85FD020, access(1, integer(8, 0, LOAD))),
    "stur w0, [x1, #5]": (0xB8005020, access(1, integer(4, 0, STORE))),
    "ldtr w0, [x1, #4]": (0xB8404820, access(1, integer(4, 0, LOAD))),
    "sttr x0, [x1, #8]": (0xF8008820, access(1, integer(8, 0, STORE))),
    "ldr x0, [x1, x2]": (0xF8626820, access(1, integer(8, 0, LOAD))),
    "str w0, [x1, w2, uxtw #2]": (0xB8225820, access(1, integer(4, 0, STORE))),
    "ldrb w3, [x4, x5, sxtx]": (0x3865E883, access(4, integer(1, 3, LOAD))),
    "ldp w0, w1, [x2]": (0x29400440, access(2, integer(4, 0, LOAD), integer(4, 1, LOAD, 4))),
    "ldp x3, x4, [x5, #16]": (0xA94110A3, access(5, integer(8, 3, LOAD), integer(8, 4, LOAD, 8))),
    "stp x6, x7, [x8, #-16]!": (
        0xA9BF1D06,
        access(8, integer(8, 6, STORE), integer(8, 7, STORE, 8), writeback=-16),
    ),
    "stp w9, w10, [x11], #8": (0x28812969, access(11, integer(4, 9, STORE), integer(4, 10, STORE, 4), writeback=8)),
    "ldpsw x12, x13, [x14, #8]": (0x694135CC, access(14, signed(4, 12, True), signed(4, 13, True, 4))),
    "ldnp x0, x1, [x2, #32]": (0xA8420440, access(2, integer(8, 0, LOAD), integer(8, 1, LOAD, 8))),
    "stnp w3, w4, [x5]": (0x280010A3, access(5, integer(4, 3, STORE), integer(4, 4, STORE, 4))),
    "ldr b0, [x1]": (0x3D400020, access(1, vector(1, 0, LOAD))),
    "ldr h1, [x2]": (0x7D400041, access(2, vector(2, 1, LOAD))),
    "ldr s2, [x3]": (0xBD400062, access(3, vector(4, 2, LOAD))),
    "ldr d3, [x4]": (0xFD400083, access(4, vector(8, 3, LOAD))),
    "ldr q4, [x5]": (0x3DC000A4, access(5, vector(16, 4, LOAD))),
    "str q6, [x7], #16": (0x3C8104E6, access(7, vector(16, 6, STORE), writeback=16)),
    "str s8, [x9, #4]": (0xBD000528, access(9, vector(4, 8, STORE))),
    "ldp s0, s1, [x2]": (0x2D400440, access(2, vector(4, 0, LOAD), vector(4, 1, LOAD, 4))),
    "ldp d2, d3, [x4, #-16]!": (0x6DFF0C82, access(4, vector(8, 2, LOAD), vector(8, 3, LOAD, 8), writeback=-16)),
    "stp q5, q6, [x7], #32": (0xAC8118E5, access(7, vector(16, 5, STORE), vector(16, 6, STORE, 16), writeback=32)),
    "ldar w0, [x1]": (0x88DFFC20, access(1, integer(4, 0, LOAD))),
    "ldarb w2, [x3]": (0x08DFFC62, access(3, integer(1, 2, LOAD))),
    "ldar x4, [x5]": (0xC8DFFCA4, access(5, integer(8, 4, LOAD))),
    "stlr x6, [x7]": (0xC89FFCE6, access(7, integer(8, 6, STORE))),
    "stlrh w8, [x9]": (0x489FFD28, access(9, integer(2, 8, STORE))),
}

OTHERS = {
    "nop": 0xD503201F,
    "add x0, x1, x2": 0x8B020020,
    "b .": 0x14000000,
    "ldr x0, .+8": 0x58000040,
    "prfm pldl1keep, [x0]": 0xF9800000,
    "prfum pldl1keep, [x0, #1]": 0xF8801000,
    "ldxr x0, [x1]": 0xC85F7C20,
    "stxr w0, x1, [x2]": 0xC8007C41,
    "ldaxr w0, [x1]": 0x885FFC20,
    "stlxr w0, x1, [x2]": 0xC800FC41,
    "ldxp x0, x1, [x2]": 0xC87F0440,
    "ldadd x0, x1, [x2]": 0xF8200041,
    "swp w0, w1, [x2]": 0xB8208041,
    "cas x0, x1, [x2]": 0xC8A07C41,
    "ld1 {v0.16b}, [x0]": 0x4C407000,
    "st1 {v0.4s}, [x0], #16": 0x4C9F7800,
    "dc ivac, x0": 0xD5087620,
    "dc zva, x0": 0xD50B7420,
    "msr spsel, #0": 0xD50040BF,
}


@pytest.mark.parametrize("text", DECODED)
def test_decodes(text: str) -> None:
    word, expected = DECODED[text]
    assert decode(word) == expected


@pytest.mark.parametrize("text", OTHERS)
def test_leaves_alone(text: str) -> None:
    assert decode(OTHERS[text]) is None


def check(word: int) -> None:
    """Whatever comes out can be carried out: sizes, registers and offsets that exist."""
    found = decode(word)
    if found is None:
        return
    assert 0 <= found.base <= 31
    assert 1 <= len(found.transfers) <= 2
    for part in found.transfers:
        assert part.size in (1, 2, 4, 8, 16)
        assert part.size < 16 or part.vector
        assert 0 <= part.register <= 31
        assert part.offset in (0, part.size)
        assert part.load or not part.sign_extend
    assert found.writeback is None or -1024 <= found.writeback <= 1008


@settings(max_examples=3000)
@given(st.integers(0, (1 << 32) - 1))
@example(0)
@example((1 << 32) - 1)
def test_any_word_decodes_to_something_sane(word: int) -> None:
    check(word)


@settings(max_examples=2000)
@given(st.integers(0, (1 << 32) - 1), st.sampled_from([0x38000000, 0x28000000, 0x08000000]))
def test_any_word_of_the_load_store_classes_decodes_to_something_sane(word: int, group: int) -> None:
    check(word & ~0x38000000 | group)
