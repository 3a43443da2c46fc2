"""Execution contexts of secure partitions: states, and runtime models with what each allows (DEN0077A v1.2, 8)."""

from __future__ import annotations

import enum
from typing import Final

from engine.ffa.abi import Function
from engine.ffa.errors import require_allowed


class ContextState(enum.Enum):
    """Where an execution context is."""

    RESET = "reset"
    """It has not run since power-on."""
    IDLE = "idle"
    """Waiting for a message, FFA_RUN or an interrupt."""
    RUNNING = "running"
    BLOCKED = "blocked"
    """It called another partition, or gave way, and waits to be answered or run."""
    PREEMPTED = "preempted"
    """An interrupt took the core away; FFA_RUN gives it back."""
    ABORTED = "aborted"
    """It failed; nothing runs it until the machine starts over."""


class RuntimeModel(enum.Enum):
    """Why it runs, which decides what it may call (DEN0077A v1.2, 8)."""

    INIT = "initialization"
    RUN = "FFA_RUN"
    DIRECT_REQUEST = "direct request"
    SECURE_INTERRUPT = "secure interrupt"


class IllegalTransitionError(Exception):
    """A change of state that the state machine does not have."""


_S = ContextState
_LEGAL: Final = {
    _S.RESET: {_S.RUNNING, _S.IDLE},
    _S.IDLE: {_S.RUNNING},
    _S.RUNNING: {_S.IDLE, _S.BLOCKED, _S.PREEMPTED},
    _S.BLOCKED: {_S.RUNNING, _S.PREEMPTED},
    _S.PREEMPTED: {_S.RUNNING, _S.BLOCKED},
    _S.ABORTED: set[ContextState](),
}
"""PREEMPTED to BLOCKED is a caller in a chain whose innermost context runs again. RESET to IDLE is a secondary context
that has nothing to initialize. Any state may end in ABORTED, or start over in RESET."""


def check_transition(before: ContextState, after: ContextState) -> None:
    """Raises IllegalTransitionError unless `before` may become `after`."""
    if after not in _LEGAL[before] and after not in (_S.ABORTED, _S.RESET):
        raise IllegalTransitionError(f"{before.value} does not become {after.value}")


_REQUESTS = {Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_REQ_64, Function.MSG_SEND_DIRECT_REQ2}
_RESPONSES = {Function.MSG_SEND_DIRECT_RESP_32, Function.MSG_SEND_DIRECT_RESP_64, Function.MSG_SEND_DIRECT_RESP2}
_DENIED: Final[dict[RuntimeModel, frozenset[Function]]] = {
    RuntimeModel.INIT: frozenset({*_RESPONSES, Function.RUN, Function.YIELD}),
    RuntimeModel.RUN: frozenset(_RESPONSES),
    RuntimeModel.DIRECT_REQUEST: frozenset({Function.MSG_WAIT}),
    RuntimeModel.SECURE_INTERRUPT: frozenset(_RESPONSES),
}
"""Calls that change who runs, and that a model has not (DEN0077A v1.2, tables 8.1 to 8.4)."""


def check_allowed(model: RuntimeModel, function: Function) -> None:
    """DENIED for a call that the runtime model of the caller does not allow; other calls are none of its business."""
    require_allowed(function not in _DENIED[model], f"{function.name} in the runtime model for {model.value}")
    require_allowed(function is not Function.ERROR or model is RuntimeModel.INIT, "FFA_ERROR outside initialization")
