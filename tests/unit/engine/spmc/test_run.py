"""FFA_RUN by the normal world and between partitions, FFA_YIELD, and what preemption leaves (DEN0077A v1.2, 8, 14)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.spmc.states import ContextState, RuntimeModel
from engine.views import VmRunState
from tests.unit.engine.spmc.standing import (
    HYPERVISOR,
    NOBODY,
    REQ32,
    RESP32,
    SP1,
    SP2,
    SP3,
    VM1,
    VM2,
    Standing,
    status,
)

INVALID, DENIED, BUSY, ABORTED = Code.INVALID_PARAMETERS, Code.DENIED, Code.BUSY, Code.ABORTED
RUN, YIELD, WAIT, INTERRUPT = Function.RUN, Function.YIELD, Function.MSG_WAIT, Function.INTERRUPT
S = ContextState
WORD1, WORD2 = SP1 << 16, SP2 << 16


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    return Standing(tmp_path)


@pytest.fixture
def wide(tmp_path: Path) -> Standing:
    """SP1 has a context on each of two cores, the others one."""
    return Standing(tmp_path, cores=2, properties={1: {"execution-ctx-count": (2,)}})


@pytest.mark.parametrize(
    ("endpoint", "vcpu"), [(NOBODY, 0), (0x8004, 0), (0x8000, 0), (VM1, 0), (SP1, 1), (SP1, 0xFFFF)]
)
def test_contexts_that_do_not_exist(machine: Standing, endpoint: int, vcpu: int) -> None:
    assert machine.run(endpoint, vcpu) == INVALID
    machine.enter(SP2)
    assert status(machine.raw(SP2, RUN, endpoint << 16 | vcpu)) == INVALID
    machine.respond(SP2)


def test_an_idle_partition_with_nothing_to_do(machine: Standing) -> None:
    assert machine.run(SP1) == DENIED
    assert machine.state(SP1) is S.IDLE


def test_an_idle_partition_with_a_notification_gets_cycles_and_waits_again(machine: Standing) -> None:
    """It finds FFA_RUN in its registers; its MSG_WAIT is what the scheduler is answered."""
    assert machine.status(SP1, Function.NOTIFICATION_BIND, id_pair(VM1, SP1), 0, 1, 0) == 0
    assert machine.status(VM1, Function.NOTIFICATION_SET, id_pair(VM1, SP1), 0, 1, 0) == 0
    machine.raw(HYPERVISOR, RUN, WORD1)
    assert machine.registers(SP1, 3) == [RUN, WORD1, 0]
    assert (machine.state(SP1), machine.context(SP1).model) == (S.RUNNING, RuntimeModel.RUN)
    machine.raw(SP1, WAIT)
    assert machine.registers(HYPERVISOR, 3) == [WAIT, WORD1, 0]
    assert machine.state(SP1) is S.IDLE


def test_each_core_runs_its_context_of_a_wide_partition(wide: Standing) -> None:
    assert wide.run(SP1, 0, core=0) == 0
    assert wide.run(SP1, 1, core=1) == 0
    assert [wide.state(SP1, n) for n in (0, 1)] == [S.RUNNING, S.RUNNING]
    wide.raw(SP1, WAIT, core=1)
    assert wide.registers(HYPERVISOR, 2, core=1) == [WAIT, WORD1 | 1]
    assert [wide.state(SP1, n) for n in (0, 1)] == [S.RUNNING, S.IDLE]


def test_a_pinned_context_runs_on_its_own_core(wide: Standing) -> None:
    """Idle, preempted or having given way, it never moves."""
    assert wide.run(SP1, 1, core=0) == DENIED
    assert wide.run(SP1, 1, core=1) == 0
    wide.preempt(core=1)
    assert wide.run(SP1, 1, core=0) == DENIED
    assert wide.run(SP1, 1, core=1) == 0
    wide.raw(SP1, YIELD, core=1)
    assert wide.run(SP1, 1, core=0) == DENIED
    assert wide.run(SP1, 1, core=1) == 0


def test_a_partition_of_one_context_goes_where_it_is_called(wide: Standing) -> None:
    wide.enter(SP2, core=1)
    assert wide.run(SP2, core=0) == BUSY
    assert wide.status(VM1, REQ32, id_pair(VM1, SP2), core=0) == BUSY
    wide.preempt(core=1)
    assert wide.run(SP2, core=0) == 0
    assert wide.bench.hypervisor.cores[0].held is wide.vcpu(SP2)
    wide.respond(SP2)
    assert wide.registers(VM1, 2, core=0) == [RESP32, id_pair(SP2, VM1)]


# --- preemption ------------------------------------------------------------------------------------------------


def test_preempted_and_resumed(machine: Standing) -> None:
    """FFA_INTERRUPT names who was interrupted; FFA_RUN changes none of its registers; the answer comes as usual."""
    machine.raw(VM1, REQ32, id_pair(VM1, SP1), 0, 7)
    before = machine.registers(SP1)
    machine.preempt()
    assert machine.registers(VM1, 3) == [INTERRUPT, WORD1, 0]
    assert machine.state(SP1) is S.PREEMPTED
    assert machine.status(VM1, REQ32, id_pair(VM1, SP1)) == BUSY
    machine.raw(HYPERVISOR, RUN, WORD1)
    assert (machine.state(SP1), machine.registers(SP1)) == (S.RUNNING, before)
    machine.respond(SP1)
    assert machine.registers(VM1, 2) == [RESP32, id_pair(SP1, VM1)]
    assert machine.run(SP1) == DENIED


def test_preempted_any_number_of_times(machine: Standing) -> None:
    machine.enter(SP1)
    for _ in range(5):
        machine.preempt()
        assert machine.registers(VM1, 2) == [INTERRUPT, WORD1]
        machine.raw(HYPERVISOR, RUN, WORD1)
    machine.respond(SP1)
    assert machine.state(SP1) is S.IDLE


def test_a_preempted_partition_does_not_stop_others(machine: Standing) -> None:
    machine.enter(SP1)
    machine.preempt()
    machine.enter(SP2)
    assert machine.request(SP2, SP1) == BUSY
    machine.preempt()
    machine.enter(SP3)
    machine.respond(SP3)
    for each in (SP1, SP2):
        assert machine.run(each) == 0
        machine.respond(each)


def test_an_interrupt_in_the_normal_world_is_none_of_the_partitions_business(machine: Standing) -> None:
    machine.preempt()
    assert [machine.state(each) for each in (SP1, SP2, SP3)] == [S.IDLE] * 3


def test_what_the_scheduler_runs_is_preempted_too(wide: Standing) -> None:
    assert wide.run(SP1) == 0
    wide.preempt()
    assert wide.registers(HYPERVISOR, 2) == [INTERRUPT, WORD1]
    assert wide.run(SP1) == 0
    wide.raw(SP1, WAIT)
    assert wide.registers(HYPERVISOR, 2) == [WAIT, WORD1]


# --- giving way -------------------------------------------------------------------------------------------------


def test_yield_to_the_normal_world(machine: Standing) -> None:
    machine.enter(SP1)
    machine.raw(SP1, YIELD)
    assert machine.registers(VM1, 2) == [YIELD, WORD1]
    assert machine.state(SP1) is S.BLOCKED
    assert machine.status(VM1, REQ32, id_pair(VM1, SP1)) == BUSY
    assert machine.run(SP1) == 0
    assert machine.registers(SP1, 3) == [Function.SUCCESS_32, 0, 0]
    machine.respond(SP1)
    assert machine.registers(VM1, 1) == [RESP32]


def test_yield_to_a_partition_is_that_partitions_to_take_up(wide: Standing) -> None:
    """Nobody else may run it: not the normal world, here or on another core, and not a third partition."""
    wide.enter(SP1)
    assert wide.request(SP1, SP2) == 0
    wide.raw(SP2, YIELD)
    assert wide.registers(SP1, 2) == [YIELD, WORD2]
    assert wide.run(SP2, core=1) == BUSY
    wide.enter(SP3, core=1)
    assert status(wide.raw(SP3, RUN, WORD2, core=1)) == DENIED
    wide.respond(SP3, core=1)
    wide.raw(SP1, RUN, WORD2)
    assert (wide.state(SP1), wide.state(SP2)) == (S.BLOCKED, S.RUNNING)
    wide.raw(SP2, RESP32, id_pair(SP2, SP1))
    assert wide.registers(SP1, 2) == [RESP32, id_pair(SP2, SP1)]
    wide.respond(SP1)


def test_a_partition_answers_nobody_while_another_owes_it_an_answer(machine: Standing) -> None:
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == 0
    machine.raw(SP2, YIELD)
    assert status(machine.raw(SP1, RESP32, id_pair(SP1, VM1))) == DENIED
    assert machine.request(SP1, SP3) == DENIED
    machine.raw(SP1, RUN, WORD2)
    machine.raw(SP2, RESP32, id_pair(SP2, SP1))
    machine.respond(SP1)


@pytest.mark.parametrize("target", [SP2, SP3])
def test_a_partition_runs_nobody_that_it_did_not_call(machine: Standing, target: int) -> None:
    """Neither an idle partition, nor one that the normal world's interrupt preempted, nor itself."""
    machine.enter(SP2)
    machine.preempt()
    machine.enter(SP1)
    assert status(machine.raw(SP1, RUN, target << 16)) == DENIED
    assert status(machine.raw(SP1, RUN, WORD1)) == DENIED
    machine.respond(SP1)


# --- failures ----------------------------------------------------------------------------------------------------


def crash(machine: Standing, endpoint: int) -> None:
    machine.bench.hypervisor.stop_vm(machine.sp(endpoint), VmRunState.CRASHED, "for a test")


def test_an_aborted_partition_runs_no_more(machine: Standing) -> None:
    machine.enter(SP1)
    crash(machine, SP1)
    assert machine.registers(VM1, 3) == [Function.ERROR, WORD1, ABORTED & 0xFFFF_FFFF]
    assert machine.run(SP1) == ABORTED
    assert machine.status(VM1, REQ32, id_pair(VM1, SP1)) == ABORTED
    machine.enter(SP2)
    assert machine.request(SP2, SP1) == ABORTED
    machine.respond(SP2)


@pytest.mark.parametrize("other", ["idle", "running", "preempted", "blocked"])
def test_a_partition_fails_on_all_cores_at_once(wide: Standing, other: str) -> None:
    """Context 1 fails with context 0; whoever waits for it is told, at once or when its callee is done."""
    if other != "idle":
        wide.enter(SP1, core=1)
    if other == "preempted":
        wide.preempt(core=1)
    if other == "blocked":
        wide.raw(SP1, REQ32, id_pair(SP1, SP2), core=1)
    wide.enter(SP1, core=0)
    crash(wide, SP1)
    assert [wide.state(SP1, n) for n in (0, 1)] == [S.ABORTED] * 2
    if other == "blocked":
        wide.raw(SP2, RESP32, id_pair(SP2, SP1))
        assert wide.state(SP2) is S.IDLE
    if other in ("running", "blocked"):
        assert wide.registers(VM1, 3, core=1) == [Function.ERROR, WORD1 | 1, ABORTED & 0xFFFF_FFFF]
    assert [core.held for core in wide.bench.hypervisor.cores] == [None, None]
    assert wide.run(SP1, 1, core=1) == ABORTED
    assert wide.status(VM1, REQ32, id_pair(VM1, SP1), core=1) == ABORTED


def test_a_callee_that_gave_way_outlives_its_caller(machine: Standing) -> None:
    """The scheduler runs it to its end, which nobody waits for but that it failed; then it serves others."""
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == 0
    machine.raw(SP2, YIELD)
    crash(machine, SP1)
    assert machine.registers(VM1, 1) == [Function.ERROR]
    assert machine.run(SP2) == 0
    assert machine.registers(SP2, 1) == [Function.SUCCESS_32]
    machine.raw(SP2, RESP32, id_pair(SP2, SP1))
    assert machine.registers(VM1, 3) == [Function.ERROR, WORD1, ABORTED & 0xFFFF_FFFF]
    machine.enter(SP2)
    machine.respond(SP2)


def test_a_chain_left_behind_is_run_from_its_end(machine: Standing) -> None:
    """SP3 gave way to SP2, which gave way to SP1, which failed: running SP3 works through SP2."""
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == 0
    assert machine.request(SP2, SP3) == 0
    machine.raw(SP3, YIELD)
    machine.raw(SP2, YIELD)
    crash(machine, SP1)
    assert machine.run(SP2) == DENIED
    assert machine.run(SP3) == 0
    machine.raw(SP3, RESP32, id_pair(SP3, SP2))
    assert machine.registers(SP2, 2) == [RESP32, id_pair(SP3, SP2)]
    machine.raw(SP2, RESP32, id_pair(SP2, SP1))
    assert [machine.state(each) for each in (SP1, SP2, SP3)] == [S.ABORTED, S.IDLE, S.IDLE]


def test_the_middle_of_a_preempted_chain_fails(wide: Standing) -> None:
    """SP1 on core 1 was called by SP2 and called SP3; it fails on core 0. SP3 ends, and SP2 hears of the failure."""
    wide.enter(SP2, core=1)
    wide.raw(SP2, REQ32, id_pair(SP2, SP1), core=1)
    wide.raw(SP1, REQ32, id_pair(SP1, SP3), core=1)
    wide.preempt(core=1)
    wide.enter(SP1, core=0, sender=VM2)
    crash(wide, SP1)
    assert wide.run(SP3, core=1) == 0
    wide.raw(SP3, RESP32, id_pair(SP3, SP1), core=1)
    assert wide.registers(SP2, 3) == [Function.ERROR, WORD1 | 1, ABORTED & 0xFFFF_FFFF]
    wide.respond(SP2, core=1)


def test_the_end_of_a_preempted_chain_fails(wide: Standing) -> None:
    """SP2 called SP1 on core 1 and is told once the scheduler runs it."""
    wide.enter(SP2, core=1)
    wide.raw(SP2, REQ32, id_pair(SP2, SP1), core=1)
    wide.preempt(core=1)
    wide.enter(SP1, core=0, sender=VM2)
    crash(wide, SP1)
    assert wide.run(SP1, 1, core=1) == ABORTED
    assert wide.run(SP2, core=1) == 0
    assert wide.registers(SP2, 3) == [Function.ERROR, WORD1 | 1, ABORTED & 0xFFFF_FFFF]
    wide.respond(SP2, core=1)
