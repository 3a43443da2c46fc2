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
    small.write(b"hello")
    assert small.since(0) == (b"hello", 5)
    assert small.since(3) == (b"lo", 5)
    assert small.since(5) == (b"", 5)


def test_reading_on_from_where_one_was(small: Console) -> None:
    position, text = 0, b""
    for word in (b"one ", b"", b"two ", b"three"):
        small.write(word)
        new, position = small.since(position)
        text += new
    assert (text, position) == (b"one two three", 13)


def test_the_oldest_part_goes_but_positions_stay(small: Console) -> None:
    for n in range(10):
        small.write(b"%d...." % n)
    assert small.end == 50
    data, position = small.since(0)
    assert (data, position) == (b"....8....9...."[-len(data) :], 50)
    assert 8 <= len(data) <= 16
    assert small.since(48) == (b"..", 50)


def test_a_position_that_was_never_reached_is_no_error(small: Console) -> None:
    small.write(b"abc")
    assert small.since(1000)[0] == b""


def test_a_reader_ahead_of_the_output_gets_what_comes_next(small: Console) -> None:
    small.write(b"abc")
    _, position = small.since(1000)
    small.write(b"def")
    assert small.since(min(position, 3))[0] == b"def"


def test_listeners_hear_everything_in_order(small: Console) -> None:
    heard: list[bytes] = []
    small.listeners.append(heard.append)
    for n in range(20):
        small.write(b"%d" % n)
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
