"""NS-EL2: runs the vCPUs of all VMs on the physical cores, in virtual time.

All state is data between two calls of `advance`; nothing here waits, and nothing depends on where a
caller chose to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.events import Blocked, Event, EventRing, Interrupt, Switch, VmState
from engine.hypervisor.partition import Partition
from engine.hypervisor.physical_core import PhysicalCore
from engine.hypervisor.vcpu import Vcpu
from engine.hypervisor.virtual_time import NO_LIMIT, VirtualTime
from engine.machine_config import MachineConfig
from engine.views import VcpuState, VmRunState

_LONGEST_SLICE = 200_000
"""Cycles without looking at a stop request: a few milliseconds of the host, at most ten where code is new."""
_LOCKSTEP = 20_000
"""Cycles that one physical core may run ahead of another."""
_WAKE_FRACTION = 100
"""A vCPU that wakes another one on its core keeps running for this part of a time slice."""
_NS_PER_MS = 1_000_000
_WOKEN_BY_INTERRUPTS = (VcpuState.BLOCKED, VcpuState.WAITING)


class SecureWorld(Protocol):
    """The secure world as the scheduler of the cores sees it."""

    def normal_interrupt(self, pcore: PhysicalCore) -> None:
        """A Non-secure interrupt is pending for a core that the secure world holds."""


class Hypervisor(VirtualTime):
    """The scheduler; the traps come in through `GuestTraps`."""

    def __init__(self, config: MachineConfig, events: EventRing) -> None:
        super().__init__(config.board.cores, config.cycles_per_tick)
        self.events = events
        self._slice = self.cycles_of_ns(int(config.board.time_slice_ms * _NS_PER_MS))
        self._wake_delay = max(1, self._slice // _WAKE_FRACTION)
        self.partitions: list[Partition] = []
        self.secure: SecureWorld | None = None
        """Who decides what Non-secure interrupts do while a core is in the secure world."""
        self.reset_vm: Callable[[Partition, str], None] = self.start_vm
        """Cold reset of a VM, between slices: of the whole board where a payload owns EL2."""
        self._turn_of: PhysicalCore | None = None
        self._horizon = 0
        self.stop_requested = False
        """Set from any thread: `advance` returns at the next safe point. Has no effect on what guests see."""
        self.halted = ""
        """What somebody waited for has come, in words; "" if not. Whoever lets guests go on clears it."""
        self.interrupt_call: Callable[[Vcpu], None] = lambda _vcpu: None
        """Called when an interrupt becomes pending for a vCPU that waits for the answer to an FF-A call."""

    def add_vm(self, vm: Partition) -> None:
        """Place a VM's vCPUs on their cores."""
        self.partitions.append(vm)
        for pcore in self.cores:
            mine = [vcpu for vcpu in vm.vcpus if vcpu.pcore is pcore]
            if mine:
                pcore.add(mine, vm.secure)
        vm.vcpus[0].pcore.alarms += vm.alarms

    @property
    def finished(self) -> bool:
        """Every VM is off or crashed, and the secure world does nothing either."""
        secure = any(pcore.held is not None for pcore in self.cores)
        return not secure and all(vm.secure or vm.state is not VmRunState.RUNNING for vm in self.partitions)

    # --- running ---------------------------------------------------------------------------------

    def advance(self, until: int, progress: int = NO_LIMIT) -> None:
        """Run guests until virtual time `until` (cycles) or until `progress` instructions were executed.

        Returns earlier when a stop is requested or every VM is off; with NO_LIMIT also when nothing will
        ever happen without input. With several cores a core that has begun its turn finishes it, so that
        where a caller stops never changes the interleaving.
        """
        while not self.stop_requested and not self.finished and self.progress < progress:
            earliest = self.idle_until
            if earliest >= until:
                if until < NO_LIMIT:
                    self.catch_up(until)
                return
            pcore = self._turn()
            horizon = min(self._horizon, until) if len(self.cores) == 1 else self._horizon
            self._run_core(pcore, horizon, progress - self.progress)

    def _turn(self) -> PhysicalCore:
        """The core whose turn it is: the one furthest behind, up to a little beyond the next one."""
        pcore = self._turn_of
        if pcore is None or pcore.cycles >= self._horizon or not pcore.has_work:
            pcore = self._turn_of = min(self.cores, key=self._next_time)
            others = (self._next_time(other) for other in self.cores if other is not pcore)
            self._horizon = min(others, default=NO_LIMIT) + _LOCKSTEP
        return pcore

    def halt(self, why: str) -> None:
        """Return from `advance` at the next boundary: what somebody waits for has come. The first reason counts."""
        self.halted = self.halted or why
        self.stop_requested = True
        self._end_slice()

    def step(self, vcpu: Vcpu) -> None:
        """Run exactly one instruction of a runnable vCPU, giving it its physical core if need be.

        None at all if an interrupt that is due now takes the core from it.
        """
        pcore = vcpu.pcore
        self._fire_timers(pcore)
        if not vcpu.runnable:
            return
        if pcore.current is not vcpu:
            self._switch(pcore, vcpu)
        self._run_slice(pcore, vcpu, 1)

    def _run_core(self, pcore: PhysicalCore, horizon: int, budget: int) -> None:
        """One scheduling decision and the slice that follows from it."""
        self._active = pcore
        self._fire_timers(pcore)
        if pcore.held is not None:
            self._interrupt_secure(pcore)
        vcpu = self._choose(pcore)
        event = self._next_event(pcore)
        if vcpu is None:
            pcore.cycles = max(pcore.cycles, min(horizon, event))
            self._fire_timers(pcore)
        else:
            limit = min(horizon, event, pcore.slice_end)
            if pcore.held is None and pcore.contended(vcpu):
                limit = min(limit, pcore.spin_check)
            look = vcpu.vm.next_look(vcpu, pcore.cycles)
            if look is not None:
                limit = min(limit, look)
            self._run_slice(pcore, vcpu, max(1, min(limit - pcore.cycles, budget, _LONGEST_SLICE)))
        self._active = None

    def _interrupt_secure(self, pcore: PhysicalCore) -> None:
        """Non-secure interrupts while the core is in the secure world: a VM's, or the end of the time slice."""
        over = pcore.cycles >= pcore.slice_end
        if over:
            pcore.slice_end = pcore.cycles + self._slice
            pcore.normal_interrupt |= pcore.normal_work
        if pcore.normal_interrupt and self.secure is not None:
            self.secure.normal_interrupt(pcore)
            if pcore.held is None and over:
                pcore.slice_end = pcore.cycles

    def hold(self, pcore: PhysicalCore, vcpu: Vcpu) -> None:
        """The core is in the secure world from now on, and runs this context there."""
        if vcpu.pcore is not pcore:
            vcpu.pcore.vcpus.remove(vcpu)
            pcore.vcpus.append(vcpu)
            vcpu.pcore = pcore
        pcore.held = vcpu
        vcpu.state = VcpuState.READY
        self._catch_up_core(pcore)
        self._end_slice()

    def release(self, pcore: PhysicalCore) -> None:
        """The core is back in the normal world; the vCPU that called, if any, runs on."""
        caller, pcore.held, pcore.caller, pcore.normal_interrupt = pcore.caller, None, None, False
        if caller is not None and caller.state is VcpuState.CALLING:
            caller.state = VcpuState.READY
            if pcore.current is not caller:
                self._switch(pcore, caller)
        self._end_slice()

    def _choose(self, pcore: PhysicalCore) -> Vcpu | None:
        """The current vCPU while its time slice lasts, else the next runnable one."""
        chosen = pcore.choose(self._slice)
        if chosen is not None and chosen is not pcore.current:
            self._switch(pcore, chosen)
        return chosen

    def _switch(self, pcore: PhysicalCore, vcpu: Vcpu) -> None:
        if pcore.current is not None and pcore.current.state is VcpuState.RUNNING:
            pcore.current.state = VcpuState.READY
        pcore.current = vcpu
        pcore.switches += 1
        self._emit(Switch(pcore.now, vcpu.vm.name, vcpu.index, pcore.index))

    def _run_slice(self, pcore: PhysicalCore, vcpu: Vcpu, count: int) -> None:
        vm = vcpu.vm
        vm.load(vcpu)
        vcpu.state = VcpuState.RUNNING
        vcpu.started = True
        self._refresh_interrupts(vcpu)
        faults = vcpu.fetch_faults
        self._active, pcore.engine = pcore, vm.core
        try:
            executed = vm.core.run(count)
        finally:
            pcore.engine = None
        faulted = vcpu.fetch_faults - faults
        vcpu.instructions += executed
        pcore.busy += executed
        pcore.cycles += executed + faulted
        if executed and not faulted:
            vcpu.faults_in_a_row = 0
        if vm.reset_requested:
            self.reset_vm(vm, "")
        self._active = None

    # --- interrupts --------------------------------------------------------------------------------

    def _fire_timers(self, pcore: PhysicalCore) -> None:
        """Deliver what is due at this core's time."""
        now = pcore.cycles // self.cycles_per_tick
        for vcpu in pcore.vcpus:
            if vcpu.state is VcpuState.OFF:
                continue
            deadline = vcpu.timer_deadline()
            if deadline is not None and deadline <= now:
                self._update_timer_lines(vcpu, now)
        for alarm in pcore.alarms:
            alarm.poll()

    def _update_timer_lines(self, vcpu: Vcpu, now: int) -> None:
        """The timers' interrupts are level-sensitive: they follow the conditions both ways (Arm ARM D12.2.4)."""
        for ppi, timer in vcpu.timers.items():
            level = timer.line(now)
            if level is not (ppi in vcpu.asserted):
                if level:
                    vcpu.asserted.add(ppi)
                    self.interrupt_raised(vcpu, ppi, "timer")
                else:
                    vcpu.asserted.discard(ppi)
                vcpu.vm.interrupts.set_line(ppi, level, vcpu.index)

    def timer_changed(self, vcpu: Vcpu) -> None:
        """The guest reprogrammed a timer in the middle of a slice; end it, since it may now be too long."""
        lines = vcpu.interrupts_changed
        self._update_timer_lines(vcpu, self.ticks(vcpu))
        if vcpu.interrupts_changed is not lines or vcpu.timer_deadline() is not None:
            vcpu.vm.core.stop()

    def alarm_changed(self) -> None:
        """A device that interrupts at a time was programmed: slice and turn may now be too long."""
        others = (self._next_time(pcore) for pcore in self.cores if pcore is not self._turn_of)
        self._horizon = min(self._horizon, min(others, default=NO_LIMIT) + _LOCKSTEP)
        self._end_slice()

    def watchdog_expired(self, partition: Partition, kind: str) -> None:
        """Nobody served a watchdog: a VM starts over, a secure partition is over."""
        if partition.secure:
            self.stop_vm(partition, VmRunState.CRASHED, f"its {kind} was not served")
        elif self._active is not None and self._active.engine is not None:
            self.request_reset(partition, kind)
        else:
            self.reset_vm(partition, kind)

    def interrupt_raised(self, vcpu: Vcpu, intid: int, source: str) -> None:
        self._emit(Interrupt(self.now, vcpu.vm.name, vcpu.index, intid, source))

    def interrupts_changed(self, vcpu: Vcpu) -> None:
        """The virtual interrupt controller of a vCPU changed what it presents; may come at any time."""
        vcpu.interrupts_changed = vcpu.interrupts_new = True
        if vcpu.vm.secure:
            if vcpu.state is VcpuState.BLOCKED and vcpu.vm.interrupts.wakes(vcpu.index):
                self._wake(vcpu)
            return
        if vcpu.pcore.held is not None and vcpu.vm.interrupts.wakes(vcpu.index):
            vcpu.pcore.normal_interrupt = True
            self._end_slice()
        if vcpu.state in _WOKEN_BY_INTERRUPTS and vcpu.vm.interrupts.wakes(vcpu.index):
            if vcpu.state is VcpuState.WAITING:
                vcpu.vm.at_interrupted_wait(vcpu)
            self._wake(vcpu)
        elif vcpu.state is VcpuState.CALLING and vcpu.vm.interrupts.wakes(vcpu.index):
            self.interrupt_call(vcpu)

    def _wake(self, vcpu: Vcpu) -> None:
        vcpu.state = VcpuState.READY
        pcore = vcpu.pcore
        if pcore is self._active or pcore.contended(vcpu):
            # Whoever sent it an interrupt will soon wait for it.
            pcore.slice_end = min(pcore.slice_end, pcore.now + self._wake_delay)
            self._end_slice()
            return
        self._catch_up_core(pcore)

    def _shorten_turn(self, woken: PhysicalCore) -> None:
        """A core that was idle has work: whoever runs now must not run far ahead of it."""
        self._horizon = min(self._horizon, woken.cycles + _LOCKSTEP)
        self._end_slice()

    def _end_slice(self) -> None:
        """What ends the slice that runs, if one does, is to be worked out anew."""
        if self._active is not None and self._active.engine is not None:
            self._active.engine.stop()

    @staticmethod
    def _refresh_interrupts(vcpu: Vcpu) -> None:
        vcpu.interrupts_changed = False
        vcpu.vm.present_interrupts(vcpu)

    # --- from the traps --------------------------------------------------------------------------------

    def after_trap(self, vcpu: Vcpu) -> None:
        """The end of every exception handler, still inside the slice."""
        if self.stop_requested:
            vcpu.vm.core.stop()
        if vcpu.interrupts_changed and vcpu.state is VcpuState.RUNNING:
            self._refresh_interrupts(vcpu)
            if vcpu.vm.next_look(vcpu, vcpu.pcore.now) is not None:
                vcpu.vm.core.stop()  # the slice was measured without it

    def wait_for_interrupt(self, vcpu: Vcpu, why: str) -> None:
        """WFI: give the core away unless an interrupt is already there."""
        if not vcpu.vm.interrupts.wakes(vcpu.index):
            self.block(vcpu, VcpuState.BLOCKED, why)

    def block(self, vcpu: Vcpu, state: VcpuState, why: str) -> None:
        vcpu.state = state
        self._emit(Blocked(self.now, vcpu.vm.name, vcpu.index, why))
        vcpu.vm.core.stop()

    def resume(self, vcpu: Vcpu) -> None:
        """What a vCPU waited for has come."""
        self._wake(vcpu)

    def give_way(self, vcpu: Vcpu) -> None:
        """End the time slice of a running vCPU, so that another one of its core may have the rest."""
        vcpu.pcore.slice_end = vcpu.pcore.now
        vcpu.vm.core.stop()

    def start_vcpu(self, vcpu: Vcpu) -> None:
        """CPU_ON: it may run from now on."""
        vcpu.started = False
        vcpu.interrupts_changed = True
        self._wake(vcpu)

    def stop_vm(self, vm: Partition, state: VmRunState, detail: str) -> None:
        vm.stop(state, detail)
        self._emit(VmState(self.now, vm.name, -1, state.value, detail))
        vm.core.stop()

    def request_reset(self, vm: Partition, why: str) -> None:
        """Reset a VM as soon as its slice has ended."""
        vm.reset_requested = True
        self._emit(VmState(self.now, vm.name, -1, "reset", why))
        for vcpu in vm.vcpus:
            vcpu.state = VcpuState.OFF
        vm.core.stop()

    def start_vm(self, vm: Partition, why: str = "") -> None:
        """Cold reset, between slices."""
        vm.power_on()
        self._emit(VmState(self.now, vm.name, -1, "started", why))
        self._catch_up_core(vm.vcpus[0].pcore)

    def _catch_up_core(self, pcore: PhysicalCore) -> None:
        """A core that may have been idle has work from now on."""
        if pcore is not self._active:
            pcore.cycles = max(pcore.cycles, self.now)
            self._shorten_turn(pcore)

    def power_on(self) -> None:
        """Start every VM."""
        for vm in self.partitions:
            if not vm.secure:
                self.start_vm(vm)

    def _emit(self, event: Event) -> None:
        self.events.emit(event)
