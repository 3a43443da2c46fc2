"""The same bytes for our terminal and for tmux: the same screen and the same cursor.

Left out is where tmux 3.3 does otherwise than xterm, which we follow: IL and DL work outside of the margins and
leave the cursor where it was, a new region puts it above its top in origin mode, REP ends at the margin, ICH of
many leaves some characters where they were, and when a wrap is pending the cursor is after the last column, for
erasing and for CUB.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvtui.terminal import Terminal
from tests.support.tmux import Pane, Picture, needs_tmux

pytestmark = needs_tmux
COLUMNS, LINES = 20, 8


@pytest.fixture(scope="module")
def pane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pane]:
    with Pane(tmp_path_factory.mktemp("tmux"), COLUMNS, LINES) as pane:
        yield pane


def ours(data: bytes) -> Picture:
    terminal = Terminal(COLUMNS, LINES)
    terminal.feed(b"\x1bc" + data)
    cursor = terminal.cursor
    return Picture([terminal.text(y).rstrip(" ") for y in range(LINES)], cursor.x, cursor.y)


def check(pane: Pane, data: bytes) -> None:
    mine, theirs = ours(data), pane.show(data)
    assert mine == theirs, f"{data!r}\nours:\n" + "\n".join(mine.lines) + "\ntmux:\n" + "\n".join(theirs.lines)


SIZES = st.integers(1, 24)
PLACES = st.builds(lambda y, x: f"\x1b[{y};{x}H", st.integers(1, LINES + 2), st.integers(1, COLUMNS + 2))
TEXTS = st.text("abcXYZ0189 -", min_size=1, max_size=30)
WIDE = st.one_of(st.text("ab漢字語é", min_size=1, max_size=14), st.just("e\u0301x"))
CONTROLS = st.sampled_from(["\r", "\n", "\r\n", "\r\t", "\r\n\t\t", "\x1bD\r", "\x1bE", "\x1bM\r"])
MOVES = st.builds("\x1b[{}{}".format, SIZES, st.sampled_from("ABCEFGd")) | st.builds("{}\x1b[{}D".format, PLACES, SIZES)
TABS = st.one_of(st.builds("\x1b[{}Z".format, st.integers(1, 4)), st.sampled_from(["\x1bH", "\x1b[g", "\t"]))
EDITS = st.builds(
    "{}\x1b[{}{}\r".format,
    PLACES,
    st.integers(1, 12),
    st.sampled_from(["P", "X", "S", "T"]),
) | PLACES.map("{}\x1b[@".format)
REGIONS = st.tuples(st.integers(1, LINES - 2), st.integers(1, LINES)).filter(lambda each: each[0] < each[1])
LINE_EDITS = st.builds(  # the cursor is between the margins
    lambda region, down, count, final: (
        f"\x1b[{region[0]};{region[1]}r\x1b[{min(region[0] + down, region[1])}H\x1b[{count}{final}\r"
    ),
    REGIONS,
    st.integers(0, LINES),
    st.integers(1, 12),
    st.sampled_from("LM"),
)
ERASES = st.builds("{}\x1b[{}{}".format, PLACES, st.integers(0, 2), st.sampled_from("JK"))
MARGINS = REGIONS.map(lambda region: f"\x1b[{region[0]};{region[1]}r\x1b[H")
MODES = st.sampled_from(["\x1b[?6h", "\x1b[?6l", "\x1b[?7h", "\x1b[?7l", "\x1b[m", "\x1b[1;31m"])
SAVES = st.sampled_from(["\x1b7", "\x1b8", "\x1b[s", "\x1b[u", "\x1b#8"])


INSERTS = st.builds("\x1b[{}G\x1b[4h{}\x1b[4l".format, st.integers(1, 12), st.text("abcXYZ0189 -", max_size=8))
PIECES = st.one_of(
    TEXTS, TEXTS, CONTROLS, PLACES, MOVES, TABS, EDITS, LINE_EDITS, ERASES, INSERTS, MARGINS, MODES, SAVES
)
ALTERNATE = st.lists(PIECES, max_size=6).map(lambda pieces: f"\x1b[?6l\x1b[?1049h{''.join(pieces)}\x1b[?6l\x1b[?1049l")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(*[PIECES] * 9, ALTERNATE), max_size=25))
def test_random_sequences(pane: Pane, pieces: list[str]) -> None:
    check(pane, "".join(pieces).encode())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(WIDE, TEXTS, CONTROLS, PLACES, MOVES, MARGINS, MODES, SAVES), max_size=25))
def test_wide_and_combining_characters(pane: Pane, pieces: list[str]) -> None:
    check(pane, "".join(pieces).encode())
