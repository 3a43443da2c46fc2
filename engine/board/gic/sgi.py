"""Software-generated interrupts: what a write of ICC_SGI0R, ICC_SGI1R or ICC_ASGI1R asks for (IHI0069 12.2)."""

from __future__ import annotations

from engine.arch.sysreg import SysReg
from engine.board.gic.interrupts import G0, G1NS, G1S

SGI0R, SGI1R, ASGI1R = int(SysReg.ICC_SGI0R_EL1), int(SysReg.ICC_SGI1R_EL1), int(SysReg.ICC_ASGI1R_EL1)
SGI_KEYS = frozenset({SGI0R, SGI1R, ASGI1R})
_IRM = 1 << 40
_AFFINITY_ABOVE_0 = 0xFF << 16 | 0xFF << 32 | 0xFF << 48
"""Aff1, Aff2 and Aff3 fields: every PE of the board has zero in all of them."""


def intid_of(value: int) -> int:
    """The SGI, 0-15: bits [27:24]."""
    return value >> 24 & 15


def targets(value: int, sender: int, pes: int) -> int:
    """Bitmap of the PEs addressed: the list in [15:0] at range RS [47:44], or all but the sender (IRM)."""
    everyone = (1 << pes) - 1
    if value & _IRM:
        return everyone & ~(1 << sender)
    if value & _AFFINITY_ABOVE_0:
        return 0
    return (value & 0xFFFF) << 16 * (value >> 44 & 15) & everyone


def groups_reached(key: int, security: bool, secure: bool) -> int:
    """The groups in which an SGI may be configured at its target and still be made pending.

    With one security state ICC_SGI1R reaches both groups and ICC_ASGI1R is the same as ICC_SGI0R. With two,
    Non-secure software reaches its own group only, since GICR_NSACR grants nothing.
    """
    if not security:
        return G0 | G1NS if key == SGI1R else G0
    if not secure:
        return G1NS if key == SGI1R else 0
    return {SGI1R: G1S | G0, ASGI1R: G1NS}.get(key, G0)
