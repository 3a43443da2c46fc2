"""Where SPIs go: GICD_IROUTER and, per PE, the bitmap of the interrupts routed to it."""

from __future__ import annotations

from typing import TypeAlias

from engine.board.gic.interrupts import FIRST_SPI, members_of
from engine.board.gic.registers import lanes, merge

BASE = 0x6000
"""Byte offset of GICD_IROUTER<0>; the first that exists is that of INTID 32, at 0x6100."""
END = 0x8000
_ANY_PE = 1 << 31
"""Interrupt_Routing_Mode: 1-of-N."""
_AFFINITY = 0xFF_00FF_FFFF
_WRITABLE = _AFFINITY | _ANY_PE

RoutingState: TypeAlias = tuple[int, ...]


class Routing:
    """The routing registers of the SPIs in `mask`; PE n is the one with affinity 0.0.0.n."""

    __slots__ = ("_mask", "_pes", "_routers", "any_pe", "to_pe")

    def __init__(self, mask: int, pes: int) -> None:
        self._mask = mask
        self._pes = pes
        self.reset()

    def reset(self) -> None:
        """Every SPI to PE 0."""
        self._routers = [0] * self._mask.bit_length()
        self.any_pe = 0
        """Bitmap of the 1-of-N interrupts."""
        self.to_pe = [0] * self._pes
        """Bitmap of the interrupts routed to each PE by affinity."""
        self.to_pe[0] = self._mask

    def target(self, intid: int) -> int | None:
        """The PE that an SPI is routed to; None when its affinity names no PE or it is 1-of-N."""
        value = self._routers[intid]
        return value if value < self._pes else None

    def read(self, offset: int, size: int, visible: int) -> int:
        """A load inside [BASE, END); registers are 64 bits wide, readable by halves or bytes."""
        intid = (offset - BASE) >> 3
        return lanes(self._routers[intid], offset & 7, size) if visible >> intid & 1 else 0

    def write(self, offset: int, size: int, value: int, visible: int) -> None:
        """A store inside [BASE, END)."""
        intid = (offset - BASE) >> 3
        if visible >> intid & 1:
            self._set(intid, merge(self._routers[intid], offset & 7, size, value) & _WRITABLE)

    def save(self) -> RoutingState:
        """The register values of INTID 32 and up."""
        return tuple(self._routers[FIRST_SPI:])

    def restore(self, state: RoutingState) -> None:
        """Take back what `save` gave."""
        for intid, value in enumerate(state, FIRST_SPI):
            self._set(intid, value)

    def routed_nowhere(self) -> tuple[int, ...]:
        """SPIs whose affinity matches no PE: they stay pending for good, worth showing to a person."""
        somewhere = self.any_pe
        for bitmap in self.to_pe:
            somewhere |= bitmap
        return tuple(members_of(self._mask & ~somewhere))

    def _set(self, intid: int, value: int) -> None:
        bit = 1 << intid
        old = self.target(intid)
        if old is not None:
            self.to_pe[old] &= ~bit
        self._routers[intid] = value
        new = self.target(intid)
        if new is not None:
            self.to_pe[new] |= bit
        self.any_pe = self.any_pe | bit if value & _ANY_PE else self.any_pe & ~bit
