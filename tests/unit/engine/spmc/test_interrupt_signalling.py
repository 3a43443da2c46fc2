"""Secure interrupts by who runs when they come, and the hypercalls that handle them (DEN0077A v1.2, 9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.spmc.paravirt import Hypercall
from engine.spmc.states import ContextState, RuntimeModel
from engine.spmc.virtual_interrupts import NONE
from tests.unit.engine.spmc.standing import REQ32, RESP32, SP1, SP2, SP3, VM1, Standing, status

S = ContextState
DENIED = Code.DENIED
REFUSED = (1 << 64) - 1
ENABLE, GET, DEACTIVATE = Hypercall.INTERRUPT_ENABLE, Hypercall.INTERRUPT_GET, Hypercall.INTERRUPT_DEACTIVATE
INTERRUPT, WAIT, RUN = Function.INTERRUPT, Function.MSG_WAIT, Function.RUN
FIRST, OTHER = 40, 41
"""INTIDs of SP1 and of SP2."""


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    made = Standing(tmp_path, own={1: (FIRST,), 2: (OTHER,)})
    for each, intid in ((SP1, FIRST), (SP2, OTHER)):
        assert made.hypercall(each, ENABLE, intid, 1, 0) == 0
    return made


def states(machine: Standing) -> list[ContextState]:
    return [machine.state(each) for each in (SP1, SP2, SP3)]


def finish(machine: Standing, endpoint: int, intid: int) -> None:
    """What a handler does."""
    assert machine.hypercall(endpoint, GET) == intid
    assert machine.hypercall(endpoint, DEACTIVATE, intid, intid) == 0


# --- the hypercalls ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intid", [OTHER, 99, 0, 5, 1020, 0xFFFF_FFFF])
def test_only_its_own_can_be_enabled(machine: Standing, intid: int) -> None:
    assert machine.hypercall(SP1, ENABLE, intid, 1, 0) == REFUSED
    assert machine.sp(SP1).interrupts.enabled(0) == (FIRST,)


@pytest.mark.parametrize(("on", "kind"), [(2, 0), (1, 2), (0xFFFF_FFFF, 0)])
def test_arguments_of_enable(machine: Standing, on: int, kind: int) -> None:
    assert machine.hypercall(SP1, ENABLE, FIRST, on, kind) == REFUSED


@pytest.mark.parametrize("intid", [8, 4])
def test_the_managers_own_interrupts_can_be_enabled(machine: Standing, intid: int) -> None:
    """NPI and managed exit, by the INTIDs of the machine file; they are nothing to deactivate."""
    assert machine.hypercall(SP1, ENABLE, intid, 1, 0) == 0
    machine.interrupt(SP1, intid)
    assert machine.state(SP1) is S.IDLE
    assert machine.hypercall(SP1, GET) == intid
    assert machine.hypercall(SP1, DEACTIVATE, intid, intid) == REFUSED


def test_get_with_nothing_pending(machine: Standing) -> None:
    assert machine.hypercall(SP1, GET) == NONE == 0xFFFF_FFFF


def test_deactivate_takes_what_was_taken(machine: Standing) -> None:
    """Both arguments are the same INTID, and it is active."""
    assert machine.hypercall(SP1, DEACTIVATE, FIRST, FIRST) == REFUSED
    machine.interrupt(SP1, FIRST)
    assert machine.hypercall(SP1, DEACTIVATE, FIRST, FIRST) == REFUSED
    assert machine.hypercall(SP1, GET) == FIRST
    assert machine.hypercall(SP1, DEACTIVATE, FIRST, OTHER) == REFUSED
    assert machine.hypercall(SP1, DEACTIVATE, OTHER, OTHER) == REFUSED
    assert machine.hypercall(SP1, DEACTIVATE, FIRST, FIRST) == 0
    assert machine.hypercall(SP1, DEACTIVATE, FIRST, FIRST) == REFUSED


def test_a_disabled_interrupt_waits_until_it_is_enabled(machine: Standing) -> None:
    assert machine.hypercall(SP1, ENABLE, FIRST, 0, 0) == 0
    machine.interrupt(SP1, FIRST)
    assert states(machine) == [S.IDLE] * 3
    machine.enter(SP1)
    assert machine.hypercall(SP1, GET) == NONE
    assert machine.hypercall(SP1, ENABLE, FIRST, 1, 0) == 0
    assert machine.sp(SP1).interrupts.virq(0)
    finish(machine, SP1, FIRST)
    machine.respond(SP1)


@pytest.mark.parametrize("fiq", [False, True])
def test_irq_or_fiq_as_it_was_enabled(machine: Standing, fiq: bool) -> None:
    interrupts = machine.sp(SP1).interrupts
    assert machine.hypercall(SP1, ENABLE, FIRST, 1, int(fiq)) == 0
    machine.interrupt(SP1, FIRST)
    assert (interrupts.virq(0), interrupts.vfiq(0)) == (not fiq, fiq)
    assert machine.hypercall(SP1, GET) == FIRST
    assert (interrupts.virq(0), interrupts.vfiq(0)) == (False, False)


def test_a_line_that_stays_high_interrupts_again(machine: Standing) -> None:
    lines = machine.sp(SP1).interrupts
    lines.set_line(FIRST, True)
    finish(machine, SP1, FIRST)
    assert lines.pending(0) == (FIRST,)
    assert machine.hypercall(SP1, GET) == FIRST
    lines.set_line(FIRST, False)
    assert machine.hypercall(SP1, DEACTIVATE, FIRST, FIRST) == 0
    assert lines.pending(0) == ()


@pytest.mark.parametrize("number", [0xFF00, 0xFF05, 0xFF0B, 0, 0xFFFF_FFFF])
def test_other_hypercalls_are_unknown_and_leave_the_registers(machine: Standing, number: int) -> None:
    machine.enter(SP1)
    vcpu = machine.vcpu(SP1)
    vcpu.registers.x[0], vcpu.registers.x[1] = number, 7
    assert not machine.spmc.call(vcpu, hvc=True)
    assert (vcpu.registers.x[0], vcpu.registers.x[1]) == (number, 7)


def test_they_are_hypercalls_not_smcs(machine: Standing) -> None:
    machine.enter(SP1)
    machine.vcpu(SP1).registers.x[0] = GET
    assert not machine.spmc.call(machine.vcpu(SP1), hvc=False)
    machine.vcpu(SP1).registers.x[0] = Function.ID_GET
    assert machine.spmc.call(machine.vcpu(SP1), hvc=True)
    assert machine.registers(SP1, 3) == [Function.SUCCESS_32, 0, SP1]


# --- who is running when it comes -----------------------------------------------------------------------------------


def test_while_the_normal_world_runs(machine: Standing) -> None:
    """Waiting: it is entered with FFA_INTERRUPT and the INTID, and the normal world goes on where it was."""
    before = machine.registers(VM1)
    machine.interrupt(SP1, FIRST)
    assert states(machine) == [S.RUNNING, S.IDLE, S.IDLE]
    assert machine.context(SP1).model is RuntimeModel.SECURE_INTERRUPT
    assert machine.registers(SP1, 4) == [INTERRUPT, 0, FIRST, 0]
    assert machine.sp(SP1).interrupts.virq(0)
    finish(machine, SP1, FIRST)
    machine.raw(SP1, WAIT)
    assert states(machine) == [S.IDLE] * 3
    assert machine.bench.hypervisor.cores[0].held is None
    assert machine.registers(VM1) == before


def test_a_handler_that_waits_too_early_is_entered_again(machine: Standing) -> None:
    """MSG_WAIT is not made: FFA_INTERRUPT while it is pending, DENIED while it is active."""
    machine.interrupt(SP1, FIRST)
    assert machine.raw(SP1, WAIT)[0] == INTERRUPT
    assert machine.hypercall(SP1, GET) == FIRST
    assert status(machine.raw(SP1, WAIT)) == DENIED
    assert machine.state(SP1) is S.RUNNING
    assert machine.hypercall(SP1, DEACTIVATE, FIRST, FIRST) == 0
    machine.raw(SP1, WAIT)
    assert machine.state(SP1) is S.IDLE


def test_while_it_runs_itself(machine: Standing) -> None:
    """A virtual IRQ and nothing else."""
    machine.enter(SP1)
    before = machine.registers(SP1)
    machine.interrupt(SP1, FIRST)
    assert (machine.registers(SP1), machine.sp(SP1).interrupts.virq(0)) == (before, True)
    assert machine.context(SP1).model is RuntimeModel.DIRECT_REQUEST
    finish(machine, SP1, FIRST)
    machine.respond(SP1)


def test_while_another_partition_runs(machine: Standing) -> None:
    """The other one is preempted, and goes on as it was."""
    machine.enter(SP3)
    before = machine.registers(SP3)
    machine.interrupt(SP1, FIRST)
    assert states(machine) == [S.RUNNING, S.IDLE, S.PREEMPTED]
    finish(machine, SP1, FIRST)
    machine.raw(SP1, WAIT)
    assert states(machine) == [S.IDLE, S.IDLE, S.RUNNING]
    assert machine.registers(SP3) == before
    machine.respond(SP3)
    assert machine.registers(VM1, 1) == [RESP32]


def test_while_a_partition_runs_that_queues_others_interrupts(tmp_path: Path) -> None:
    """other-s-interrupts-action: it is signalled as soon as that one is done."""
    queued = {"ns-interrupts-action": (0,), "other-s-interrupts-action": (0,)}
    machine = Standing(tmp_path, own={1: (FIRST,)}, properties={3: queued})
    assert machine.hypercall(SP1, ENABLE, FIRST, 1, 0) == 0
    machine.enter(SP3)
    machine.interrupt(SP1, FIRST)
    assert states(machine) == [S.IDLE, S.IDLE, S.RUNNING]
    machine.raw(SP3, RESP32, id_pair(SP3, VM1))
    assert machine.registers(VM1, 1) == [RESP32]
    assert states(machine) == [S.RUNNING, S.IDLE, S.IDLE]
    finish(machine, SP1, FIRST)
    machine.raw(SP1, WAIT)
    assert machine.bench.hypervisor.cores[0].held is None


def test_while_another_one_handles_its_own(machine: Standing) -> None:
    """There is one chain that interrupts schedule: the second one waits for the end of the first."""
    machine.interrupt(SP1, FIRST)
    machine.interrupt(SP2, OTHER)
    assert states(machine) == [S.RUNNING, S.IDLE, S.IDLE]
    finish(machine, SP1, FIRST)
    machine.raw(SP1, WAIT)
    assert states(machine) == [S.IDLE, S.RUNNING, S.IDLE]
    finish(machine, SP2, OTHER)
    machine.raw(SP2, WAIT)
    assert states(machine) == [S.IDLE] * 3


def test_while_it_waits_for_a_callee(machine: Standing) -> None:
    """Blocked: its callee is preempted, it is told by FFA_INTERRUPT, and it runs its callee again when it is done."""
    machine.enter(SP1)
    assert machine.request(SP1, SP3) == 0
    machine.interrupt(SP1, FIRST)
    assert states(machine) == [S.RUNNING, S.IDLE, S.PREEMPTED]
    assert machine.registers(SP1, 3) == [INTERRUPT, 0, 0]
    finish(machine, SP1, FIRST)
    assert status(machine.raw(SP1, RESP32, id_pair(SP1, VM1))) == DENIED
    machine.raw(SP1, RUN, SP3 << 16)
    assert states(machine) == [S.BLOCKED, S.IDLE, S.RUNNING]
    machine.raw(SP3, RESP32, id_pair(SP3, SP1))
    assert machine.registers(SP1, 2) == [RESP32, id_pair(SP3, SP1)]
    machine.respond(SP1)


def test_while_a_grandchild_runs(machine: Standing) -> None:
    """FFA_RUN of the callee takes up whoever was preempted at the end of the chain."""
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == machine.request(SP2, SP3) == 0
    machine.interrupt(SP1, FIRST)
    assert states(machine) == [S.RUNNING, S.BLOCKED, S.PREEMPTED]
    finish(machine, SP1, FIRST)
    assert status(machine.raw(SP1, RUN, SP3 << 16)) == DENIED
    machine.raw(SP1, RUN, SP2 << 16)
    assert states(machine) == [S.BLOCKED, S.BLOCKED, S.RUNNING]
    for callee, caller in ((SP3, SP2), (SP2, SP1), (SP1, VM1)):
        machine.respond(callee, caller)


def test_while_it_is_preempted_by_the_normal_world(machine: Standing) -> None:
    """Queued: it sees its virtual IRQ when the scheduler runs it."""
    machine.enter(SP1)
    machine.preempt()
    machine.interrupt(SP1, FIRST)
    assert states(machine) == [S.PREEMPTED, S.IDLE, S.IDLE]
    assert machine.run(SP1) == 0
    assert machine.sp(SP1).interrupts.virq(0)
    finish(machine, SP1, FIRST)
    machine.respond(SP1)


def test_an_interrupted_partition_is_busy_for_its_handler(machine: Standing) -> None:
    """The chain of the interrupt may call partitions that are idle, not the one it preempted."""
    machine.enter(SP3)
    machine.interrupt(SP1, FIRST)
    finish(machine, SP1, FIRST)
    assert machine.request(SP1, SP3) == Code.BUSY
    assert machine.request(SP1, SP2) == 0
    machine.raw(SP2, RESP32, id_pair(SP2, SP1))
    machine.raw(SP1, WAIT)
    assert states(machine) == [S.IDLE, S.IDLE, S.RUNNING]


def test_the_normal_worlds_interrupts_wait_for_the_handler(machine: Standing) -> None:
    machine.interrupt(SP1, FIRST)
    machine.preempt()
    assert machine.state(SP1) is S.RUNNING


def test_a_handler_that_fails_gives_the_core_back(machine: Standing) -> None:
    """To whom it interrupted: a partition, whose chain ends as usual."""
    machine.enter(SP3)
    machine.interrupt(SP1, FIRST)
    machine.bench.hypervisor.stop_vm(machine.sp(SP1), machine.sp(SP1).state.CRASHED, "for a test")
    assert states(machine) == [S.ABORTED, S.IDLE, S.RUNNING]
    machine.respond(SP3)
    machine.interrupt(SP1, FIRST)
    assert machine.state(SP1) is S.ABORTED


def test_a_handler_that_fails_while_the_normal_world_was_interrupted(machine: Standing) -> None:
    before = machine.registers(VM1)
    machine.interrupt(SP1, FIRST)
    machine.bench.hypervisor.stop_vm(machine.sp(SP1), machine.sp(SP1).state.CRASHED, "for a test")
    assert machine.bench.hypervisor.cores[0].held is None
    assert machine.registers(VM1) == before


def test_who_was_interrupted_and_failed_meanwhile(tmp_path: Path) -> None:
    """SP2 on core 1 is interrupted by SP1, and fails on core 0: its caller hears of it when the handler is done."""
    machine = Standing(
        tmp_path,
        cores=2,
        own={1: (FIRST,)},
        properties={1: {"execution-ctx-count": (2,)}, 2: {"execution-ctx-count": (2,)}},
    )
    vcpu = machine.context(SP1, 1).vcpu
    for register, value in enumerate((ENABLE, FIRST, 1, 0)):
        vcpu.registers.x[register] = value
    assert machine.spmc.call(vcpu, hvc=True)
    machine.enter(SP2, core=1)
    machine.interrupt(SP1, FIRST, context=1)
    assert [machine.state(each, 1) for each in (SP1, SP2)] == [S.RUNNING, S.PREEMPTED]
    machine.enter(SP2, core=0)
    machine.bench.hypervisor.stop_vm(machine.sp(SP2), machine.sp(SP2).state.CRASHED, "for a test")
    for call in (GET, DEACTIVATE):
        for register, value in enumerate((call, FIRST, FIRST)):
            vcpu.registers.x[register] = value
        assert machine.spmc.call(vcpu, hvc=True)
    machine.raw(SP1, WAIT, core=1)
    assert machine.registers(VM1, 3, core=1) == [Function.ERROR, SP2 << 16 | 1, Code.ABORTED & 0xFFFF_FFFF]
    assert machine.bench.hypervisor.cores[1].held is None


def test_a_busy_core_is_told_where_it_was_called(machine: Standing) -> None:
    """A request to a partition that handles an interrupt finds it busy."""
    machine.enter(SP3)
    machine.interrupt(SP1, FIRST)
    finish(machine, SP1, FIRST)
    assert machine.request(SP1, SP2) == 0
    assert machine.request(SP2, SP1) == Code.BUSY
    assert machine.request(SP2, SP3) == Code.BUSY
    assert machine.status(SP2, REQ32, id_pair(SP2, SP2)) == Code.INVALID_PARAMETERS
