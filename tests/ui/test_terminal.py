"""The terminal alone: known sequences do what xterm does, and no bytes break it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style

from hvtui.terminal import Terminal, encode_key, encode_paste


def screen(data: bytes, columns: int = 10, lines: int = 4) -> list[str]:
    terminal = Terminal(columns, lines)
    terminal.feed(data)
    return [terminal.text(y).rstrip() for y in range(lines)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"ab\r\ncd", ["ab", "cd", "", ""]),
        (b"0123456789ab", ["0123456789", "ab", "", ""]),
        (b"0123456789\r\nab", ["0123456789", "ab", "", ""]),
        (b"abc\b\bX", ["aXc", "", "", ""]),
        (b"a\tb", ["a       b", "", "", ""]),
        (b"\x1b[2;3Hx\x1b[Ay\x1b[3Bz", ["   y", "  x", "", "    z"]),
        (b"abc\x1b[2Dx\x1b[Cy", ["axcy", "", "", ""]),
        (b"abc\x1b[1K\x1b[Hx", ["x", "", "", ""]),
        (b"abc\x1b[2G\x1b[K", ["a", "", "", ""]),
        (b"one\r\ntwo\x1b[2J\x1b[Hx", ["x", "", "", ""]),
        (b"abcd\x1b[2G\x1b[2P", ["ad", "", "", ""]),
        (b"abcd\x1b[2G\x1b[2@", ["a  bcd", "", "", ""]),
        (b"a\r\nb\r\nc\x1b[2;1H\x1b[L", ["a", "", "b", "c"]),
        (b"a\r\nb\r\nc\x1b[1;1H\x1b[M", ["b", "c", "", ""]),
        (b"\x1b[2;3rA\x1b[3;1Hx\ny", ["A", "x", " y", ""]),
        (b"1\r\n2\r\n3\r\n4\x1b[S", ["2", "3", "4", ""]),
        (b"1\r\n2\x1b[T", ["", "1", "2", ""]),
        (b"ab\x1b7\x1b[4;4Hx\x1b8c", ["abc", "", "", "   x"]),
        (b"\x1b(0qqx\x1b(Bq", ["──│q", "", "", ""]),
        (b"\x1b]0;title\x07a\x1b]0;more\x1b\\b", ["ab", "", "", ""]),
        (b"\x1bPq#0\x1b\\a\x1b_x\x1b\\b", ["ab", "", "", ""]),
        (b"\x1b[?2004h\x1b[>c\x1b[!pa", ["a", "", "", ""]),
        (b"\x1b[?7l0123456789abc", ["012345678c", "", "", ""]),
        ("é漢字x".encode(), ["é漢字x", "", "", ""]),
        (b"\xff\xfea", ["��a", "", "", ""]),
    ],
)
def test_sequences(data: bytes, expected: list[str]) -> None:
    assert screen(data) == expected


def test_sequences_may_come_in_pieces() -> None:
    data = "a\x1b[31mré\x1b]0;t\x07\x1b[2;2Hz".encode()
    terminal = Terminal(10, 4)
    for byte in data:
        terminal.feed(bytes([byte]))
    assert terminal.text(0) == "aré       "
    assert terminal.text(1) == " z        "


def test_colours() -> None:
    terminal = Terminal(20, 2)
    terminal.feed(b"\x1b[1;31mA\x1b[0;48;5;21mB\x1b[38;2;1;2;3mC\x1b[7mD\x1b[mE")
    styles = {segment.text: segment.style for segment in terminal.strip(0)}
    assert styles["A"] is not None
    assert styles["A"].bold
    assert styles["B"] is not None
    assert styles["B"].bgcolor is not None
    assert styles["B"].bgcolor.get_truecolor() == (0, 0, 255)
    assert styles["C"] is not None
    assert styles["C"].color is not None
    assert styles["C"].color.get_truecolor() == (1, 2, 3)
    assert styles["D"] is not None
    assert styles["D"].bgcolor is not None
    assert styles["D"].bgcolor.get_truecolor() == (1, 2, 3)


def test_the_alternate_screen_comes_and_goes() -> None:
    terminal = Terminal(10, 3)
    terminal.feed(b"shell\r\n$ vi")
    terminal.feed(b"\x1b[?1049h\x1b[2J\x1b[Hediting\r\n\n\n\n\nmore")
    assert terminal.text(2).strip() == "more"
    assert terminal.scrollback == 0
    terminal.feed(b"\x1b[?1049l!")
    assert [terminal.text(y).rstrip() for y in range(3)] == ["shell", "$ vi!", ""]


def test_the_alternate_screen_survives_a_resize() -> None:
    terminal = Terminal(10, 3)
    terminal.feed(b"0123456789abc\x1b[?1049hvi")
    terminal.resize(5, 6)
    terminal.feed(b"\x1b[?1049l")
    assert [terminal.text(y).rstrip() for y in range(3)] == ["01234", "56789", "abc"]


def test_scrollback_is_kept_and_bounded() -> None:
    terminal = Terminal(10, 2, scrollback=50)
    terminal.feed(b"".join(b"%d\r\n" % n for n in range(200)))
    assert terminal.scrollback == 50
    assert terminal.scrolled == 199
    assert terminal.text(0, back=1).strip() == "198"
    assert terminal.text(0, back=50).strip() == "149"
    terminal.feed(b"\x1b[3J")
    assert terminal.scrollback == 0


def test_lines_wrap_again() -> None:
    terminal = Terminal(10, 4)
    terminal.feed(b"0123456789abcdef\r\nshort\r\n")
    terminal.resize(20, 4)
    assert [terminal.text(y).rstrip() for y in range(3)] == ["0123456789abcdef", "short", ""]
    terminal.resize(4, 2)
    assert terminal.scrollback == 5
    assert terminal.cursor[:2] == (0, 1)
    terminal.resize(10, 4)
    assert [terminal.text(y).rstrip() for y in range(3)] == ["0123456789", "abcdef", "short"]


def test_replies() -> None:
    terminal = Terminal(10, 4)
    terminal.feed(b"\x1b[3;4H\x1b[6n\x1b[5n")
    assert terminal.take_replies() == b"\x1b[3;4R\x1b[0n"
    assert terminal.take_replies() == b""


def test_only_changed_lines_are_dirty() -> None:
    terminal = Terminal(10, 4)
    terminal.take_dirty()
    terminal.feed(b"a\r\nb")
    assert terminal.take_dirty() == {0, 1}
    assert terminal.take_dirty() == set()


_PIECES = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda private, numbers, final: f"\x1b[{private}{numbers}{final}".encode(),
        st.sampled_from(["", "?", ">", "="]),
        st.text("0123456789;:", max_size=12),
        st.sampled_from([chr(code) for code in range(0x20, 0x7F)]),
    ),
    st.sampled_from(
        [b"\x1b7", b"\x1b8", b"\x1bM", b"\x1bD", b"\x1bc", b"\x1b#8", b"\x1b(0", b"\r\n", "漢字é".encode()]
    ),
    st.text(max_size=30).map(str.encode),
)
_STEPS = st.lists(st.one_of(_PIECES, st.tuples(st.integers(1, 40), st.integers(1, 12))), max_size=40)


@settings(max_examples=150)
@given(_STEPS)
def test_no_bytes_break_it(steps: list[bytes | tuple[int, int]]) -> None:
    terminal = Terminal(20, 5, scrollback=30)
    for step in steps:
        if isinstance(step, tuple):
            terminal.resize(*step)
        else:
            terminal.feed(step)
        assert terminal.scrollback <= 30
        assert 0 <= terminal.cursor.x < terminal.columns
        assert 0 <= terminal.cursor.y < terminal.lines
        for y in range(-terminal.scrollback, terminal.lines):
            strip = terminal.strip(max(y, 0), max(-y, 0), Style(reverse=True))
            assert sum(segment.cell_length for segment in strip) == terminal.columns


@pytest.mark.parametrize(
    ("key", "character", "expected"),
    [
        ("a", "a", b"a"),
        ("A", "A", b"A"),
        ("plus", "+", b"+"),
        ("é", "é", "é".encode()),
        ("enter", "\r", b"\r"),
        ("backspace", "\x7f", b"\x7f"),
        ("space", " ", b" "),
        ("ctrl+a", "\x01", b"\x01"),
        ("ctrl+space", None, b"\0"),
        ("ctrl+at", "\0", b"\0"),
        ("ctrl+backslash", "\x1c", b"\x1c"),
        ("ctrl+underscore", "\x1f", b"\x1f"),
        ("alt+a", None, b"\x1ba"),
        ("alt+enter", None, b"\x1b\r"),
        ("up", None, b"\x1b[A"),
        ("ctrl+left", None, b"\x1b[1;5D"),
        ("shift+end", None, b"\x1b[1;2F"),
        ("delete", None, b"\x1b[3~"),
        ("shift+delete", None, b"\x1b[3;2~"),
        ("f1", None, b"\x1bOP"),
        ("f12", None, b"\x1b[24~"),
        ("ctrl+f1", None, b"\x1b[1;5P"),
        ("capslock", None, b""),
    ],
)
def test_keys(key: str, character: str | None, expected: bytes) -> None:
    assert encode_key(key, character) == expected


def test_application_cursor_keys() -> None:
    terminal = Terminal()
    terminal.feed(b"\x1b[?1h")
    assert encode_key("up", None, terminal.application_cursor) == b"\x1bOA"
    terminal.feed(b"\x1b[?1l")
    assert encode_key("up", None, terminal.application_cursor) == b"\x1b[A"


def test_paste() -> None:
    assert encode_paste("a\r\nb\nc") == b"a\rb\rc"
