"""Keys that a person has chosen, a terminal without colours, and all that a mouse can do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from rich.segment import Segment
from textual.widgets import Static

from engine.views import MachineView, RunState
from hvtui.actions import ACTIONS
from hvtui.app import HvtuiApp
from hvtui.keymap import keymap
from hvtui.modes import MODES
from hvtui.screens.confirm import Confirm
from hvtui.screens.help import Help
from hvtui.screens.inject import Inject
from hvtui.settings import Settings
from hvtui.widgets.interrupts import InterruptsPage
from tests.ui.support import SECOND, Compare, booted, keys, press, running, settle, still, ticking, until

SIZES = [(80, 24), (120, 40), (200, 60)]


def view(app: HvtuiApp) -> MachineView:
    assert app.board.frame is not None
    return app.board.frame.view


def chosen(**written: str | list[str]) -> Settings:
    return Settings(keymap=keymap(written))


# --- keys --------------------------------------------------------------------------------------------


async def test_a_chosen_key_acts_and_the_usual_one_does_not() -> None:
    async with running(still(ticking), settings=chosen(step=["f7", "S"])) as (app, pilot):
        before = view(app).instructions
        await press(pilot, "s")
        assert view(app).instructions == before
        await press(pilot, "f7", "S")
        assert view(app).instructions == before + 2


async def test_a_key_may_change_hands() -> None:
    async with running(still(ticking), settings=chosen(step="n", next="s")) as (app, pilot):
        app.board.obey("until print_va+0x8c")
        await until(pilot, lambda: view(app).vms[0].vcpus[0].symbol == "print_va+0x8c")
        await settle(pilot)
        await press(pilot, "n")
        assert view(app).vms[0].vcpus[0].symbol == "uart_putc"


async def test_chosen_keys_are_told() -> None:
    settings = chosen(step=["f7", "S"], help="f5")
    async with running(still(ticking), (200, 60), settings) as (app, pilot):
        status = app.board.status.render_line(0).text
        assert " f7 step " in status
        assert " f5 help " in status
        await press(pilot, "question_mark")
        assert len(app.screen_stack) == 2
        await press(pilot, "f5")
        assert isinstance(app.screen, Help)
        first = app.screen.query(Static).first()
        assert any("f7, S" in line.text for line in first.render_lines(first.region.reset_offset))


async def test_an_action_may_have_no_key_at_all() -> None:
    async with running(still(ticking), (200, 60), chosen(step=[])) as (app, pilot):
        before = view(app).instructions
        await press(pilot, "s")
        assert view(app).instructions == before
        app.board.obey("step")
        await until(pilot, lambda: view(app).instructions == before + 1)


async def test_screens_may_have_other_keys_or_fewer() -> None:
    async with running(still(ticking), settings=chosen(screen=["f2", "f3", "!"])) as (app, pilot):
        assert app.board.modes.render_line(0).text.startswith(" f2 board  f3 CPU  ! memory   FF-A ")
        await press(pilot, "2", "5")
        assert app.board.page is None
        for key, name in (("f3", "cpu"), ("exclamation_mark", "memory"), ("f2", "board")):
            await press(pilot, key)
            assert app.board.modes.mode == name


# --- no colours --------------------------------------------------------------------------------------


def drawn(app: HvtuiApp) -> Iterator[Segment]:
    """Everything on the screen, as it goes to the terminal."""
    for strip in app.screen._compositor.render_strips():
        yield from strip


@pytest.mark.parametrize("pressed", [(), ("2", "s"), ("3",), ("5",), ("6",), ("question_mark",), ("i",)])
async def test_no_color_draws_shades_that_can_be_told_apart(
    monkeypatch: pytest.MonkeyPatch, pressed: tuple[str, ...]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with running(still(ticking)) as (app, pilot):
        await press(pilot, *pressed)
        for text, style, _ in drawn(app):
            assert style is not None
            shades = [each.triplet for each in (style.color, style.bgcolor) if each is not None and each.triplet]
            assert all(shade.red == shade.green == shade.blue for shade in shades)
            if any(map(str.isalnum, text)) and len(shades) == 2:
                assert abs(shades[0].red - shades[1].red) >= 24, text


async def test_no_color_leaves_what_is_chosen_and_changed_in_reverse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with running(still(ticking)) as (app, pilot):
        await press(pilot, "s")
        behind = defaultdict(set)
        for text, style, _ in drawn(app):
            if style is not None and style.bgcolor is not None and style.bgcolor.triplet is not None:
                behind[text.strip()].add(style.bgcolor.triplet.red)
        assert min(behind["1 board"]) > max(behind["CPU"]) + 64
        assert max(behind["0000000048002c0c"]) > max(behind["PC"]) + 64


def test_a_picture_without_colours(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    machine = still(ticking)
    try:
        assert snap_compare(HvtuiApp(machine), terminal_size=(120, 40), run_before=keys("s"))
    finally:
        machine.close()


# --- the mouse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_click_opens_every_screen_or_says_why_not(size: tuple[int, int]) -> None:
    machine = still(lambda each: each.control.advance(SECOND), "ffa.toml")
    async with running(machine, size) as (app, pilot):
        for mode in reversed(MODES):
            at = app.board.modes.render_line(0).text.index(mode.title[:3])
            await pilot.click("#modes", offset=(at, 0))
            await settle(pilot)
            if mode.name in ("board", *app.board.pages):
                assert app.board.modes.mode == mode.name
            else:
                assert mode.missing in app.board.status.notice
                app.board.status.say("")


@pytest.mark.parametrize("name", [action.name for action in ACTIONS if action.hint])
async def test_a_click_on_a_hint_acts(name: str) -> None:
    async with running(still(ticking), (200, 60)) as (app, pilot):
        before = view(app)
        effects: dict[str, Callable[[], bool]] = {
            "pause": lambda: app.board.bridge.state is RunState.RUNNING,
            "step": lambda: view(app).instructions == before.instructions + 1,
            "next": lambda: view(app).instructions == before.instructions + 1,
            "run_to_trap": lambda: view(app).detail.startswith("trap:"),
            "inject": lambda: isinstance(app.screen, Inject),
            "monitor": lambda: app.board.monitor_line.is_open,
            "help": lambda: isinstance(app.screen, Help),
            "quit": lambda: isinstance(app.screen, Confirm),
        }
        did = effects[name]
        word = {"pause": "resume"}.get(name) or next(action.hint for action in ACTIONS if action.name == name)
        assert not did()
        await pilot.click("#status", offset=(app.board.status.render_line(0).text.rindex(f" {word} ") + 1, 0))
        await until(pilot, did)


async def test_a_click_on_a_row_chooses_it() -> None:
    async with running(still(ticking)) as (app, pilot):
        await pilot.click("#partitions", offset=(5, 4))
        await settle(pilot)
        assert app.board.bridge.selected == ("vm1", 0)
        await press(pilot, "6")
        page = app.board.pages["interrupts"]
        assert isinstance(page, InterruptsPage)
        table = page.interrupts
        await pilot.click(table, offset=(5, 4))
        await settle(pilot)
        assert table.chosen is table._rows[2].item


async def test_a_click_takes_a_console() -> None:
    async with running(still(booted)) as (app, pilot):
        for name in ("vm1", "vm0"):
            console = app.board.consoles[name]
            await pilot.click(console, offset=(5, 2))
            await settle(pilot)
            assert app.focused is console
            assert console.typing
            assert app.board.bridge.selected == (name, 0)
            await press(pilot, "ctrl+right_square_bracket")
