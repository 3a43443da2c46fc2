"""GICD_CTLR and GICD_TYPER: what each security state sees of them (IHI0069 12.9)."""

from __future__ import annotations

from engine.board.gic.interrupts import G0, G1NS, G1S
from engine.board.gic.registers import array_name
from engine.board.gic.routing import BASE as ROUTERS
from engine.board.gic.routing import END as ROUTERS_END

CTLR, TYPER, IIDR, PIDR2 = 0x0, 0x4, 0x8, 0xFFE8
SETSPI_NSR, CLRSPI_NSR, SETSPI_SR, CLRSPI_SR = 0x40, 0x48, 0x50, 0x58
_NAMES = {
    CTLR: "CTLR",
    TYPER: "TYPER",
    IIDR: "IIDR",
    0xC: "TYPER2",
    0x10: "STATUSR",
    SETSPI_NSR: "SETSPI_NSR",
    CLRSPI_NSR: "CLRSPI_NSR",
    SETSPI_SR: "SETSPI_SR",
    CLRSPI_SR: "CLRSPI_SR",
    PIDR2: "PIDR2",
}
_ARE_NS_OR_ONLY = 1 << 4
_ARE_NS = 1 << 5
_DS = 1 << 6
_SECURITY_EXTN = 1 << 10
_FEATURES = 1 << 26 | 1 << 24 | 9 << 19 | 1 << 16
"""RSS (range selectors), A3V, 10 bits of INTID, MBIS (message-based SPIs)."""


def control_view(enables: int, security: bool, secure: bool) -> int:
    """GICD_CTLR: group enables, affinity routing always on, RWP always 0 since every write acts at once."""
    if not security:
        return enables | _ARE_NS_OR_ONLY | _DS
    if secure:
        return enables | _ARE_NS_OR_ONLY | _ARE_NS
    return enables & G1NS | _ARE_NS_OR_ONLY


def enables_after(enables: int, value: int, security: bool, secure: bool) -> int:
    """The group enables after a write of GICD_CTLR; DS and the ARE bits cannot be changed."""
    if not security:
        return value & (G0 | G1NS)
    return value & (G0 | G1NS | G1S) if secure else enables & ~G1NS | value & G1NS


def typer(pes: int, lines: int, security: bool) -> int:
    """GICD_TYPER for `lines` INTIDs, private ones included. 1-of-N routing is supported (No1N reads 0)."""
    it_lines_number = (lines + 31) // 32 - 1
    return it_lines_number | min(pes - 1, 7) << 5 | (_SECURITY_EXTN if security else 0) | _FEATURES


def register_name(offset: int) -> str:
    """Name of a register of the GICD frame for logs."""
    if ROUTERS <= offset < ROUTERS_END:
        return f"GICD_IROUTER{(offset - ROUTERS) >> 3}"
    name = array_name(offset) or _NAMES.get(offset & ~3)
    return f"GICD_{name}" if name else f"GICD+0x{offset:x}"
