"""A physical core: its own virtual time and the vCPUs that share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.cpu.core import Core
    from engine.hypervisor.partition import Alarm
    from engine.hypervisor.vcpu import Vcpu

_SPIN_GRAIN = 50_000
"""Cycles between two looks at whether a vCPU only spins."""


class PhysicalCore:
    """Runs one vCPU at a time; picks the next one in two levels, VMs in turn and then their vCPUs in turn."""

    __slots__ = (
        "_queues",
        "alarms",
        "busy",
        "caller",
        "current",
        "cycles",
        "engine",
        "held",
        "index",
        "normal_interrupt",
        "slice_end",
        "spin_check",
        "switches",
        "vcpus",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.cycles = 0
        """Virtual time at the last stop, in cycles."""
        self.busy = 0
        """Cycles spent on guest instructions."""
        self.switches = 0
        self.current: Vcpu | None = None
        self.slice_end = 0
        """Cycle of the preemption tick for the current vCPU."""
        self.spin_check = 0
        """Cycle at which to look whether the current vCPU only spins while others could use its time."""
        self.engine: Core | None = None
        """The engine running a slice for this core right now."""
        self.held: Vcpu | None = None
        """The core is in the secure world, where only this context runs; None in the normal world."""
        self.caller: Vcpu | None = None
        """The normal world's vCPU whose call took the core into the secure world."""
        self.normal_interrupt = False
        """A Non-secure interrupt came for this core while it was in the secure world."""
        self.vcpus: list[Vcpu] = []
        self.alarms: list[Alarm] = []
        """Devices whose interrupts come at this core's time."""
        self._queues: list[list[Vcpu]] = []

    @property
    def now(self) -> int:
        """Virtual time to the instruction, also inside a slice."""
        return self.cycles + (self.engine.executed if self.engine is not None else 0)

    def add(self, vcpus: list[Vcpu], secure: bool) -> None:
        """Place vCPUs of one partition here; secure ones run only when the secure world says so."""
        self.vcpus += vcpus
        if not secure:
            self._queues.append(list(vcpus))

    @property
    def has_work(self) -> bool:
        """Whether it can run something now."""
        if self.held is not None:
            return self.held.runnable
        return any(vcpu.runnable for vcpu in self.vcpus)

    @property
    def normal_work(self) -> bool:
        """Whether a vCPU of the normal world could use it."""
        return any(vcpu.runnable for queue in self._queues for vcpu in queue)

    def pick(self) -> Vcpu | None:
        """The next runnable vCPU, which goes to the back of its VM's queue, as its VM goes behind the others."""
        if self.held is not None:
            return self.held if self.held.runnable else None
        for queue in self._queues:
            for vcpu in queue:
                if vcpu.runnable:
                    queue.remove(vcpu)
                    queue.append(vcpu)
                    self._queues.remove(queue)
                    self._queues.append(queue)
                    return vcpu
        return None

    def choose(self, time_slice: int) -> Vcpu | None:
        """Who runs next: the current vCPU while its slice (in cycles) lasts and is not wasted, or another one."""
        current = self.current
        within = current is not None and current.runnable and self.cycles < self.slice_end
        if within and self.held in (None, current) and not self._wasted():
            return current
        chosen = self.pick()
        if chosen is not None and self.held is None:
            self.slice_end = self.cycles + time_slice
            self.spin_check = self.cycles + _SPIN_GRAIN
        return chosen

    def _wasted(self) -> bool:
        """Whether the current vCPU waits in a loop for what another one here must do.

        The engine cannot trap WFE, so it is looked for now and then. Without it a fair lock costs a time slice for
        each time it changes hands.
        """
        current = self.current
        if current is None or self.held is not None or self.cycles < self.spin_check or not self.contended(current):
            return False
        self.spin_check = self.cycles + _SPIN_GRAIN
        current.vm.load(current)
        return current.vm.core.spins()

    def contended(self, vcpu: Vcpu) -> bool:
        """Another vCPU here could use the time that this one wastes."""
        return any(other.runnable for other in self.vcpus if other is not vcpu)
