"""A hypothesis state machine that drives a GIC by its registers and compares it with the model at every step.

The physical interface and the virtual GIC of a VM must behave alike towards software, so one machine tests both.
"""

from __future__ import annotations

from typing import Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.arch.sysreg import SysReg
from engine.board.bus import Device
from tests.unit.engine.board.gic.model import Interrupt, Model

PES = 2
PRIVATE = (1, 5, 27, 30)
SHARED = (32, 33, 40, 48, 63, 64, 287)
IGROUPR, ISENABLER, ICENABLER, ISPENDR, ICPENDR = 0x080, 0x100, 0x180, 0x200, 0x280
ISACTIVER, ICACTIVER, IPRIORITYR, ICFGR, IROUTER = 0x300, 0x380, 0x400, 0xC00, 0x6000

pes = st.integers(0, PES - 1)
intids = st.sampled_from(PRIVATE + SHARED)


class Target(Protocol):
    """What the machine needs of a GIC."""

    @property
    def gicd(self) -> Device: ...

    @property
    def gicr(self) -> Device: ...

    @property
    def notified(self) -> set[int]: ...

    def sysreg_read(self, pe: int, key: int) -> int | None: ...

    def sysreg_write(self, pe: int, key: int, value: int) -> bool: ...

    def set_line(self, intid: int, level: bool, pe: int) -> None: ...

    def lines(self, pe: int) -> tuple[bool, bool]:
        """IRQ and FIQ."""

    def pending(self, pe: int) -> tuple[int, ...]: ...

    def reload(self) -> None:
        """Save, make a new GIC and restore into it."""


class GicMachine(RuleBasedStateMachine):
    """Subclasses make the target."""

    def make(self) -> Target:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(PES, PRIVATE, SHARED)
        self.gic = self.make()
        self.seen = [(False, False)] * PES
        self.gic.gicd.write(0, 4, 3)
        for pe in range(PES):
            self.frame(pe, 0).write(self.base(pe, 0) + IGROUPR, 4, 0xFFFF_FFFF)
            self.set_groups(pe, {False, True})
            self.set_pmr(pe, 0xF8)
        for n in range(1, 9):
            self.gic.gicd.write(IGROUPR + 4 * n, 4, 0xFFFF_FFFF)
        for intid in PRIVATE + SHARED:
            for pe in range(PES):
                self.set_priority(intid, pe, 0xA0 - 8 * (intid % 7))
                self.set_enable(intid, pe, True)

    def frame(self, pe: int, intid: int) -> Device:
        return self.gic.gicr if intid < 32 else self.gic.gicd

    def base(self, pe: int, intid: int) -> int:
        return pe * 0x20000 + 0x10000 if intid < 32 else 0

    def poke(self, array: int, intid: int, pe: int) -> Interrupt:
        """Write one bit of a set or clear array."""
        offset = self.base(pe, intid) + array + intid // 32 * 4
        self.frame(pe, intid).write(offset, 4, 1 << intid % 32)
        return self.model.get(intid, pe)

    @rule(intid=st.sampled_from(PRIVATE[2:] + SHARED), pe=pes, level=st.booleans())
    def drive(self, intid: int, pe: int, level: bool) -> None:
        self.gic.set_line(intid, level, pe)
        self.model.get(intid, pe).drive(level)

    @rule(intid=intids, pe=pes, on=st.booleans())
    def set_pending(self, intid: int, pe: int, on: bool) -> None:
        self.poke(ISPENDR if on else ICPENDR, intid, pe).latch = on

    @rule(intid=intids, pe=pes, on=st.booleans())
    def set_enable(self, intid: int, pe: int, on: bool) -> None:
        self.poke(ISENABLER if on else ICENABLER, intid, pe).enabled = on

    @rule(intid=intids, pe=pes, on=st.booleans())
    def set_active(self, intid: int, pe: int, on: bool) -> None:
        self.poke(ISACTIVER if on else ICACTIVER, intid, pe).active = on

    @rule(intid=intids, pe=pes, priority=st.integers(0, 255))
    def set_priority(self, intid: int, pe: int, priority: int) -> None:
        self.frame(pe, intid).write(self.base(pe, intid) + IPRIORITYR + intid, 1, priority)
        self.model.get(intid, pe).priority = priority & 0xF8

    @rule(intid=st.sampled_from(SHARED), edge=st.booleans())
    def set_edge(self, intid: int, edge: bool) -> None:
        offset = ICFGR + intid // 16 * 4
        bit = 2 << intid % 16 * 2
        old = self.gic.gicd.read(offset, 4)
        self.gic.gicd.write(offset, 4, old | bit if edge else old & ~bit)
        self.model.get(intid, 0).edge = edge

    @rule(intid=st.sampled_from(SHARED), pe=pes)
    def route(self, intid: int, pe: int) -> None:
        self.gic.gicd.write(IROUTER + 8 * intid, 8, pe)
        self.model.get(intid, 0).pe = pe

    @rule(intid=intids, pe=pes, group1=st.booleans())
    def set_group(self, intid: int, pe: int, group1: bool) -> None:
        """Only while inactive: changing the group of an active interrupt is UNPREDICTABLE."""
        one = self.model.get(intid, pe)
        if one.active:
            return
        offset = self.base(pe, intid) + IGROUPR + intid // 32 * 4
        device, bit = self.frame(pe, intid), 1 << intid % 32
        old = device.read(offset, 4)
        device.write(offset, 4, old | bit if group1 else old & ~bit)
        one.group1 = group1

    @rule(pe=pes, intid=st.sampled_from(PRIVATE[:2]), listed=st.integers(0, 3), everyone=st.booleans())
    def send_sgi(self, pe: int, intid: int, listed: int, everyone: bool) -> None:
        self.gic.sysreg_write(pe, SysReg.ICC_SGI1R_EL1, intid << 24 | listed | everyone << 40)
        for target in range(PES):
            if (target != pe) if everyone else listed >> target & 1:
                self.model.get(intid, target).latch = True

    @rule(pe=pes, pmr=st.integers(0, 255))
    def set_pmr(self, pe: int, pmr: int) -> None:
        self.gic.sysreg_write(pe, SysReg.ICC_PMR_EL1, pmr)
        self.model.pes[pe].pmr = pmr & 0xF8

    @rule(pe=pes, groups=st.sets(st.booleans()))
    def set_groups(self, pe: int, groups: set[bool]) -> None:
        self.gic.sysreg_write(pe, SysReg.ICC_IGRPEN0_EL1, False in groups)
        self.gic.sysreg_write(pe, SysReg.ICC_IGRPEN1_EL1, True in groups)
        self.model.pes[pe].groups = groups

    @rule(pe=pes, split=st.booleans())
    def set_eoi_mode(self, pe: int, split: bool) -> None:
        if not self.model.pes[pe].running:
            self.gic.sysreg_write(pe, SysReg.ICC_CTLR_EL1, split << 1)
            self.model.pes[pe].split = split

    @rule(pe=pes, group1=st.booleans())
    def acknowledge(self, pe: int, group1: bool) -> None:
        key = SysReg.ICC_IAR1_EL1 if group1 else SysReg.ICC_IAR0_EL1
        assert self.gic.sysreg_read(pe, key) == self.model.acknowledge(pe, group1)

    @rule(pe=pes)
    def take_what_is_signalled(self, pe: int) -> None:
        signalled = self.model.signalled(pe)
        if signalled is not None:
            self.acknowledge(pe, signalled.group1)

    @rule(pe=pes, chosen=st.sets(intids, min_size=3))
    def burst(self, pe: int, chosen: set[int]) -> None:
        """Many at once: more than there are list registers."""
        for intid in sorted(chosen):
            self.set_pending(intid, pe, True)

    @rule(pe=pes, intid=intids)
    def preempt(self, pe: int, intid: int) -> None:
        """Something more urgent than what runs comes and is taken: interrupts nest."""
        if self.model.rpr(pe) >= 8:
            if intid >= 32:
                self.route(intid, pe)
            self.set_priority(intid, pe, self.model.rpr(pe) - 8 if self.model.pes[pe].running else 0xA0)
            self.set_pending(intid, pe, True)
            self.take_what_is_signalled(pe)

    @rule(pe=pes)
    def take_and_drop(self, pe: int) -> None:
        """With the end split, actives pile up without a running priority."""
        for _ in range(4):
            if self.model.signalled(pe) is not None:
                self.take_what_is_signalled(pe)
                self.end(pe)

    @precondition(lambda self: any(pe.running for pe in self.model.pes))
    @rule(pe=pes)
    def end(self, pe: int) -> None:
        if self.model.pes[pe].running:
            intid, group1 = self.model.end(pe)
            self.gic.sysreg_write(pe, SysReg.ICC_EOIR1_EL1 if group1 else SysReg.ICC_EOIR0_EL1, intid)

    @rule(pe=pes, intid=intids)
    def deactivate(self, pe: int, intid: int) -> None:
        self.gic.sysreg_write(pe, SysReg.ICC_DIR_EL1, intid)
        if self.model.pes[pe].split:
            self.model.get(intid, pe).active = False

    @rule()
    def reload(self) -> None:
        self.gic.reload()

    @invariant()
    def lines_follow_and_changes_are_announced(self) -> None:
        for pe in range(PES):
            signalled = self.model.signalled(pe)
            irq, fiq = self.gic.lines(pe)
            assert irq == (signalled is not None and signalled.group1)
            assert fiq == (signalled is not None and not signalled.group1)
            assert (irq, fiq) == self.seen[pe] or pe in self.gic.notified
            self.seen[pe] = irq, fiq
        self.gic.notified.clear()

    @invariant()
    def registers_agree(self) -> None:
        for pe in range(PES):
            assert self.gic.sysreg_read(pe, SysReg.ICC_RPR_EL1) == self.model.rpr(pe)
            assert self.gic.sysreg_read(pe, SysReg.ICC_HPPIR0_EL1) == self.model.hppir(pe, False)
            assert self.gic.sysreg_read(pe, SysReg.ICC_HPPIR1_EL1) == self.model.hppir(pe, True)
            assert self.gic.pending(pe) == tuple(one.intid for one in self.model.mine(pe) if one.pending)

    def teardown(self) -> None:
        """Let software serve everything that can be served: each interrupt comes exactly as often as it should."""
        for pe in range(PES):
            while self.model.pes[pe].running:
                self.end(pe)
            self.set_eoi_mode(pe, False)
            self.set_pmr(pe, 0xF8)
            for intid in PRIVATE + SHARED:
                self.drive(intid, pe, False)
            while self.model.signalled(pe) is not None:
                self.take_what_is_signalled(pe)
                self.end(pe)
            self.registers_agree()
