"""The terminal alone: known sequences do what xterm does, and no bytes break it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style

from hvtui.terminal import Terminal, encode_key, encode_paste, transcript
from hvtui.terminal.known_cells import MOST


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


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"ab\x1b[3b", ["abbbb", "", "", ""]),
        (b"\x1b[5b", ["", "", "", ""]),
        (b"a\x1b[99999999b", ["a" * 10, "a", "", ""]),
        (b"abcdef\x1b[2G\x1b[3Xx", ["ax  ef", "", "", ""]),
        (b"\x1b#8", ["E" * 10] * 4),
        (b"\x1b[2;3r\x1b#8\x1b[4;1H\nx", ["E" * 10] * 3 + ["x"]),
        (b"\x1b[2Ia\x1b[Zb", ["        ba", "", "", ""]),
        (b"\x1b[3g\ta", ["         a", "", "", ""]),
        (b"\x1b[3g\x1b[3G\x1bH\x1b[6G\x1bH\r\x1b[2Ia\x1b[2Zb", ["  b  a", "", "", ""]),
        (b"\x1b[9999I\x1b[9999Za\x1b[4::mb", ["ab", "", "", ""]),
        (b"\x1b[5G\x1bH\r\ta", ["    a", "", "", ""]),
        (b"\x1b[2;3r\x1b[?6h\x1b[1;1Ha\x1b[9;9Hb", ["", "a", "        b", ""]),
        (b"\x1b[?6h\x1b[2;3r\x1b[5db", ["", "", "b", ""]),
        (b"1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[2;1H\x1b[L", ["1", "", "2", "4"]),
        (b"1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[2;1H\x1b[M", ["1", "3", "", "4"]),
        (b"1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[4;1H\x1b[M", ["1", "2", "3", "4"]),
        (b"1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[2;1H\x1bM", ["1", "", "2", "4"]),
        (b"0123456789\bX", ["01234567X9", "", "", ""]),
        (b"0123456789\x1b[Kx", ["012345678x", "", "", ""]),
        (b"0123456789\x1b7\x1b[3;3H\x1b8x", ["0123456789", "x", "", ""]),
        (b"\x1b[4habc\x1b[1Gx\x1b[!p\x1b[1Gy", ["yabc", "", "", ""]),
        (b"\x1b)0\x0eq\x0fq", ["─q", "", "", ""]),
        (b"\x1b(A#\x1b(B#", ["£#", "", "", ""]),
        (b"\x1b[20ha\nb\x1b[20l\nc", ["a", "b", " c", ""]),
        (b"ab\x1b[\rC\x1b[\x18x", ["ax", "", "", ""]),
        ("漢字\x1b[2Gx".encode(), [" x字", "", "", ""]),
        ("漢字\x1b[3G\x1b[P".encode(), ["漢", "", "", ""]),
        ("012345678漢".encode(), ["012345678", "漢", "", ""]),
        (b"\x1b]0;" + b"t" * 5000 + b"\x07a", ["a", "", "", ""]),
        (b"shell\x1b[?47hvi\x1b[?47lx", ["shell  x", "", "", ""]),
        (b"shell\x1b[?1047h\x1b[3;3Hvi\x1b[?1047l", ["shell", "", "", ""]),
    ],
)
def test_more_sequences(data: bytes, expected: list[str]) -> None:
    assert screen(data) == expected


def test_a_string_without_an_end_does_not_swallow_all_that_comes() -> None:
    assert screen(b"\x1bP" + b"q" * 65536 + b"text") == ["text", "", "", ""]


def test_combining_characters_share_a_cell_with_the_letter_before() -> None:
    terminal = Terminal(4, 1)
    terminal.feed("e\u0301a".encode() + "\u0301".encode() * 1000)
    assert terminal.text(0).startswith("e\u0301a\u0301")
    assert len(terminal.text(0)) < 20
    assert terminal.cursor.x == 2


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b"\x1b[c", b"\x1b[?62;22c"),
        (b"\x1b[0c", b"\x1b[?62;22c"),
        (b"\x1b[>c", b"\x1b[>1;10;0c"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"\x1b[2;3r\x1b[?6h\x1b[2;2H\x1b[6n", b"\x1b[2;2R"),
        (b"\x1b[2;4H\x1b[?6n", b"\x1b[?2;4R"),
        (b"\x1b[18t", b"\x1b[8;4;10t"),
        (b"\x1b[?2004h\x1b[?2004$p", b"\x1b[?2004;1$y"),
        (b"\x1b[?1049$p", b"\x1b[?1049;2$y"),
        (b"\x1b[?5432$p", b"\x1b[?5432;0$y"),
        (b"\x1b[5n" * 1000, b"\x1b[0n" * 16),
        (b"\x1b[1c\x1b[>5c\x1b[14t", b""),
    ],
)
def test_answers(question: bytes, answer: bytes) -> None:
    terminal = Terminal(10, 4)
    terminal.feed(question)
    assert terminal.take_replies() == answer


@pytest.mark.parametrize(
    ("codes", "attribute"),
    [("2", "dim"), ("4:3", "underline"), ("8", "conceal"), ("9", "strike"), ("53", "overline"), ("5", "blink")],
)
def test_renditions(codes: str, attribute: str) -> None:
    terminal = Terminal(1, 1)
    terminal.feed(f"\x1b[{codes}mA".encode())
    [segment] = terminal.strip(0)
    assert segment.style is not None
    if attribute == "conceal":
        assert segment.style.color is not None
        assert segment.style.color.get_truecolor() == (0x0E, 0x13, 0x18), "the background's"
    else:
        assert getattr(segment.style, attribute)


@pytest.mark.parametrize(
    "codes", ["38:2::1:2:3", "38:2:1:2:3", "38;2;1;2;3", "38;2;1;2;3;1;22", "31;38;5;999;38;2;1;2;3"]
)
def test_true_colour(codes: str) -> None:
    terminal = Terminal(1, 1)
    terminal.feed(f"\x1b[{codes}mA".encode())
    [segment] = terminal.strip(0)
    assert segment.style is not None
    assert segment.style.color is not None
    assert segment.style.color.get_truecolor() == (1, 2, 3)
    assert not segment.style.bold


def test_erasing_leaves_the_background_colour_and_nothing_else() -> None:
    terminal = Terminal(4, 1)
    terminal.feed(b"\x1b[4;44m\x1b[K")
    [segment] = terminal.strip(0)
    assert segment.style is not None
    assert segment.style.bgcolor is not None
    assert not segment.style.underline


@pytest.mark.parametrize(
    ("data", "visible", "block"),
    [(b"", True, True), (b"\x1b[5 q\x1b[?25l", False, False), (b"\x1b[4 q\x1b[0 q\x1b[?25l\x1b[?25h", True, True)],
)
def test_the_cursor_has_a_shape_and_may_hide(data: bytes, visible: bool, block: bool) -> None:
    terminal = Terminal()
    terminal.feed(data)
    assert terminal.cursor == (0, 0, visible, block)


def test_a_bracketed_paste_cannot_end_itself() -> None:
    assert encode_paste("a\nb\x1b[201~c", bracketed=True) == b"\x1b[200~a\rb[201~c\x1b[201~"


@pytest.mark.parametrize(("data", "on"), [(b"", False), (b"\x1b[?2004h", True), (b"\x1b[?2004h\x1b[?2004l", False)])
def test_the_guest_asks_for_bracketed_paste(data: bytes, on: bool) -> None:
    terminal = Terminal()
    terminal.feed(data)
    assert terminal.bracketed_paste is on


def test_lines_keep_their_numbers_and_times() -> None:
    terminal = Terminal(10, 2, scrollback=3)
    terminal.feed(b"one\r\ntwo\r\nthree", [(0, 100), (5, 200), (10, 300)])
    terminal.feed(b"!\r\n0123456789abc\r\n", [(0, 300), (3, 400)])
    lines = [(terminal.line(n).text(), terminal.line(n).begun_ns) for n in range(terminal.first, terminal.end)]
    assert lines == [("two", 200), ("three!", 300), ("0123456789", 400), ("abc", 400), ("", None)]
    assert (terminal.first, terminal.end) == (1, 6)
    assert terminal.line(0).cells == terminal.line(6).cells == []


def test_an_erased_line_is_begun_again() -> None:
    terminal = Terminal(10, 2)
    terminal.feed(b"one\x1b[2K\rtwo", [(0, 100), (7, 200)])
    assert terminal.line(0).begun_ns == 200


@settings(max_examples=60)
@given(_STEPS)
def test_the_coloured_transcript_shows_the_same_again(steps: list[bytes | tuple[int, int]]) -> None:
    terminal = Terminal(20, 5, scrollback=30)
    for step in steps:
        if isinstance(step, bytes):
            terminal.feed(step)
    again = Terminal(20, 5, scrollback=100)
    again.feed(transcript.ansi(terminal).replace("\n", "\r\n").encode())
    assert transcript.plain(again) == transcript.plain(terminal)


def test_the_transcript_joins_what_was_wrapped() -> None:
    terminal = Terminal(5, 2)
    terminal.feed(b"0123456789abc\r\n\x1b[1;38;5;100mred\x1b[m x\r\n\r\n")
    assert transcript.plain(terminal) == "0123456789abc\nred x\n"
    assert transcript.ansi(terminal) == "0123456789abc\n\x1b[1;38;5;100mred\x1b[m x\n"
    assert transcript.plain(Terminal()) == ""


def test_garbage_keeps_memory_and_time_in_bounds() -> None:
    """Ten megabytes; a parser that looked at anything again and again would not come back."""
    noise = Random(1)
    pieces = [b"\x1b", b"[", b"]", b"P", b"?", b";", b"9999", b"mH", b"L", b"b", b"\x07", b"\n", b"x" * 40, b"\xff"]
    terminal = Terminal(80, 24, scrollback=100)
    for _ in range(2):
        terminal.feed(noise.randbytes(1 << 20))
        terminal.feed(b"".join(noise.choices(pieces, k=300_000)))
    for begin in (b"\x1b]0;", b"\x1b[", b"\x1bP", b"\x1b[1;\x00", b"\xf0\x9f", "e\u0301".encode()):
        terminal.feed(begin + b"1;" * 250_000)
        terminal.feed("\u0301".encode() * 50_000)
    screen = terminal._screen
    lines = list(terminal.all_lines())
    assert len(lines) <= 124
    assert max(len(line.cells) for line in lines) <= 80
    assert max(len(cell.text) for line in lines for cell in line.cells) <= 8
    assert len(screen._known) < 2 * MOST
    assert len(screen.dirty) <= 24
    assert len(screen.tabs) <= 80
    assert len(terminal._parser._rest) <= 1024
    assert len(terminal.take_replies()) < 1000
