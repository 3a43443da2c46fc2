"""Every entry of the registry does what it says, by its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Label, OptionList

from engine import paths
from engine.views import RunState
from hvtui.actions import ACTIONS, find
from hvtui.app import HvtuiApp
from hvtui.bindings import bindings
from hvtui.keymap import Keymap
from hvtui.screens.board import BoardScreen
from hvtui.screens.breakpoints import Breakpoints
from hvtui.screens.confirm import Confirm
from hvtui.screens.details import Details
from hvtui.screens.help import Help
from hvtui.screens.inject import Inject
from hvtui.screens.run_until import RunUntil
from hvtui.times import parse_time
from hvtui.widgets import table
from hvtui.widgets.console import Console
from tests.ui.support import booted, console_text, press, running, settle, still, ticking, until


def instructions(app: HvtuiApp) -> int:
    assert app.board.frame is not None
    return app.board.frame.view.instructions


def on_board(app: HvtuiApp) -> bool:
    return app.screen is app.board


def focus_id(app: HvtuiApp) -> str | None:
    return app.focused.id if app.focused is not None else None


def state(app: HvtuiApp) -> RunState:
    return app.board.bridge.state


def test_every_action_has_a_method_and_every_key_one_action() -> None:
    for action in ACTIONS:
        assert callable(getattr(BoardScreen, f"action_{action.name}"))
        assert action.help.endswith(".")
        assert action.example
    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))
    assert len(bindings()) >= len(ACTIONS)
    assert Keymap().label(find("console")) == "alt+1-9"


async def test_space_resumes_and_pauses() -> None:
    async with running(still()) as (app, pilot):
        await pilot.press("space")
        await until(pilot, lambda: state(app) is RunState.RUNNING)
        await until(pilot, lambda: instructions(app) > 0)
        await press(pilot, "space")
        assert state(app) is RunState.PAUSED


async def test_s_steps_one_instruction_and_lights_up_the_pc() -> None:
    async with running(still(ticking)) as (app, pilot):
        before = instructions(app)
        await press(pilot, "s")
        assert instructions(app) == before + 1
        assert "PC" in app.board.registers.changed
        await press(pilot, "s", "s")
        assert instructions(app) == before + 3


async def test_s_on_a_blocked_vcpu_says_why() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "s")
        assert "cannot step: it is blocked" in app.board.status.notice


async def test_t_stops_at_the_next_trap() -> None:
    async with running(still(ticking)) as (app, pilot):
        await press(pilot, "t")
        await until(pilot, lambda: state(app) is RunState.PAUSED)
        await settle(pilot)
        assert app.board.frame is not None
        assert app.board.frame.view.detail.startswith("trap:")


async def test_i_injects_what_is_typed() -> None:
    async with running(still(ticking)) as (app, pilot):
        await press(pilot, "i", "5")
        assert isinstance(app.screen, Inject)
        await press(pilot, "enter")
        assert app.board.frame is not None
        assert 5 in app.board.frame.view.vms[0].vcpus[0].pending
        assert "INTID 5 is pending in vm0 (SGI 5)" in app.board.status.notice


async def test_i_refuses_what_is_no_intid() -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, "i", "9", "9", "9", "enter")
        assert isinstance(app.screen, Inject)
        await press(pilot, "escape")
        assert on_board(app)


async def test_i_injects_what_is_picked() -> None:
    async with running(still(ticking)) as (app, pilot):
        await press(pilot, "i", "down", "down", "down", "down", "down", "enter")
        assert on_board(app)
        assert "is pending in vm0" in app.board.status.notice


async def test_u_runs_to_the_next_interrupt() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "u")
        assert isinstance(app.screen, RunUntil)
        assert [str(option.prompt) for option in app.screen.query_one(OptionList).options] == [
            "the next trap",
            "the next interrupt",
        ]
        await press(pilot, "down", "enter")
        await until(pilot, lambda: app.board.bridge.state is RunState.PAUSED and app.board.frame is not None)
        await settle(pilot)
        assert app.board.frame is not None
        assert app.board.frame.view.detail.startswith("interrupt: vm0/0 INTID 27")


async def test_u_runs_to_a_time() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "u")
        await pilot.press("plus_sign", *"0.25", "enter")
        await until(pilot, lambda: app.board.frame is not None and app.board.frame.view.nanoseconds == 750_000_000)
        await settle(pilot)
        assert app.board.frame is not None
        assert app.board.frame.view.detail == "the time has come"


async def test_u_refuses_a_time_that_has_passed() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "u", "0", ".", "5", "enter")
        assert isinstance(app.screen, RunUntil)
        assert "that has passed" in str(app.screen.query_one("#meaning", Label).render())
        await press(pilot, "escape")
        assert on_board(app)


@pytest.mark.parametrize(
    ("typed", "moment"),
    [("2.5", 2_500_000_000), ("+0.1", 1_100_000_000), ("1.000000001", 1_000_000_001), ("+.5", 1_500_000_000)],
)
def test_times(typed: str, moment: int) -> None:
    assert parse_time(typed, 1_000_000_000) == moment


@pytest.mark.parametrize("typed", ["", "x", "1.0000000001", "-1", "0.5", "1", "+", ".", "1e3", "12345678901"])
def test_no_times(typed: str) -> None:
    with pytest.raises(ValueError, match=r"expected|passed"):
        parse_time(typed, 1_000_000_000)


async def test_r_resets_after_a_question() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "r", "n")
        assert app.board.status.notice == ""
        await press(pilot, "r")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "y")
        assert "vm0 was reset" in app.board.status.notice


@pytest.mark.parametrize("number", [1, 2])
async def test_alt_digits_go_to_consoles(number: int) -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, "g", f"alt+{number}")
        assert isinstance(app.focused, Console)
        assert app.focused.number == number
        assert app.board.bridge.selected == (f"vm{number - 1}", 0)


async def test_a_digit_without_console_does_nothing() -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, "alt+7")
        assert isinstance(app.focused, Console)


async def test_v_selects_the_next_vcpu_and_comes_round() -> None:
    async with running(still()) as (app, pilot):
        seen = []
        for _ in range(4):
            await press(pilot, "v")
            seen.append(app.board.bridge.selected)
        assert seen == [("vm0", 1), ("vm1", 0), ("vm1", 1), ("vm0", 0)]
        assert app.board.registers.shown is not None
        assert (app.board.registers.shown.vm, app.board.registers.shown.vcpu) == ("vm0", 0)


async def test_arrows_in_the_table_select() -> None:
    async with running(still()) as (app, pilot):
        app.board.partitions.focus()
        await press(pilot, "down", "down", "up")
        assert app.board.bridge.selected == ("vm0", 1)
        await press(pilot, "end")
        assert app.board.bridge.selected == ("vm1", 1)


async def test_g_and_e_take_turns_on_a_small_terminal() -> None:
    async with running(still(), size=(80, 24)) as (app, pilot):
        assert (app.board.registers.display, app.board.event_log.display) == (False, True)
        await press(pilot, "g")
        assert (app.board.registers.display, app.board.event_log.display) == (True, False)
        assert focus_id(app) == "registers"
        await press(pilot, "e")
        assert focus_id(app) == "events"


async def test_o_shows_all_events() -> None:
    async with running(still()) as (app, pilot):
        few = app.board.event_log.virtual_size.height
        await press(pilot, "o")
        assert app.board.event_log.virtual_size.height > few
        await press(pilot, "o")
        assert app.board.event_log.virtual_size.height == few


@pytest.mark.parametrize("pane", ["alt+1", "g", "e"])
async def test_z_maximises_and_shares_out(pane: str) -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, pane)
        focused = app.focused
        assert focused is not None
        small = focused.outer_size
        await press(pilot, "z")
        assert focused.outer_size == (120, 38)
        await press(pilot, "z")
        assert focused.outer_size == small


async def test_a_maximised_pane_gives_way_to_another() -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, "g", "z", "alt+2")
        assert app.focused is app.board.consoles["vm1"]
        assert app.focused.outer_size == (120, 38)


async def test_tab_goes_round_the_panes() -> None:
    async with running(still()) as (app, pilot):
        seen = []
        for _ in range(5):
            seen.append(focus_id(app))
            await press(pilot, "tab")
        assert seen == ["console-1", "console-2", "registers", "partitions", "events"]
        await press(pilot, "shift+tab")
        assert focus_id(app) == "events"


async def test_help_details_and_palette_open_and_close() -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, "question_mark")
        assert isinstance(app.screen, Help)
        await press(pilot, "escape", "d")
        assert isinstance(app.screen, Details)
        await press(pilot, "escape", "ctrl+p")
        assert type(app.screen).__name__ == "CommandPalette"
        await press(pilot, "escape")
        assert on_board(app)


async def test_the_palette_runs_an_action() -> None:
    async with running(still(ticking)) as (app, pilot):
        before = instructions(app)
        await press(pilot, "ctrl+p", *"step one")
        await pilot.pause(0.3)
        await press(pilot, "enter")
        await until(pilot, lambda: instructions(app) == before + 1)


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_quit_asks(key: str) -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, key)
        assert isinstance(app.screen, Confirm)
        await press(pilot, "n")
        assert on_board(app)
        await press(pilot, key)
        await pilot.press("y")
        await pilot.pause()
        assert app._exit


async def test_b_sets_a_breakpoint_and_takes_it_away() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "b")
        assert isinstance(app.screen, Breakpoints)
        await pilot.press(*"dispatch", "underscore", *"irq", "enter")
        await settle(pilot)
        assert "vm0 will be held at dispatch_irq" in app.board.status.notice
        await press(pilot, "space")
        await until(pilot, lambda: app.board.bridge.state is RunState.PAUSED)
        await settle(pilot)
        assert app.board.frame is not None
        assert app.board.frame.view.detail.startswith("breakpoint 1: vm0/0 at 0x4800")
        (found,) = app.board.frame.view.breakpoints
        assert (found.number, found.vm, found.symbol, found.hits) == (1, "vm0", "dispatch_irq", 1)
        await press(pilot, "b", "down", "enter")
        assert app.board.frame.view.breakpoints == ()


async def test_b_refuses_what_is_no_place() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "b")
        await pilot.press(*"nowhere", "enter")
        await settle(pilot)
        assert "expected a register, or a symbol of vm0 (got 'nowhere')" in app.board.status.notice


async def test_no_key_of_an_action_is_taken_by_the_tables() -> None:
    """Their own keys would win wherever a table has the focus."""
    own = {"up", "down", "left", "right", "home", "end", "pageup", "pagedown", "enter", *table.STEPS}
    assert own.isdisjoint(key for action in ACTIONS for key in action.keys)


# --- many ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_64_partitions_stay_readable(tmp_path: Path, size: tuple[int, int]) -> None:
    image = paths.machines_dir() / "guests" / "demo.elf"
    sections = [
        f'[[vm]]\nname = "vm{n}"\nram_base = 0x40000000\nbase_pa = {0x40000000 + (n << 24):#x}\nram_size = "16M"\n'
        f'image = "{image}"\nbootargs = "name=vm{n}"\n'
        for n in range(64)
    ]
    file = tmp_path / "many.toml"
    file.write_text("\n".join(sections))
    async with running(still(booted, str(file)), size=size) as (app, pilot):
        board = app.board
        for pane in (board.consoles.chosen, board.partitions, board.event_log):
            assert pane.size.height >= 3
            assert pane.region.bottom <= size[1]
        board.partitions.focus()
        await press(pilot, "end")
        assert board.bridge.selected == ("vm63", 0)
        assert board.partitions.scroll_offset.y > 0
        await press(pilot, "full_stop")
        assert board.consoles.chosen.vm_name == "vm1"
        await press(pilot, "comma", "comma")
        assert "[vm63] I tick every" in console_text(app, "vm63")
        assert board.consoles["vm63"].size.height >= 3
