"""NOTIFICATION_INFO_GET: who is told, how often, in which registers (DEN0077A v1.2, 16.7)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.ffa.errors import Code
from engine.ffa.flags import FrameworkNotification
from engine.ffa.notification_info import IdList, pack_info, unpack_info
from engine.ffa.notifications import Info, Notifications
from tests.unit.engine.ffa.signalling import EVERYTHING, KNOWN, SP1, VM1, VM2, bound, refusal


def test_info_get_tells_once_and_clears_nothing() -> None:
    """16.7: INFO_GET does not clear."""
    state = bound()
    assert refusal(state, lambda: state.info_get(True)) is Code.NO_DATA
    state.set(SP1, SP1, VM1, 0, 0b01)
    assert state.info_get(True) == Info((IdList(VM1),), False)
    assert refusal(state, lambda: state.info_get(True)) is Code.NO_DATA
    state.set(SP1, SP1, VM1, 0, 0b01)
    assert refusal(state, lambda: state.info_get(True)) is Code.NO_DATA
    state.set(SP1, SP1, VM1, 0, 0b10)
    assert state.info_get(False).lists == (IdList(VM1),)
    assert state.get(VM1, VM1, 0, 1).sp == 0b11
    state.set(SP1, SP1, VM1, 0, 0b01)
    assert state.info_get(True).lists == (IdList(VM1),)


def test_info_get_tells_again_what_is_raised_again() -> None:
    state = bound()
    for _ in range(2):
        state.raise_framework(VM1, FrameworkNotification.SPM_RX_FULL)
        assert state.info_get(True).lists == (IdList(VM1),)
        state.get(VM1, VM1, 0, EVERYTHING)
    state.set(SP1, SP1, VM1, 0, 1)
    state.info_get(True)
    state.teardown(SP1)
    state.bind(VM1, SP1, VM1, 0, 1, KNOWN)
    state.set(SP1, SP1, VM1, 0, 1)
    assert state.info_get(True).lists == (IdList(VM1),)


def test_info_get_names_vcpus_by_threes_and_the_endpoint_alone() -> None:
    state = bound(flags=1, bitmap=1)
    state.raise_framework(VM1, FrameworkNotification.HYPERVISOR_RX_FULL)
    for vcpu in (0, 1, 2, 3):
        state.set(SP1, SP1, VM1, vcpu << 16 | 1, 1)
    told = state.info_get(True)
    assert told.lists == (IdList(VM1), IdList(VM1, (0, 1, 2)), IdList(VM1, (3,)))
    assert not told.more


def test_info_get_says_more_and_continues() -> None:
    state = Notifications(max_endpoints=32)
    for endpoint in range(1, 26):
        state.create(endpoint, 1)
        state.raise_framework(endpoint, FrameworkNotification.SPM_RX_FULL)
    first, second = state.info_get(True), state.info_get(True)
    assert (len(first.lists), first.more, len(second.lists), second.more) == (20, True, 5, False)
    assert [entry.endpoint for entry in first.lists + second.lists] == list(range(1, 26))


def test_info_get_may_be_limited_to_some_endpoints() -> None:
    state = bound()
    state.set(SP1, SP1, VM1, 0, 1)
    assert refusal(state, lambda: state.info_get(True, [SP1, VM2])) is Code.NO_DATA
    assert state.info_get(True, [VM1]).lists == (IdList(VM1),)


EXAMPLE = (IdList(0, (0, 2, 3)), IdList(0, (4, 6)), IdList(2), IdList(3, (1,)))
"""DEN0077A v1.2, 16.7.1.1: the example."""


def test_packed_lists_of_the_specifications_example() -> None:
    words = (0x0004_B200, 0, 0x0003_0002, 0x0004_0000, 0x0002_0006, 0x0001_0003)
    registers = (0x0004_B200, 0x0003_0002_0000_0000, 0x0002_0006_0004_0000, 0x0001_0003, 0, 0)
    assert pack_info(EXAMPLE, False, wide=False) == words
    assert pack_info(EXAMPLE, False, wide=True) == registers
    assert pack_info(EXAMPLE, True, wide=True)[0] == 0x0004_B201
    assert unpack_info(words, wide=False) == (EXAMPLE, False)
    assert unpack_info(registers, wide=True) == (EXAMPLE, False)


@given(st.lists(st.integers(0, (1 << 64) - 1), min_size=6, max_size=6), st.booleans())
def test_unpacking_anything(registers: list[int], wide: bool) -> None:
    lists, _ = unpack_info(registers, wide)
    assert sum(entry.ids for entry in lists) <= (20 if wide else 10)
