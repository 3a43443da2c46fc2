"""The physical distributor and CPU interfaces against the reference model."""

from __future__ import annotations

from hypothesis import settings

from engine.board.bus import Device
from engine.board.gic.cpu_interface import CpuInterface
from engine.board.gic.distributor import Distributor
from tests.unit.engine.board.gic.machine import PES, GicMachine, Target


class Physical:
    """A distributor with its CPU interfaces."""

    def __init__(self) -> None:
        self.notified: set[int] = set()
        self.build()

    def build(self) -> None:
        self.distributor = Distributor(PES, on_change=self.notified.add)
        self.cpus = [CpuInterface(self.distributor, pe) for pe in range(PES)]

    @property
    def gicd(self) -> Device:
        return self.distributor

    @property
    def gicr(self) -> Device:
        return self.distributor.region

    def sysreg_read(self, pe: int, key: int) -> int | None:
        return self.cpus[pe].read(key)

    def sysreg_write(self, pe: int, key: int, value: int) -> bool:
        return self.cpus[pe].write(key, value)

    def set_line(self, intid: int, level: bool, pe: int) -> None:
        self.distributor.set_line(intid, level, pe)

    def lines(self, pe: int) -> tuple[bool, bool]:
        return self.cpus[pe].irq(), self.cpus[pe].fiq()

    def pending(self, pe: int) -> tuple[int, ...]:
        return self.distributor.pending(pe)

    def reload(self) -> None:
        state = self.distributor.save(), [cpu.save() for cpu in self.cpus]
        self.build()
        for cpu, saved in zip(self.cpus, state[1], strict=True):
            cpu.restore(saved)
        self.distributor.restore(state[0])
        assert (self.distributor.save(), [cpu.save() for cpu in self.cpus]) == state


class PhysicalMachine(GicMachine):
    """Distributor and physical CPU interfaces."""

    def make(self) -> Target:
        return Physical()


TestPhysical = PhysicalMachine.TestCase
TestPhysical.settings = settings(max_examples=60, stateful_step_count=40)
