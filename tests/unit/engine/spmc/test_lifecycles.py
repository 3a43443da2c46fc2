"""Execution contexts from power-on to failure: states that calls and interrupts lead to, and those they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import MachineError
from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.spmc.paravirt import Hypercall
from engine.spmc.states import ContextState, IllegalTransitionError, RuntimeModel
from engine.spmc.virtual_interrupts import NONE
from engine.views import VcpuState, VmRunState
from tests.support.secure import IMAGE
from tests.unit.engine.spmc.standing import REQ32, REQ64, RESP32, SP1, SP2, SP3, VM1, Standing, status

S = ContextState
INTIDS = (29, 40, 41, 42, 43)
BUSY, DENIED = Code.BUSY, Code.DENIED


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    return Standing(tmp_path, own={2: INTIDS})


def test_before_anything_ran(tmp_path: Path) -> None:
    """The first by boot order initializes; the others are in reset, at their entry points, everything masked."""
    machine = Standing(tmp_path, initialized=False)
    assert [machine.state(each) for each in (SP1, SP2, SP3)] == [S.RUNNING, S.RESET, S.RESET]
    for each in (SP2, SP3):
        context, registers = machine.context(each), machine.vcpu(each).registers
        assert (context.endpoint, context.index, context.model) == (each, 0, RuntimeModel.INIT)
        assert (registers.pc, registers.el, registers.spsel) == (machine.ram(each) + IMAGE, 1, 1)
        assert registers.irq_masked
        assert (context.caller, context.callee, context.interrupted, context.requester) == (None,) * 4


def test_reset_running_idle(tmp_path: Path) -> None:
    """One after the other; the normal world begins after the last."""
    machine = Standing(tmp_path, initialized=False)
    for number, each in enumerate((SP1, SP2, SP3)):
        assert [machine.state(n) for n in (SP1, SP2, SP3)[number:]] == [S.RUNNING, *[S.RESET] * (2 - number)]
        assert machine.bench.vm.state is VmRunState.OFF
        machine.raw(each, Function.MSG_WAIT)
        assert machine.state(each) is S.IDLE
    assert machine.bench.vm.state is VmRunState.RUNNING


def test_the_manifests_decide_the_order(tmp_path: Path) -> None:
    machine = Standing(tmp_path, initialized=False, properties={1: {"boot-order": (9,)}, 3: {"boot-order": (0,)}})
    order = []
    while machine.bench.vm.state is VmRunState.OFF:
        (current,) = [each for each in (SP1, SP2, SP3) if machine.state(each) is S.RUNNING]
        order.append(current)
        machine.raw(current, Function.MSG_WAIT)
    assert order == [SP3, SP2, SP1]


@pytest.mark.parametrize("request_id", [REQ32, REQ64])
def test_idle_running_idle_with_the_message_in_its_registers(machine: Standing, request_id: int) -> None:
    for turn in range(3):
        machine.raw(VM1, request_id, id_pair(VM1, SP1), 0, turn, 4, 5, 6, 7)
        assert (machine.state(SP1), machine.vcpu(SP1).state) == (S.RUNNING, VcpuState.READY)
        assert machine.registers(SP1, 8) == [request_id, id_pair(VM1, SP1), 0, turn, 4, 5, 6, 7]
        machine.respond(SP1)
        assert (machine.state(SP1), machine.vcpu(SP1).state) == (S.IDLE, VcpuState.WAITING)


def test_running_blocked_running(machine: Standing) -> None:
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == 0
    assert (machine.state(SP1), machine.vcpu(SP1).state) == (S.BLOCKED, VcpuState.CALLING)
    machine.respond(SP2, SP1)
    assert machine.state(SP1) is S.RUNNING


def test_running_preempted_running(machine: Standing) -> None:
    machine.enter(SP1)
    machine.preempt()
    assert machine.state(SP1) is S.PREEMPTED
    assert machine.run(SP1) == 0
    assert machine.state(SP1) is S.RUNNING


def test_blocked_preempted_blocked(machine: Standing) -> None:
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == 0
    machine.preempt()
    assert (machine.state(SP1), machine.state(SP2)) == (S.PREEMPTED, S.PREEMPTED)
    assert machine.run(SP2) == 0
    assert (machine.state(SP1), machine.state(SP2)) == (S.BLOCKED, S.RUNNING)


@pytest.mark.parametrize("state", [S.RESET, S.BLOCKED, S.PREEMPTED, S.ABORTED])
def test_who_is_not_idle_takes_no_request_and_stays_as_it_is(tmp_path: Path, state: ContextState) -> None:
    machine = Standing(tmp_path, initialized=state is not S.RESET)
    if state is not S.RESET:
        machine.enter(SP2)
    if state is S.BLOCKED:
        machine.raw(SP2, Function.YIELD)
    if state is S.PREEMPTED:
        machine.preempt()
    if state is S.ABORTED:
        machine.bench.hypervisor.stop_vm(machine.sp(SP2), VmRunState.CRASHED, "for a test")
    if state is S.RESET:
        found = machine.request(SP1, SP2)
    else:
        machine.enter(SP1)
        found = machine.request(SP1, SP2)
    assert found == (Code.ABORTED if state is S.ABORTED else BUSY)
    assert (machine.state(SP1), machine.state(SP2)) == (S.RUNNING, state)


def test_an_illegal_change_leaves_the_state(machine: Standing) -> None:
    context = machine.context(SP1)
    for after in (S.BLOCKED, S.PREEMPTED, S.IDLE):
        with pytest.raises(IllegalTransitionError):
            context.become(after)
        assert context.state is S.IDLE


def test_failing_is_the_end(machine: Standing) -> None:
    machine.enter(SP1)
    machine.bench.hypervisor.stop_vm(machine.sp(SP1), VmRunState.CRASHED, "for a test")
    assert (machine.state(SP1), machine.vcpu(SP1).state) == (S.ABORTED, VcpuState.OFF)
    for after in (S.IDLE, S.RUNNING, S.BLOCKED, S.PREEMPTED):
        with pytest.raises(IllegalTransitionError):
            machine.context(SP1).become(after)
    machine.enter(SP2)
    machine.respond(SP2)


def test_a_failed_initialization_takes_the_other_contexts_with_it(tmp_path: Path) -> None:
    """Context 1 never begins on its core."""
    machine = Standing(tmp_path, cores=2, count=2, initialized=False, properties={1: {"execution-ctx-count": (2,)}})
    machine.raw(SP1, Function.ERROR, 0, Code.NO_MEMORY & 0xFFFF_FFFF)
    machine.raw(SP2, Function.MSG_WAIT)
    assert [machine.state(SP1, n) for n in (0, 1)] == [S.ABORTED, S.ABORTED]
    assert [core.held for core in machine.bench.hypervisor.cores] == [None, None]
    assert machine.status(VM1, REQ32, id_pair(VM1, SP1), core=1) == Code.ABORTED


# --- whose interrupt is it ---------------------------------------------------------------------------------------


def test_every_intid_has_one_owner(machine: Standing) -> None:
    owners = {
        intid: [each for each in (SP1, SP2, SP3) if intid in machine.sp(each).interrupts.owned] for intid in (29, 99)
    }
    assert owners == {29: [SP2], 99: []}
    assert [len(machine.sp(each).interrupts.owned) for each in (SP1, SP2, SP3)] == [0, len(INTIDS), 0]
    assert min(machine.sp(SP2).interrupts.owned) == 29


def test_two_partitions_cannot_own_the_same(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="29"):
        Standing(tmp_path, own={1: (29,), 2: (29,)})


def test_a_pending_interrupt_is_found_and_taken_once(machine: Standing) -> None:
    machine.interrupt(SP2, 29)
    machine.interrupt(SP2, 29)
    assert machine.sp(SP2).interrupts.pending(0) == (29,)
    machine.enter(SP2)
    assert machine.hypercall(SP2, Hypercall.INTERRUPT_ENABLE, 29, 1, 0) == 0
    assert machine.hypercall(SP2, Hypercall.INTERRUPT_GET) == 29
    assert machine.hypercall(SP2, Hypercall.INTERRUPT_GET) == NONE
    assert machine.sp(SP2).interrupts.pending(0) == ()


def test_all_its_interrupts_may_pend_at_once(machine: Standing) -> None:
    """Nothing is dropped, however many; the lowest is taken first."""
    machine.enter(SP2)
    for intid in INTIDS:
        assert machine.hypercall(SP2, Hypercall.INTERRUPT_ENABLE, intid, 1, 0) == 0
    for intid in reversed(INTIDS):
        machine.interrupt(SP2, intid)
    assert machine.sp(SP2).interrupts.pending(0) == INTIDS
    assert [machine.hypercall(SP2, Hypercall.INTERRUPT_GET) for _ in range(6)] == [*INTIDS, NONE]


@pytest.mark.parametrize("intid", [99, 29, 0])
def test_an_interrupt_of_nobody_changes_nothing(machine: Standing, intid: int) -> None:
    machine.interrupt(SP1, intid)
    assert machine.sp(SP1).interrupts.pending(0) == ()
    assert machine.state(SP1) is S.IDLE


def test_what_waits_for_an_interrupt_is_refused_until_it_ended(machine: Standing) -> None:
    machine.enter(SP2)
    assert machine.hypercall(SP2, Hypercall.INTERRUPT_ENABLE, 29, 1, 0) == 0
    machine.interrupt(SP2, 29)
    answer = machine.raw(SP2, RESP32, id_pair(SP2, VM1))
    assert (answer[0], machine.state(SP2)) == (Function.INTERRUPT, S.RUNNING)
    assert machine.hypercall(SP2, Hypercall.INTERRUPT_GET) == 29
    assert status(machine.raw(SP2, RESP32, id_pair(SP2, VM1))) == DENIED
    assert machine.hypercall(SP2, Hypercall.INTERRUPT_DEACTIVATE, 29, 29) == 0
    machine.respond(SP2)
