"""The life of a physical interrupt at one PE, and its IRQ and FIQ lines (IHI0069 4.1, 4.6, 4.8).

Accesses say from which security state and exception level they come. With one security state (the distributor
has `security=False`) the state is ignored and Group 1 is what IHI0069 calls Non-secure Group 1.
"""

from __future__ import annotations

from typing import TypeAlias

from engine.board.gic.distributor import Distributor
from engine.board.gic.interrupts import FIRST_SPI, G0, G1NS, G1S, SPECIAL, SPURIOUS
from engine.board.gic.priority import IDLE, MIN_BPR0, MIN_BPR1, ActivePriorities, preemption_mask

SECURE_PENDING = 1020
"""INTID that tells EL3 of a Secure Group 1 interrupt (IHI0069 2.2.1)."""
NONSECURE_PENDING = 1021
"""INTID that tells EL3 of a Non-secure Group 1 interrupt."""

InterfaceState: TypeAlias = tuple[int, int, int, int, int, int, int, tuple[int, ...]]
_GROUP_INDEX = {G0: 0, G1NS: 1, G1S: 2}


class CpuLifecycle:
    """State of one interface: what is signalled, acknowledged and ended."""

    __slots__ = ("active", "binary_points", "common_bpr", "distributor", "enables", "eoi_split", "pe", "pmr")

    def __init__(self, distributor: Distributor, pe: int) -> None:
        self.distributor = distributor
        self.pe = pe
        self.active = ActivePriorities(3)
        """AP0R, Non-secure AP1R, Secure AP1R."""
        self.reset()

    def reset(self) -> None:
        """Warm reset of the PE."""
        self.active.restore((0, 0, 0))
        self.pmr = 0
        self.binary_points = [MIN_BPR0, MIN_BPR1, MIN_BPR0]
        """BPR0, Non-secure BPR1, Secure BPR1."""
        self.enables = 0
        """Group enables: IGRPEN0 and both IGRPEN1, as Group bits."""
        self.common_bpr = 0
        """Group bits (G1NS, G1S) whose preemption follows BPR0 (CBPR)."""
        self.eoi_split = 0
        """EOImode: bit 0 Non-secure EL1 and EL2, bit 1 Secure EL1 and EL2, bit 2 EL3."""
        self.distributor.set_cpu_groups(self.pe, 0)

    def signalled(self) -> int:
        """Group bit of the interrupt that is being signalled, 0 for none: masked, or no preemption (4.8)."""
        key = self.distributor.highest(self.pe)
        priority = key >> 10
        if priority >= self.pmr:
            return 0
        group = self._group_of(key & 0x3FF)
        running = self.active.running
        return group if running == IDLE or priority & self.group_mask(group) < running else 0

    def irq(self, secure: bool = False, el3: bool = False) -> bool:
        """Level of the IRQ line for a PE in this state: Group 1 of its own security state (IHI0069 4.6.2)."""
        if not self.distributor.security:
            return self.signalled() == G1NS
        return not el3 and self.signalled() == (G1S if secure else G1NS)

    def fiq(self, secure: bool = False, el3: bool = False) -> bool:
        """Level of the FIQ line: Group 0, the other state's Group 1, and at EL3 every group."""
        return self.signalled() != 0 and not self.irq(secure, el3)

    def group_mask(self, group: int) -> int:
        """The priority bits that decide preemption for a group (BPR, CBPR)."""
        if group == G0 or self.common_bpr & group:
            return preemption_mask(self.binary_points[0])
        # The Non-secure BPR1 counts from one more, see priority.MIN_BPR1.
        return preemption_mask(self.binary_points[2] if group == G1S else self.binary_points[1] - 1)

    def visible(self, group1: bool, secure: bool, el: int) -> int:
        """HPPIR0 or HPPIR1 as this access sees it: an INTID, 1020 or 1021 for EL3, or 1023."""
        intid = self.distributor.highest(self.pe) & 0x3FF
        if intid >= SPECIAL:
            return SPURIOUS
        group = self._group_of(intid)
        own = G1S if secure and self.distributor.security else G1NS
        if group1:
            return intid if group == own or (group != G0 and el == 3) else SPURIOUS
        if group != G0:
            special = SECURE_PENDING if group == G1S else NONSECURE_PENDING
            return special if el == 3 and self.distributor.security else SPURIOUS
        return intid if secure or not self.distributor.security else SPURIOUS

    def acknowledge(self, group1: bool, secure: bool, el: int) -> int:
        """IAR0 or IAR1: the INTID taken, now active, or a special one."""
        group = self.signalled()
        if not group:
            return SPURIOUS
        intid = self.visible(group1, secure, el)
        if intid < SPECIAL:
            priority = self.distributor.highest(self.pe) >> 10
            self.active.push(_GROUP_INDEX[group], priority & self.group_mask(group))
            self.distributor.acknowledge(self.pe, intid)
        return intid

    def end(self, group1: bool, intid: int, secure: bool, el: int) -> None:
        """EOIR0 or EOIR1: drop the running priority if it is one this access may drop; deactivate unless split."""
        if SPECIAL <= intid <= SPURIOUS or not self._may_end(group1, secure, el):
            return
        self.active.drop()
        if self.eoi_split & self._mode_bit(secure, el):
            self.distributor.changed(self.pe)
        else:
            self._deactivate(intid, secure)

    def deactivate(self, intid: int, secure: bool, el: int) -> None:
        """DIR: ignored while EOIR deactivates by itself."""
        if self.eoi_split & self._mode_bit(secure, el):
            self._deactivate(intid, secure)

    def save(self) -> InterfaceState:
        """The whole state as plain data."""
        points = self.binary_points
        modes = self.enables, self.common_bpr, self.eoi_split
        return self.pmr, *modes, points[0], points[1], points[2], self.active.save()

    def restore(self, state: InterfaceState) -> None:
        """Take back what `save` gave; the distributor's own copy of the group enables is part of its state."""
        self.pmr, self.enables, self.common_bpr, self.eoi_split, *points, active = state
        self.binary_points = points
        self.active.restore(active)

    def _group_of(self, intid: int) -> int:
        distributor = self.distributor
        bank = distributor.spi if intid >= FIRST_SPI else distributor.redistributors[self.pe].bank
        return bank.group_of(intid)

    def _mode_bit(self, secure: bool, el: int) -> int:
        if not self.distributor.security:
            return 1
        return 4 if el == 3 else 2 if secure else 1

    def _may_end(self, group1: bool, secure: bool, el: int) -> bool:
        top = self.active.top()
        if top < 0 or (top != 0) != group1:
            return False
        if not self.distributor.security or el == 3:
            return True
        return secure if top != 1 else not secure

    def _deactivate(self, intid: int, secure: bool) -> None:
        """Non-secure software cannot end Secure interrupts."""
        bank = self.distributor.bank(intid, self.pe)
        if bank is not None and bank.visible(not secure) >> intid & 1:
            self.distributor.deactivate(self.pe, intid)
        else:
            self.distributor.changed(self.pe)
