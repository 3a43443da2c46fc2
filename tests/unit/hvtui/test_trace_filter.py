"""Words that choose events."""

from __future__ import annotations

from functools import partial

import pytest

from engine.debug.event_words import KINDS, line
from engine.events import Blocked, Event, FfaAnswer, FfaCall, Interrupt, Trap
from engine.ffa.abi import Function
from engine.ffa.version import V1_2
from hvtui.trace_filter import parse_filter

NAMES = ("vm0", "vm1", "sp_hello")
TRAP = Trap(5, "vm0", 1, 0x18, 0x40001000, "read ICC_IAR1_EL1", 27)
CALL = FfaCall(6, "vm1", 0, 2, (Function.ID_GET, *(0,) * 7), (Function.SUCCESS_32, 0, 2, *(0,) * 5), V1_2)
ANSWER = FfaAnswer(7, "sp_hello", 0, 0x8001, (Function.MSG_SEND_DIRECT_REQ_32, 0x1_8001, *(0,) * 6))
TIMER = Interrupt(8, "vm1", 0, 27, "timer")
WAITS = Blocked(9, "vm1", 0, "wfi")
EVENTS: tuple[Event, ...] = (TRAP, CALL, ANSWER, TIMER, WAITS)


def chosen(words: str) -> list[Event]:
    wanted = parse_filter(words, NAMES)
    return [event for event in EVENTS if wanted.matches(event, partial(line, event))]


@pytest.mark.parametrize(
    ("words", "events"),
    [
        ("", EVENTS),
        ("   ", EVENTS),
        ("trap", (TRAP,)),
        ("ffa", (CALL, ANSWER)),
        ("FF-A", (CALL, ANSWER)),
        ("vm1", (CALL, TIMER, WAITS)),
        ("vm0/1", (TRAP,)),
        ("vm0/0", ()),
        ("ffa vm1", (CALL,)),
        ("ffa -vm1", (ANSWER,)),
        ("-ffa -trap -blocked", (TIMER,)),
        ("icc_iar1", (TRAP,)),
        ("ICC_IAR1", (TRAP,)),
        ("timer", (TIMER,)),
        ("vm1 -wfi -id_get", (TIMER,)),
        ("0x8001", (ANSWER,)),
        ("trap ffa", ()),
        ("nothing", ()),
        ("vm2", ()),
    ],
)
def test_every_word_must_match(words: str, events: tuple[Event, ...]) -> None:
    assert chosen(words) == list(events)


def test_every_kind_has_a_word() -> None:
    for types, kind in KINDS.items():
        (term,) = parse_filter(kind.replace("-", ""), NAMES).terms
        assert types in term.types


def test_lines_are_made_only_of_events_that_may_match() -> None:
    asked: list[Event] = []
    wanted = parse_filter("wfi blocked", NAMES)

    def told(event: Event) -> str:
        asked.append(event)
        return line(event)

    for event in EVENTS:
        wanted.matches(event, partial(told, event))
    assert asked == [WAITS]


def test_a_dash_alone_is_text() -> None:
    assert chosen("-") == [ANSWER, CALL][::-1]


def test_the_text_is_kept_for_titles() -> None:
    assert parse_filter("  ffa   vm0 ", NAMES).text == "ffa vm0"
