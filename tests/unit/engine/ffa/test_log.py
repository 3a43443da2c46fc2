"""Calls as lines of text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ffa.abi import Function
from engine.ffa.errors import Code
from engine.ffa.log import describe
from engine.ffa.registers import error


@pytest.mark.parametrize(
    ("registers", "text"),
    [
        ((Function.MEM_SHARE_32, 96, 96), "MEM_SHARE_32 total 96 fragment 96"),
        (
            (Function.MSG_SEND_DIRECT_REQ_32, 0x1_8001, 0, 0xAAAA, 0, 0xCCCC),
            "MSG_SEND_DIRECT_REQ_32 1 -> 0x8001 0xaaaa 0x0 0xcccc",
        ),
        (
            (Function.MSG_SEND_DIRECT_REQ_32, 0xFFFF_8000, 1 << 31 | 8, 0x10001),
            "MSG_SEND_DIRECT_REQ_32 0xffff -> 0x8000 framework VERSION_REQ 0x10001",
        ),
        ((Function.VERSION, 0x10002), "VERSION 1.2"),
        ((Function.VERSION, 1 << 31), "VERSION 0x80000000"),
        ((Function.FEATURES, 2), "FEATURES SCHEDULE_RECEIVER_INTERRUPT"),
        ((Function.FEATURES, 0x84000063), "FEATURES VERSION"),
        ((Function.RXTX_MAP_64, 0x1000, 0x2000, 1), "RXTX_MAP_64 TX 0x1000 RX 0x2000 pages 1"),
        ((Function.RUN, 0x8001_0002), "RUN 0x8001 vCPU 2"),
        ((Function.MSG_SEND_DIRECT_REQ2, 0x1_8001, 0, 0, 5), "MSG_SEND_DIRECT_REQ2 1 -> 0x8001 0x5"),
        (
            (Function.MSG_SEND_DIRECT_REQ2, 0x1_8001, 1, 0, 5),
            "MSG_SEND_DIRECT_REQ2 1 -> 0x8001 01000000-0000-0000-0000-000000000000 0x5",
        ),
        ((Function.PARTITION_INFO_GET, 0, 0, 0, 0, 1), "PARTITION_INFO_GET count only"),
        ((Function.MEM_RECLAIM, 1, 1 << 31, 1), "MEM_RECLAIM handle 0x8000000000000001 zero"),
        ((Function.MEM_FRAG_RX, 1, 0, 4096), "MEM_FRAG_RX handle 0x1 offset 4096"),
        ((Function.NOTIFICATION_BIND, 0x8001_0001, 1, 3), "NOTIFICATION_BIND 0x8001 -> 1 per-vCPU 0x3"),
        ((Function.NOTIFICATION_SET, 0x8001_0001, 2 << 16 | 1, 3), "NOTIFICATION_SET 0x8001 -> 1 vCPU 2 0x3"),
        ((Function.NOTIFICATION_GET, 2 << 16 | 1, 15), "NOTIFICATION_GET 1 vCPU 2 flags 0xf"),
        ((Function.ID_GET, 5, 6), "ID_GET"),
        ((0x8400_009F, 1, 0, 2), "0x8400009f 0x1 0x0 0x2"),
        (error(Code.DENIED).values, "ERROR DENIED"),
        ((Function.SUCCESS_32, 0, 7), "SUCCESS_32 0x7"),
    ],
)
def test_lines(registers: tuple[int, ...], text: str) -> None:
    assert describe(registers) == text


@given(
    st.sampled_from(Function),
    st.lists(st.integers(0, (1 << 64) - 1), min_size=7, max_size=17),
)
def test_any_call_has_one_printable_line(fid: Function, values: list[int]) -> None:
    line = describe((fid, *values))
    assert line.startswith(fid.name)
    assert line.isprintable()
