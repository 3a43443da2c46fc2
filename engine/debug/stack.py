"""Who called whom, by frame records (AAPCS64 6.4.6), and the words near the stack pointer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.arch import relative
from engine.arch.bits import MASK64
from engine.arch.relative import Relative
from engine.cpu.state import CpuState
from engine.debug.translating import onlooker
from engine.debug_views import Frame, FrameSource, StackView, StackWord
from engine.hypervisor.vcpu import Vcpu

MOST_FRAMES: Final = 64
MOST_WORDS: Final = 64
_FP, _LR, _SP = 29, 30, 31
_LARGEST_FUNCTION = 64 << 10
"""Bytes; how far from its start code without symbols is taken to belong to a function."""


def stack_view(vcpu: Vcpu, limit: int = MOST_FRAMES, words: int = 16) -> StackView:
    """At most `limit` frames and `words` words, and never more than MOST_FRAMES and MOST_WORDS."""
    stack = _Stack(vcpu)
    frames, end = stack.frames(min(max(0, limit), MOST_FRAMES))
    near = tuple(stack.words(min(max(0, words), MOST_WORDS)))
    return StackView(vcpu.vm.name, vcpu.index, stack.sp, frames, end, near)


class _Stack:
    def __init__(self, vcpu: Vcpu) -> None:
        self._memory = vcpu.vm.memory
        self._symbols = vcpu.vm.symbols
        self._translator = onlooker(vcpu)
        state: CpuState = vcpu.registers
        self.sp, self._fp, self._lr, self._pc = state.x[_SP], state.x[_FP], state.x[_LR], state.pc

    def _read(self, address: int, size: int = 8) -> int | None:
        """A number at an address that is a multiple of its size, None where nothing is mapped."""
        physical = self._translator.readable(address & MASK64).physical
        if physical is None or address % size or not self._memory.contains(physical, size):
            return None
        return int.from_bytes(self._memory.read(physical, size), "little")

    def words(self, count: int) -> Iterator[StackWord]:
        first = self.sp & -8
        for address in range(first, min(first + 8 * count, 1 << 64), 8):
            value = self._read(address)
            yield StackWord(address, value, "" if value is None else self._symbols.lookup(value))

    def frames(self, limit: int) -> tuple[tuple[Frame, ...], str]:
        """(frames, why there are no more)"""
        found = [self._frame(0, self._pc, self._fp, FrameSource.PC)]
        if self._called_by_lr():
            found.append(self._frame(1, self._lr, self._fp, FrameSource.LR))
        fp, seen = self._fp, set[int]()
        while True:
            end = self._broken(fp, seen)
            if end or len(found) >= limit:
                return tuple(found[:limit]), end or f"more than {limit} frames"
            seen.add(fp)
            above, back = self._read(fp) or 0, self._read(fp + 8) or 0
            if not back:
                return tuple(found), "the return address is 0: the first function"
            found.append(self._frame(len(found), back, above, FrameSource.RECORD))
            fp = above

    def _frame(self, level: int, pc: int, fp: int, source: FrameSource) -> Frame:
        # A call may be a function's last instruction: then its return address is already the next one's.
        symbol = self._symbols.lookup(pc) if level == 0 else self._of_return(pc)
        return Frame(level, pc, symbol, fp, fp - self.sp if fp else None, source)

    def _of_return(self, address: int) -> str:
        """`name+0x10` of a return address, counted from the function that called."""
        start = self._symbols.start(address - 4)
        if start is None:
            return self._symbols.lookup(address)
        return f"{self._symbols.at(start)}+{address - start:#x}"

    def _broken(self, fp: int, seen: set[int]) -> str:
        """Why a frame record is not one, "" if it is."""
        if fp == 0:
            return "the frame pointer is 0: the first function"
        if fp % 8:
            return f"the frame pointer {fp:#x} is misaligned"
        if fp in seen:
            return f"the chain loops at {fp:#x}"
        if self._read(fp) is None or self._read(fp + 8) is None:
            return f"nothing is mapped at the frame pointer {fp:#x}"
        return ""

    def _called_by_lr(self) -> bool:
        """Whether the function at PC has no record of its own: its caller is in LR, and in no record yet.

        After its first call, LR points back into the function itself.
        """
        call = None if self._lr % 4 or self._lr < 4 else self._read(self._lr - 4, 4)
        if call is None or not relative.is_call(call) or self._recorded():
            return False
        here, there = self._symbols.start(self._pc), self._symbols.start(self._lr - 4)
        if here is not None or there is not None:
            return here != there
        callee = relative.target(call, self._lr - 4)
        if callee is None or callee.kind is not Relative.CALL:
            return False
        start = callee.address
        return start <= self._pc < start + _LARGEST_FUNCTION and not start <= self._lr <= self._pc

    def _recorded(self) -> bool:
        """The newest record has the same return address."""
        return not self._fp % 8 and self._read(self._fp + 8) == self._lr
