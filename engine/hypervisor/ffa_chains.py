"""Chains of calls between vCPUs: who waits for whom, what ends a wait early, how it goes on (DEN0077A v1.2, 8 and 9).

A caller waits until its callee answers. An interrupt that becomes pending for it ends the wait with FFA_INTERRUPT, and
FFA_YIELD of the callee ends it with FFA_YIELD. The callee is suspended then: it stands still, and so does whoever it
waits for itself, until a vCPU of the caller's endpoint calls FFA_RUN, which waits for the answer from there on.
"""

from __future__ import annotations

from engine.events import FfaAnswer
from engine.ffa.errors import Code
from engine.ffa.registers import Result, error, interrupt
from engine.hypervisor.ffa_endpoints import Relay, VmEndpoint
from engine.hypervisor.vcpu import Vcpu
from engine.manager.endpoint import Call, Target
from engine.views import VcpuState

_PREEMPTIBLE = (VcpuState.READY, VcpuState.RUNNING, VcpuState.BLOCKED)
_HELD = (VcpuState.PREEMPTED, VcpuState.YIELDED)


class CallChains:
    """The links between vCPUs; they are kept in `Vcpu.ffa`."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._hypervisor = relay.hypervisor
        self._hypervisor.interrupt_call = self.interrupt

    def begin(self, request: Call, callee: Vcpu, what: Result) -> None:
        """Give an idle `callee` the call and let the caller wait for its answer."""
        target = self._target(callee)
        request.vcpu.ffa.callee = target
        callee.ffa.caller, callee.ffa.function, callee.ffa.lost = request.target, request.args[0], None
        self._answer(callee, what)
        self._wait_for(request.vcpu, target)

    def finish(self, callee: Vcpu, result: Result) -> None:
        """Answer whoever waits for `callee`."""
        caller = callee.ffa.caller
        callee.ffa.release()
        if caller is not None:
            vcpu = self._relay.vcpu(caller)
            vcpu.ffa.callee = None
            self._answer(vcpu, result)

    def interrupt(self, caller: Vcpu) -> None:
        """An interrupt became pending for a vCPU that waits for an answer: it takes it first.

        One that stands still itself takes it when it is run.
        """
        target = caller.ffa.callee
        if target is None or self._stands_still(caller):
            return
        callee = self._relay.vcpu(target)
        self._suspend(callee, interrupt(*target))
        last = self._last(callee)
        if last.state in _PREEMPTIBLE:
            self._hypervisor.block(last, VcpuState.PREEMPTED, "ff-a preempted")

    def give_back(self, callee: Vcpu, result: Result) -> None:
        """`callee` yields to its caller, which is told `result`."""
        self._suspend(callee, result)
        self._hypervisor.block(callee, VcpuState.YIELDED, "ff-a yield")

    def resume(self, request: Call, callee: Vcpu) -> None:
        """FFA_RUN of a suspended callee: it goes on, and the caller waits for its answer."""
        callee.ffa.caller, callee.ffa.suspended = request.target, False
        target = request.vcpu.ffa.callee = self._target(callee)
        self._go_on(callee)
        self._wait_for(request.vcpu, target)

    def teardown(self, endpoint: VmEndpoint) -> None:
        """An endpoint ended: those who wait for it get ABORTED, those it waited for answer nobody and go on."""
        orphans = [(vcpu, self._stands_still(vcpu)) for vcpu in self._owe(endpoint)]
        for vcpu in endpoint.vm.vcpus:
            if not vcpu.ffa.suspended:
                self.finish(vcpu, error(Code.ABORTED))
            vcpu.ffa.clear()
        for vcpu, still in orphans:
            vcpu.ffa.release()
            if still:
                self._go_on(vcpu)

    def _target(self, vcpu: Vcpu) -> Target:
        return Target(self._relay.of(vcpu.vm).id, vcpu.index)

    def _wait_for(self, caller: Vcpu, target: Target) -> None:
        self._hypervisor.block(caller, VcpuState.CALLING, f"ff-a call of {target.endpoint}/{target.vcpu}")

    def _answer(self, vcpu: Vcpu, result: Result) -> None:
        """End a vCPU's wait."""
        leave(vcpu, result)
        self._report(vcpu, result)
        if self._stands_still(vcpu):
            vcpu.state = VcpuState.PREEMPTED
        else:
            self._hypervisor.resume(vcpu)

    def _report(self, vcpu: Vcpu, result: Result) -> None:
        endpoint = self._relay.of(vcpu.vm).id
        event = FfaAnswer(self._hypervisor.now, vcpu.vm.name, vcpu.index, endpoint, result.values)
        self._hypervisor.events.emit(event)

    def interrupted(self, vcpu: Vcpu) -> None:
        """An interrupt ends a wait for messages: FFA_INTERRUPT has been in the registers since it began."""
        self._report(vcpu, interrupt(self._relay.of(vcpu.vm).id, vcpu.index))

    def _suspend(self, callee: Vcpu, result: Result) -> None:
        """Tell the caller `result` in place of the answer, which stays due."""
        caller = callee.ffa.caller
        callee.ffa.suspended = True
        if caller is not None:
            vcpu = self._relay.vcpu(caller)
            vcpu.ffa.callee = None
            self._answer(vcpu, result)

    def _go_on(self, vcpu: Vcpu) -> None:
        """Let a chain go on that stood still from `vcpu` on; the first that has an interrupt to take does that."""
        while vcpu.state is VcpuState.CALLING and vcpu.ffa.callee is not None:
            if vcpu.vm.interrupts.wakes(vcpu.index):
                self.interrupt(vcpu)
                return
            vcpu = self._relay.vcpu(vcpu.ffa.callee)
        if vcpu.state in _HELD:
            self._hypervisor.resume(vcpu)

    def _last(self, vcpu: Vcpu) -> Vcpu:
        """Who works at the end of the chain."""
        while vcpu.ffa.callee is not None:
            vcpu = self._relay.vcpu(vcpu.ffa.callee)
        return vcpu

    def _stands_still(self, vcpu: Vcpu) -> bool:
        """Whether it, or anyone who waits for it, is suspended."""
        while not vcpu.ffa.suspended:
            if vcpu.ffa.caller is None:
                return False
            vcpu = self._relay.vcpu(vcpu.ffa.caller)
        return True

    def _owe(self, endpoint: VmEndpoint) -> list[Vcpu]:
        """vCPUs that have a vCPU of an endpoint to answer, or to tell of an end."""
        vcpus = (vcpu for other in self._relay.endpoints.values() for vcpu in other.vm.vcpus)
        return [vcpu for vcpu in vcpus if endpoint.id in (vcpu.ffa.lost, vcpu.ffa.caller and vcpu.ffa.caller.endpoint)]


def leave(vcpu: Vcpu, result: Result) -> None:
    """Put into a vCPU's registers what it finds there when it runs on."""
    vcpu.registers.x[: len(result.values)] = list(result.values)
