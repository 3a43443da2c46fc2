"""A GIC small enough to believe: one object an interrupt, every question answered by looking at all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

SPURIOUS = 1023
IDLE = 0xFF


@dataclass
class Interrupt:
    """One interrupt; `pe` owns it (SGI, PPI) or is where it is routed (SPI)."""

    intid: int
    pe: int
    edge: bool = False
    enabled: bool = False
    latch: bool = False
    line: bool = False
    active: bool = False
    group1: bool = True
    priority: int = 0

    @property
    def pending(self) -> bool:
        return self.latch or (self.line and not self.edge)

    def drive(self, level: bool) -> None:
        if level and not self.line and self.edge:
            self.latch = True
        self.line = level


@dataclass
class Pe:
    """One CPU interface."""

    pmr: int = 0
    groups: set[bool] = field(default_factory=set)
    """Enabled groups: False is Group 0, True is Group 1."""
    split: bool = False
    running: list[tuple[int, int, bool]] = field(default_factory=list)
    """Priority, INTID and group of what was acknowledged and not ended, the running one last."""


class Model:
    """The reference: SGIs and PPIs a PE in `private`, SPIs in `shared`."""

    def __init__(self, pes: int, private: tuple[int, ...], shared: tuple[int, ...]) -> None:
        self.pes = [Pe() for _ in range(pes)]
        self.interrupts = {(n, pe): Interrupt(n, pe, edge=n < 16) for n in private for pe in range(pes)}
        spis = [Interrupt(n, 0) for n in shared]
        self.interrupts |= {(spi.intid, pe): spi for spi in spis for pe in range(pes)}

    def get(self, intid: int, pe: int) -> Interrupt:
        return self.interrupts[intid, pe]

    def mine(self, pe: int) -> list[Interrupt]:
        """What belongs to or is routed to a PE, by INTID."""
        every = {id(one): one for one in self.interrupts.values() if one.pe == pe}
        return sorted(every.values(), key=lambda one: one.intid)

    def best(self, pe: int) -> Interrupt | None:
        """The highest priority pending interrupt."""
        groups = self.pes[pe].groups
        ready = [i for i in self.mine(pe) if i.pending and i.enabled and not i.active and i.group1 in groups]
        return min(ready, key=lambda one: (one.priority, one.intid), default=None)

    def signalled(self, pe: int) -> Interrupt | None:
        """The interrupt that raises IRQ (Group 1) or FIQ (Group 0) now."""
        best = self.best(pe)
        if best is None or best.priority >= self.pes[pe].pmr or best.priority >= self.rpr(pe):
            return None
        return best

    def rpr(self, pe: int) -> int:
        running = self.pes[pe].running
        return running[-1][0] if running else IDLE

    def hppir(self, pe: int, group1: bool) -> int:
        best = self.best(pe)
        return best.intid if best is not None and best.group1 == group1 else SPURIOUS

    def acknowledge(self, pe: int, group1: bool) -> int:
        taken = self.signalled(pe)
        if taken is None or taken.group1 != group1:
            return SPURIOUS
        taken.active, taken.latch = True, False
        self.pes[pe].running.append((taken.priority, taken.intid, group1))
        return taken.intid

    def end(self, pe: int) -> tuple[int, bool]:
        """The running interrupt ends; returns its INTID and group."""
        _, intid, group1 = self.pes[pe].running.pop()
        if not self.pes[pe].split:
            self.get(intid, pe).active = False
        return intid, group1
