"""PC-relative addresses against a disassembler that knows them all."""

from __future__ import annotations

import re

import capstone
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.arch.relative import Relative, Target, based, is_call, literal_size, target

HERE = 0x4_8000_1000
DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
BRANCHES = re.compile(r"b|bl|b\..*|cbn?z|tbn?z")


def shown(word: int) -> tuple[str, str]:
    for _, _, mnemonic, operands in DISASSEMBLER.disasm_lite(word.to_bytes(4, "little"), HERE):
        return mnemonic, operands
    return "", ""


@given(st.integers(0, (1 << 32) - 1))
@example(0x9400_0010)
@example(0x97FF_FFFF)
@example(0x17FF_FFFF)
@example(0x5400_0040)
@example(0x3600_0041)
@example(0xB5FF_FFE1)
def test_branches_go_where_the_disassembler_says(word: int) -> None:
    mnemonic, operands = shown(word)
    if BRANCHES.fullmatch(mnemonic):
        kind = Relative.CALL if mnemonic == "bl" else Relative.BRANCH
        assert target(word, HERE) == Target(kind, int(operands.rsplit("#", 1)[1], 16))


@given(st.integers(0, (1 << 24) - 1), st.sampled_from([0x1000_0000, 0x3000_0000, 0x9000_0000, 0xF000_0000]))
def test_adr_and_adrp_name_what_the_disassembler_says(low: int, form: int) -> None:
    word = form | low
    kind = Relative.PAGE if form >> 31 else Relative.ADDRESS
    assert target(word, HERE) == Target(kind, int(shown(word)[1].rsplit("#", 1)[1], 16))


@given(st.integers(0, (1 << 24) - 1), st.sampled_from([0x18, 0x58, 0x98, 0xD8, 0x1C, 0x5C, 0x9C]))
def test_literals_are_where_the_disassembler_says(low: int, top: int) -> None:
    word = top << 24 | low
    assert target(word, HERE) == Target(Relative.LITERAL, int(shown(word)[1].rsplit("#", 1)[1], 16))


@pytest.mark.parametrize(
    ("word", "size"),
    [(0x18, 4), (0x58, 8), (0x98, 4), (0xD8, 0), (0x1C, 4), (0x5C, 8), (0x9C, 16)],
)
def test_the_size_of_a_literal(word: int, size: int) -> None:
    assert literal_size(word << 24) == size


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0x9100_4021, (1, 16)),  # add x1, x1, #16
        (0x9140_4021, (1, 16 << 12)),  # add x1, x1, #16, lsl #12
        (0xF940_0D29, (9, 24)),  # ldr x9, [x9, #24]
        (0xB900_0440, (2, 4)),  # str w0, [x2, #4]
        (0x3DC0_0440, (2, 16)),  # ldr q0, [x2, #16]
        (0x3940_0440, (2, 1)),  # ldrb w0, [x2, #1]
        (0x1100_4021, None),  # add w1, w1, #16
        (0xD100_4021, None),  # sub x1, x1, #16
        (0xD503_201F, None),
    ],
)
def test_what_completes_an_adrp(word: int, expected: tuple[int, int] | None) -> None:
    assert based(word) == expected


@pytest.mark.parametrize(
    ("word", "call"), [(0x9400_0001, True), (0xD63F_0100, True), (0x1400_0001, False), (0xD61F_0100, False)]
)
def test_calls(word: int, call: bool) -> None:
    assert is_call(word) is call
