"""Function ids, versions and registers of FF-A calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ffa.abi import (
    Function,
    function,
    handle_of,
    handle_words,
    id_pair,
    is_64,
    is_ffa,
    is_secure,
    name,
    receiver_of,
    sender_of,
    since,
)
from engine.ffa.errors import Code, FfaError, code_name
from engine.ffa.version import NOT_SUPPORTED_WORD, V1_0, V1_1, V1_2, Negotiation, Version, parse_version

BOTH_WIDTHS = {
    "SUCCESS",
    "RXTX_MAP",
    "MSG_SEND_DIRECT_REQ",
    "MSG_SEND_DIRECT_RESP",
    "MEM_DONATE",
    "MEM_LEND",
    "MEM_SHARE",
    "MEM_RETRIEVE_REQ",
    "NOTIFICATION_INFO_GET",
    "SECONDARY_EP_REGISTER",
    "MEM_PERM_GET",
    "MEM_PERM_SET",
    "CONSOLE_LOG",
}


def test_every_function_of_v1_2_is_there_once() -> None:
    numbers = {int(known) & 0xFF for known in Function}
    assert numbers == set(range(0x60, 0x8F))
    assert {known.name[:-3] for known in Function if known.name.endswith("_32")} == BOTH_WIDTHS
    assert {known.name[:-3] for known in Function if known.name.endswith("_64")} == BOTH_WIDTHS


@pytest.mark.parametrize(
    ("fid", "text"),
    [
        (0x84000060, "ERROR"),
        (0xC4000066, "RXTX_MAP_64"),
        (0x84000073, "MEM_SHARE_32"),
        (0x8400007B, "MEM_FRAG_TX"),
        (0xC4000083, "NOTIFICATION_INFO_GET_64"),
        (0x84000086, "MSG_SEND2"),
        (0xC400008B, "PARTITION_INFO_GET_REGS"),
        (0xC400008D, "MSG_SEND_DIRECT_REQ2"),
        (0x8400009F, "0x8400009f"),
    ],
)
def test_names(fid: int, text: str) -> None:
    assert name(fid) == text
    assert name(fid | 0xDEAD << 32) == text


def test_the_range_is_the_standard_secure_service_from_0x60_to_0xef() -> None:
    """DEN0028: 0xF0 and up are other services, below are TRNG and PSCI."""
    assert is_ffa(0x84000060)
    assert is_ffa(0xC40000EF)
    for other in (0x8400005F, 0x840000F0, 0x84000160, 0x80000060, 0xC6000060, 0):
        assert not is_ffa(other)
    assert all(is_ffa(known) for known in Function)


def test_width_and_version_of_functions() -> None:
    assert is_64(Function.MEM_SHARE_64)
    assert not is_64(Function.MEM_SHARE_32)
    assert since(Function.MEM_FRAG_TX) == V1_0
    assert since(Function.NOTIFICATION_BITMAP_CREATE) == V1_1
    assert since(Function.MEM_PERM_SET_64) == V1_1
    assert since(Function.CONSOLE_LOG_32) == V1_2
    assert function(0x8400009F) is None


def test_words_that_pack_ids_and_handles() -> None:
    assert id_pair(1, 0x8001) == 0x0001_8001
    assert (sender_of(0x0001_8001), receiver_of(0x0001_8001)) == (1, 0x8001)
    assert handle_words(handle_of(0x89AB_CDEF, 0x8000_0001)) == (0x89AB_CDEF, 0x8000_0001)
    assert is_secure(0x8001)
    assert not is_secure(0x7FFF)


def test_error_codes_are_the_specifications() -> None:
    """DEN0077A v1.2, FFA_ERROR."""
    assert [code.value for code in Code] == list(range(-1, -11, -1))
    assert code_name(0xFFFF_FFFA) == "DENIED"
    assert code_name(0xFFFF_FFFF_FFFF_FFFA) == "DENIED"
    assert code_name(7) == "7"
    error = FfaError(Code.BUSY, "why")
    assert (error.code, error.reason, str(error)) == (Code.BUSY, "why", "BUSY: why")


@given(st.integers(0, 0x7FFF), st.integers(0, 0xFFFF))
def test_version_words(major: int, minor: int) -> None:
    assert parse_version(Version(major, minor).pack()) == Version(major, minor)


def test_version_compatibility() -> None:
    """DEN0077A v1.2, 13.2.1: same major, the callee's minor at least the caller's."""
    assert V1_2.serves(V1_0)
    assert not V1_1.serves(V1_2)
    assert not Version(2, 0).serves(V1_2)
    assert str(V1_2) == "1.2"


@pytest.mark.parametrize(
    ("asked", "answer", "agreed"),
    [
        (0x0001_0000, 0x0001_0002, V1_0),
        (0x0001_0001, 0x0001_0002, V1_1),
        (0x0001_0002, 0x0001_0002, V1_2),
        (0x0001_0003, 0x0001_0002, V1_2),
        (0x0002_0000, NOT_SUPPORTED_WORD, V1_2),
        (0x0000_0009, NOT_SUPPORTED_WORD, V1_2),
        (0x8001_0001, NOT_SUPPORTED_WORD, V1_2),
    ],
)
def test_version_negotiation(asked: int, answer: int, agreed: Version) -> None:
    """DEN0077A v1.2, 13.2: a higher minor is told ours so that it downgrades; bit 31 and other majors are refused."""
    negotiation = Negotiation()
    assert negotiation.request(asked) == answer
    assert negotiation.agreed == agreed
    assert negotiation.asked == (answer != NOT_SUPPORTED_WORD)


def test_version_is_settled_by_the_next_call() -> None:
    """DEN0077A v1.2, 13.2: no change after another ABI was used; the same version may be asked again."""
    negotiation = Negotiation()
    negotiation.request(0x0001_0001)
    negotiation.request(0x0001_0000)
    negotiation.settle()
    assert negotiation.request(0x0001_0001) == NOT_SUPPORTED_WORD
    assert negotiation.agreed == V1_0
    assert negotiation.request(0x0001_0000) == 0x0001_0002


def test_a_manager_of_an_older_version_answers_with_it() -> None:
    negotiation = Negotiation(ours=V1_1, agreed=V1_1)
    assert negotiation.request(0x0001_0002) == 0x0001_0001
    assert negotiation.agreed == V1_1
