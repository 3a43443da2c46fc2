"""States of execution contexts, and what each runtime model may call (DEN0077A v1.2, 8)."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError
from engine.spmc.states import ContextState, IllegalTransitionError, RuntimeModel, check_allowed, check_transition
from tests.support.assembler import Program
from tests.support.secure import IMAGE, SP_BASE, Sp, echo, secure

S, M, F = ContextState, RuntimeModel, Function
LEGAL = {
    (S.RESET, S.RUNNING),
    (S.RESET, S.IDLE),
    (S.IDLE, S.RUNNING),
    (S.RUNNING, S.IDLE),
    (S.RUNNING, S.BLOCKED),
    (S.RUNNING, S.PREEMPTED),
    (S.BLOCKED, S.RUNNING),
    (S.BLOCKED, S.PREEMPTED),
    (S.PREEMPTED, S.RUNNING),
    (S.PREEMPTED, S.BLOCKED),
}


@pytest.mark.parametrize(("before", "after"), product(S, S), ids=lambda state: state.name)
def test_transitions(before: ContextState, after: ContextState) -> None:
    """Whatever its state, a context may fail, and start over."""
    if (before, after) in LEGAL or after in (S.ABORTED, S.RESET):
        check_transition(before, after)
        return
    with pytest.raises(IllegalTransitionError, match=f"{before.value} does not become {after.value}"):
        check_transition(before, after)


REQUESTS = (F.MSG_SEND_DIRECT_REQ_32, F.MSG_SEND_DIRECT_REQ_64, F.MSG_SEND_DIRECT_REQ2)
RESPONSES = (F.MSG_SEND_DIRECT_RESP_32, F.MSG_SEND_DIRECT_RESP_64, F.MSG_SEND_DIRECT_RESP2)
DENIED = {
    M.INIT: {*RESPONSES, F.RUN, F.YIELD},
    M.RUN: {*RESPONSES, F.ERROR},
    M.DIRECT_REQUEST: {F.MSG_WAIT, F.ERROR},
    M.SECURE_INTERRUPT: {*RESPONSES, F.ERROR},
}
SCHEDULING = (*REQUESTS, *RESPONSES, F.MSG_WAIT, F.RUN, F.YIELD, F.ERROR)


@pytest.mark.parametrize(("model", "function"), product(M, SCHEDULING), ids=lambda each: each.name)
def test_models(model: RuntimeModel, function: Function) -> None:
    if function not in DENIED[model]:
        check_allowed(model, function)
        return
    with pytest.raises(FfaError) as caught:
        check_allowed(model, function)
    assert caught.value.code is Code.DENIED


@pytest.mark.parametrize("model", M)
def test_calls_that_change_nobody_who_runs_are_no_business_of_a_model(model: RuntimeModel) -> None:
    for function in set(Function) - set(SCHEDULING):
        check_allowed(model, function)


def test_a_new_context(tmp_path: Path) -> None:
    """It initializes at its entry point at EL1h, everything masked, its core's number in x4 (Hafnium's convention)."""
    bench = secure(tmp_path, [Sp(echo(), {"gp-register-num": (2,)})], Program().loop())
    context = bench.context()
    assert (context.state, context.model, context.endpoint, context.index) == (S.RUNNING, M.INIT, 0x8001, 0)
    registers = context.vcpu.registers
    assert (registers.pc, registers.el, registers.spsel, registers.irq_masked) == (SP_BASE + IMAGE, 1, 1, True)
    assert registers.x[:5] == [0, 0, 0, 0, 0]
    bench.run(1000)
    assert (context.state, context.word) == (S.IDLE, 0x8001_0000)
