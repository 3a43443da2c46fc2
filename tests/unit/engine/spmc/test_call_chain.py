"""Links between contexts that call each other, and what a chain refuses (DEN0077A v1.2, 8.6)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from engine.ffa.errors import Code, FfaError
from engine.spmc.call_chain import Context, check_call
from engine.spmc.states import ContextState, IllegalTransitionError, RuntimeModel


def contexts(count: int) -> list[Context]:
    """Contexts of 0x8001, 0x8002, ... each of which called the next one."""
    nothing: Any = None
    made = [Context(0x8001 + number, 0, nothing) for number in range(count)]
    for caller, callee in pairwise(made):
        caller.link(callee)
    return made


def test_a_new_context_is_in_the_middle_of_nothing() -> None:
    (only,) = contexts(1)
    assert (only.state, only.model, only.word) == (ContextState.RESET, RuntimeModel.INIT, 0x8001_0000)
    assert (list(only.callers()), only.unlink()) == ([], None)


def test_callers_nearest_first() -> None:
    first, second, third = contexts(3)
    assert list(third.callers()) == [second, first]
    assert third.unlink() is second
    assert (second.callee, third.caller, list(third.callers())) == (None, None, [])
    assert list(second.callers()) == [first]


def test_states_follow_the_table() -> None:
    (context,) = contexts(1)
    context.become(ContextState.RUNNING)
    context.become(ContextState.PREEMPTED)
    with pytest.raises(IllegalTransitionError, match="preempted does not become idle"):
        context.become(ContextState.IDLE)
    assert context.state is ContextState.PREEMPTED
    context.model = RuntimeModel.RUN
    context.restart()
    assert (context.state, context.model) == (ContextState.RESET, RuntimeModel.INIT)


def test_forget() -> None:
    first, second = contexts(2)
    second.requester, second.request, second.yielded, second.leaving = 1, 2, True, True
    second.interrupted = first
    second.forget()
    links: list[object] = [second.caller, second.callee, second.interrupted, second.requester]
    assert links == [None] * 4
    assert (second.request, second.yielded, second.leaving) == (0, False, False)


@pytest.mark.parametrize("receiver", [0x8001, 0x8002, 0x8003])
def test_a_cycle_is_busy(receiver: int) -> None:
    with pytest.raises(FfaError, match="is in the call chain") as caught:
        check_call(contexts(3)[-1], receiver, 8)
    assert caught.value.code is Code.BUSY


@pytest.mark.parametrize("depth", [1, 3])
def test_depth(depth: int) -> None:
    check_call(contexts(depth)[-1], 0x9000, depth)
    with pytest.raises(FfaError, match=f"at most {depth} deep") as caught:
        check_call(contexts(depth + 1)[-1], 0x9000, depth)
    assert caught.value.code is Code.BUSY
