"""A physical core: its own virtual time and the vCPUs that share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.cpu.core import Core
    from engine.hypervisor.partition import Alarm
    from engine.hypervisor.vcpu import Vcpu


class PhysicalCore:
    """Runs one vCPU at a time; picks the next one in two levels, VMs in turn and then their vCPUs in turn."""

    __slots__ = ("_queues", "alarms", "busy", "current", "cycles", "engine", "index", "slice_end", "switches", "vcpus")

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
        self.engine: Core | None = None
        """The engine running a slice for this core right now."""
        self.vcpus: list[Vcpu] = []
        self.alarms: list[Alarm] = []
        """Devices whose interrupts come at this core's time."""
        self._queues: list[list[Vcpu]] = []

    @property
    def now(self) -> int:
        """Virtual time to the instruction, also inside a slice."""
        return self.cycles + (self.engine.executed if self.engine is not None else 0)

    def add(self, vcpus: list[Vcpu]) -> None:
        """Place vCPUs of one VM here."""
        self.vcpus += vcpus
        self._queues.append(list(vcpus))

    def pick(self) -> Vcpu | None:
        """The next runnable vCPU, which goes to the back of its VM's queue, as its VM goes behind the others."""
        for queue in self._queues:
            for vcpu in queue:
                if vcpu.runnable:
                    queue.remove(vcpu)
                    queue.append(vcpu)
                    self._queues.remove(queue)
                    self._queues.append(queue)
                    return vcpu
        return None

    def contended(self, vcpu: Vcpu) -> bool:
        """Another vCPU here could use the time that this one wastes."""
        return any(other.runnable for other in self.vcpus if other is not vcpu)
