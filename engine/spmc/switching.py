"""Who runs on each core while it is in the secure world, and what interrupts do to that (DEN0077A v1.2, 8 and 9).

Everything is a change of links and states: entering, leaving and resuming move which saved context a core holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from engine.events import FfaAnswer
from engine.ffa.errors import Code
from engine.ffa.registers import Result, error, interrupt, success_32
from engine.spmc.call_chain import Context
from engine.spmc.manifest import NsAction, OtherAction
from engine.spmc.states import ContextState, RuntimeModel
from engine.views import VcpuState

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.physical_core import PhysicalCore
    from engine.spmc.partition import SecurePartition

_UNINTERRUPTED = (RuntimeModel.INIT, RuntimeModel.SECURE_INTERRUPT)
"""Models at the root of a chain in which Non-secure interrupts stay masked."""


_SCHEDULED = {ContextState.IDLE: VcpuState.WAITING, ContextState.ABORTED: VcpuState.OFF}
"""What the scheduler of the cores sees of a context that does not run."""


class NormalWorld(Protocol):
    """Where control goes when the secure world is done with a core."""

    def return_to_normal(self, pcore: PhysicalCore, result: Result | None) -> None:
        """Leave the secure world, with the answer to the call that entered it; None where there was no call."""


class Switching:
    """The secure half of every core's schedule."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        partitions: dict[int, SecurePartition],
        normal: NormalWorld,
        managed_exit_intid: int,
    ) -> None:
        self._hypervisor = hypervisor
        self._partitions = partitions
        self._normal = normal
        self._managed_exit = managed_exit_intid
        self.leaving: Callable[[], None] = lambda: None
        """Called when control goes back to the normal world."""
        self.settle: Callable[[PhysicalCore, Result | None], bool] = lambda _pcore, _result: False
        """Asked before that, with what would be answered: True if the secure world has other plans for the core."""
        self.is_on: Callable[[PhysicalCore], bool] = lambda _pcore: True
        """Whether a core has power."""
        self._contexts: dict[int, Context] = {}
        """By identity of the vCPU object's place: endpoint << 16 | index."""

    def add(self, context: Context) -> None:
        """Make a context known."""
        self._contexts[context.word] = context

    def held(self, pcore: PhysicalCore) -> Context | None:
        """The context that a core runs in the secure world."""
        for context in self._contexts.values():
            if context.vcpu is pcore.held:
                return context
        return None

    # --- entering and leaving --------------------------------------------------------------------

    def enter(self, context: Context, pcore: PhysicalCore, result: Result | None) -> None:
        """Run a context on a core; `result` goes to its registers, None lets it go on where it was."""
        context.become(ContextState.RUNNING)
        if result is not None:
            self.answer(context, result)
        self._hypervisor.hold(pcore, context.vcpu)

    def answer(self, context: Context, result: Result) -> None:
        """Put the result of a call into a context's registers."""
        vcpu = context.vcpu
        vcpu.registers.x[: len(result.values)] = list(result.values)
        event = FfaAnswer(vcpu.pcore.now, vcpu.vm.name, vcpu.index, context.endpoint, result.values)
        self._hypervisor.events.emit(event)

    def pause(self, context: Context, state: ContextState, why: str) -> None:
        """A context stops running; who runs next is the caller's next step."""
        context.become(state)
        self._hypervisor.block(context.vcpu, _SCHEDULED.get(state, VcpuState.CALLING), why)

    def resume_caller(self, context: Context, result: Result) -> None:
        """A call ended: its answer goes to the secure context that waits for it, or to the normal world."""
        pcore = context.core
        self.answer_caller(context.unlink(), pcore, result)

    def answer_caller(self, caller: Context | None, pcore: PhysicalCore, result: Result) -> None:
        """As `resume_caller`. A caller that failed meanwhile answers its own with ABORTED (DEN0077A v1.2, 7.4)."""
        while caller is not None and caller.state is ContextState.ABORTED:
            result = error(Code.ABORTED, caller.word)
            caller = caller.unlink()
        if caller is None:
            self.to_normal(pcore, result)
        else:
            self.enter(caller, pcore, result)

    def to_normal(self, pcore: PhysicalCore, result: Result | None) -> None:
        """Leave the secure world, unless a secure interrupt waits for an idle partition first."""
        if self.settle(pcore, result):
            return
        self.leaving()
        self._normal.return_to_normal(pcore, result)
        self.signal_queued(pcore)

    def signal_queued(self, pcore: PhysicalCore) -> None:
        """A core is free, or went off: a secure interrupt that waited for that comes."""
        waiting = self._queued_for(pcore)
        if waiting is not None:
            self.signal(waiting)

    def _queued_for(self, pcore: PhysicalCore) -> Context | None:
        """An idle context with a queued physical interrupt that it enabled: of this core, or of no core that is on."""
        for context in self._contexts.values():
            interrupts = self._partitions[context.endpoint].interrupts
            idle = bool(interrupts.owned) and context.state is ContextState.IDLE
            if idle and interrupts.owned.intersection(interrupts.deliverable(context.index)):
                place = self._place(context)
                if place is not None and pcore in (context.core, place):
                    return context
        return None

    # --- Non-secure interrupts ---------------------------------------------------------------------

    def normal_interrupt(self, pcore: PhysicalCore) -> None:
        """A Non-secure interrupt came: queue it, ask for a managed exit, or preempt the chain that runs."""
        context = self.held(pcore)
        if context is None or context.state is not ContextState.RUNNING:
            return
        chain = [context, *context.callers()]
        if chain[-1].model in _UNINTERRUPTED or context.handles_power:
            return
        action = min(self._partitions[each.endpoint].manifest.ns_action for each in chain)
        if action is NsAction.SIGNALED:
            self._preempt(context)
        elif action is NsAction.MANAGED_EXIT:
            self._ask_to_leave(context)

    def _preempt(self, context: Context) -> None:
        """Every level of the chain is preempted; FFA_RUN of the innermost context takes it up again."""
        pcore = context.core
        self.pause(context, ContextState.PREEMPTED, "preempted by a Non-secure interrupt")
        context.resumable = True
        self._suspend_callers(context)
        self.leaving()
        self._normal.return_to_normal(pcore, interrupt(context.endpoint, context.index))

    @staticmethod
    def _suspend_callers(context: Context) -> None:
        for caller in context.callers():
            if caller.state is ContextState.BLOCKED:
                caller.become(ContextState.PREEMPTED)

    def leave_behind(self, context: Context) -> None:
        """Whoever was to run a chain's innermost context failed: from now on FFA_RUN of the normal world does."""
        if context.yielded:
            context.yielded = False
            self.answer(context, success_32())
            context.become(ContextState.PREEMPTED)
        context.resumable = context.state is ContextState.PREEMPTED
        self._suspend_callers(context)

    def _ask_to_leave(self, context: Context) -> None:
        """Managed exit: the partition is told by its own virtual interrupt, and answers when it has saved its state."""
        partition = self._partitions[context.endpoint]
        if partition.manifest.managed_exit and not context.leaving:
            context.leaving = True
            partition.interrupts.inject(self._managed_exit, context.index)

    def run_preempted(self, context: Context, pcore: PhysicalCore) -> None:
        """FFA_RUN by the normal world of what ran when the chain was preempted: every level is as it was."""
        for caller in context.callers():
            if caller.state is ContextState.PREEMPTED:
                caller.become(ContextState.BLOCKED)
        context.resumable = False
        self.enter(context, pcore, None)

    # --- secure interrupts -----------------------------------------------------------------------------

    def signal(self, context: Context) -> None:
        """A physical interrupt of its own became pending for a context that may not be running.

        A running or preempted one sees its virtual interrupt by itself as soon as it runs (DEN0077A v1.2, 9.2).
        """
        pcore = self._place(context)
        if pcore is None or context.state not in (ContextState.IDLE, ContextState.BLOCKED):
            return
        running = self.held(pcore)
        if context.state is ContextState.BLOCKED:
            if running is not None and context in running.callers():
                self.pause(running, ContextState.PREEMPTED, "preempted by a secure interrupt of its caller")
                self.enter(context, context.core, interrupt(0, 0))
            return
        if running is not None:
            if not self._gives_way(running):
                return
            self.pause(running, ContextState.PREEMPTED, "preempted by a secure interrupt")
        context.interrupted = running
        context.model = RuntimeModel.SECURE_INTERRUPT
        pending = self._partitions[context.endpoint].interrupts.first(context.index)
        self.enter(context, pcore, interrupt(0, 0, pending))

    def _place(self, context: Context) -> PhysicalCore | None:
        """Where its interrupts come: its core or, while that is off and it is not pinned there, the first one on."""
        if self.is_on(context.core):
            return context.core
        pinned = self._partitions[context.endpoint].manifest.contexts > 1
        return None if pinned else next(filter(self.is_on, self._hypervisor.cores), None)

    def _gives_way(self, running: Context) -> bool:
        """Whether the interrupts of other partitions preempt what runs."""
        root = [running, *running.callers()][-1]
        other = self._partitions[running.endpoint].manifest.other_s_action
        stays = root.model in _UNINTERRUPTED or running.handles_power
        return not stays and other is OtherAction.SIGNALED

    def handled(self, context: Context) -> None:
        """A context that a secure interrupt had started waits again: what it interrupted goes on."""
        pcore, interrupted = context.core, context.interrupted
        context.interrupted = None
        self.pause(context, ContextState.IDLE, "secure interrupt handled")
        if interrupted is None:
            self.to_normal(pcore, None)
        else:
            self.go_on(interrupted, pcore)

    def go_on(self, interrupted: Context, pcore: PhysicalCore) -> None:
        """What a secure interrupt had preempted on a core has it again."""
        if interrupted.state is ContextState.ABORTED:
            self.answer_caller(interrupted.unlink(), pcore, error(Code.ABORTED, interrupted.word))
        else:
            self.enter(interrupted, pcore, None)
