"""Which registers a call reads and its answer writes."""

from __future__ import annotations

import pytest

from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError
from engine.ffa.registers import (
    arguments,
    call,
    check_mbz,
    console_text,
    error,
    interrupt,
    nonzero_mbz,
    rxtx_feature,
    success_32,
    success_64,
    success_wide,
    version_result,
)
from engine.ffa.version import V1_1, V1_2

DIRTY = 0xAAAA_BBBB_0000_0000
BEFORE = tuple(0x1111_0000_0000_0000 + n for n in range(31))


def test_32_bit_calls_see_w_registers_and_no_more_than_seven() -> None:
    registers = [DIRTY | Function.MEM_SHARE_32, *(DIRTY + n for n in range(1, 31))]
    assert arguments(registers) == (Function.MEM_SHARE_32, 1, 2, 3, 4, 5, 6, 7, *(0,) * 10)


def test_64_bit_calls_see_x_registers() -> None:
    registers = [DIRTY | Function.MSG_SEND_DIRECT_REQ_64, *(DIRTY + n for n in range(1, 31))]
    assert arguments(registers)[1:8] == tuple(DIRTY + n for n in range(1, 8))
    assert arguments(registers)[8:] == (0,) * 10


def test_register_rich_calls_see_x17() -> None:
    registers = [Function.MSG_SEND_DIRECT_REQ2, *range(1, 31)]
    assert arguments(registers)[1:] == tuple(range(1, 18))


def test_32_bit_answers_have_zero_upper_halves_and_preserve_x8_on() -> None:
    """DEN0077A v1.2, FFA_ERROR: the code is w2. DEN0028: x8-x30 are preserved."""
    result = error(Code.DENIED, 0x8001_0000)
    assert result.values == (Function.ERROR, 0x8001_0000, 0xFFFF_FFFA, 0, 0, 0, 0, 0)
    assert result.code == Code.DENIED
    after = result.apply(BEFORE)
    assert after[:8] == result.values
    assert after[8:] == BEFORE[8:]
    assert success_32(DIRTY | 7).values == (Function.SUCCESS_32, 0, 7, 0, 0, 0, 0, 0)


def test_64_bit_success_preserves_x8_on_and_wide_success_writes_x17() -> None:
    assert success_64(DIRTY).values == (Function.SUCCESS_64, 0, DIRTY, 0, 0, 0, 0, 0)
    wide = success_wide(5, 6)
    assert wide.values == (Function.SUCCESS_64, 0, 5, 6, *(0,) * 14)
    assert wide.apply(BEFORE)[18:] == BEFORE[18:]
    assert wide.code == 0


def test_messages_as_answers_have_the_width_of_their_function() -> None:
    assert len(call(Function.MSG_SEND_DIRECT_RESP_32, 1).values) == 8
    assert call(Function.MSG_SEND_DIRECT_RESP_32, DIRTY | 1).values[1] == 1
    assert call(Function.MSG_SEND_DIRECT_RESP_64, DIRTY).values[1] == DIRTY
    assert len(call(Function.MSG_SEND_DIRECT_RESP2, 1, 0, 0, 9).values) == 18
    assert interrupt(0x8001, 2, 27).values[:3] == (Function.INTERRUPT, 0x8001_0002, 27)
    assert version_result(0x0001_0002).values == (0x0001_0002, *(0,) * 7)


@pytest.mark.parametrize(
    ("fid", "register", "value"),
    [
        (Function.MSG_WAIT, 1, 1),
        (Function.MSG_WAIT, 2, 2),
        (Function.MSG_WAIT, 7, 1),
        (Function.RXTX_MAP_64, 3, 0x41),
        (Function.PARTITION_INFO_GET_REGS, 9, 1),
        (Function.MEM_SHARE_32, 3, 0x4000_0000),
        (Function.MEM_SHARE_64, 4, 1),
        (Function.NOTIFICATION_UNBIND, 2, 1),
        (Function.NOTIFICATION_SET, 2, 4),
        (Function.MSG_SEND_DIRECT_RESP2, 3, 1),
        (Function.MEM_RECLAIM, 3, 4),
        (Function.MEM_FRAG_TX, 4, 0x10000),
    ],
)
def test_must_be_zero(fid: Function, register: int, value: int) -> None:
    args = [0] * 18
    args[0] = fid
    assert nonzero_mbz(args) is None
    args[register] = value
    assert nonzero_mbz(args) == register
    with pytest.raises(FfaError) as refused:
        check_mbz(args)
    assert refused.value.code is Code.INVALID_PARAMETERS


def test_managers_name_a_vm_where_partitions_pass_zero() -> None:
    """DEN0077A v1.2, 13.5: w1 of RX_RELEASE is the VM's id at the physical instance, zero at a virtual one."""
    args = (Function.RX_RELEASE, 1, *(0,) * 16)
    assert nonzero_mbz(args) == 1
    assert nonzero_mbz(args, virtual=False) is None


def test_sbz_registers_are_ignored() -> None:
    check_mbz((Function.ID_GET, *range(1, 18)))
    check_mbz((0x8400_009F, *range(1, 18)))


def test_console_log_characters() -> None:
    """w1=2, w2=0x6B4F is Ok."""
    assert console_text(arguments((Function.CONSOLE_LOG_32, 2, 0x6B4F, *(0,) * 15)), V1_2) == b"Ok"
    packed = int.from_bytes(b"abcdefgh", "little")
    wide = arguments((Function.CONSOLE_LOG_64, 128, *(packed,) * 16))
    assert console_text(wide, V1_2) == b"abcdefgh" * 16
    for fid, count, version in (
        (Function.CONSOLE_LOG_32, 0, V1_2),
        (Function.CONSOLE_LOG_32, 25, V1_2),
        (Function.CONSOLE_LOG_64, 49, V1_1),
        (Function.CONSOLE_LOG_64, 129, V1_2),
    ):
        with pytest.raises(FfaError):
            console_text(arguments((fid, count, *(0,) * 16)), version)


def test_rxtx_feature_word() -> None:
    """DEN0077A v1.2, 13.6: maximum page count in [31:16]."""
    assert rxtx_feature(4) == 0x0004_0000
