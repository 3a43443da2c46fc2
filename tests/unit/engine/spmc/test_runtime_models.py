"""What a partition may call, by the reason it runs for, and the state it is in after that (DEN0077A v1.2, 8.2-8.5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.spmc.paravirt import Hypercall
from engine.spmc.states import ContextState, RuntimeModel
from tests.unit.engine.spmc.standing import (
    HYPERVISOR,
    REQ2,
    REQ32,
    REQ64,
    RESP2,
    RESP32,
    RESP64,
    SP1,
    SP2,
    VM1,
    Standing,
    status,
)

DENIED, INTID = Code.DENIED, 40
M, S = RuntimeModel, ContextState
REQUESTS, RESPONSES = (REQ32, REQ64, REQ2), (RESP32, RESP64, RESP2)
RUN, YIELD, WAIT, ERROR = Function.RUN, Function.YIELD, Function.MSG_WAIT, Function.ERROR
INITIALIZED = [M.RUN, M.DIRECT_REQUEST, M.SECURE_INTERRUPT]


def running(directory: Path, model: RuntimeModel) -> Standing:
    """A machine whose SP1 runs in a model; in that for secure interrupts it has ended the interrupt already."""
    machine = Standing(directory, count=2, own={1: (INTID,)}, initialized=model is not M.INIT)
    if model is M.RUN:
        assert machine.status(SP1, Function.NOTIFICATION_BIND, id_pair(VM1, SP1), 0, 1, 0) == 0
        assert machine.status(VM1, Function.NOTIFICATION_SET, id_pair(VM1, SP1), 0, 1, 0) == 0
        assert machine.run(SP1) == 0
    if model is M.DIRECT_REQUEST:
        machine.enter(SP1)
    if model is M.SECURE_INTERRUPT:
        assert machine.hypercall(SP1, Hypercall.INTERRUPT_ENABLE, INTID, 1, 0) == 0
        machine.interrupt(SP1, INTID)
        assert machine.hypercall(SP1, Hypercall.INTERRUPT_GET) == INTID
        assert machine.hypercall(SP1, Hypercall.INTERRUPT_DEACTIVATE, INTID, INTID) == 0
    assert (machine.state(SP1), machine.context(SP1).model) == (S.RUNNING, model)
    return machine


def refused(machine: Standing, function: int, *values: int) -> None:
    assert status(machine.raw(SP1, function, *values)) == DENIED
    assert machine.state(SP1) is S.RUNNING


@pytest.mark.parametrize("request_id", REQUESTS)
@pytest.mark.parametrize("model", INITIALIZED)
def test_direct_requests_block_in_every_model(tmp_path: Path, model: RuntimeModel, request_id: int) -> None:
    machine = running(tmp_path, model)
    machine.raw(SP1, request_id, id_pair(SP1, SP2))
    assert (machine.state(SP1), machine.state(SP2)) == (S.BLOCKED, S.RUNNING)
    assert machine.context(SP1).model is model


def test_who_initializes_asks_only_those_who_have(tmp_path: Path) -> None:
    """SP2 asks SP1, which is done; SP1 could not ask SP2, which has not begun."""
    machine = running(tmp_path, M.INIT)
    assert machine.request(SP1, SP2) == Code.BUSY
    machine.raw(SP1, WAIT)
    assert (machine.state(SP1), machine.state(SP2)) == (S.IDLE, S.RUNNING)
    assert machine.request(SP2, SP1) == 0
    machine.raw(SP1, RESP32, id_pair(SP1, SP2))
    assert (machine.state(SP1), machine.state(SP2)) == (S.IDLE, S.RUNNING)
    machine.raw(SP2, WAIT)
    assert machine.bench.hypervisor.cores[0].held is None


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("model", [M.INIT, M.RUN, M.SECURE_INTERRUPT])
def test_responses_answer_requests_alone(tmp_path: Path, model: RuntimeModel, response: int) -> None:
    refused(running(tmp_path, model), response, id_pair(SP1, VM1))


def test_a_response_waits(tmp_path: Path) -> None:
    machine = running(tmp_path, M.DIRECT_REQUEST)
    machine.respond(SP1)
    assert machine.state(SP1) is S.IDLE


@pytest.mark.parametrize("model", [M.INIT, M.RUN, M.SECURE_INTERRUPT])
def test_msg_wait_waits(tmp_path: Path, model: RuntimeModel) -> None:
    machine = running(tmp_path, model)
    machine.raw(SP1, WAIT)
    assert machine.state(SP1) is S.IDLE


def test_a_request_has_to_be_answered(tmp_path: Path) -> None:
    refused(running(tmp_path, M.DIRECT_REQUEST), WAIT)


@pytest.mark.parametrize("register", [1, 3, 4, 5, 6, 7])
def test_registers_of_msg_wait_that_are_zero(tmp_path: Path, register: int) -> None:
    machine = running(tmp_path, M.RUN)
    values = [0] * 7
    values[register - 1] = 1
    assert status(machine.raw(SP1, WAIT, *values)) == Code.INVALID_PARAMETERS
    assert machine.state(SP1) is S.RUNNING


@pytest.mark.parametrize("model", INITIALIZED)
def test_yield_blocks_and_the_normal_world_runs_on(tmp_path: Path, model: RuntimeModel) -> None:
    machine = running(tmp_path, model)
    machine.raw(SP1, YIELD)
    assert machine.state(SP1) is S.BLOCKED
    assert machine.bench.hypervisor.cores[0].held is None
    assert machine.run(SP1) == 0
    assert (machine.state(SP1), machine.context(SP1).model) == (S.RUNNING, model)


@pytest.mark.parametrize("call", [YIELD, RUN])
def test_who_initializes_neither_yields_nor_runs_others(tmp_path: Path, call: int) -> None:
    refused(running(tmp_path, M.INIT), call, SP2 << 16)


@pytest.mark.parametrize("model", INITIALIZED)
def test_ffa_run_of_somebody_idle(tmp_path: Path, model: RuntimeModel) -> None:
    refused(running(tmp_path, model), RUN, SP2 << 16)


@pytest.mark.parametrize("model", INITIALIZED)
def test_ffa_run_of_who_gave_way(tmp_path: Path, model: RuntimeModel) -> None:
    machine = running(tmp_path, model)
    assert machine.request(SP1, SP2) == 0
    machine.raw(SP2, YIELD)
    machine.raw(SP1, RUN, SP2 << 16)
    assert (machine.state(SP1), machine.state(SP2)) == (S.BLOCKED, S.RUNNING)


@pytest.mark.parametrize("model", INITIALIZED)
def test_ffa_error_ends_initialization_alone(tmp_path: Path, model: RuntimeModel) -> None:
    refused(running(tmp_path, model), ERROR, 0, Code.NO_MEMORY & 0xFFFF_FFFF)


def test_a_failed_initialization_aborts_and_the_next_partition_begins(tmp_path: Path) -> None:
    machine = running(tmp_path, M.INIT)
    machine.raw(SP1, ERROR, 0, Code.NO_MEMORY & 0xFFFF_FFFF)
    assert (machine.state(SP1), machine.state(SP2)) == (S.ABORTED, S.RUNNING)
    machine.raw(SP2, WAIT)
    assert machine.status(VM1, REQ32, id_pair(VM1, SP1)) == Code.ABORTED


@pytest.mark.parametrize("model", [M.INIT, M.SECURE_INTERRUPT])
def test_interrupts_of_the_normal_world_wait_at_the_root(tmp_path: Path, model: RuntimeModel) -> None:
    machine = running(tmp_path, model)
    machine.preempt()
    assert machine.state(SP1) is S.RUNNING


@pytest.mark.parametrize("model", M)
@pytest.mark.parametrize(
    "call",
    [Function.ID_GET, Function.SPM_ID_GET, Function.FEATURES, Function.CONSOLE_LOG_32, Function.NOTIFICATION_GET],
)
def test_calls_that_move_nobody_are_served_in_every_model(tmp_path: Path, model: RuntimeModel, call: int) -> None:
    machine = running(tmp_path, model)
    arguments = {
        Function.FEATURES: (int(Function.VERSION),),
        Function.CONSOLE_LOG_32: (1, 0x41),
        Function.NOTIFICATION_GET: (SP1, 15),
    }
    assert status(machine.raw(SP1, call, *arguments.get(Function(call), ()))) == 0
    assert machine.state(SP1) is S.RUNNING


def test_the_scheduler_finds_its_own_call_in_the_registers(tmp_path: Path) -> None:
    machine = running(tmp_path, M.RUN)
    assert machine.registers(SP1, 2) == [RUN, SP1 << 16]
    assert machine.context(SP1).core.caller is machine.vcpu(HYPERVISOR)
