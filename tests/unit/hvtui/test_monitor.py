"""Monitor lines: what is understood, what is refused and how, and what completes a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvtui.actions import ACTIONS, Kind
from hvtui.monitor import Facts, MonitorError, complete, find, parse

FACTS = Facts(
    vcpus={"vm0": 2, "sp_hello": 1},
    consoles=["vm0", "vm0.hvc0"],
    ports=["vm0.nic0"],
    symbols={"vm0": ["guest_main", "guest_idle", "vectors"], "sp_hello": ["sp_main"]},
    registers=["x0", "x1", "pc"],
    selected=("vm0", 0),
    stops=[1, 3],
)


@pytest.mark.parametrize(
    ("line", "name", "values"),
    [
        ("step", "step", (None,)),
        ("step 0x10", "step", (16,)),
        ("inject 33", "inject", (33, None)),
        ("inject 33 vm0/1", "inject", (33, ("vm0", 1))),
        ("select sp_hello", "select", (("sp_hello", 0),)),
        ("break guest_main", "break", ("guest_main", None)),
        ("break guest_main if x0 == 3 && x1 != 0", "break", ("guest_main", "x0 == 3 && x1 != 0")),
        ("watch 0x1000", "watch", ("0x1000", None, None, None)),
        ("watch 0x1000 8 w if x1 > 3", "watch", ("0x1000", 8, "w", "x1 > 3")),
        ("watch 0x1000 rw", "watch", ("0x1000", None, "rw", None)),
        ("watch 0x1000 if x1", "watch", ("0x1000", None, None, "x1")),
        ("set [sp + 8] 1 + 2", "set", ("[sp + 8]", "1 + 2")),
        ("set pa:[0x40000000] 7", "set", ("pa:[0x40000000]", "7")),
        ("write pa 0x48001000 de ad", "write", ("pa", "0x48001000", "de ad")),
        ("type 2 ls -l\\n", "type", ("vm0.hvc0", "ls -l\\n")),
        ('save "a file.log"', "save", ("a file.log",)),
        ("run 0.5", "run", (500_000_000,)),
        ("wait vm0 tick [0-9]+", "wait", ("vm0", "tick [0-9]+")),
        ("wait-event ffa", "wait_event", ("ffa", None)),
        ("screen ffa", "screen", ("ffa",)),
        ("help step-over", "help", ("next",)),
        ("  unplug   vm0.nic0 ", "unplug", ("vm0.nic0",)),
        ("until +0.5", "until", ("+0.5",)),
        ("quit", "quit", ()),
    ],
)
def test_lines(line: str, name: str, values: tuple[Any, ...]) -> None:
    found = parse(line, FACTS)
    assert found is not None
    assert (found.action.name, found.values) == (name, values)


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "  # one"])
def test_nothing(line: str) -> None:
    assert parse(line, FACTS) is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fly", "expected a command"),
        ("p", "expected one of pause, print, "),
        ("step 0", "step: expected a number from 1 (got '0')"),
        ("step much", "step: expected a number from 1 (got 'much')"),
        ("inject 9999", "inject: expected an INTID from 0 to 287 (got '9999')"),
        ("inject 33 vm0/2", "expected a vCPU, one of vm0/0, vm0/1, sp_hello/0 (got 'vm0/2')"),
        ("select vm0/²", "expected a vCPU"),
        ("select", "select: expected a vCPU, like vm0/1 (select VCPU)"),
        ("reset vm9", "expected a partition, one of vm0, sp_hello (got 'vm9')"),
        ("type vm9 x", "type: expected a console, one of vm0, vm0.hvc0 (got 'vm9')"),
        ("break guest_main x0 == 3", "break: expected if, and an expression (got 'x0 == 3')"),
        ("screen home", "expected a screen, one of board, cpu,"),
        ("theme pink", "expected a theme, one of hvtui,"),
        ("run soon", "run: expected seconds, like 0.5 (got 'soon')"),
        ("quit now", "quit: expected nothing more (got 'now')"),
        ("wait-event fire", "expected a kind of event"),
        ("say " + "x" * 1000, "expected a line of at most 1000 characters"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(line: str, words: str) -> None:
    with pytest.raises(MonitorError, match=r"\S") as told:
        parse(line, FACTS)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


@given(st.text(max_size=80))
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        parse(line, FACTS)
    except MonitorError as error:
        assert str(error)
    start, words = complete(line, FACTS)
    assert 0 <= start <= len(line)
    assert all(word.startswith(line[start:]) for word in words)


@given(st.sampled_from(ACTIONS), st.text(alphabet='0x19 vm/[]+if"', max_size=30))
def test_any_values_are_read_or_refused(action: Any, rest: str) -> None:
    try:
        found = parse(f"{action.word} {rest}", FACTS)
    except MonitorError as error:
        assert str(error).startswith(action.word)
    else:
        assert found is not None
        assert len(found.values) == len(action.params)


@pytest.mark.parametrize(
    ("line", "start", "words"),
    [
        ("inj", 0, ["inject"]),
        ("br", 0, ["break"]),
        ("break guest_", 6, ["guest_main", "guest_idle"]),
        ("until w", 6, ["world"]),
        ("until ve", 6, ["vectors"]),
        ("inject 33 vm", 10, ["vm0/0", "vm0/1"]),
        ("delete ", 7, ["1", "3"]),
        ("watch 0x10 r", 11, ["r", "rw"]),
        ("set x", 4, ["x0", "x1"]),
        ("theme hv", 6, ["hvtui"]),
        ("nothing x", 9, []),
    ],
)
def test_completion(line: str, start: int, words: list[str]) -> None:
    assert complete(line, FACTS) == (start, words)


def test_files_are_completed(tmp_path: Path) -> None:
    (tmp_path / "share.hvt").touch()
    (tmp_path / "shots").mkdir()
    line = f"source {tmp_path}/sh"
    assert complete(line, FACTS) == (7, [f"{tmp_path}/share.hvt", f"{tmp_path}/shots/"])


def test_words_are_unique_and_their_aliases_too() -> None:
    words = [word for action in ACTIONS for word in (action.word, *action.aliases)]
    assert len(words) == len(set(words))
    assert all(find(word) is not None for word in words)


def test_examples_are_commands() -> None:
    facts = Facts(
        vcpus={"vm0": 1, "vm1": 1},
        consoles=["vm0"],
        ports=["vm0"],
    )
    for action in ACTIONS:
        for part in action.example.split("   "):
            if part.startswith(":") and "<" not in part:
                found = parse(part[1:], facts)
                assert found is not None
                assert found.action is action


def test_only_last_parameters_take_the_rest_of_a_line() -> None:
    greedy = {Kind.TEXT, Kind.EXPRESSION, Kind.CONDITION}
    assert not [action.name for action in ACTIONS if greedy & {param.kind for param in action.params[:-1]}]
