"""Reading a console: searching, selecting, copying, times of lines, saving, and how many are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot

from engine.machine import Machine
from hvtui.app import HvtuiApp
from hvtui.frame import Printed
from hvtui.terminal import Terminal
from hvtui.terminal.find import Point, Selection, find_all, pattern, word_at
from hvtui.theme import Ink
from hvtui.widgets.console import Console, SaveError
from tests.support.machines import machine_config, spin
from tests.ui.support import press, running, settle, still

LINES = b"".join(b"line %d of many\r\n" % n for n in range(100))


async def ready(app: HvtuiApp, pilot: Pilot[None], data: bytes = LINES) -> Console:
    """The first console, with nothing but `data` on it."""
    console = app.board.consoles["vm0"]
    console.feed(b"\x1bc\x1b[3J" + data)
    console.focus()
    await settle(pilot)
    return console


def shown(console: Console) -> list[str]:
    return [console.render_line(y).text.rstrip() for y in range(console.size.height)]


def marked(console: Console, y: int) -> str:
    """What lies under an overlay in a row."""
    grounds = {style.bgcolor for style in (Ink.SELECTED, Ink.CHANGED, Ink.CURSOR)}
    return "".join(
        segment.text for segment in console.render_line(y) if segment.style and segment.style.bgcolor in grounds
    )


# --- searching -----------------------------------------------------------------------------------------


async def test_the_search_bar_goes_from_match_to_match_and_around() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot)
        await press(pilot, "slash", *"line 1", "0")
        assert console.bar is not None
        assert console.bar.says == "1 found", "10; 100 is not there"
        await press(pilot, "backspace")
        assert console.bar.says == "11 found", "1 and 10 to 19"
        await press(pilot, "enter")
        assert console.bar.says == "11/11"
        assert any("line 19 of many" in row for row in shown(console)[:-1])
        await press(pilot, "enter")
        assert console.bar.says == "10/11"
        await press(pilot, "ctrl+n", "ctrl+n")
        assert console.bar.says == "1/11"
        assert any("line 1 of many" in row for row in shown(console)[:-1])
        await press(pilot, "escape")
        assert not console.query("SearchBar")
        assert app.focused is console
        assert not console.typing


async def test_no_match_is_said() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot)
        await press(pilot, "slash", *"nowhere", "enter")
        assert console.bar is not None
        assert console.bar.says == "no match"
        assert console.back == 0
        assert not console.search("nowhere")
        assert console.search("many")


async def test_matches_are_marked() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot, b"one two one\r\n")
        console.search("one")
        assert marked(console, 0) == "oneone"
        looks = {segment.style for segment in console.render_line(0) if segment.text == "one"}
        assert len(looks) == 2, "the one that was gone to is another"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vda", ["vda", "VDA"]),
        ("VDA", ["VDA"]),
        ("v.a", ["vda", "VDA"]),
        ("[12]", ["1", "2"]),
        ("[1", ["[1"]),
        ("a{99999999999}", []),
    ],
)
def test_patterns_are_regular_expressions_where_they_can_be(text: str, found: list[str]) -> None:
    terminal = Terminal(20, 3)
    terminal.feed("vda 漢[1\r\nVDA 2".encode())
    spans = find_all(terminal, pattern(text))
    for (number, start, end), expected in zip(spans, found, strict=True):
        assert Selection(Point(number, start), Point(number, end - 1)).text(terminal) == expected


@given(st.text("a漢é b\u0301", max_size=30), st.text("a漢é", min_size=1, max_size=2))
def test_a_match_is_where_it_is_shown(text: str, wanted: str) -> None:
    terminal = Terminal(80, 1)
    terminal.feed(text.encode())
    spans = find_all(terminal, re.compile(re.escape(wanted)))
    assert len(spans) == len(re.findall(re.escape(wanted), terminal.line(0).text()))
    for number, start, end in spans:
        shown = terminal.strip(0).crop(start, end).text
        assert shown.replace("\u0301", "") == wanted
        assert number == 0


# --- selecting and copying ----------------------------------------------------------------------------------


async def drag(pilot: Pilot[None], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Offsets are inside of the frame."""
    await pilot.mouse_down("#console-1", offset=(start[0] + 1, start[1] + 1))
    await pilot.hover("#console-1", offset=(end[0] + 1, end[1] + 1))
    await pilot.mouse_up("#console-1", offset=(end[0] + 1, end[1] + 1))
    await settle(pilot)


async def test_dragging_selects_and_copies_but_does_not_type() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot, b"first line\r\nsecond line\r\nthird")
        await drag(pilot, (6, 0), (5, 1))
        assert app.clipboard == "line\nsecond"
        assert not console.typing
        assert marked(console, 1) == "second"
        console.feed(b"\r\nmore" * 100)
        assert console.selection is not None
        assert console.selection.text(console.terminal) == "line\nsecond", "it goes along with its text"
        await drag(pilot, (3, 0), (0, 0))
        assert app.clipboard == "more", "backwards"
        await press(pilot, "escape")
        assert console.selection is None


async def test_clicks_type_or_take_a_word_or_a_line() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot, b"cat (/etc/fstab) now\r\n")
        await pilot.click("#console-1", offset=(8, 1))
        await settle(pilot)
        assert console.typing
        await pilot.click("#console-1", offset=(8, 1), times=2)
        await settle(pilot)
        assert app.clipboard == "/etc/fstab"
        await pilot.click("#console-1", offset=(8, 1), times=3)
        await settle(pilot)
        assert app.clipboard == "cat (/etc/fstab) now"


async def test_copy_mode_selects_with_keys() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot, b"alpha beta\r\ngamma")
        await press(pilot, "m")
        assert "copy mode" in str(console.border_title)
        await press(pilot, "up", "home", "m", "right", "right", "right", "right")
        assert marked(console, 0) == "alpha"
        await press(pilot, "y")
        assert app.clipboard == "alpha"
        assert "copied 5 characters" in str(console.border_title)
        assert console.selection is None
        await press(pilot, "m", "m", "down", "escape")
        assert console.copy_cursor is None
        assert console.selection is None
        await press(pilot, "m", "ctrl+home")
        assert console.back == console.terminal.scrollback


async def test_keys_that_mean_nothing_to_a_console_go_on() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot)
        await press(pilot, "alt+2")
        assert app.focused is app.board.consoles["vm1"]
        assert not console.copy_selection()


def test_a_selection_joins_what_was_wrapped() -> None:
    terminal = Terminal(5, 4)
    terminal.feed("0123456789ab\r\n漢字x".encode())
    assert Selection(Point(3, 1), Point(0, 3)).text(terminal) == "3456789ab\n漢"
    assert Selection(Point(-5, 0), Point(99, 0)).text(terminal) == "0123456789ab\n漢字x"
    assert word_at(terminal, Point(99, 99)).text(terminal) == ""


# --- times --------------------------------------------------------------------------------------------------


async def test_lines_show_when_they_were_begun() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot, b"")
        console.feed(Printed(b"one\r\ntwo\r\n", ((0, 1_500_000_000), (5, 12_345_678_999))))
        columns = console.terminal.columns
        console.timestamps = True
        await settle(pilot)
        assert shown(console)[:3] == ["    1.500000 one", "   12.345678 two", ""]
        assert console.terminal.columns == columns - 13
        console.feed(b"x" * (columns - 10))
        assert shown(console)[3].strip() == "xxx", "what is wrapped has its time once"
        console.timestamps = False
        await settle(pilot)
        assert shown(console)[:2] == ["one", "two"]
        assert console.terminal.columns == columns


async def test_times_come_from_the_machine() -> None:
    async with running(still()) as (app, _):
        console = app.board.consoles["vm0"]
        outputs = await app.board.bridge.request(
            lambda machine: machine.ask(lambda control: (control.console("vm0").begun(0), control.system.hypervisor))
        )
        marks, hypervisor = outputs
        terminal = console.terminal
        begun = [terminal.line(number).begun_ns for number in range(terminal.first, terminal.end)]
        times = [at_ns for at_ns in begun if at_ns is not None]
        assert times
        assert times == sorted(times)
        assert set(times) <= {hypervisor.ns_of_cycles(mark.at) for mark in marks}
        assert max(times) > 0


@given(st.binary(max_size=60), st.lists(st.integers(0, 59), unique=True, max_size=8), st.integers(1, 20))
def test_pieces_are_the_same_as_the_whole(data: bytes, offsets: list[int], size: int) -> None:
    begun = tuple((offset, 1000 + offset) for offset in sorted(offsets) if offset < len(data))
    pieces = list(Printed(data, begun).pieces(size))
    assert b"".join(piece.data for piece in pieces) == data
    starts = range(0, len(data), size)
    assert [
        (start + offset, at) for start, piece in zip(starts, pieces, strict=True) for offset, at in piece.begun
    ] == list(begun)
    assert all(len(piece.data) <= size for piece in pieces)


# --- much output, paste, files ----------------------------------------------------------------------------


async def test_a_flood_is_taken_in_pieces_while_keys_are_served() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot, b"")
        console.feed(LINES * 300 + b"the end")
        assert "the end" not in console.transcript(), "there was time for something else"
        await press(pilot, "alt+2")
        assert app.focused is app.board.consoles["vm1"]
        while "the end" not in console.transcript():
            await pilot.pause()
        assert console.terminal.scrollback == 10_000


async def test_waiting_output_is_bounded() -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot, b"")
        for _ in range(8):
            console.feed(b"x" * (1 << 20))
        assert sum(len(piece.data) for piece in console._waiting) <= 4 << 20
        console._waiting.clear()


async def test_a_big_paste_goes_out_whole_and_bracketed() -> None:
    async with running(still()) as (app, pilot):
        typed: list[bytes] = []
        app.board.bridge.type = lambda vm, data: typed.append(data)  # type: ignore[method-assign]
        console = await ready(app, pilot, b"\x1b[?2004h")
        await press(pilot, "enter")
        console.post_message(events.Paste("text\n" * 200_000))
        await settle(pilot)
        assert b"".join(typed) == b"\x1b[200~" + b"text\r" * 200_000 + b"\x1b[201~"


async def test_a_console_is_saved_with_colours_or_without(tmp_path: Path) -> None:
    async with running(still()) as (app, pilot):
        console = await ready(app, pilot, LINES + b"\x1b[31mred\x1b[m\r\n")
        console.save(tmp_path / "plain.txt", ansi=False)
        assert (tmp_path / "plain.txt").read_text() == LINES.decode().replace("\r", "") + "red\n"
        assert console.transcript() == (tmp_path / "plain.txt").read_text()
        console.save(tmp_path / "colours.txt", ansi=True)
        assert (tmp_path / "colours.txt").read_text().endswith("\x1b[31mred\x1b[m\n")
        with pytest.raises(SaveError, match=r"^[^\n]*nowhere/file: No such file or directory$"):
            console.save(tmp_path / "nowhere" / "file", ansi=False)


# --- several at once ------------------------------------------------------------------------------------------


def visible(app: HvtuiApp) -> list[str]:
    return [console.vm_name for console in app.board.consoles.all() if console.display]


async def test_one_or_two_consoles_are_shown_as_asked() -> None:
    async with running(still(), size=(200, 50)) as (app, pilot):
        consoles = app.board.consoles
        automatic = [console.region for console in consoles.all()]
        assert consoles.cycle_split() == 1
        await settle(pilot)
        assert visible(app) == ["vm0"]
        assert consoles["vm0"].region.size == consoles.size
        consoles.choose(2)
        await settle(pilot)
        assert visible(app) == ["vm1"]
        assert consoles.cycle_split() == 2
        await settle(pilot)
        first, second = (console.region for console in consoles.all())
        assert (first.y, first.right) == (second.y, second.x), "side by side"
        await pilot.resize_terminal(100, 40)
        await settle(pilot)
        first, second = (console.region for console in consoles.all())
        assert (first.x, first.bottom) == (second.x, second.y), "stacked"
        await pilot.resize_terminal(200, 50)
        assert consoles.cycle_split() == 0
        await settle(pilot)
        assert [console.region for console in consoles.all()] == automatic


async def test_a_maximised_console_has_all_the_room_of_a_split() -> None:
    async with running(still(), size=(200, 50)) as (app, pilot):
        consoles = app.board.consoles
        consoles.split = 2
        await press(pilot, "1", "z")
        assert consoles["vm0"].region.width == 200
        await press(pilot, "z")
        assert [console.region.width for console in consoles.all()] == [74, 75], "of 149"


@pytest.mark.parametrize(
    ("split", "places"),
    [(3, [(0, 0, 1, 1), (1, 0, 1, 1), (0, 1, 2, 1)]), (4, [(0, 0, 1, 1), (1, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1)])],
)
async def test_three_and_four_consoles_are_a_grid(
    tmp_path: Path, split: int, places: list[tuple[int, int, int, int]]
) -> None:
    machine = Machine(machine_config(tmp_path, spin(), spin(), vm={"virtio_console": True}))
    machine.start(running=False)
    async with running(machine, size=(160, 50)) as (app, pilot):
        consoles = app.board.consoles
        consoles.split = split
        await settle(pilot)
        regions = [console.region for console in consoles.all() if console.display]
        width, height = consoles.size.width // 2, consoles.size.height // 2
        found = [
            tuple(round(value / unit) for value, unit in zip(region, (width, height) * 2, strict=True))
            for region in (region.translate(-consoles.region.offset) for region in regions)
        ]
        assert found == places
