"""The few AArch64 instructions that tiny test guests are made of.

`tests/unit/support/test_assembler.py` holds every encoder here against words from a real assembler.
"""

from __future__ import annotations

import struct
from typing import Final

from engine.arch.sysreg import SysReg

NOP: Final = 0xD503201F
WFE: Final = 0xD503205F
WFI: Final = 0xD503207F
SEV: Final = 0xD503209F
ISB: Final = 0xD5033FDF
DSB_SY: Final = 0xD5033F9F
ERET: Final = 0xD69F03E0
RET: Final = 0xD65F03C0
IC_IALLU: Final = 0xD508751F
TLBI_VMALLE1: Final = 0xD508871F
UDF: Final = 0x00000000
SP: Final = 31
XZR: Final = 31
SPSEL_0: Final = 0xD50040BF
"""MSR SPSel, #0."""
UNMASK_IRQ: Final = 0xD50342FF
"""MSR DAIFClr, #2."""
EQ, NE, HS = 0, 1, 2


def movz(rd: int, value: int, shift: int = 0) -> int:
    return 0xD2800000 | shift // 16 << 21 | value << 5 | rd


def movk(rd: int, value: int, shift: int = 0) -> int:
    return 0xF2800000 | shift // 16 << 21 | value << 5 | rd


def load_constant(rd: int, value: int) -> list[int]:
    """MOVZ and as many MOVKs as the value needs; at least one instruction."""
    parts = [(value >> shift & 0xFFFF, shift) for shift in (0, 16, 32, 48)]
    low, *rest = parts
    return [movz(rd, *low), *(movk(rd, part, shift) for part, shift in rest if part)]


def mov(rd: int, rm: int) -> int:
    return 0xAA0003E0 | rm << 16 | rd


def add(rd: int, rn: int, immediate: int) -> int:
    return 0x91000000 | immediate << 10 | rn << 5 | rd


def subs(rd: int, rn: int, immediate: int) -> int:
    return 0xF1000000 | immediate << 10 | rn << 5 | rd


def add_register(rd: int, rn: int, rm: int) -> int:
    return 0x8B000000 | rm << 16 | rn << 5 | rd


def cmp(rn: int, rm: int) -> int:
    return 0xEB00001F | rm << 16 | rn << 5


def ldr(rt: int, rn: int, offset: int = 0) -> int:
    return 0xF9400000 | offset // 8 << 10 | rn << 5 | rt


def str_(rt: int, rn: int, offset: int = 0) -> int:
    return 0xF9000000 | offset // 8 << 10 | rn << 5 | rt


def ldr32(rt: int, rn: int, offset: int = 0) -> int:
    return 0xB9400000 | offset // 4 << 10 | rn << 5 | rt


def str32(rt: int, rn: int, offset: int = 0) -> int:
    return 0xB9000000 | offset // 4 << 10 | rn << 5 | rt


def ldxr(rt: int, rn: int) -> int:
    return 0xC85F7C00 | rn << 5 | rt


def stxr(rs: int, rt: int, rn: int) -> int:
    return 0xC8007C00 | rs << 16 | rn << 5 | rt


def mrs(rt: int, register: int) -> int:
    return 0xD5200000 | register << 5 | rt


def msr(register: int, rt: int) -> int:
    return 0xD5000000 | register << 5 | rt


def svc(immediate: int = 0) -> int:
    return 0xD4000001 | immediate << 5


def hvc(immediate: int = 0) -> int:
    return 0xD4000002 | immediate << 5


def smc(immediate: int = 0) -> int:
    return 0xD4000003 | immediate << 5


def brk(immediate: int = 0) -> int:
    return 0xD4200000 | immediate << 5


def br(rn: int) -> int:
    return 0xD61F0000 | rn << 5


def blr(rn: int) -> int:
    return 0xD63F0000 | rn << 5


def ic_ivau(rt: int) -> int:
    return 0xD50B7520 | rt


def dc_cvau(rt: int) -> int:
    return 0xD50B7B20 | rt


def dc_zva(rt: int) -> int:
    return 0xD50B7420 | rt


class Program:
    """Instructions with labels, laid out from offset 0."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)
        self._labels: dict[str, int] = {}
        self._branches: list[tuple[int, str]] = []

    @property
    def here(self) -> int:
        """Offset of the next instruction."""
        return 4 * len(self.words)

    def emit(self, *words: int) -> Program:
        self.words += words
        return self

    def constant(self, rd: int, value: int) -> Program:
        return self.emit(*load_constant(rd, value))

    def set_register(self, register: SysReg, value: int, scratch: int = 9) -> Program:
        """MSR of a constant."""
        return self.constant(scratch, value).emit(msr(register, scratch))

    def label(self, name: str) -> Program:
        self._labels[name] = self.here
        return self

    def at(self, offset: int) -> Program:
        """Go on at an offset, with NOPs up to there."""
        assert offset >= self.here
        return self.emit(*[NOP] * ((offset - self.here) // 4))

    def b(self, name: str) -> Program:
        return self._branch(0x14000000, name)

    def bl(self, name: str) -> Program:
        return self._branch(0x94000000, name)

    def b_cond(self, condition: int, name: str) -> Program:
        return self._branch(0x54000000 | condition, name)

    def cbz(self, rt: int, name: str) -> Program:
        return self._branch(0xB4000000 | rt, name)

    def cbnz(self, rt: int, name: str) -> Program:
        return self._branch(0xB5000000 | rt, name)

    def loop(self) -> Program:
        """A branch to itself: the end of most programs."""
        return self.emit(0x14000000)

    def call(self, function: int, *arguments: int, conduit: int = hvc()) -> Program:
        """An SMCCC call: x0 is the function, then its arguments."""
        for register, value in enumerate((function, *arguments)):
            self.constant(register, value)
        return self.emit(conduit)

    def _branch(self, word: int, name: str) -> Program:
        self._branches.append((len(self.words), name))
        return self.emit(word)

    def offset(self, name: str) -> int:
        return self._labels[name]

    @property
    def code(self) -> bytes:
        words = list(self.words)
        for place, name in self._branches:
            distance = self._labels[name] // 4 - place
            wide = words[place] >> 26 & 0b011111 == 0b000101  # B and BL
            words[place] |= distance & 0x3FFFFFF if wide else (distance & 0x7FFFF) << 5
        return struct.pack(f"<{len(words)}I", *words)
