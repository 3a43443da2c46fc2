"""A console's output by byte position, and its bounded memory."""

from __future__ import annotations

import pytest

from engine import console
from engine.console import Console


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Console:
    """It keeps 8 to 16 bytes."""
    monkeypatch.setattr(console, "_KEEP", 8)
    return Console("vm0")


def test_output_by_position(small: Console) -> None:
    small.write(b"hello", 0)
    assert small.since(0) == (b"hello", 5)
    assert small.since(3) == (b"lo", 5)
    assert small.since(5) == (b"", 5)


def test_reading_on_from_where_one_was(small: Console) -> None:
    position, text = 0, b""
    for word in (b"one ", b"", b"two ", b"three"):
        small.write(word, 0)
        new, position = small.since(position)
        text += new
    assert (text, position) == (b"one two three", 13)


def test_the_oldest_part_goes_but_positions_stay(small: Console) -> None:
    for n in range(10):
        small.write(b"%d...." % n, 0)
    assert small.end == 50
    data, position = small.since(0)
    assert (data, position) == (b"....8....9...."[-len(data) :], 50)
    assert 8 <= len(data) <= 16
    assert small.since(48) == (b"..", 50)


def test_a_position_that_was_never_reached_is_no_error(small: Console) -> None:
    small.write(b"abc", 0)
    assert small.since(1000)[0] == b""


def test_a_reader_ahead_of_the_output_gets_what_comes_next(small: Console) -> None:
    small.write(b"abc", 0)
    _, position = small.since(1000)
    small.write(b"def", 0)
    assert small.since(min(position, 3))[0] == b"def"


def test_listeners_hear_everything_in_order(small: Console) -> None:
    heard: list[bytes] = []
    small.listeners.append(heard.append)
    for n in range(20):
        small.write(b"%d" % n, 0)
    assert b"".join(heard) == b"".join(b"%d" % n for n in range(20))


class _Port:
    """It has room for two bytes."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    @property
    def room(self) -> int:
        return 2

    def receive(self, data: bytes) -> int:
        self.taken.append(data)
        return len(data)

    def resize(self, columns: int, rows: int) -> None:
        self.taken.append(b"%dx%d" % (columns, rows))


def test_sending_goes_to_the_port() -> None:
    port = _Port()
    typed = Console("vm0", port)
    assert typed.room == 2
    typed.send(b"ab")
    typed.resize(80, 25)
    assert port.taken == [b"ab", b"80x25"]


def test_a_console_without_a_port_has_no_room(small: Console) -> None:
    assert small.room == 0
    small.send(b"")
    small.resize(1, 1)
    assert small.end == 0


def marked(console: Console, position: int = 0) -> list[tuple[int, int]]:
    return [(mark.position, mark.at) for mark in console.begun(position)]


def test_lines_are_marked_with_the_time_of_their_first_byte() -> None:
    console = Console("vm0")
    for at, data in enumerate((b"a", b"bc", b"\r", b"\n", b"", b"d\n", b"e", b"f\ng\nh", b"\n", b"\ni")):
        console.write(data, 10 * at)
    data = console.since(0)[0]
    # a at 0, d at 50, e at 60, g and h at 70, the empty line and i at 90
    assert [(data[position : position + 1], at) for position, at in marked(console)] == [
        (b"a", 0),
        (b"d", 50),
        (b"e", 60),
        (b"g", 70),
        (b"\n", 90),
    ]


def test_marks_from_a_position_on_begin_with_the_line_that_is_there() -> None:
    console = Console("vm0")
    for at in range(5):
        console.write(b"line\n", at)
    assert marked(console, 12) == [(10, 2), (15, 3), (20, 4)]
    assert marked(console, 15) == [(15, 3), (20, 4)]
    assert marked(console, 100) == [(20, 4)]
    assert marked(Console("vm0")) == []


def test_marks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_MARKS", 4)
    one = Console("vm0")
    for at in range(100):
        one.write(b"\n", at)
    assert marked(one) == [(96, 96), (97, 97), (98, 98), (99, 99)]
