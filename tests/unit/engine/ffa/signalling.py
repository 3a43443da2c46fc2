"""Notification state that tests start from."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from engine.ffa.errors import Code, FfaError
from engine.ffa.notifications import Notifications

VM1, VM2, VM3, SP1, SP2 = 1, 2, 3, 0x8001, 0x8002
KNOWN = frozenset({VM1, VM2, VM3, SP1, SP2})
INV, DEN, NSUP = Code.INVALID_PARAMETERS, Code.DENIED, Code.NOT_SUPPORTED
EVERYTHING = 0b1111


def fresh(vcpus: int = 4) -> Notifications:
    state = Notifications()
    state.create(VM1, vcpus)
    state.create(SP1, 1)
    return state


def bound(flags: int = 0, bitmap: int = 0b11) -> Notifications:
    state = fresh()
    state.bind(VM1, SP1, VM1, flags, bitmap, KNOWN)
    return state


def refusal(state: Notifications, act: Callable[[], object]) -> Code:
    before = copy.deepcopy(state)
    with pytest.raises(FfaError) as refused:
        act()
    assert state == before
    return refused.value.code
