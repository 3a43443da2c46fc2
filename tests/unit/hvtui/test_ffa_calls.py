"""Which answer belongs to which call, and whom a call concerns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import Blocked, Event, EventRing, FfaAnswer, FfaCall
from engine.ffa.abi import Function, handle_words, id_pair
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.memory import NORMAL_WB_ISH, Data, Permissions
from engine.ffa.ranges import Composite, Range
from engine.ffa.registers import Result, call, error, interrupt, success_32, version_result
from engine.ffa.relinquish import Relinquish
from engine.ffa.version import NOT_SUPPORTED_WORD, V1_2
from hvtui.ffa_calls import Call, CallList, newest_calls
from hvtui.frame import FfaBatch

HANDLE = 0x8000_0000_0000_0002
RW = Permissions(Data.RW)
SHARE = pack(
    MemoryRegion(1, (EndpointAccess(2, RW, composite=Composite((Range(0x4900_0000, 1),))),), NORMAL_WB_ISH), V1_2
)
SENT = success_32(*handle_words(HANDLE))


def made(function: int, *values: int, by: int = 1, answer: Result | None = None, sent: bytes = b"") -> FfaCall:
    args = (function, *values, *(0,) * (7 - len(values)))
    return FfaCall(10, f"vm{by - 1}", 0, by, args, answer.values if answer else (), V1_2, sent=sent)


def answered(by: int, answer: Result) -> FfaAnswer:
    return FfaAnswer(20, f"vm{by - 1}", 0, by, answer.values)


def listed(*events: FfaCall | FfaAnswer, keep: int = 10, endpoint: int | None = None) -> list[Call]:
    calls = CallList(keep)
    calls.add(FfaBatch(tuple(enumerate(events)), False, len(events), endpoint))
    return list(calls.calls)


def test_an_answer_finds_its_call() -> None:
    one, two = listed(made(Function.MSG_WAIT), made(Function.MSG_WAIT, by=2), answered(1, call(Function.RUN, 1 << 16)))
    assert (one.text, one.result, one.waits, one.failed) == ("MSG_WAIT", "RUN 1 vCPU 0", False, False)
    assert (two.result, two.waits, two.failed) == ("waits", True, False)
    assert one.registers == call(Function.RUN, 1 << 16).values


def test_answers_at_once() -> None:
    (sent,) = listed(made(Function.MEM_SHARE_32, 112, 112, answer=SENT, sent=SHARE))
    assert (sent.text, sent.result) == ("MEM_SHARE_32 1 -> 2 pages 1", f"SUCCESS_32 handle {HANDLE:#x}")
    (refused,) = listed(made(Function.MEM_SHARE_32, answer=error(Code.DENIED)))
    assert (refused.result, refused.failed) == ("ERROR DENIED", True)
    (version,) = listed(made(Function.VERSION, 0x20000, answer=version_result(NOT_SUPPORTED_WORD)))
    assert (version.result, version.failed) == ("NOT_SUPPORTED", True)


def test_a_call_that_is_never_answered() -> None:
    before, after = listed(made(Function.MSG_WAIT), made(Function.ID_GET, answer=success_32(1)))
    assert (before.result, before.waits, before.failed) == ("never answered", False, False)
    assert after.result == "SUCCESS_32 1"


def test_a_gap_forgets_and_a_late_answer_stands_alone() -> None:
    calls = CallList(3)
    calls.add(FfaBatch(((0, made(Function.MSG_WAIT)),), False, 1))
    calls.add(FfaBatch(((90, answered(1, error(Code.ABORTED))),), True, 91))
    assert [(one.sequence, one.text, one.failed) for one in calls.calls] == [(90, "(an earlier call)", True)]


def test_only_the_newest_calls_are_kept() -> None:
    calls = listed(*(made(Function.ID_GET, n, answer=success_32(1)) for n in range(5)), keep=3)
    assert [one.sequence for one in calls] == [2, 3, 4]


@pytest.mark.parametrize(
    ("event", "endpoints"),
    [
        (made(Function.ID_GET, answer=success_32(1)), {1}),
        (made(Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 0x8001)), {1, 0x8001}),
        (made(Function.RUN, 3 << 16), {1, 3}),
        (made(Function.MEM_SHARE_32, 112, 112, answer=SENT, sent=SHARE), {1, 2}),
        (made(Function.MEM_SHARE_32, 112, 112, by=3, answer=error(Code.DENIED), sent=SHARE), {1, 2, 3}),
    ],
)
def test_whom_a_call_concerns(event: FfaCall, endpoints: set[int]) -> None:
    assert listed(event)[0].endpoints == endpoints


def test_an_answer_may_name_another() -> None:
    (one,) = listed(made(Function.MSG_WAIT), answered(1, call(Function.MSG_SEND_DIRECT_REQ_32, id_pair(3, 1))))
    assert one.endpoints == {1, 3}


def test_a_reclaim_concerns_those_who_borrowed() -> None:
    *_, back, reclaim = listed(
        made(Function.MEM_SHARE_32, 112, 112, answer=SENT, sent=SHARE),
        made(Function.MEM_RELINQUISH, by=2, answer=success_32(), sent=Relinquish(HANDLE, (2,)).pack()),
        made(Function.MEM_RECLAIM, *handle_words(HANDLE), answer=success_32()),
    )
    assert back.endpoints == reclaim.endpoints == {1, 2}
    assert back.handle == reclaim.handle == HANDLE


def test_who_guesses_a_handle_takes_no_part() -> None:
    *_, reclaim = listed(
        made(Function.MEM_SHARE_32, 112, 112, answer=SENT, sent=SHARE),
        made(Function.MEM_RECLAIM, *handle_words(HANDLE), by=3, answer=error(Code.INVALID_PARAMETERS)),
        made(Function.MEM_RECLAIM, *handle_words(HANDLE), answer=success_32()),
    )
    assert reclaim.endpoints == {1, 2}


def test_remembered_handles_are_bounded() -> None:
    calls = CallList(10)
    events = [(n, made(Function.MEM_RECLAIM, n, answer=success_32())) for n in range(500)]
    calls.add(FfaBatch(tuple(events), False, 500))
    assert len(calls._sharers) == 64


# --- out of the ring --------------------------------------------------------------------------------


def ring(*events: Event, capacity: int = 1000) -> EventRing:
    made_ring = EventRing(capacity)
    for event in events:
        made_ring.emit(event)
    return made_ring


IDLE = Blocked(1, "vm0", 0, "wfi")


def test_calls_with_their_numbers_from_a_start_on() -> None:
    events = (IDLE, made(Function.ID_GET), IDLE, made(Function.MSG_WAIT), answered(1, interrupt(1, 0)))
    batch = newest_calls(ring(*events), 0, None, 10)
    assert batch == FfaBatch(((1, events[1]), (3, events[3]), (4, events[4])), False, 5)
    assert [number for number, _ in newest_calls(ring(*events), 2, None, 10).events] == [3, 4]


def test_more_than_the_limit_is_a_gap() -> None:
    batch = newest_calls(ring(*(made(Function.ID_GET) for _ in range(5))), 0, None, 3)
    assert ([number for number, _ in batch.events], batch.gap) == ([2, 3, 4], True)


def test_what_the_ring_lost_is_a_gap() -> None:
    full = ring(*(made(Function.ID_GET) for _ in range(5)), capacity=2)
    assert newest_calls(full, 0, None, 10).gap
    assert not newest_calls(full, 3, None, 10).gap


def test_a_quiet_endpoint_is_found_among_the_calls_of_a_busy_one() -> None:
    busy = [made(Function.ID_GET, answer=success_32(1)) for _ in range(400)]
    quiet = [made(Function.FEATURES, by=2, answer=success_32()), made(Function.MSG_WAIT, by=2)]
    answer = answered(2, call(Function.MSG_SEND_DIRECT_REQ_32, id_pair(3, 2)))
    batch = newest_calls(ring(*quiet, *busy, answer), 0, 2, 10)
    assert [event for _, event in batch.events] == [*quiet, answer]
    assert (batch.gap, batch.endpoint) == (False, 2)


def test_an_answer_goes_where_its_call_goes() -> None:
    events = (made(Function.MSG_WAIT, by=3), answered(3, interrupt(3, 0)), made(Function.MSG_WAIT, by=2))
    batch = newest_calls(ring(*events), 0, 2, 10)
    assert [event for _, event in batch.events] == [events[2]]
    assert [one.text for one in listed(*(event for _, event in batch.events), endpoint=2)] == ["MSG_WAIT"]


def test_an_answer_whose_call_was_left_out_is_left_out() -> None:
    assert listed(answered(3, interrupt(3, 0)), endpoint=2) == []


functions = st.sampled_from(
    [Function.ID_GET, Function.MSG_SEND_DIRECT_REQ_32, Function.RUN, Function.NOTIFICATION_SET, Function.MEM_SHARE_32]
)
random_calls = st.builds(
    lambda function, word, by, sent: made(function, word, by=by, answer=SENT, sent=SHARE if sent else b""),
    functions,
    st.integers(0, 0xF_000F).map(lambda word: word & 0x3_0003),
    st.integers(1, 3),
    st.booleans(),
)


@given(st.lists(random_calls, max_size=30), st.integers(1, 3))
def test_the_filter_finds_what_concerns_an_endpoint(events: list[FfaCall], endpoint: int) -> None:
    """Among all calls, those that name it by themselves; a narrower question must find them, too."""
    everything = [one.sequence for one in listed(*events, keep=100) if endpoint in one.names()]
    batch = newest_calls(ring(*events), 0, endpoint, 100)
    calls = CallList(100)
    calls.add(batch)
    assert set(everything) <= {one.sequence for one in calls.calls if endpoint in one.endpoints}
