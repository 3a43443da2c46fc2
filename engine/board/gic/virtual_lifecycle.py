"""The life of a virtual interrupt: offered in a list register, acknowledged, ended (IHI0069 4.1, chapter 6)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias

from engine.board.gic import list_register as lr
from engine.board.gic.interrupts import PRIORITY_MASK, SPECIAL, SPURIOUS
from engine.board.gic.priority import MIN_BPR0, MIN_BPR1, ActivePriorities, preemption_mask
from engine.board.gic.virtual_control import EN, EOI_COUNT, EOI_COUNT_SHIFT, maintenance_status

VirtualState: TypeAlias = tuple[tuple[int, ...], int, int, bool, bool, int, int, int, tuple[int, ...]]


class Ending(enum.IntEnum):
    """What a write of ICV_EOIR or ICV_DIR led to."""

    NOTHING = 0
    """No active state ended: priority drop alone, or nothing to end."""
    DEACTIVATED = 1
    """The interrupt's list register is no longer active."""
    UNLISTED = 2
    """It should have been deactivated but no list register holds it: ICH_HCR_EL2.EOIcount went up."""


class VirtualLifecycle:
    """State of one virtual interface; `deactivate_physical(pintid)` ends the physical half of a HW interrupt."""

    __slots__ = (
        "_deactivate_physical",
        "_index",
        "active",
        "bpr0",
        "bpr1",
        "common_bpr",
        "enables",
        "entries",
        "eoi_split",
        "hcr",
        "pmr",
    )

    def __init__(self, list_registers: int, deactivate_physical: Callable[[int], None]) -> None:
        """`list_registers`: how many there are, 1 to 16."""
        self._deactivate_physical = deactivate_physical
        self.entries = [0] * list_registers
        """ICH_LR<n>_EL2. Whoever stores here calls `changed` afterwards."""
        self.active = ActivePriorities(2)
        self.reset()

    def reset(self) -> None:
        """Reset: nothing listed, nothing active, disabled."""
        self.entries[:] = [0] * len(self.entries)
        self.active.restore((0, 0))
        self.hcr = 0
        self.enables = 0
        """VMCR.VENG0 in bit 0, VENG1 in bit 1."""
        self.common_bpr = False
        self.eoi_split = False
        """VMCR.VEOIM: EOIR drops the priority only, DIR deactivates."""
        self.bpr0, self.bpr1 = MIN_BPR0, MIN_BPR1
        self.pmr = 0
        self.changed()

    def changed(self) -> None:
        """List registers or group enables were stored: find the highest priority pending interrupt anew."""
        best, chosen = 0x100, -1
        if self.hcr & EN:
            for index, entry in enumerate(self.entries):
                if entry >> lr.STATE_SHIFT == lr.PENDING:
                    urgency = entry >> 48 & 0xFF
                    if urgency < best and self.enables & (2 if entry & lr.GROUP1 else 1):
                        best, chosen = urgency, index
        self._index = chosen

    def virq(self) -> bool:
        """Whether a Group 1 interrupt is signalled to the PE."""
        index = self._index
        return index >= 0 and self.entries[index] & lr.GROUP1 != 0 and self._preempts(self.entries[index])

    def vfiq(self) -> bool:
        """Whether a Group 0 interrupt is signalled to the PE."""
        index = self._index
        return index >= 0 and self.entries[index] & lr.GROUP1 == 0 and self._preempts(self.entries[index])

    def has_pending(self) -> bool:
        """Whether some enabled interrupt is pending in a list register, priorities aside."""
        return self._index >= 0

    @property
    def misr(self) -> int:
        """ICH_MISR_EL2."""
        return maintenance_status(self.hcr, self.entries, self.enables)

    def maintenance(self) -> bool:
        """Level of the maintenance interrupt."""
        return self.hcr & EN != 0 and self.misr != 0

    def highest(self, group1: bool) -> int:
        """ICV_HPPIR: INTID of the highest priority pending interrupt if it is of the group, else 1023."""
        entry = self.entries[self._index] if self._index >= 0 else 0
        return lr.vintid(entry) if entry and (entry & lr.GROUP1 != 0) == group1 else SPURIOUS

    def acknowledge(self, group1: bool) -> int:
        """ICV_IAR: take the highest priority pending interrupt; 1023 when there is none to take."""
        index = self._index
        entry = self.entries[index] if index >= 0 else 0
        if not entry or (entry & lr.GROUP1 != 0) != group1 or not self._preempts(entry):
            return SPURIOUS
        vintid = entry & 0xFFFF
        if SPECIAL <= vintid <= SPURIOUS:
            # A hypervisor listed a special INTID: it leaves the pending state and nothing becomes active.
            self.entries[index] = entry & ~lr.PENDING_BIT
            self.changed()
            return SPURIOUS
        self.active.push(1 if group1 else 0, self._group_priority(entry))
        self.entries[index] = entry ^ (lr.PENDING_BIT | lr.ACTIVE_BIT)
        self.changed()
        return vintid

    def end(self, group1: bool, intid: int) -> Ending:
        """ICV_EOIR: drop the running priority and, unless the end is split, deactivate."""
        if SPECIAL <= intid <= SPURIOUS or self.active.top() != (1 if group1 else 0):
            return Ending.NOTHING
        self.active.drop()
        if self.eoi_split:
            return Ending.NOTHING
        index = self._find_active(intid)
        if index < 0:
            return self._count_unlisted()
        # Ends out of order are UNPREDICTABLE: deactivating what was named never leaves one active for good.
        listed_group1 = self.entries[index] & lr.GROUP1 != 0
        return self._end_listed(index) if listed_group1 == group1 else Ending.NOTHING

    def deactivate(self, intid: int) -> Ending:
        """ICV_DIR: end the active state; ignored while EOIR does that itself."""
        if not self.eoi_split or intid >= SPECIAL:
            return Ending.NOTHING
        index = self._find_active(intid)
        return self._count_unlisted() if index < 0 else self._end_listed(index)

    def save(self) -> VirtualState:
        """The whole state as plain data."""
        return (
            tuple(self.entries),
            self.hcr,
            self.enables,
            self.common_bpr,
            self.eoi_split,
            self.bpr0,
            self.bpr1,
            self.pmr,
            self.active.save(),
        )

    def restore(self, state: VirtualState) -> None:
        """Take back what `save` gave."""
        entries, self.hcr, self.enables, self.common_bpr, self.eoi_split = state[:5]
        self.bpr0, self.bpr1, self.pmr, active = state[5:]
        self.entries[:] = entries
        self.active.restore(active)
        self.changed()

    def _preempts(self, entry: int) -> bool:
        """Whether priority mask and running priority let an interrupt through (IHI0069 4.8)."""
        return entry >> 48 & 0xFF < self.pmr and self._group_priority(entry) < self.active.running

    def _group_priority(self, entry: int) -> int:
        shared = self.common_bpr or not entry & lr.GROUP1
        return entry >> 48 & PRIORITY_MASK & preemption_mask(self.bpr0 if shared else self.bpr1 - 1)

    def _find_active(self, intid: int) -> int:
        for index, entry in enumerate(self.entries):
            if entry & lr.ACTIVE_BIT and entry & 0xFFFF_FFFF == intid:
                return index
        return -1

    def _end_listed(self, index: int) -> Ending:
        entry = self.entries[index]
        self.entries[index] = entry & ~lr.ACTIVE_BIT
        if entry & lr.HW and lr.pintid(entry) < SPECIAL:
            self._deactivate_physical(lr.pintid(entry))
        self.changed()
        return Ending.DEACTIVATED

    def _count_unlisted(self) -> Ending:
        count = (self.hcr & EOI_COUNT) + (1 << EOI_COUNT_SHIFT) & EOI_COUNT
        self.hcr = self.hcr & ~EOI_COUNT | count
        return Ending.UNLISTED
