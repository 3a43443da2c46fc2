"""FRAG_TX and FRAG_RX: reassembly, delivery and what hostile partners get."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError
from engine.ffa.fragments import Delivery, Reassembly

PAGE = 4096
HANDLE = 1 << 63 | 1


def started(total: int = 10000) -> Reassembly:
    state = Reassembly()
    assert state.check_begin(1, total, PAGE, PAGE)
    state.begin(1, HANDLE, Function.MEM_SHARE_32, total, bytes(PAGE))
    return state


@given(st.binary(min_size=2, max_size=600), st.data())
def test_reassembly_gives_the_bytes_back(payload: bytes, data: st.DataObject) -> None:
    state, position = Reassembly(), data.draw(st.integers(1, len(payload) - 1))
    assert state.check_begin(1, len(payload), position, PAGE)
    incoming = state.begin(1, HANDLE, Function.MEM_LEND_64, len(payload), payload[:position])
    while not incoming.complete:
        size = data.draw(st.integers(1, len(payload) - position))
        state.check_append(1, HANDLE, size, PAGE)
        incoming = state.append(1, payload[position : position + size])
        position += size
    assert (incoming.data, incoming.function) == (payload, Function.MEM_LEND_64)
    assert not state.transfers


def test_a_descriptor_that_fits_needs_no_transfer() -> None:
    assert not Reassembly().check_begin(1, 96, 96, PAGE)


@pytest.mark.parametrize(
    ("total", "fragment", "code"),
    [
        (96, 0, Code.INVALID_PARAMETERS),
        (95, 96, Code.INVALID_PARAMETERS),
        (9000, PAGE + 1, Code.INVALID_PARAMETERS),
        (64 * 1024 + 1, PAGE, Code.NO_MEMORY),
        (0xFFFF_FFFF, PAGE, Code.NO_MEMORY),
    ],
    ids=["zero", "longer than total", "longer than the buffer", "above the limit", "4 GB"],
)
def test_beginnings_that_are_refused(total: int, fragment: int, code: Code) -> None:
    with pytest.raises(FfaError) as refused:
        Reassembly().check_begin(1, total, fragment, PAGE)
    assert refused.value.code is code


def test_one_transfer_per_sender_and_a_limit_on_senders() -> None:
    state = started()
    with pytest.raises(FfaError) as refused:
        state.check_begin(1, 10000, PAGE, PAGE)
    assert refused.value.code is Code.BUSY
    for sender in range(2, 9):
        state.begin(sender, sender, Function.MEM_SHARE_32, 10000, bytes(PAGE))
    with pytest.raises(FfaError) as full:
        state.check_begin(9, 10000, PAGE, PAGE)
    assert full.value.code is Code.NO_MEMORY
    assert not state.check_begin(9, 96, 96, PAGE)


@pytest.mark.parametrize(
    ("sender", "handle", "fragment"),
    [(2, HANDLE, 1), (1, HANDLE + 1, 1), (1, HANDLE, 0), (1, HANDLE, PAGE + 1)],
    ids=["other sender", "stale handle", "zero", "longer than the buffer"],
)
def test_fragments_that_are_refused_change_nothing(sender: int, handle: int, fragment: int) -> None:
    state = started()
    before = copy.deepcopy(state)
    with pytest.raises(FfaError) as refused:
        state.check_append(sender, handle, fragment, PAGE)
    assert refused.value.code is Code.INVALID_PARAMETERS
    assert state == before


def test_a_fragment_past_the_end_is_refused_and_the_transfer_goes_on() -> None:
    state = started(PAGE + 16)
    with pytest.raises(FfaError):
        state.check_append(1, HANDLE, 32, PAGE)
    state.check_append(1, HANDLE, 16, PAGE)
    assert state.append(1, bytes(16)).complete


def test_a_sender_that_changes_its_buffer_changes_nothing() -> None:
    """Fragments are copied when they are sent; each extends the data and never overlaps what is there."""
    state, buffer = Reassembly(), bytearray(b"first!")
    incoming = state.begin(1, HANDLE, Function.MEM_SHARE_32, 12, buffer)
    buffer[:] = b"second"
    assert incoming.data == b"first!"
    assert state.append(1, buffer).data == b"first!second"


def test_abandoning() -> None:
    state = started()
    dropped = state.abandon(1)
    assert dropped is not None
    assert dropped.handle == HANDLE
    assert state.abandon(1) is None


def test_delivery_in_windows() -> None:
    payload = bytes(range(256)) * 40
    state = Delivery()
    state.check_begin(2, len(payload))
    outgoing = state.begin(2, HANDLE, payload, PAGE)
    got = outgoing.fragment
    while not outgoing.complete:
        outgoing = state.check_next(2, HANDLE, len(got))
        state.advance(outgoing)
        got += outgoing.fragment
    assert got == payload
    with pytest.raises(FfaError):
        state.check_next(2, HANDLE, len(payload))


def test_the_last_fragment_may_be_had_again() -> None:
    state = Delivery()
    first = state.begin(2, HANDLE, bytes(9000), PAGE)
    assert state.check_next(2, HANDLE, 0).fragment == first.fragment
    state.advance(state.check_next(2, HANDLE, PAGE))
    with pytest.raises(FfaError):
        state.check_next(2, HANDLE, 0)


@pytest.mark.parametrize(
    ("receiver", "handle", "offset"), [(1, HANDLE, PAGE), (2, 5, PAGE), (2, HANDLE, 1), (2, HANDLE, 9000)]
)
def test_requests_for_other_fragments(receiver: int, handle: int, offset: int) -> None:
    state = Delivery()
    state.begin(2, HANDLE, bytes(9000), PAGE)
    before = copy.deepcopy(state)
    with pytest.raises(FfaError) as refused:
        state.check_next(receiver, handle, offset)
    assert refused.value.code is Code.INVALID_PARAMETERS
    assert state == before


def test_only_giving_back_what_it_tells_of_ends_a_delivery() -> None:
    state = Delivery()
    state.begin(2, HANDLE, bytes(2 * PAGE), PAGE)
    state.relinquished(2, HANDLE + 1)
    state.relinquished(3, HANDLE)
    assert state.check_next(2, HANDLE, PAGE).complete
    state.relinquished(2, HANDLE)
    assert not state.transfers


def test_one_delivery_per_receiver() -> None:
    state = Delivery(max_total=20000)
    state.begin(2, HANDLE, bytes(9000), PAGE)
    for total, code in ((96, Code.BUSY), (20001, Code.BUSY)):
        with pytest.raises(FfaError) as refused:
            state.check_begin(2, total)
        assert refused.value.code is code
    state.abandon(2)
    with pytest.raises(FfaError) as too_long:
        state.check_begin(2, 20001)
    assert too_long.value.code is Code.NO_MEMORY
    state.begin(2, HANDLE, bytes(96), PAGE)
    state.check_begin(2, 96)
