"""Whom and what a call names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ffa import named
from engine.ffa.abi import Function, handle_words, id_pair
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.message import Message, pack_message
from engine.ffa.notification_info import IdList, pack_info
from engine.ffa.registers import call, error, success_32, success_64, version_result
from engine.ffa.relinquish import Relinquish
from engine.ffa.version import V1_0, V1_1, V1_2, Version
from tests.unit.engine.ffa.sharing import RW, region

HANDLE = 0x8000_0000_0000_0002
VERSIONS = (V1_0, V1_1, V1_2)
SENT = pack(region(receivers=(2, 0x8001)), V1_2)
ASKED = pack(MemoryRegion(1, (EndpointAccess(2, RW), EndpointAccess(3, RW)), handle=HANDLE), V1_2)
BACK = Relinquish(HANDLE, (2, 3)).pack()


@pytest.mark.parametrize(
    ("registers", "endpoints"),
    [
        ((Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 0x8001)), {1, 0x8001}),
        ((Function.MSG_SEND_DIRECT_RESP2, id_pair(2, 1)), {1, 2}),
        ((Function.NOTIFICATION_BIND, id_pair(3, 1)), {1, 3}),
        ((Function.RUN, 3 << 16 | 1), {3}),
        ((Function.INTERRUPT, 2 << 16), {2}),
        ((Function.MSG_WAIT, 0), set()),
        ((Function.NOTIFICATION_GET, 1 << 16 | 2), {2}),
        ((Function.MEM_SHARE_32, 0x10002), set()),
        ((Function.ID_GET, 0x10002), set()),
        ((0x8400_009F, 0x10002), set()),
    ],
)
def test_registers(registers: tuple[int, ...], endpoints: set[int]) -> None:
    assert named.in_registers(registers) == endpoints


def test_answers() -> None:
    info = success_64(*pack_info((IdList(1), IdList(3, (0,))), False, True)).values
    assert named.in_answer(Function.NOTIFICATION_INFO_GET_64, info) == {1, 3}
    assert named.in_answer(Function.MSG_SEND_DIRECT_REQ_32, call(Function.INTERRUPT, 2 << 16).values) == {2}
    assert named.in_answer(Function.VERSION, version_result(V1_2.pack()).values) == set()
    assert named.in_answer(Function.MSG_WAIT, ()) == set()


@pytest.mark.parametrize(
    ("function", "sent", "endpoints", "handle"),
    [
        (Function.MEM_SHARE_32, SENT, {1, 2, 0x8001}, HANDLE),
        (Function.MEM_RETRIEVE_REQ_64, ASKED, {1, 2, 3}, HANDLE),
        (Function.MEM_RELINQUISH, BACK, {2, 3}, HANDLE),
        (Function.MEM_RELINQUISH, BACK[:15], set(), None),
        (Function.MSG_SEND2, pack_message(Message(1, 3, b"x"), V1_2), {1, 3}, None),
        (Function.MEM_SHARE_32, SENT[:20], set(), HANDLE),
        (Function.ID_GET, SENT, set(), None),
    ],
)
def test_descriptors(function: int, sent: bytes, endpoints: set[int], handle: int | None) -> None:
    result = success_32(*handle_words(HANDLE)).values
    assert named.in_descriptor(function, sent, V1_2) == endpoints
    assert named.handle((function, 0, 0), result, sent, V1_2) == handle


def test_handles() -> None:
    low, high = handle_words(HANDLE)
    assert named.handle((Function.MEM_RECLAIM, low, high), (), b"", V1_2) == HANDLE
    assert named.handle((Function.MEM_FRAG_TX, low, high), (), SENT, V1_2) == HANDLE
    assert (
        named.handle((Function.MEM_SHARE_32, 0, 0), call(Function.MEM_FRAG_RX, low, high).values, b"", V1_2) == HANDLE
    )
    assert named.handle((Function.MEM_SHARE_32, 0, 0), error(Code.DENIED).values, SENT, V1_2) is None
    assert named.handle((Function.MEM_SHARE_32, 0, 0), (), b"", V1_2) is None


@given(
    st.sampled_from(Function),
    st.lists(st.integers(0, (1 << 64) - 1), min_size=7, max_size=7),
    st.one_of(st.just(b""), st.sampled_from([SENT, ASKED, BACK]), st.binary(max_size=120)),
    st.sampled_from(VERSIONS),
)
def test_what_is_named_is_never_ruled_out(fid: Function, values: list[int], sent: bytes, version: Version) -> None:
    registers = (fid, *values)
    for endpoint in named.in_registers(registers) | named.in_descriptor(fid, sent, version):
        assert named.may_name(endpoint, registers, sent, version)
