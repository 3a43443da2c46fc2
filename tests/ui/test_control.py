"""Keys and dialogs that run, hold and change the machine, as a debugger's do."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine.views import BreakpointView, MachineView, RunState
from hvtui.app import HvtuiApp
from hvtui.screens.breakpoints import Breakpoints
from hvtui.screens.confirm import Confirm
from hvtui.screens.jump import Jump
from hvtui.theme import Ink, themed
from tests.ui.support import booted, press, running, settle, still, ticking, until


def view(app: HvtuiApp) -> MachineView:
    assert app.board.frame is not None
    return app.board.frame.view


def stops(app: HvtuiApp) -> tuple[BreakpointView, ...]:
    return view(app).breakpoints


def pc_symbol(app: HvtuiApp) -> str:
    return view(app).vms[0].vcpus[0].symbol


async def obey(app: HvtuiApp, pilot: Pilot[None], line: str) -> str:
    """Do a monitor line, wait until guests are held again; what the status line says."""
    app.board.obey(line)
    await pilot.pause()
    await held(app, pilot)
    return app.board.status.notice


async def held(app: HvtuiApp, pilot: Pilot[None]) -> None:
    await settle(pilot)
    await until(pilot, lambda: app.board.bridge.state is not RunState.RUNNING)
    await settle(pilot)


# --- running -------------------------------------------------------------------------------------------


async def test_n_steps_over_a_call_and_f_returns_from_one() -> None:
    async with running(still(booted)) as (app, pilot):
        await obey(app, pilot, "until uart_putc")
        assert pc_symbol(app) == "uart_putc"
        await press(pilot, "f")
        await held(app, pilot)
        assert view(app).detail.startswith("finished")
        caller = pc_symbol(app)
        assert not caller.startswith("uart_putc")
        for _ in range(12):
            await press(pilot, "n")
            await held(app, pilot)
            assert not pc_symbol(app).startswith("uart_putc"), "calls are stepped over"
            if pc_symbol(app).split("+")[0] != caller.split("+")[0]:
                break


async def test_c_goes_on_to_the_next_breakpoint() -> None:
    async with running(still(booted)) as (app, pilot):
        await obey(app, pilot, "break dispatch_irq")
        await press(pilot, "c")
        await held(app, pilot)
        assert view(app).detail.startswith("breakpoint 1: vm0/0 at")


async def test_until_takes_a_place_a_time_or_a_kind_of_event() -> None:
    async with running(still(booted)) as (app, pilot):
        await obey(app, pilot, "until dispatch_irq")
        assert pc_symbol(app) == "dispatch_irq"
        await obey(app, pilot, "until +0.001")
        assert view(app).detail == "the time has come"
        await obey(app, pilot, "until trap")
        assert view(app).detail.startswith("trap:")
        assert "expected a register, or a symbol of vm0" in await obey(app, pilot, "until nowhere")


async def test_nothing_runs_on_a_machine_that_is_off() -> None:
    async with running(still(booted)) as (app, pilot):
        await obey(app, pilot, "power-off vm0")
        await press(pilot, "v", "v", "O", "y")
        await press(pilot, "space")
        await held(app, pilot)
        assert view(app).state is RunState.OFF
        assert "the machine is off" in await obey(app, pilot, "continue")
        assert "vm0 was reset" in await obey(app, pilot, "reset vm0")


# --- breakpoints and watchpoints -----------------------------------------------------------------------


async def test_conditions_hits_and_ignored_hits() -> None:
    async with running(still(booted)) as (app, pilot):
        assert "held at dispatch_irq if x1 == 5" in await obey(app, pilot, "break dispatch_irq if x1 == 5")
        await obey(app, pilot, "ignore 1 1")
        await press(pilot, "c")
        await held(app, pilot)
        (stop,) = stops(app)
        assert (stop.hits, stop.ignore, stop.condition) == (2, 0, "x1 == 5")
        await obey(app, pilot, "condition 1")
        await obey(app, pilot, "disable 1")
        (stop,) = stops(app)
        assert (stop.condition, stop.enabled) == ("", False)
        await obey(app, pilot, "enable 1")
        assert stops(app)[0].enabled
        assert "there is no breakpoint 7" in await obey(app, pilot, "delete 7")


async def test_a_watchpoint_holds_who_writes() -> None:
    async with running(still(ticking)) as (app, pilot):
        registers = app.board.registers.shown
        assert registers is not None
        page = registers.value("SP") & -4096
        assert "after access to" in await obey(app, pilot, f"watch {page:#x} 4096 w")
        await press(pilot, "c")
        await held(app, pilot)
        assert view(app).detail.startswith("watchpoint 1: vm0/0 writes")
        (stop,) = stops(app)
        assert (stop.kind, stop.size, stop.access) == ("watchpoint", 4096, "w")
        assert "after access to pa:0x48000000" in await obey(app, pilot, "watch pa:0x48000000 8 rw if x0 == 1")
        assert stops(app)[1].space == "pa"


async def test_the_dialog_disables_enables_and_removes() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "b")
        assert isinstance(app.screen, Breakpoints)
        await pilot.press(*"dispatch", "underscore", *"irq", "space", *"if", "space", *"x0", "enter")
        await settle(pilot)
        assert stops(app)[0].condition == "x0"
        for enabled in (False, True):
            await press(pilot, "b", "down", "space")
            assert stops(app)[0].enabled is enabled
        await press(pilot, "b")
        assert "dispatch_irq  reached 0 times, if x0" in str(app.screen.query_one(OptionList).options[0].prompt)
        await press(pilot, "down", "enter")
        assert stops(app) == ()


# --- changing ------------------------------------------------------------------------------------------


async def test_memory_is_written_after_a_question() -> None:
    async with running(still(booted)) as (app, pilot):
        app.board.obey("write pa 0x49000000 de ad be ef")
        await settle(pilot)
        assert isinstance(app.screen, Confirm)
        await press(pilot, "y")
        assert "4 bytes were written at PA 0x49000000" in app.board.status.notice
        assert app.board.machine.memory("vm0", 0, 0x49000000, 4, "pa").result(5) == b"\xde\xad\xbe\xef"
        app.board.obey("write pa 0x1 00")
        await press(pilot, "y")
        assert app.board.status.notice.startswith("!")


async def test_equals_and_p_open_the_monitor_line() -> None:
    async with running(still(booted)) as (app, pilot):
        for key, line in (("equals_sign", "set "), ("p", "print "), ("w", "watch ")):
            await press(pilot, key)
            assert app.board.monitor_line.value == line
            await press(pilot, "escape")


async def test_a_vm_is_powered_off_after_a_question() -> None:
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "O", "n")
        assert view(app).vms[0].state == "running"
        await press(pilot, "O", "y")
        assert view(app).vms[0].state == "off"


# --- panes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_jump_goes_to_the_pane_of_the_letter(size: tuple[int, int]) -> None:
    async with running(still(), size=size) as (app, pilot):
        await press(pilot, "ctrl+o")
        jump = app.screen
        assert isinstance(jump, Jump)
        letters = dict(jump._panes)
        assert app.board.partitions in letters.values()
        await press(pilot, "escape")
        assert not jump.is_attached
        for letter, pane in letters.items():
            await press(pilot, "ctrl+o", letter)
            assert app.focused is pane


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("keys", [("e",), ("alt+1",), ("g",)])
async def test_panes_grow_and_shrink(size: tuple[int, int], keys: tuple[str, ...]) -> None:
    async with running(still(), size=size) as (app, pilot):
        await press(pilot, *keys)
        pane = app.focused
        assert pane is not None
        before = pane.outer_size
        await press(pilot, "plus", "plus")
        grown = pane.outer_size
        assert grown.width * grown.height > before.width * before.height
        await press(pilot, "minus", "minus", "minus")
        shrunk = pane.outer_size
        assert shrunk.width * shrunk.height < grown.width * grown.height
        for _ in range(16):
            app.board.action_grow()
            await pilot.pause()
        assert all(each.region.area for each in (app.board.status, app.board.partitions) if each.display)
        await pilot.resize_terminal(size[0] + 1, size[1])
        await settle(pilot)
        assert abs(pane.outer_size.width - before.width) <= 1, "another shape of the terminal restores it"


# --- the program ---------------------------------------------------------------------------------------


async def test_themes_change_everything_at_once() -> None:
    async with running(still()) as (app, pilot):
        usual = app.board.status.render_line(0)
        await press(pilot, "Y")
        assert app.theme == "colour-blind"
        assert themed(Ink.GREEN) != Ink.GREEN
        assert list(app.board.status.render_line(0)) != list(usual)
        await obey(app, pilot, "theme hvtui")
        assert themed(Ink.GREEN) == Ink.GREEN


async def test_a_screenshot_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(still(booted)) as (app, pilot):
        await press(pilot, "ctrl+x")
        file = tmp_path / "hvtui-two-vms-board-250000000.svg"
        assert "partitions" in file.read_text()
        assert "Is a directory" in await obey(app, pilot, f"screenshot {tmp_path}")
