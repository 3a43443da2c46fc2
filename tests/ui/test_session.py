"""Monitor lines and session scripts in the app, which do there exactly what they do without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Static

from engine import config, paths
from engine.machine import Machine, Pace
from engine.views import RunState
from hvtui import headless_session, monitor
from hvtui.actions import ACTIONS
from hvtui.app import HvtuiApp
from hvtui.keymap import Keymap
from hvtui.screens.confirm import Confirm
from hvtui.screens.help import Help
from tests.ui.support import booted, press, running, settle, still, ticking, until

SCRIPT = """
# comments and empty lines are nothing

wait vm0 tick 1
inject 33 vm0/0
until trap
step 3
check el == 1
select vm1/1
set x7 0x1234
check x7 == 0x1234
select vm0/0
break dispatch_irq if x0 > 0
continue
screen interrupts
delete 1
type vm0 hello\\n
wait vm0 you typed: hello
run 0.001
"""


def script(tmp_path: Path, text: str = SCRIPT) -> Path:
    file = tmp_path / "session.hvt"
    file.write_text(text)
    return file


def two_vms(pace: Pace) -> Machine:
    return Machine(config.load(paths.machines_dir() / "two-vms.toml"), pace=pace, digest=True)


async def in_the_app(machine: Machine, file: Path, change: Callable[[Pilot[None]], object] | None = None) -> str:
    """The digest after a script, done in the app; `change` does something in the middle."""
    machine.start(running=False)
    app = HvtuiApp(machine)
    app.board.human = 0
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            app.board.action_source(str(file))
            if change is not None:
                change(pilot)
            await until(pilot, lambda: "is done" in app.board.status.notice or "✖" in app.board.status.notice, 60)
            assert app.board.status.notice == f"✓ {file.name} is done"
            return machine.ask(lambda control: control.digest()).result(10)
    finally:
        machine.close()


async def test_a_script_is_the_same_in_the_app_and_without(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = script(tmp_path)
    digests = set()
    for pace in Pace:
        digests.add(await in_the_app(two_vms(pace), file))
        assert await asyncio.to_thread(
            headless_session.run, two_vms(pace).config, file, timeout=30, digest=True, pace=pace
        ) == 0  # fmt: skip
        digests.add(capfd.readouterr().out.split()[-1])
    assert len(digests) == 1


async def test_a_pause_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    file = script(tmp_path, "wait vm0 tick 1\nwait vm1 tick 2\nrun 0.001\n")

    async def meddle(app: HvtuiApp) -> None:
        for _ in range(5):
            await asyncio.sleep(0.05)
            app.board.machine.pause()
            await asyncio.sleep(0.02)
            app.board.machine.resume()

    def change(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, HvtuiApp)
        app.board.run_worker(meddle(app))

    assert await in_the_app(two_vms(Pace.REAL), file, change) == await in_the_app(two_vms(Pace.MAX), file)


async def test_a_script_tells_where_it_failed_and_ends(tmp_path: Path) -> None:
    file = script(tmp_path, "run 0.1\ncheck x0 == 0x12345\nrun 1\n")
    async with running(still()) as (app, pilot):
        app.board.action_source(str(file))
        await until(pilot, lambda: "session.hvt:2: x0 == 0x12345 is not true of vm0/0" in app.board.status.notice)
        assert app.board.bridge.state is RunState.PAUSED


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("fly\n", "session.hvt:1: expected a command"),
        ("\n# one\nselect vm9\n", "session.hvt:3: select: expected a vCPU"),
        ("wait vm0 (\n", "session.hvt:1: expected a regular expression"),
        ("source nowhere.hvt\n", "nowhere.hvt: expected a readable script"),
        ("source session.hvt\n", "expected at most 8 scripts inside each other"),
        ("write pa 0x48000000 xyz\n", "expected bytes in hexadecimal"),
        ("type vm0 \\q\n", r"expected \n, \r"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    file = script(tmp_path, text)
    machine = config.load(paths.machines_dir() / "two-vms.toml")
    assert headless_session.run(machine, file, timeout=1) == 1
    told = capfd.readouterr().err
    assert problem in told
    assert told.count("\n") == 1


def test_the_time_can_be_up(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = script(tmp_path, "run 0.1\nwait vm0 never\n")
    machine = config.load(paths.machines_dir() / "two-vms.toml")
    assert headless_session.run(machine, file, timeout=0.5) == 1
    assert "session.hvt:2: the time is up" in capfd.readouterr().err


# --- the monitor line ---------------------------------------------------------------------------------


async def enter(pilot: Pilot[None], line: str) -> None:
    """Type a monitor line as people do."""
    app = pilot.app
    assert isinstance(app, HvtuiApp)
    await press(pilot, "colon")
    assert app.board.monitor_line.is_open
    for character in line:
        await pilot.press(" " if character == " " else character)
    await pilot.press("enter")
    await settle(pilot)


async def test_a_line_does_what_a_key_does() -> None:
    async with running(still(ticking)) as (app, pilot):
        assert app.board.frame is not None
        before = app.board.frame.view.instructions
        await enter(pilot, "step 5")
        assert app.board.frame.view.instructions == before + 5
        assert not app.board.monitor_line.is_open


async def test_the_focus_comes_back() -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, "g")
        pane = app.focused
        await press(pilot, "colon", "escape")
        assert app.focused is pane
        await enter(pilot, "select vm1/1")
        assert app.focused is pane
        assert app.board.bridge.selected == ("vm1", 1)


async def test_tab_completes_and_up_has_older_lines() -> None:
    async with running(still()) as (app, pilot):
        await press(pilot, "colon", *"inj", "tab")
        assert app.board.monitor_line.value == "inject "
        assert app.board.monitor_line.offers.told[0] == "inject [INTID] [VCPU]"
        await press(pilot, *"33", "enter", "colon", "up")
        assert app.board.monitor_line.value == "inject 33"
        await press(pilot, "down")
        assert app.board.monitor_line.value == ""
        await press(pilot, *"break gue", "tab")
        assert app.board.monitor_line.value == "break guest_main "


async def test_a_wrong_line_is_told_what_is_wrong() -> None:
    async with running(still()) as (app, pilot):
        await enter(pilot, "select vm7")
        assert "expected a vCPU, one of vm0/0, vm0/1, vm1/0, vm1/1" in app.board.status.notice


async def test_writing_asks_first() -> None:
    async with running(still(ticking)) as (app, pilot):
        await enter(pilot, "set x9 0x77")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "n")
        assert app.board.registers.shown is not None
        assert app.board.registers.shown.value("X9") != 0x77
        await enter(pilot, "set x9 0x77")
        await press(pilot, "y")
        assert app.board.registers.shown.value("X9") == 0x77
        await enter(pilot, "set [sp] x9+1")
        await press(pilot, "y")
        await enter(pilot, "print [sp]")
        assert "[sp] = 0x78 (120)" in app.board.status.notice


async def test_help_of_every_command_says_all_about_it() -> None:
    async with running(still(booted), (80, 24)) as (app, pilot):
        for action in ACTIONS:
            app.board.obey(f"help {action.word}")
            await pilot.pause()
            assert isinstance(app.screen, Help)
            (page,) = app.screen.query(Static)
            lines = [line.text.strip() for line in page.render_lines(page.region.reset_offset)]
            says = " ".join(" ".join(lines).split())
            keys = Keymap().label(action) or "none"
            for part in (action.title, action.help, f"usage :{action.usage}", f"keys {keys}", action.example):
                assert " ".join(part.split()) in says
            assert all(param.kind.value in says for param in action.params)
            assert not app.screen.query_one(VerticalScroll).show_vertical_scrollbar
            await pilot.press("escape")


async def test_examples_are_lines_that_are_understood() -> None:
    async with running(still(booted)) as (app, _):
        facts = replace(app.board.facts(), ports=("vm0",), stops=(2,))
        lines = [line for action in ACTIONS for line in action.example.split("   ") if line.startswith(":")]
        assert len(lines) > 30
        for line in lines:
            if "<tab>" not in line:
                assert monitor.parse(line[1:], facts) is not None


async def test_offers_say_how_many_have_no_room() -> None:
    async with running(still(booted), (80, 24)) as (app, pilot):
        await press(pilot, "colon", *"break ")
        offers = app.board.monitor_line.offers
        words = offers.told[1]
        shown, more = offers.render_line(0).text.strip().split("  … ")
        named = shown.split("  ", 1)[1].split("  ")
        assert tuple(named) == words[: len(named)]
        assert more == f"{len(words) - len(named)} more"


async def test_escape_gives_a_wait_up_and_a_caption_goes() -> None:
    async with running(still(booted)) as (app, pilot):
        app.board.human = 0
        app.board.obey("wait vm0 never")
        await until(pilot, lambda: app.board.bridge.state is RunState.RUNNING)
        app.board.obey("wait vm0 either")
        await until(pilot, lambda: "already" in app.board.status.notice)
        await pilot.press("escape")
        await until(pilot, lambda: "already" not in app.board.status.notice)
        app.board.obey("say something")
        await pilot.pause()
        app.board.obey("wait vm0 tick")
        await until(pilot, lambda: app.board.bridge.state is not RunState.RUNNING)
        assert app.board.caption.words == ""
