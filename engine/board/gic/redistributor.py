"""The redistributor of one PE: its SGIs and PPIs, in the frames RD_base and SGI_base (IHI0069 12.10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from engine.board.gic.interrupts import FIRST_SPI, BankState, InterruptBank
from engine.board.gic.registers import ARRAYS_BEGIN, ARRAYS_END, array_name, lanes, merge, read_array, write_array

IIDR = 0x43B
"""Implementer Arm, everything else zero."""
PIDR2 = 0x30
"""ArchRev 3: GICv3."""
STRIDE = 0x20000
"""Bytes from one redistributor to the next: RD_base and SGI_base, 64 KB each."""
SGI_BASE = 0x10000
_CTLR, _IIDR, _TYPER, _WAKER, _PIDR2 = 0x0, 0x4, 0x8, 0x14, 0xFFE8
_NAMES = {_CTLR: "CTLR", _IIDR: "IIDR", _TYPER: "TYPER", 0xC: "TYPER+4", 0x10: "STATUSR", _WAKER: "WAKER"}
_SLEEP = 1 << 1
_CHILDREN_ASLEEP = 1 << 2

RedistributorState: TypeAlias = tuple[BankState, bool]


class Redistributor:
    """One PE's redistributor. `on_change` is called when what it may forward has changed."""

    __slots__ = ("_index", "_last", "_on_change", "asleep", "bank")

    def __init__(self, index: int, last: bool, bank: InterruptBank, on_change: Callable[[int], None]) -> None:
        self._index = index
        self._last = last
        self._on_change = on_change
        self.bank = bank
        self.asleep = True
        """GICR_WAKER.ProcessorSleep. Kept for software to see; interrupts are forwarded either way."""

    def reset(self) -> None:
        """Reset of the PE's power domain: private interrupts and WAKER; input lines stay as they are."""
        self.bank.reset()
        self.asleep = True

    @property
    def typer(self) -> int:
        """GICR_TYPER, 64 bits: affinity, processor number and whether it is the last of the region."""
        return self._index << 32 | self._index << 8 | self._last << 4

    def read(self, offset: int, size: int, secure: bool = False) -> int:
        """A load at a byte offset in the two frames."""
        nonsecure = not secure
        if offset >= SGI_BASE:
            offset -= SGI_BASE
            in_arrays = ARRAYS_BEGIN <= offset < ARRAYS_END
            return read_array(self.bank, offset, size, nonsecure) if in_arrays else 0
        if offset & ~7 == _TYPER:
            return lanes(self.typer, offset & 7, size)
        return lanes(self._control(offset & ~3, nonsecure), offset & 3, size)

    def write(self, offset: int, size: int, value: int, secure: bool = False) -> None:
        """A store at a byte offset in the two frames."""
        if offset >= SGI_BASE:
            offset -= SGI_BASE
            if ARRAYS_BEGIN <= offset < ARRAYS_END:
                write_array(self.bank, offset, size, value, not secure)
                self._on_change(self._index)
        elif offset & ~3 == _WAKER and (secure or not self.bank.security):
            self.asleep = merge(self._waker, offset & 3, size, value) & _SLEEP != 0

    def register(self, offset: int) -> str:
        """Register name for logs, with the PE it belongs to."""
        name = array_name(offset - SGI_BASE) if offset >= SGI_BASE else self._control_name(offset & ~3)
        return f"GICR{self._index}_{name}" if name else f"GICR{self._index}+0x{offset:x}"

    def save(self) -> RedistributorState:
        """The whole state as plain data."""
        return self.bank.save(), self.asleep

    def restore(self, state: RedistributorState) -> None:
        """Take back what `save` gave."""
        bank, self.asleep = state
        self.bank.restore(bank)

    @property
    def _waker(self) -> int:
        return _SLEEP | _CHILDREN_ASLEEP if self.asleep else 0

    def _control(self, offset: int, nonsecure: bool) -> int:
        """RD_base registers of 32 bits. CTLR reads zero: no LPIs, and every write has taken effect (RWP)."""
        if offset == _WAKER:
            return 0 if nonsecure and self.bank.security else self._waker
        return {_IIDR: IIDR, _PIDR2: PIDR2}.get(offset, 0)

    @staticmethod
    def _control_name(offset: int) -> str | None:
        return "PIDR2" if offset == _PIDR2 else _NAMES.get(offset)


class RedistributorRegion:
    """All redistributors of a GIC side by side, as one device for the bus."""

    name = "GICR"

    def __init__(self, redistributors: list[Redistributor]) -> None:
        self._redistributors = redistributors
        self.size = STRIDE * len(redistributors)

    def read(self, offset: int, size: int, secure: bool = False) -> int:
        """A load at a byte offset from the first redistributor; beyond the last one it reads zero."""
        index = offset // STRIDE
        if index >= len(self._redistributors):
            return 0
        return self._redistributors[index].read(offset % STRIDE, size, secure)

    def write(self, offset: int, size: int, value: int, secure: bool = False) -> None:
        """A store at a byte offset from the first redistributor; beyond the last one it is ignored."""
        index = offset // STRIDE
        if index < len(self._redistributors):
            self._redistributors[index].write(offset % STRIDE, size, value, secure)

    def register(self, offset: int) -> str:
        """Register name for logs, for example `GICR1_ISENABLER0`."""
        return self._redistributors[min(offset // STRIDE, len(self._redistributors) - 1)].register(offset % STRIDE)


def private_bank(security: bool, group1: bool) -> InterruptBank:
    """A fresh bank of the 16 SGIs and 16 PPIs."""
    return InterruptBank(0, FIRST_SPI, security, group1)
