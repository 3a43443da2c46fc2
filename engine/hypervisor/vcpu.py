"""A virtual CPU: saved state, timers, and where the scheduler has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.cpu.state import CpuState, VcpuContext
from engine.cpu.timer import Comparator, TimerPpi
from engine.hypervisor.ffa_calls import CallState
from engine.views import VcpuState

if TYPE_CHECKING:
    from engine.hypervisor.partition import Partition
    from engine.hypervisor.physical_core import PhysicalCore


class Vcpu:
    """One vCPU of a VM. Its registers live in the VM's engine while it is loaded there, else in `context`."""

    __slots__ = (
        "asserted",
        "context",
        "exits",
        "faults_in_a_row",
        "fetch_faults",
        "ffa",
        "index",
        "instructions",
        "interrupts_changed",
        "interrupts_new",
        "pcore",
        "reset_context",
        "started",
        "state",
        "timers",
        "vm",
    )

    def __init__(
        self,
        vm: Partition,
        index: int,
        pcore: PhysicalCore,
        context: VcpuContext,
        reset_context: VcpuContext,
        timers: Iterable[TimerPpi],
    ) -> None:
        self.vm = vm
        self.index = index
        self.pcore = pcore
        self.context = context
        self.reset_context = reset_context
        """What `context` holds after an architectural reset."""
        self.state = VcpuState.OFF
        self.started = False
        """It has run since it was turned on; until then PSCI says ON_PENDING."""
        self.timers = {ppi: Comparator() for ppi in timers}
        self.asserted: set[int] = set()
        """Timer PPIs whose line is high."""
        self.interrupts_changed = True
        """Its virtual interrupt lines must be worked out again before it runs on."""
        self.interrupts_new = False
        """What its interrupt controller presents changed since it was last presented."""
        self.ffa = CallState()
        """Whom it calls and who called it, by FF-A messages."""
        self.fetch_faults = 0
        """Instruction aborts since boot; each costs one cycle."""
        self.faults_in_a_row = 0
        """Instruction aborts without one instruction between them."""
        self.exits = 0
        self.instructions = 0

    @property
    def loaded(self) -> bool:
        """Its registers are in the VM's engine."""
        return self.vm.loaded is self

    @property
    def registers(self) -> CpuState:
        """Its registers, wherever they are."""
        return self.vm.core.state if self.loaded else self.context.state

    @property
    def runnable(self) -> bool:
        return self.state in (VcpuState.READY, VcpuState.RUNNING)

    def reset_timers(self) -> None:
        for timer in self.timers.values():
            timer.ctl = timer.cval = 0
        self.asserted.clear()

    def timer_deadline(self) -> int | None:
        """Counter tick at which a timer will newly interrupt it, None if none will."""
        earliest: int | None = None
        for ppi, timer in self.timers.items():
            deadline = timer.deadline()
            if deadline is not None and ppi not in self.asserted and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest
