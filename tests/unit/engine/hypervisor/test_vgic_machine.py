"""A VM's virtual GIC against the reference model, with far fewer list registers than interrupts."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import invariant

from engine.board.bus import Device
from engine.hypervisor.vgic import VGic
from tests.unit.engine.board.gic.machine import PES, GicMachine, Target


class Virtual:
    """A VGic behind the interface of the machine."""

    def __init__(self, list_registers: int) -> None:
        self.notified: set[int] = set()
        self.list_registers = list_registers
        self.build()

    def build(self) -> None:
        self.vgic = VGic(PES, on_change=self.notified.add, list_registers=self.list_registers)

    @property
    def gicd(self) -> Device:
        return self.vgic.gicd

    @property
    def gicr(self) -> Device:
        return self.vgic.gicr

    def sysreg_read(self, pe: int, key: int) -> int | None:
        return self.vgic.sysreg_read(pe, key)

    def sysreg_write(self, pe: int, key: int, value: int) -> bool:
        return self.vgic.sysreg_write(pe, key, value)

    def set_line(self, intid: int, level: bool, pe: int) -> None:
        self.vgic.set_line(intid, level, pe)

    def lines(self, pe: int) -> tuple[bool, bool]:
        return self.vgic.virq(pe), self.vgic.vfiq(pe)

    def pending(self, pe: int) -> tuple[int, ...]:
        return self.vgic.pending(pe)

    def reload(self) -> None:
        state = self.vgic.save()
        self.build()
        self.vgic.restore(state)
        assert self.vgic.save() == state


class TwoListRegisters(GicMachine):
    """Hardly any room: pending interrupts overflow and active ones are evicted."""

    list_registers = 2

    def make(self) -> Target:
        self.virtual = Virtual(self.list_registers)
        return self.virtual

    @invariant()
    def a_pending_interrupt_wakes(self) -> None:
        for pe in range(PES):
            assert self.virtual.vgic.wakes(pe) == (self.model.best(pe) is not None)

    @invariant()
    def no_interrupt_is_listed_twice(self) -> None:
        listed = [entry & 0xFFFF for interface in self.virtual.vgic.interfaces for entry in interface.entries]
        shared = [intid for intid in listed if intid >= 32]
        assert len(shared) == len(set(shared))


class FourListRegisters(TwoListRegisters):
    """The usual number."""

    list_registers = 4


TestTwo = TwoListRegisters.TestCase
TestTwo.settings = settings(max_examples=60, stateful_step_count=40)
TestFour = FourListRegisters.TestCase
TestFour.settings = settings(max_examples=60, stateful_step_count=40)
