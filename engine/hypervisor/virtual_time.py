"""Virtual time: each physical core's own cycles, and when something next happens on it."""

from __future__ import annotations

from typing import Final

from engine.cpu.timer import NS_PER_TICK
from engine.hypervisor.physical_core import PhysicalCore
from engine.hypervisor.vcpu import Vcpu
from engine.views import VcpuState

NO_LIMIT: Final = 1 << 63
"""A virtual time, or a number of instructions, that is never reached."""


class VirtualTime:
    """The physical cores as clocks. Nothing here depends on the host's."""

    def __init__(self, cores: int, cycles_per_tick: int) -> None:
        """`cycles_per_tick`: instructions in one tick of the system counter."""
        self.cores = tuple(PhysicalCore(n) for n in range(cores))
        self.cycles_per_tick = cycles_per_tick
        self._active: PhysicalCore | None = None
        """The core that runs a slice, or decides about one."""
        self._latest_tick = 0

    def cycles_of_ns(self, ns: int) -> int:
        return ns * self.cycles_per_tick // NS_PER_TICK

    def ns_of_cycles(self, cycles: int) -> int:
        return cycles * NS_PER_TICK // self.cycles_per_tick

    @property
    def now(self) -> int:
        """Virtual time in cycles: of the core that runs a slice, else of the core that is furthest ahead."""
        if self._active is not None:
            return self._active.now
        return max(pcore.cycles for pcore in self.cores)

    @property
    def progress(self) -> int:
        """Instructions executed by all cores: with `now`, this names a state of the machine uniquely."""
        return sum(pcore.busy for pcore in self.cores)

    def ticks(self, vcpu: Vcpu) -> int:
        """The system counter as a vCPU reads it: no reader ever sees an earlier time than one before it did."""
        tick = vcpu.pcore.now // self.cycles_per_tick
        if tick < self._latest_tick:
            return self._latest_tick
        self._latest_tick = tick
        return tick

    @property
    def idle_until(self) -> int:
        """Cycle before which nothing will happen by itself: now, unless every vCPU waits."""
        return min(self._next_time(pcore) for pcore in self.cores)

    def catch_up(self, until: int) -> None:
        """Nobody has anything to do before `until` (cycles)."""
        for pcore in self.cores:
            pcore.cycles = max(pcore.cycles, until)

    def _next_time(self, pcore: PhysicalCore) -> int:
        """When a core can next do something: now if it has a runnable vCPU, else at its next event."""
        if pcore.has_work:
            return pcore.cycles
        return max(pcore.cycles, self._next_event(pcore))

    def _next_event(self, pcore: PhysicalCore) -> int:
        """Cycle of the next timer or alarm that concerns vCPUs of this core (possibly in the past)."""
        earliest = NO_LIMIT
        for vcpu in pcore.vcpus:
            if vcpu.state is VcpuState.OFF:
                continue
            deadline = vcpu.timer_deadline()
            if deadline is not None:
                earliest = min(earliest, deadline * self.cycles_per_tick)
        for alarm in pcore.alarms:
            moment = alarm.next_match_ns()
            if moment is not None:
                earliest = min(earliest, self.cycles_of_ns(moment) + 1)
        return earliest
