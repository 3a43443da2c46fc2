"""The state of a set of interrupts, as bitmaps: bit n of every bitmap is INTID n.

The distributor holds one bank for the SPIs, every redistributor one for its SGIs and PPIs. Bitmaps make the
question that is asked all the time, is anything deliverable, a handful of integer operations.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

SPURIOUS = 1023
"""The INTID that means nothing is pending (IHI0069 2.2.1)."""
SPECIAL = 1020
"""First of the special INTIDs; everything from here on is never pending or active."""
FIRST_SPI = 32
SPIS = 256
"""As many as a distributor has unless others are asked for."""
SGI_MASK = 0xFFFF
PRIVATE = 0xFFFF_FFFF
"""Bitmap of the SGIs and PPIs."""
PRIORITY_MASK = 0xF8
"""Implemented bits of a priority: 32 levels."""
NOTHING = 0xFF << 10 | SPURIOUS
"""The candidate key that loses against every interrupt."""


class Group(enum.IntFlag):
    """Interrupt groups, as the group-enable bits of GICD_CTLR; with one security state G1NS is simply Group 1."""

    G0 = 1
    G1NS = 2
    G1S = 4


G0, G1NS, G1S = int(Group.G0), int(Group.G1NS), int(Group.G1S)
ALL_GROUPS = G0 | G1NS | G1S

BankState: TypeAlias = tuple[int, int, int, int, int, int, int, bytes]


def candidate(priority: int, intid: int) -> int:
    """A key that orders interrupts: the smaller is served first (higher priority, then lower INTID)."""
    return priority << 10 | intid


class InterruptBank:
    """INTIDs `first` to `first + count - 1`. Callers pass INTIDs of the bank only (see `holds`)."""

    __slots__ = (
        "active",
        "edge",
        "enabled",
        "first",
        "group",
        "latch",
        "level",
        "mask",
        "modifier",
        "priority",
        "security",
        "unset_group",
    )

    def __init__(self, first: int, count: int, security: bool, group1: bool = False) -> None:
        self.first = first
        self.mask = (1 << count) - 1 << first
        """The INTIDs that exist."""
        self.security = security
        """Two security states (GICD_CTLR.DS is 0)."""
        self.unset_group = self.mask if group1 else 0
        """IGROUPR after reset."""
        self.level = 0
        """Lines that are high right now; devices own them, so a reset leaves them alone."""
        self.priority = bytearray(first + count)
        self.reset()

    def reset(self) -> None:
        """Everything but the input lines returns to its reset value."""
        self.enabled = self.latch = self.active = self.modifier = 0
        self.group = self.unset_group
        self.edge = self.mask & SGI_MASK
        self.priority = bytearray(len(self.priority))

    def holds(self, intid: int) -> bool:
        """Whether the bank has this INTID; any integer may be asked."""
        return 0 <= intid <= SPURIOUS and self.mask >> intid & 1 != 0

    @property
    def pending(self) -> int:
        """Bitmap of pending interrupts: latched, or level-sensitive with the line high (IHI0069 4.1)."""
        return self.latch | self.level & ~self.edge

    def members(self, groups: int) -> int:
        """Bitmap of the interrupts that belong to one of `groups` (IHI0069 4.6)."""
        found = self.group if groups & G1NS else 0
        if groups & G1S:
            found |= self.modifier & ~self.group
        if groups & G0:
            found |= self.mask & ~(self.group | self.modifier)
        return found

    def group_of(self, intid: int) -> int:
        """The group bit of one interrupt."""
        if self.group >> intid & 1:
            return G1NS
        return G1S if self.modifier >> intid & 1 else G0

    def ready(self, groups: int) -> int:
        """Bitmap of what could be signalled: pending, enabled, not active and in one of `groups`."""
        waiting = (self.latch | self.level & ~self.edge) & self.enabled & ~self.active
        return waiting & self.members(groups) if waiting else 0

    def keys(self, bitmap: int) -> list[int]:
        """The candidate keys of a bitmap, unsorted."""
        return [candidate(self.priority[intid], intid) for intid in members_of(bitmap)]

    def set_line(self, intid: int, level: bool) -> bool:
        """Drive the input line; a rising edge latches where the interrupt is edge-triggered. False: no change."""
        bit = 1 << intid
        if (self.level & bit != 0) == level:
            return False
        self.level ^= bit
        if level:
            self.latch |= bit & self.edge
        return True

    def acknowledge(self, intid: int) -> None:
        """Pending becomes active; a level-sensitive interrupt stays pending too while its line is high."""
        self.active |= 1 << intid
        self.latch &= ~(1 << intid)

    def deactivate(self, intid: int) -> None:
        """The active state ends; what is still pending can be signalled again."""
        self.active &= ~(1 << intid)

    def visible(self, nonsecure: bool) -> int:
        """The INTIDs an access may touch: a Non-secure one sees Non-secure Group 1 only (IHI0069 4.6)."""
        return self.group if nonsecure and self.security else self.mask

    def save(self) -> BankState:
        """The whole state as plain data."""
        return (
            self.enabled,
            self.latch,
            self.level,
            self.active,
            self.group,
            self.modifier,
            self.edge,
            bytes(self.priority),
        )

    def restore(self, state: BankState) -> None:
        """Take back what `save` gave."""
        self.enabled, self.latch, self.level, self.active, self.group, self.modifier, self.edge, priority = state
        self.priority = bytearray(priority)


def members_of(bitmap: int) -> list[int]:
    """The numbers of the bits that are set, ascending."""
    found = []
    while bitmap:
        low = bitmap & -bitmap
        found.append(low.bit_length() - 1)
        bitmap ^= low
    return found
