"""Text that waits look at: each character once or twice, however it comes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from engine.console import Console
from engine.debug import screens
from engine.debug.screens import Screen


def fed(console: Console, screen: Screen, text: str, pattern: re.Pattern[str]) -> list[str]:
    """What is found while a guest prints character by character."""
    found = []
    for character in text:
        console.write(character.encode(), 0)
        taken = screen.take(pattern)
        if taken is not None:
            found.append(taken)
    return found


@given(st.text("ab\n", max_size=40), st.sampled_from(["ab", "^a", "a+b", r"b\na", "aba?b"]))
def test_text_in_pieces_is_found_as_at_once(text: str, expression: str) -> None:
    """Where the text ends just there."""
    pattern, console = re.compile(expression, re.MULTILINE), Console("vm0")
    rest, expected = "", []
    for character in text:
        rest += character
        match = pattern.search(rest)
        if match is not None:
            expected.append(match[0])
            rest = rest[match.end() :]
    assert fed(console, Screen(console), text, pattern) == expected


def test_a_wait_for_something_else_looks_at_all_of_it() -> None:
    console = Console("vm0")
    screen = Screen(console)
    assert fed(console, screen, "first" + "." * 5000, re.compile("never")) == []
    assert screen.take(re.compile("first")) == "first"


def test_what_was_searched_is_not_searched_for_ever() -> None:
    """Only a match longer than what is looked at again is lost."""
    pattern, console = re.compile(r"<\.*>"), Console("vm0")
    screen = Screen(console)
    longest = screens._LONGEST
    assert len(fed(console, screen, "<" + "." * (longest - 2) + ">", pattern)[0]) == longest
    assert fed(console, screen, "<" + "." * (longest + 1) + ">", pattern) == []


def test_a_screen_that_is_full_goes_on() -> None:
    console = Console("vm0")
    screen, pattern = Screen(console), re.compile("ab")
    console.write(b"." * (screens._KEEP + 10) + b"a", 0)
    assert screen.take(pattern) is None
    console.write(b"b", 0)
    assert screen.take(pattern) == "ab"
