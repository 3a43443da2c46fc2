"""Direct requests from partition to partition: who may ask whom, cycles, depth, and preempted chains (15.2; 8.6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.spmc.states import ContextState
from tests.unit.engine.spmc.standing import (
    NOBODY,
    REQ2,
    REQ32,
    REQ64,
    RESP2,
    RESP32,
    RESP64,
    SP1,
    SP2,
    SP3,
    VM1,
    VM2,
    Standing,
    status,
)

INVALID, DENIED, BUSY = Code.INVALID_PARAMETERS, Code.DENIED, Code.BUSY
NOT_SUPPORTED = Code.NOT_SUPPORTED
S = ContextState
UUID2 = 0x2222_2222_2222_2222
"""Both halves of the second partition's UUID."""


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    return Standing(tmp_path)


def states(machine: Standing) -> list[ContextState]:
    return [machine.state(each) for each in (SP1, SP2, SP3)]


@pytest.mark.parametrize("request_id", [REQ32, REQ64, REQ2])
def test_oneself_another_name_and_nobody(machine: Standing, request_id: int) -> None:
    """Checked in every width; the caller goes on."""
    machine.enter(SP1)
    for ids in (
        id_pair(SP1, SP1),
        id_pair(SP2, SP3),
        id_pair(VM1, SP2),
        id_pair(SP1, NOBODY),
        id_pair(SP1, 0x8004),
        id_pair(SP1, VM1),
        id_pair(SP1, 0x8000),
        id_pair(SP1, 0xFFFF),
    ):
        assert status(machine.raw(SP1, request_id, ids)) == INVALID, hex(ids)
    assert states(machine) == [S.RUNNING, S.IDLE, S.IDLE]
    machine.respond(SP1)


@pytest.mark.parametrize(("request_id", "response"), [(REQ32, RESP32), (REQ64, RESP64), (REQ32, RESP64)])
def test_a_request_and_its_answer(machine: Standing, request_id: int, response: int) -> None:
    machine.enter(SP1)
    machine.raw(SP1, request_id, id_pair(SP1, SP2), 0, 3, 4, 5, 6, 7)
    assert states(machine) == [S.BLOCKED, S.RUNNING, S.IDLE]
    assert machine.registers(SP2, 8) == [request_id, id_pair(SP1, SP2), 0, 3, 4, 5, 6, 7]
    machine.raw(SP2, response, id_pair(SP2, SP1), 0, 13, 14, 15, 16, 17)
    assert machine.registers(SP1, 8) == [response, id_pair(SP2, SP1), 0, 13, 14, 15, 16, 17]
    assert states(machine) == [S.RUNNING, S.IDLE, S.IDLE]
    machine.respond(SP1)


@pytest.mark.parametrize("uuid", [(0, 0), (UUID2, UUID2)])
def test_a_request_of_eighteen_registers(machine: Standing, uuid: tuple[int, int]) -> None:
    payload = list(range(100, 114))
    machine.enter(SP1)
    machine.raw(SP1, REQ2, id_pair(SP1, SP2), *uuid, *payload)
    assert machine.registers(SP2) == [REQ2, id_pair(SP1, SP2), *uuid, *payload]
    assert status(machine.raw(SP2, RESP32, id_pair(SP2, SP1))) == DENIED
    assert status(machine.raw(SP2, RESP2, id_pair(SP2, SP1), 1, 0)) == INVALID
    machine.raw(SP2, RESP2, id_pair(SP2, SP1), 0, 0, *reversed(payload))
    assert machine.registers(SP1) == [RESP2, id_pair(SP2, SP1), 0, 0, *reversed(payload)]


def test_a_service_that_the_receiver_does_not_have(machine: Standing) -> None:
    machine.enter(SP1)
    assert status(machine.raw(SP1, REQ2, id_pair(SP1, SP2), UUID2, UUID2 + 1)) == INVALID
    assert status(machine.raw(SP1, REQ2, id_pair(SP1, SP3), UUID2, UUID2)) == INVALID


def test_answers_go_to_who_asked(machine: Standing) -> None:
    """In one's own name, w2 zero, of the request's kind."""
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == 0
    for code, response, ids, flags in (
        (INVALID, RESP32, id_pair(SP3, SP1), 0),
        (DENIED, RESP32, id_pair(SP2, SP3), 0),
        (DENIED, RESP32, id_pair(SP2, VM1), 0),
        (INVALID, RESP32, id_pair(SP2, SP1), 1),
        (DENIED, RESP2, id_pair(SP2, SP1), 0),
    ):
        assert status(machine.raw(SP2, response, ids, flags)) == code
    machine.raw(SP2, RESP32, id_pair(SP2, SP1))
    assert status(machine.raw(SP1, RESP32, id_pair(SP1, VM2))) == DENIED
    machine.respond(SP1)


def test_a_cycle_is_busy_at_any_distance(machine: Standing) -> None:
    """Callers and callees of the chain are found: SP1 -> SP2 -> SP1, and SP1 -> SP2 -> SP3 -> either of them."""
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == 0
    assert machine.request(SP2, SP1) == BUSY
    assert machine.request(SP2, SP3) == 0
    assert [machine.request(SP3, each) for each in (SP1, SP2)] == [BUSY, BUSY]
    assert machine.request(SP3, SP3) == INVALID
    assert states(machine) == [S.BLOCKED, S.BLOCKED, S.RUNNING]
    for callee, caller in ((SP3, SP2), (SP2, SP1), (SP1, VM1)):
        machine.respond(callee, caller)
    assert states(machine) == [S.IDLE] * 3


def test_everybody_in_a_chain_finds_who_called(machine: Standing) -> None:
    machine.enter(SP3)
    assert machine.request(SP3, SP1) == machine.request(SP1, SP2) == 0
    last = machine.context(SP2)
    assert [each.endpoint for each in last.callers()] == [SP1, SP3]
    assert machine.context(SP3).innermost() is last
    machine.respond(SP2, SP1)
    assert [each.endpoint for each in machine.context(SP1).callers()] == [SP3]
    assert machine.context(SP1).callee is None


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_machine_file_says_how_deep(tmp_path: Path, depth: int) -> None:
    """A call too deep is refused with BUSY, and the chain stands as it was; after an answer there is room again."""
    machine = Standing(tmp_path, count=5, max_depth=depth)
    machine.enter(SP1)
    for number in range(depth):
        assert machine.request(SP1 + number, SP1 + number + 1) == 0
    last = SP1 + depth
    assert machine.request(last, last + 1) == BUSY
    assert machine.state(last) is S.RUNNING
    machine.respond(last, last - 1)
    assert machine.request(last - 1, last + 1) == 0


def test_a_partition_may_ask_again_and_again(machine: Standing) -> None:
    machine.enter(SP1)
    for turn in range(6):
        callee = (SP2, SP3)[turn % 2]
        assert machine.request(SP1, callee) == 0
        machine.respond(callee, SP1)
    machine.respond(SP1)


def test_somebody_who_serves_another_core_is_busy(tmp_path: Path) -> None:
    machine = Standing(tmp_path, cores=2)
    machine.enter(SP2, core=1)
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == BUSY
    assert machine.request(SP1, SP3) == 0
    machine.respond(SP2, core=1)
    assert machine.status(VM2, REQ32, id_pair(VM2, SP3), core=1) == BUSY


@pytest.mark.parametrize(("methods", "kinds"), [(0x001, (REQ32, REQ64)), (0x200, (REQ2,)), (0x402, ())])
def test_the_manifest_says_who_receives(tmp_path: Path, methods: int, kinds: tuple[int, ...]) -> None:
    """messaging-method bit 0: requests of eight registers, bit 9: of eighteen."""
    machine = Standing(tmp_path, count=2, properties={1: {"messaging-method": (methods,)}})
    machine.enter(SP2)
    for request_id, response in ((REQ32, RESP32), (REQ64, RESP64), (REQ2, RESP2)):
        answer = machine.raw(SP2, request_id, id_pair(SP2, SP1))
        if request_id in kinds:
            assert machine.state(SP1) is S.RUNNING
            machine.raw(SP1, response, id_pair(SP1, SP2))
        else:
            assert status(answer) == DENIED
    assert machine.state(SP2) is S.RUNNING


@pytest.mark.parametrize(("methods", "kinds"), [(0x003, (REQ32, REQ64)), (0x401, (REQ2,)), (0x001, ())])
def test_the_manifest_says_who_sends(tmp_path: Path, methods: int, kinds: tuple[int, ...]) -> None:
    """messaging-method bit 1: requests of eight registers, bit 10: of eighteen."""
    machine = Standing(tmp_path, count=2, properties={1: {"messaging-method": (methods,)}})
    machine.enter(SP1)
    for request_id, response in ((REQ32, RESP32), (REQ64, RESP64), (REQ2, RESP2)):
        answer = machine.raw(SP1, request_id, id_pair(SP1, SP2))
        if request_id in kinds:
            assert machine.state(SP2) is S.RUNNING
            machine.raw(SP2, response, id_pair(SP2, SP1))
        else:
            assert status(answer) == DENIED
    assert machine.state(SP1) is S.RUNNING


def test_a_sender_of_v1_1_knows_no_eighteen_registers(tmp_path: Path) -> None:
    old = {"ffa-version": (0x1_0001,), "messaging-method": (3,)}
    machine = Standing(tmp_path, count=2, properties={1: old})
    machine.enter(SP1)
    assert status(machine.raw(SP1, REQ2, id_pair(SP1, SP2))) == NOT_SUPPORTED
    machine.respond(SP1)
    machine.enter(SP2)
    assert status(machine.raw(SP2, REQ2, id_pair(SP2, SP1))) == DENIED


# --- preempted chains -----------------------------------------------------------------------------------------


def test_a_chain_is_preempted_and_resumed_at_its_end(machine: Standing) -> None:
    """FFA_INTERRUPT names the innermost, and only it can be run; every answer then goes its way."""
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == machine.request(SP2, SP3) == 0
    for _ in range(3):
        machine.preempt()
        assert machine.registers(VM1, 2) == [Function.INTERRUPT, SP3 << 16]
        assert states(machine) == [S.PREEMPTED] * 3
        assert [machine.run(each) for each in (SP1, SP2)] == [DENIED] * 2
        assert machine.run(SP3) == 0
        assert states(machine) == [S.BLOCKED, S.BLOCKED, S.RUNNING]
    machine.respond(SP3, SP2)
    machine.preempt()
    assert machine.registers(VM1, 2) == [Function.INTERRUPT, SP2 << 16]
    assert machine.run(SP3) == DENIED
    assert machine.run(SP2) == 0
    machine.respond(SP2, SP1)
    machine.respond(SP1)
    assert machine.registers(VM1, 2) == [RESP32, id_pair(SP1, VM1)]


def test_a_resumed_partition_may_call_others(machine: Standing) -> None:
    machine.enter(SP1)
    machine.preempt()
    assert machine.run(SP1) == 0
    assert machine.request(SP1, SP2) == 0
    machine.respond(SP2, SP1)
    machine.respond(SP1)


@pytest.mark.parametrize("queueing", [1, 2, 3])
def test_one_partition_that_queues_interrupts_protects_its_chain(tmp_path: Path, queueing: int) -> None:
    machine = Standing(tmp_path, properties={queueing: {"ns-interrupts-action": (0,)}})
    machine.enter(SP1)
    assert machine.request(SP1, SP2) == machine.request(SP2, SP3) == 0
    machine.preempt()
    assert states(machine) == [S.BLOCKED, S.BLOCKED, S.RUNNING]


def test_managed_exit_asks_once_and_ends_with_the_answer(tmp_path: Path) -> None:
    properties = {1: {"ns-interrupts-action": (1,), "managed-exit": None}}
    machine = Standing(tmp_path, properties=properties)
    interrupts = machine.sp(SP1).interrupts
    for _ in range(2):
        machine.enter(SP1)
        machine.preempt()
        machine.preempt()
        assert machine.state(SP1) is S.RUNNING
        assert interrupts.pending(0) == (4,)
        interrupts.cancel(4, 0)
        machine.preempt()
        assert interrupts.pending(0) == ()
        machine.respond(SP1)
        assert machine.registers(VM1, 1) == [RESP32]
