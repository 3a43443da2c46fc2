"""What may go wrong while the app is open: it stays open, says what is wrong, and shows what there is."""

from __future__ import annotations

import asyncio
import datetime
import os
import re
import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets._toast import Toast

from engine import config, paths
from engine.machine import Machine
from engine.views import RunState
from hvtui import failures
from hvtui.app import HvtuiApp
from hvtui.file_watch import FileWatch
from hvtui.modes import MODES
from hvtui.screens import troubles
from hvtui.screens.details import Details
from hvtui.widgets.console import Console
from tests.ui.support import booted, console_text, faulty, press, running, settle, still, ticking, until

SCREENS = [str(number) for number in range(1, len(MODES) + 1)]
TINY = (20, 5)
CHANGED = "two-vms.toml changed on disk: this machine is still the old one; quit and start again"


def shown(app: HvtuiApp) -> str:
    """All that can be read on the terminal now."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


def toasts(app: HvtuiApp) -> str:
    """What notices on the screen say."""
    return "\n".join(toast._notification.message for toast in app.screen.query(Toast))


async def browse(app: HvtuiApp, pilot: Pilot[None]) -> None:
    """Look at every screen and pane, and into tables."""
    for key in (*SCREENS, "g", "e", "o", "v", "1", "d", "escape", "question_mark", "escape"):
        await press(pilot, key)
        assert shown(app).strip()
    for page in app.board.pages.values():
        app.board.show_pane(page.home)
        await press(pilot, "down", "enter", "escape")
        assert app.board.page is page
    await press(pilot, "1")


# --- guests and the engine -----------------------------------------------------------------------------


async def test_a_crash_is_told_and_everything_can_be_looked_at(tmp_path: Path) -> None:
    machine = Machine(config.load(faulty(tmp_path, "nowhere.elf")))
    machine.start(running=False)
    async with running(machine, notifications=True) as (app, pilot):
        await pilot.press("space")
        await until(pilot, lambda: "bad crashed: " in toasts(app))
        await press(pilot, "space")
        await browse(app, pilot)
        assert "✖ crashed" in shown(app)
        await press(pilot, "s")
        assert "cannot step" in app.board.status.notice
        await press(pilot, "alt+2")
        assert app.board.bridge.selected[0] == "good"
        await pilot.press("space")
        await until(pilot, lambda: "I am good" in console_text(app, "good"))


def break_engine(machine: Machine) -> None:
    """Its next slice meets an error of the program."""

    def broken(until: int, progress: int = 0) -> None:
        raise ZeroDivisionError("no such luck")

    machine.control.system.hypervisor.advance = broken  # type: ignore[method-assign]


async def failed(machine: Machine, app: HvtuiApp, pilot: Pilot[None]) -> None:
    """An engine that has, and its report."""
    break_engine(machine)
    await pilot.press("space")
    await until(pilot, lambda: app.board.bridge.state is RunState.FAILED and app.board.report != "")
    await settle(pilot)


async def test_a_failed_engine_leaves_its_traceback_and_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    machine = still(ticking, "ffa.toml")
    async with running(machine, notifications=True) as (app, pilot):
        await failed(machine, app, pilot)
        (file,) = (tmp_path / "hvtui").iterdir()
        assert re.fullmatch(rf"ffa-\d{{8}}-\d{{6}}-{os.getpid()}\.txt", file.name)
        text = file.read_text()
        assert "ZeroDivisionError: no such luck" in text
        assert "ffa.toml, at 2" in text
        assert toasts(app).startswith("the engine failed: ZeroDivisionError: no such luck. Its state can still be read")
        assert f"its traceback is in {file}" in toasts(app)
        await browse(app, pilot)
        await press(pilot, "space")
        assert "the engine failed and runs no more" in app.board.status.notice
        await press(pilot, "s", "t", "d")
        assert isinstance(app.screen, Details)
        assert str(file) in app.screen._text


async def test_a_traceback_that_cannot_be_kept_is_in_the_app_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    machine = still()
    async with running(machine, notifications=True) as (app, pilot):
        await failed(machine, app, pilot)
        assert "its traceback cannot be kept: Not a directory" in toasts(app)
        await press(pilot, "d")
        assert isinstance(app.screen, Details)
        assert "ZeroDivisionError" in app.screen._text


async def test_an_error_between_two_slices_does_not_end_the_machines_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = still()
    async with running(machine, notifications=True) as (app, pilot):

        def broken() -> None:
            raise RuntimeError("between two slices")

        monkeypatch.setattr(machine, "_settle_wait", broken)
        await pilot.press("space")
        await until(pilot, lambda: app.board.bridge.state is RunState.FAILED)
        await until(pilot, lambda: "between two slices" in toasts(app))
        await browse(app, pilot)


def test_the_names_of_machines_do_not_lead_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    machine = config.load(paths.machines_dir() / "two-vms.toml", ["machine.name=../../up and away" + "x" * 300])
    file = failures.save(machine, "a traceback", 5, datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC))
    assert file.parent == tmp_path / "hvtui"
    assert file.read_text().endswith("\n\na traceback")


@pytest.mark.parametrize("state", ["", "relative"])
def test_reports_are_in_the_users_state_folder(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", state)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert failures.folder() == tmp_path / ".local" / "state" / "hvtui"


# --- the machine file ----------------------------------------------------------------------------------


def own_file(tmp_path: Path) -> Path:
    """A machine file that may be changed."""
    file = tmp_path / "two-vms.toml"
    shutil.copy(paths.machines_dir() / "two-vms.toml", file)
    (tmp_path / "guests").symlink_to(paths.machines_dir() / "guests")
    return file


async def test_a_change_of_the_machine_file_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubles, "_LOOK_S", 0.01)
    file = own_file(tmp_path)
    async with running(still(booted, str(file)), notifications=True) as (app, pilot):
        await pilot.pause(0.1)
        assert toasts(app) == ""
        for told in ([CHANGED], [CHANGED, CHANGED]):
            with file.open("a") as stream:
                stream.write("# more\n")
            await until(pilot, lambda told=told: toasts(app).split("\n") == told)  # type: ignore[misc]
            await pilot.pause(0.1)
            assert toasts(app).split("\n") == told
        file.unlink()
        await pilot.pause(0.1)
        assert toasts(app).count(CHANGED) == 2
        await pilot.press("space")
        await until(pilot, lambda: app.board.bridge.state is RunState.RUNNING)


def test_other_contents_another_file_and_another_time_are_changes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    watch = FileWatch(file)
    assert not watch.changed()
    os.utime(file, (1, 1))
    assert watch.changed()
    other = tmp_path / "other"
    other.write_text("new")
    os.utime(other, (1, 1))
    other.replace(file)
    assert watch.changed()
    file.unlink()
    assert not watch.changed()
    file.write_text("longer")
    assert watch.changed()
    assert not watch.changed()


# --- terminals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["two-vms.toml", "ffa.toml"])
async def test_every_screen_shows_something_on_a_tiny_terminal(file: str) -> None:
    async with running(still(ticking, file)) as (app, pilot):
        await press(pilot, *SCREENS, "1")
        before = shown(app)
        await pilot.resize_terminal(*TINY)
        for key in SCREENS:
            await press(pilot, key)
            assert app.focused is not None
            assert app.focused.region.area, key
            assert app.focused.content_size.height >= 3
            assert "paused" in shown(app) or "!" in shown(app)
        await press(pilot, "1")
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert shown(app) == before


@pytest.mark.parametrize(
    ("key", "text"), [("g", "PSTATE"), ("e", "2.5003"), ("alt+2", "[vm1]"), ("colon", ":"), ("d", "vm0: running")]
)
async def test_every_pane_shows_something_on_a_tiny_terminal(key: str, text: str) -> None:
    async with running(still(ticking, "ffa.toml"), TINY) as (app, pilot):
        await press(pilot, key)
        assert text in shown(app)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("b", "at "),
        ("i", "INTID"),
        ("i 5", "SGI 5"),
        ("u", "the next trap"),
        ("u 9", "to 9.000000000"),
        ("equals_sign", "set x0"),
        ("question_mark", "Pause or resume"),
        ("q", "Stay (n)"),
        ("r", "Reset (y)"),
        ("ctrl+p", "Pause or"),
    ],
)
async def test_dialogs_are_usable_on_a_tiny_terminal(keys: str, text: str) -> None:
    async with running(still(ticking), TINY) as (app, pilot):
        await press(pilot, *keys.split())
        await until(pilot, lambda: text in shown(app))
        focused = app.screen.focused
        assert focused is None or focused.region.area
        await press(pilot, "escape")
        assert app.screen is app.board
        assert "paused" in shown(app)


async def test_a_tiny_terminal_says_what_a_key_led_to() -> None:
    async with running(still(), TINY) as (app, pilot):
        await press(pilot, "s")
        assert "! vm0/0 cannot step" in shown(app)


async def test_a_tiny_terminal_tells_of_crashes(tmp_path: Path) -> None:
    machine = Machine(config.load(faulty(tmp_path, "nowhere.elf")))
    machine.control.advance(100_000_000)
    machine.start(running=False)
    async with running(machine, TINY, notifications=True) as (app, pilot):
        await until(pilot, lambda: "bad crashed" in shown(app))
        assert "paused" in shown(app)


async def test_a_notice_is_shown_to_its_end() -> None:
    """Whatever its words are: Textual would measure and draw it in different widths."""
    async with running(still(), (80, 24), notifications=True) as (app, pilot):
        for length in range(36, 48):
            app.board.complain(f"{'a' * length} {'b' * 14} {'c' * length} END")
            await until(pilot, lambda length=length: "END" in shown(app) and "c" * length in shown(app))  # type: ignore[misc]


# --- output ------------------------------------------------------------------------------------------------

GARBAGE = (
    bytes(range(256)) * 40
    + b"\x1b[999999999L\x1b[99999;99999H\x1b[?1049h\x1b]0;" + b"t" * 3000
    + b"\x1bP" + b"d" * 3000 + b"\x18\x1b[38:2:999:999:999m" + "\u4e2d\u0301\U0001f600".encode() * 200
    + b"\x1b[" + b";" * 3000 + b"m\x1b[?1049l\x1bc" + b"plain text\r\n" * 500
) * 4  # fmt: skip
FLOOD = 10 << 20


async def test_keys_are_obeyed_while_a_console_is_flooded() -> None:
    machine = still(ticking)
    async with running(machine, notifications=True) as (app, pilot):
        written, obeyed = 0, False

        async def flood() -> None:
            nonlocal written
            while written < FLOOD or not obeyed:
                await asyncio.wrap_future(machine.ask(lambda control: control.console("vm0").write(GARBAGE, 0)))
                written += len(GARBAGE)
                app.board.bridge.look()

        await pilot.press("space")
        flooding = asyncio.create_task(flood())
        await until(pilot, lambda: written > 0)
        await pilot.press("g")
        await until(pilot, lambda: app.focused is app.board.registers, 30)
        await pilot.press("6")
        await until(pilot, lambda: app.board.page is app.board.pages["interrupts"], 30)
        await pilot.press("1")
        await until(pilot, lambda: isinstance(app.focused, Console), 30)
        assert not flooding.done()
        obeyed = True
        await asyncio.wait_for(flooding, 120)
        await pilot.press("space")
        await until(pilot, lambda: app.board.bridge.state is RunState.PAUSED, 30)
        await settle(pilot)
        assert "plain text" in console_text(app, "vm0")
        assert written >= FLOOD
