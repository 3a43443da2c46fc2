"""Calls and answers as lines, with what descriptors say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ffa.abi import Function, handle_words
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.flags import FrameworkNotification
from engine.ffa.lines import describe_answer, describe_call, is_refused
from engine.ffa.message import Message, pack_message
from engine.ffa.notification_info import IdList, pack_info
from engine.ffa.notifications import Taken
from engine.ffa.registers import Result, error, success_32, success_64, success_wide, version_result
from engine.ffa.relinquish import Relinquish
from engine.ffa.version import NOT_SUPPORTED_WORD, V1_0, V1_1, V1_2, Version
from tests.unit.engine.ffa.sharing import RW, region

HANDLE = 0x8000_0000_0000_0002
VERSIONS = (V1_0, V1_1, V1_2)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_send_names_who_gets_how_much(version: Version) -> None:
    sent = pack(region(receivers=(2, 0x8001)), version)
    assert describe_call((Function.MEM_SHARE_32, 96, 96), sent, version) == "MEM_SHARE_32 1 -> 2, 0x8001 pages 3"


def test_many_receivers_are_not_all_named() -> None:
    sent = pack(region(receivers=(2, 3, 4, 5, 6)), V1_2)
    assert describe_call((Function.MEM_SHARE_64, 0, 0), sent, V1_2) == "MEM_SHARE_64 1 -> 2, 3, 4, 5, … pages 3"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_retrieve_request_names_the_memory(version: Version) -> None:
    asked = pack(MemoryRegion(1, (EndpointAccess(2, RW),), handle=HANDLE), version)
    line = describe_call((Function.MEM_RETRIEVE_REQ_32, 80, 80), asked, version)
    assert line == f"MEM_RETRIEVE_REQ_32 handle {HANDLE:#x} of 1"


def test_the_last_fragment_tells_of_the_whole() -> None:
    registers = (Function.MEM_FRAG_TX, *handle_words(HANDLE), 800)
    whole = pack(region(), V1_2)
    assert describe_call(registers, whole, V1_2) == f"MEM_FRAG_TX handle {HANDLE:#x} fragment 800 1 -> 2 pages 3"
    assert describe_call(registers, b"", V1_2) == f"MEM_FRAG_TX handle {HANDLE:#x} fragment 800"


def test_the_others_with_something_in_tx() -> None:
    message = pack_message(Message(1, 0x8002, b"12345"), V1_2)
    assert describe_call((Function.MSG_SEND2, 0, 0), message, V1_2) == "MSG_SEND2 1 -> 0x8002 bytes 5"
    back = Relinquish(HANDLE, (2,)).pack()
    assert describe_call((Function.MEM_RELINQUISH, 0), back, V1_2) == f"MEM_RELINQUISH handle {HANDLE:#x}"


@pytest.mark.parametrize(
    ("call", "answer", "text"),
    [
        (Function.MEM_SHARE_32, success_32(*handle_words(HANDLE)), f"SUCCESS_32 handle {HANDLE:#x}"),
        (Function.ID_GET, success_32(3), "SUCCESS_32 3"),
        (Function.SPM_ID_GET, success_32(0x8000), "SUCCESS_32 0x8000"),
        (Function.PARTITION_INFO_GET, success_32(5, 24), "SUCCESS_32 partitions 5 of 24 bytes"),
        (Function.PARTITION_INFO_GET, success_32(5), "SUCCESS_32 partitions 5"),
        (
            Function.PARTITION_INFO_GET_REGS,
            success_wide(6 | 4 << 16 | 24 << 48, 1, 2, 3),
            "SUCCESS_64 index 4 of 6, 24 bytes each",
        ),
        (Function.NOTIFICATION_GET, success_32(*Taken(3, 1 << 40, 0).words()), "SUCCESS_32 SP 0x3 VM 0x10000000000"),
        (
            Function.NOTIFICATION_GET,
            success_32(*Taken(0, 0, int(FrameworkNotification.HYPERVISOR_RX_FULL)).words()),
            "SUCCESS_32 framework 0x100000000",
        ),
        (Function.NOTIFICATION_GET, success_32(), "SUCCESS_32 nothing"),
        (
            Function.NOTIFICATION_INFO_GET_64,
            success_64(*pack_info((IdList(1), IdList(2, (0, 3))), True, True)),
            "SUCCESS_64 1; 2 vCPU 0 vCPU 3 and more",
        ),
        (Function.VERSION, version_result(V1_1.pack()), "1.1"),
        (Function.VERSION, version_result(NOT_SUPPORTED_WORD), "NOT_SUPPORTED"),
        (Function.MEM_SHARE_32, error(Code.DENIED), "ERROR DENIED"),
        (Function.RXTX_UNMAP, success_32(), "SUCCESS_32"),
        (Function.FEATURES, success_32(9), "SUCCESS_32 0x9"),
        (0x8400_009F, error(Code.NOT_SUPPORTED), "ERROR NOT_SUPPORTED"),
    ],
)
def test_answers(call: int, answer: Result, text: str) -> None:
    assert describe_answer(call, answer.values) == text


@pytest.mark.parametrize(
    ("call", "values", "refused"),
    [
        (Function.ID_GET, error(Code.BUSY).values, True),
        (Function.ID_GET, success_32(1).values, False),
        (Function.VERSION, version_result(NOT_SUPPORTED_WORD).values, True),
        (Function.VERSION, version_result(V1_2.pack()).values, False),
        (0, error(Code.ABORTED).values, True),
    ],
)
def test_what_counts_as_refused(call: int, values: tuple[int, ...], refused: bool) -> None:
    assert is_refused(call, values) is refused


@given(
    st.sampled_from(Function),
    st.lists(st.integers(0, (1 << 64) - 1), min_size=17, max_size=17),
    st.binary(max_size=200),
    st.sampled_from(VERSIONS),
)
def test_anything_has_one_printable_line(fid: Function, values: list[int], sent: bytes, version: Version) -> None:
    assert describe_call((fid, *values), sent, version).isprintable()
    for answer in (Function.SUCCESS_32, Function.SUCCESS_64, Function.ERROR):
        assert describe_answer(fid, (answer, *values)).isprintable()
