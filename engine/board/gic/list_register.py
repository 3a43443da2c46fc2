"""The layout of ICH_LR<n>_EL2: one virtual interrupt on offer to a vCPU (IHI0069 12.4)."""

from __future__ import annotations

PENDING = 1
"""State field: pending."""
ACTIVE = 2
"""State field: active; 3 is active and pending."""
STATE_SHIFT = 62
PENDING_BIT = PENDING << STATE_SHIFT
ACTIVE_BIT = ACTIVE << STATE_SHIFT
HW = 1 << 61
GROUP1 = 1 << 60
EOI_MAINTENANCE = 1 << 41
"""Raise a maintenance interrupt when the interrupt ends; only where HW is 0."""
_PRIORITY_SHIFT = 48
_PINTID_SHIFT = 32
_PINTID = 0x1FFF
_VINTID = 0xFFFF_FFFF
WRITABLE = 0b1111 << 60 | 0xF8 << _PRIORITY_SHIFT | _PINTID << _PINTID_SHIFT | 0xFFFF
"""Bits that hold state: five of the priority, 16 of the virtual INTID (ICH_VTR_EL2 PRIbits and IDbits)."""


def build(vintid: int, priority: int, group1: bool = True, pintid: int | None = None, state: int = PENDING) -> int:
    """A list register value; with `pintid` the interrupt is a hardware one, deactivated together with it."""
    hardware = HW | pintid << _PINTID_SHIFT if pintid is not None else 0
    group = GROUP1 if group1 else 0
    return state << STATE_SHIFT | hardware | group | priority << _PRIORITY_SHIFT | vintid


def state(entry: int) -> int:
    """0 invalid, 1 pending, 2 active, 3 active and pending."""
    return entry >> STATE_SHIFT


def priority(entry: int) -> int:
    """Priority, 0 (highest) to 255."""
    return entry >> _PRIORITY_SHIFT & 0xFF


def vintid(entry: int) -> int:
    """The INTID the guest sees."""
    return entry & _VINTID


def pintid(entry: int) -> int:
    """The physical INTID of a hardware interrupt, 13 bits."""
    return entry >> _PINTID_SHIFT & _PINTID
