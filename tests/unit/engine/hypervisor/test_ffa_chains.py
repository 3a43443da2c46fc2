"""Calls that wait for calls: interrupts and yields in the middle, FFA_RUN, and partitions that end there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.arch.sysreg import SysReg
from engine.cpu.timer import TimerPpi
from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.hypervisor.vcpu import Vcpu
from engine.views import VcpuState, VmRunState
from tests.unit.engine.hypervisor.relaying import Relaying, status

EXAMPLES = int(os.environ.get("FFA_EXAMPLES", "10"))
"""2000 for the long run."""
VMS = st.integers(1, 3)
VCPUS = [(vm, vcpu) for vm in (1, 2, 3) for vcpu in (0, 1)]
PICK = st.sampled_from(VCPUS)
REQ, RESP = Function.MSG_SEND_DIRECT_REQ_64, Function.MSG_SEND_DIRECT_RESP_64


@pytest.fixture
def machine(tmp_path: Path) -> Relaying:
    """Three VMs of two vCPUs; VMs 2 and 3 wait for messages on their first one, and all take interrupts."""
    machine = Relaying(tmp_path, vcpus=2)
    for vm in (1, 2, 3):
        machine.open_to_interrupts(vm)
    machine.call(2, Function.MSG_WAIT)
    machine.call(3, Function.MSG_WAIT)
    return machine


def states(machine: Relaying) -> list[str]:
    return [machine.vcpu(vm).state.value for vm in (1, 2, 3)]


def test_an_interrupt_of_the_caller_ends_its_wait(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2), 0, 3)
    machine.vcpu(2).registers.x[3] = 0x55
    machine.interrupt(1)
    assert states(machine)[:2] == ["ready", "preempted"]
    assert machine.registers(1, 3) == [Function.INTERRUPT, id_pair(2, 0), 0]
    assert machine.vcpu(2).registers.x[3] == 0x55


def test_the_callee_goes_on_by_run_and_answers_once(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2), 0, 3)
    for intid in (5, 6, 7):
        machine.interrupt(1, intid)
        assert states(machine)[:2] == ["ready", "preempted"]
        before = machine.registers(2)
        machine.call(1, Function.RUN, id_pair(2, 0))
        assert states(machine)[:2] == ["calling", "ready"]
        assert machine.registers(2) == before
    machine.call(2, RESP, id_pair(2, 1), 0, 30)
    assert states(machine)[:2] == ["ready", "waiting"]
    assert machine.registers(1, 4) == [RESP, id_pair(2, 1), 0, 30]
    assert machine.status(2, RESP, id_pair(2, 1), 0, 31) == Code.DENIED
    assert machine.registers(1, 4) == [RESP, id_pair(2, 1), 0, 30]


def test_the_answer_goes_to_the_vcpu_that_ran_the_callee(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.interrupt(1)
    machine.call(1, Function.RUN, id_pair(2, 0), vcpu=1)
    machine.call(2, RESP, id_pair(2, 1), 0, 30)
    assert machine.registers(1, 4, vcpu=1) == [RESP, id_pair(2, 1), 0, 30]
    assert machine.registers(1, 2) == [Function.INTERRUPT, id_pair(2, 0)]


def test_nobody_else_runs_or_asks_a_suspended_callee(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.interrupt(1)
    machine.interrupt(3)
    assert machine.status(3, Function.RUN, id_pair(2, 0)) == Code.DENIED
    assert machine.status(3, REQ, id_pair(3, 2)) == Code.BUSY
    assert machine.status(1, REQ, id_pair(1, 2)) == Code.BUSY
    assert machine.vcpu(2).state is VcpuState.PREEMPTED


def test_run_of_a_callee_that_was_not_suspended(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    assert machine.status(1, Function.RUN, id_pair(2, 0), vcpu=1) == Code.BUSY
    assert machine.status(1, Function.RUN, id_pair(2, 1), vcpu=1) == Code.DENIED
    assert states(machine)[:2] == ["calling", "ready"]


def test_what_is_pending_before_the_call_does_not_end_it(machine: Relaying) -> None:
    """A caller with interrupts masked, or its callee would never get anywhere."""
    machine.interrupt(1)
    machine.call(1, REQ, id_pair(1, 2))
    assert machine.vcpu(1).state is VcpuState.CALLING
    machine.interrupt(1, 6)
    assert machine.vcpu(1).state is VcpuState.READY
    machine.call(1, Function.RUN, id_pair(2, 0))
    assert states(machine)[:2] == ["calling", "ready"]


def test_interrupts_of_a_preempted_callee_wait_until_it_runs(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.interrupt(1)
    machine.interrupt(2)
    assert machine.vcpu(2).state is VcpuState.PREEMPTED
    machine.call(1, Function.RUN, id_pair(2, 0))
    assert machine.vcpu(2).state is VcpuState.READY
    assert machine.vcpu(2).interrupts_changed


def test_a_callee_that_sleeps_is_preempted_too(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.vcpu(2).state = VcpuState.BLOCKED
    machine.interrupt(1)
    machine.interrupt(2)
    assert machine.vcpu(2).state is VcpuState.PREEMPTED


def test_a_step_that_a_timer_preempts_executes_nothing(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.vcpu(1).timers[TimerPpi.VIRTUAL].ctl = 1
    machine.system.hypervisor.step(machine.vcpu(2))
    assert (machine.vcpu(2).instructions, machine.vcpu(2).state) == (0, VcpuState.PREEMPTED)
    machine.system.hypervisor.step(machine.vcpu(1))
    assert machine.vcpu(1).instructions == 1


def test_run_itself_is_interrupted_the_same_way(machine: Relaying) -> None:
    machine.call(1, Function.RUN, id_pair(2, 0))
    machine.interrupt(1)
    assert machine.registers(1, 2) == [Function.INTERRUPT, id_pair(2, 0)]
    machine.call(1, Function.RUN, id_pair(2, 0))
    machine.call(2, Function.MSG_WAIT)
    assert machine.registers(1, 2) == [Function.MSG_WAIT, id_pair(2, 0)]
    assert states(machine)[:2] == ["ready", "waiting"]


# --- yield -----------------------------------------------------------------------------------------


def test_a_yield_in_a_request_goes_to_the_requester(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.call(2, Function.YIELD, 0, 0x2345_6789, 1)
    assert states(machine)[:2] == ["ready", "yielded"]
    assert machine.registers(1, 5) == [Function.YIELD, id_pair(2, 0), 0x2345_6789, 1, 0]
    assert machine.status(3, Function.RUN, id_pair(2, 0)) == Code.DENIED
    machine.call(1, Function.RUN, id_pair(2, 0))
    assert states(machine)[:2] == ["calling", "ready"]
    assert machine.registers(2, 3) == [Function.SUCCESS_32, 0, 0]
    machine.call(2, RESP, id_pair(2, 1), 0, 30)
    assert machine.registers(1, 4) == [RESP, id_pair(2, 1), 0, 30]


def test_interrupts_do_not_end_a_yield(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.call(2, Function.YIELD)
    machine.interrupt(2)
    machine.interrupt(1)
    assert states(machine)[:2] == ["ready", "yielded"]


def test_a_yield_without_a_caller_is_the_schedulers(machine: Relaying) -> None:
    assert machine.call(1, Function.YIELD)[0] == Function.SUCCESS_32
    assert machine.vcpu(1).state is VcpuState.READY


# --- chains ----------------------------------------------------------------------------------------


def chain(machine: Relaying) -> None:
    """VM 1 waits for VM 2, which waits for VM 3."""
    machine.call(1, REQ, id_pair(1, 2), 0, 12)
    machine.call(2, REQ, id_pair(2, 3), 0, 23)
    assert states(machine) == ["calling", "calling", "ready"]


def test_the_end_of_a_chain_stops_for_its_beginning(machine: Relaying) -> None:
    chain(machine)
    machine.interrupt(1)
    assert states(machine) == ["ready", "calling", "preempted"]
    assert machine.registers(1, 2) == [Function.INTERRUPT, id_pair(2, 0)]
    assert machine.status(1, Function.RUN, id_pair(3, 0)) == Code.BUSY
    machine.call(1, Function.RUN, id_pair(2, 0))
    assert states(machine) == ["calling", "calling", "ready"]
    machine.call(3, RESP, id_pair(3, 2), 0, 32)
    assert machine.registers(2, 4) == [RESP, id_pair(3, 2), 0, 32]
    machine.call(2, RESP, id_pair(2, 1), 0, 21)
    assert machine.registers(1, 4) == [RESP, id_pair(2, 1), 0, 21]
    assert states(machine) == ["ready", "waiting", "waiting"]


def test_the_middle_of_a_chain_takes_its_own_interrupts(machine: Relaying) -> None:
    chain(machine)
    machine.interrupt(2)
    assert states(machine) == ["calling", "ready", "preempted"]
    assert machine.registers(2, 2) == [Function.INTERRUPT, id_pair(3, 0)]
    machine.interrupt(1)
    assert states(machine) == ["ready", "preempted", "preempted"]
    machine.call(1, Function.RUN, id_pair(2, 0))
    assert states(machine) == ["calling", "ready", "preempted"]
    machine.call(2, Function.RUN, id_pair(3, 0))
    assert states(machine) == ["calling", "calling", "ready"]


def test_the_middle_takes_what_came_while_it_stood_still_first(machine: Relaying) -> None:
    chain(machine)
    machine.interrupt(1)
    machine.interrupt(2)
    assert states(machine) == ["ready", "calling", "preempted"]
    machine.call(1, Function.RUN, id_pair(2, 0))
    assert states(machine) == ["calling", "ready", "preempted"]
    assert machine.registers(2, 2) == [Function.INTERRUPT, id_pair(3, 0)]
    assert machine.status(3, Function.RUN, id_pair(2, 0)) == Code.BUSY


# --- ends ------------------------------------------------------------------------------------------


def test_a_callee_goes_on_when_its_caller_ends(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.interrupt(1)
    machine.system.vms[0].power_on()
    assert machine.vcpu(2).state is VcpuState.READY
    assert machine.status(2, RESP, id_pair(2, 1)) == Code.DENIED


def test_a_chain_goes_on_when_its_beginning_ends(machine: Relaying) -> None:
    chain(machine)
    machine.interrupt(1)
    machine.system.vms[0].power_on()
    assert states(machine)[1:] == ["calling", "ready"]
    machine.call(3, RESP, id_pair(3, 2), 0, 32)
    assert states(machine)[1:] == ["ready", "waiting"]


def test_the_middle_stands_still_until_it_is_run_even_if_the_end_is_gone(machine: Relaying) -> None:
    chain(machine)
    machine.interrupt(1)
    machine.system.vms[2].power_on()
    assert states(machine) == ["ready", "preempted", "ready"]
    machine.call(1, Function.RUN, id_pair(2, 0))
    assert states(machine)[:2] == ["calling", "ready"]
    assert status(machine.registers(2)) == Code.ABORTED


def test_the_end_goes_on_when_the_middle_ends(machine: Relaying) -> None:
    chain(machine)
    machine.interrupt(1)
    told = machine.registers(1)
    machine.system.vms[1].power_on()
    assert states(machine) == ["ready", "ready", "ready"]
    assert machine.registers(1) == told
    assert machine.status(3, RESP, id_pair(3, 2)) == Code.DENIED


def test_run_of_a_callee_that_ended_meanwhile(machine: Relaying) -> None:
    machine.call(1, REQ, id_pair(1, 2))
    machine.interrupt(1)
    machine.system.vms[1].power_on()
    assert machine.status(1, Function.RUN, id_pair(2, 0)) == Code.ABORTED
    assert machine.status(1, Function.RUN, id_pair(2, 0)) == Code.BUSY
    machine.call(2, Function.MSG_WAIT)
    machine.call(1, Function.RUN, id_pair(2, 0))
    assert states(machine)[:2] == ["calling", "ready"]
    machine.interrupt(1)
    machine.system.vms[1].stop(VmRunState.OFF, "over")
    assert machine.status(1, Function.RUN, id_pair(2, 0)) == Code.ABORTED


# --- anything in any order ---------------------------------------------------------------------------


class Chains(RuleBasedStateMachine):
    """Calls of vCPUs that can run, interrupts and restarts; who runs must always be who may."""

    @initialize()
    def build(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.machine = Relaying(Path(self.directory.name), vcpus=2)
        for vm, vcpu in VCPUS:
            self.machine.open_to_interrupts(vm, vcpu)
            self.machine.vcpu(vm, vcpu).state = VcpuState.READY
            if vm != 1:
                self.machine.call(vm, Function.MSG_WAIT, vcpu=vcpu)

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.directory.cleanup()

    def make(self, who: tuple[int, int], function: int, *values: int) -> tuple[int, ...] | None:
        """The call of a vCPU, None where it cannot run."""
        if not self.machine.vcpu(*who).runnable:
            return None
        return self.machine.call(who[0], function, *values, vcpu=who[1])

    @rule(who=PICK, to=VMS)
    def ask(self, who: tuple[int, int], to: int) -> None:
        self.make(who, REQ, id_pair(who[0], to), 0, 7)

    @rule(who=PICK, to=VMS)
    def respond(self, who: tuple[int, int], to: int) -> None:
        owed = self.machine.vcpu(*who).ffa
        due = owed.caller is not None and owed.caller.endpoint == to and owed.function == REQ
        answer = self.make(who, RESP, id_pair(who[0], to), 0, 8)
        if answer is not None:
            assert (status(answer) == 0) is due
            assert owed.caller is None or not due

    @rule(who=PICK, whom=PICK)
    def run_it(self, who: tuple[int, int], whom: tuple[int, int]) -> None:
        self.make(who, Function.RUN, id_pair(*whom))

    @rule(who=PICK)
    def give_way(self, who: tuple[int, int]) -> None:
        self.make(who, Function.YIELD)

    @rule(who=PICK)
    def wait(self, who: tuple[int, int]) -> None:
        self.make(who, Function.MSG_WAIT)

    @rule(who=PICK, intid=st.integers(0, 15))
    def interrupt(self, who: tuple[int, int], intid: int) -> None:
        self.machine.interrupt(who[0], intid, who[1])

    @rule(who=PICK)
    def take_interrupts(self, who: tuple[int, int]) -> None:
        vgic = self.machine.system.vms[who[0] - 1].vgic
        while self.machine.vcpu(*who).runnable and vgic.virq(who[1]):
            vgic.sysreg_write(who[1], SysReg.ICC_EOIR1_EL1, vgic.sysreg_read(who[1], SysReg.ICC_IAR1_EL1) or 0)

    @rule(vm=VMS)
    def restart(self, vm: int) -> None:
        self.machine.system.vms[vm - 1].power_on()
        self.machine.vcpu(vm, 1).state = VcpuState.READY
        for vcpu in (0, 1):
            self.machine.open_to_interrupts(vm, vcpu)

    @invariant()
    def links_agree(self) -> None:
        """Who waits has a callee that owes it the answer, and nobody else waits."""
        for vm, index in VCPUS if hasattr(self, "machine") else ():
            vcpu = self.machine.vcpu(vm, index)
            assert (vcpu.ffa.callee is not None) is (vcpu.state is VcpuState.CALLING)
            if vcpu.ffa.callee is not None:
                callee = self.machine.vcpu(*vcpu.ffa.callee)
                assert callee.ffa.caller == (vm, index)
                assert not callee.ffa.suspended
                assert callee.state not in (VcpuState.WAITING, VcpuState.YIELDED)

    @invariant()
    def who_stands_still_is_under_somebody_suspended(self) -> None:
        for vm, index in VCPUS if hasattr(self, "machine") else ():
            vcpu = self.machine.vcpu(vm, index)
            still = vcpu.ffa.suspended or self.above(vcpu)
            assert not (still and vcpu.runnable)
            assert still or vcpu.state not in (VcpuState.PREEMPTED, VcpuState.YIELDED)

    def above(self, vcpu: Vcpu) -> bool:
        """Whether somebody who waits for it is suspended."""
        while vcpu.ffa.caller is not None and not vcpu.ffa.suspended:
            vcpu = self.machine.vcpu(*vcpu.ffa.caller)
        return vcpu.ffa.suspended


TestChains = Chains.TestCase
TestChains.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, suppress_health_check=list(HealthCheck))
