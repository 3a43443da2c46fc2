"""Typing into guests, scrolling back, paste, and what becomes of a crashed VM."""

from __future__ import annotations

from pathlib import Path

from textual import events

from engine import config
from engine.machine import Machine
from engine.views import RunState
from hvtui.screens.confirm import Confirm
from hvtui.screens.details import Details
from hvtui.widgets.console import Console
from tests.support.machines import machine_config, spin
from tests.ui.support import console_text, faulty, press, running, settle, still, until


def is_typing(console: Console) -> bool:
    return console.typing


async def test_enter_types_and_the_leave_key_takes_the_keyboard_back() -> None:
    async with running(still()) as (app, pilot):
        await pilot.press("space")
        await until(pilot, lambda: app.board.bridge.state is RunState.RUNNING)
        await pilot.press("enter", *"q s?")
        console = app.board.consoles["vm0"]
        await until(pilot, lambda: "q s?" in console_text(app, "vm0"))
        assert is_typing(console)
        assert "typing into vm0" in str(console.border_title)
        assert "q s?" not in console_text(app, "vm1")
        await pilot.press("ctrl+right_square_bracket")
        assert not is_typing(console)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Confirm))


async def test_a_click_types_into_that_console() -> None:
    async with running(still()) as (app, pilot):
        await pilot.click("#console-2", offset=(5, 3))
        await settle(pilot)
        assert app.board.consoles["vm1"].typing
        assert not app.board.consoles["vm0"].typing
        assert app.board.bridge.selected == ("vm1", 0)
        await pilot.click("#console-1", offset=(5, 3))
        await settle(pilot)
        assert not app.board.consoles["vm1"].typing


async def test_control_keys_and_the_palette_key_reach_the_guest() -> None:
    async with running(still()) as (app, pilot):
        typed: list[bytes] = []
        app.board.bridge.type = lambda vm, data: typed.append(data)  # type: ignore[method-assign]
        await press(pilot, "enter", "ctrl+p", "ctrl+c", "ctrl+q", "tab", "shift+tab", "escape", "up", "f5", "alt+x")
        assert b"".join(typed) == b"\x10\x03\x11\t\x1b[Z\x1b\x1b[A\x1b[15~\x1bx"


async def test_paste_is_typed() -> None:
    async with running(still()) as (app, pilot):
        typed: list[bytes] = []
        app.board.bridge.type = lambda vm, data: typed.append(data)  # type: ignore[method-assign]
        console = app.board.consoles["vm0"]
        console.post_message(events.Paste("lost"))
        await settle(pilot)
        await press(pilot, "enter")
        console.post_message(events.Paste("one\ntwo"))
        await settle(pilot)
        assert typed == [b"one\rtwo"]


async def test_the_cursor_is_reported_only_while_typing() -> None:
    async with running(still()) as (app, pilot):
        typed: list[bytes] = []
        app.board.bridge.type = lambda vm, data: typed.append(data)  # type: ignore[method-assign]
        console = app.board.consoles["vm0"]
        console.feed(b"\x1b[2;3H\x1b[6n")
        await press(pilot, "enter")
        console.feed(b"\x1b[6n")
        await settle(pilot)
        assert typed == [b"\x1b[2;3R"]


async def test_scrollback_stays_where_it_is_read() -> None:
    async with running(still()) as (app, pilot):
        console = app.board.consoles["vm0"]
        console.feed(b"".join(b"line %d\r\n" % n for n in range(100)))
        await press(pilot, "pageup")
        assert console.back == console.size.height - 1
        top = console.terminal.text(0, console.back)
        console.feed(b"new\r\nnew\r\n")
        assert console.terminal.text(0, console.back) == top
        await press(pilot, "home")
        assert console.back == console.terminal.scrollback
        await press(pilot, "end")
        assert console.back == 0
        console.post_message(_wheel_up())
        await settle(pilot)
        assert console.back == 3


def _wheel_up() -> events.MouseScrollUp:
    return events.MouseScrollUp(None, 1, 1, 0, -1, 0, False, False, False)


async def test_a_crashed_vm_is_told_and_the_app_goes_on(tmp_path: Path) -> None:
    machine = Machine(config.load(faulty(tmp_path, "nowhere.elf")))
    machine.control.advance(100_000_000)
    machine.start(running=False)
    async with running(machine) as (app, pilot):
        assert "✖ crashed" in str(app.board.consoles["bad"].border_title)
        assert app.board.consoles["bad"].has_class("-crashed")
        await press(pilot, "alt+2", "question_mark", "escape")
        assert "I am good" in console_text(app, "good")


async def test_a_machine_that_is_off_says_so(tmp_path: Path) -> None:
    machine = Machine(config.load(faulty(tmp_path, "nowhere.elf", beside=False)))
    machine.start()
    async with running(machine) as (app, pilot):
        await until(pilot, lambda: app.board.bridge.state is RunState.OFF)
        await press(pilot, "space")
        assert "the machine is off" in app.board.status.notice


async def test_a_failed_engine_is_told_with_its_traceback() -> None:
    machine = still()
    async with running(machine) as (app, pilot):

        def broken(until: int, progress: int = 0) -> None:
            raise ZeroDivisionError("no such luck")

        machine.control.system.hypervisor.advance = broken  # type: ignore[method-assign]
        await pilot.press("space")
        await until(pilot, lambda: app.board.bridge.state is RunState.FAILED)
        await press(pilot, "s", "space")
        assert "the engine failed" in app.board.status.notice
        await press(pilot, "d")
        assert isinstance(app.screen, Details)
        assert "ZeroDivisionError" in app.screen._text
        await press(pilot, "escape")


async def test_resizing_to_nothing_and_back_keeps_the_text() -> None:
    async with running(still()) as (app, pilot):
        before = console_text(app, "vm0")
        for size in ((20, 5), (1, 1), (200, 60), (80, 24), (120, 40)):
            await pilot.resize_terminal(*size)
            await settle(pilot)
        assert console_text(app, "vm0") == before


async def test_a_second_console_tells_its_guest_its_size(tmp_path: Path) -> None:
    machine = Machine(machine_config(tmp_path, spin(), vm={"virtio_console": True}))
    machine.start(running=False)
    async with running(machine) as (app, pilot):
        console = app.board.consoles["vm0.hvc0"]
        sizes = [console.size]
        await pilot.resize_terminal(150, 50)
        await settle(pilot)
        sizes.append(console.size)
        inputs = await app.board.bridge.request(lambda machine: machine.ask(lambda control: control.inputs))
        assert [(each.kind, each.vm, each.number) for each in inputs] == [
            ("resize", "vm0.hvc0", size.width << 16 | size.height) for size in sizes
        ]


async def test_a_flood_of_garbage_leaves_the_app_usable() -> None:
    async with running(still()) as (app, pilot):
        console = app.board.consoles["vm0"]
        garbage = bytes(range(256)) * 64 + b"\x1b[999999999L\x1b]0;" + b"x" * 5000
        for _ in range(20):
            console.feed(garbage)
        await press(pilot, "alt+2", "g")
        assert app.focused is app.board.registers


# --- actions ------------------------------------------------------------------------------------------


async def test_a_console_is_saved_by_its_action(tmp_path: Path) -> None:
    async with running(still()) as (app, pilot):
        file = tmp_path / "vm0.log"
        app.board.obey(f"save {file}")
        await settle(pilot)
        assert "Hello! I am vm0" in file.read_text()
        assert f"{file} has all lines of vm0" in app.board.status.notice
        app.board.obey(f"save {tmp_path}")
        await settle(pilot)
        assert "Is a directory" in app.board.status.notice


async def test_split_timestamps_and_copy_are_actions() -> None:
    async with running(still(), size=(120, 40)) as (app, pilot):
        await press(pilot, "vertical_line")
        assert app.board.consoles.split == 1
        assert "one console" in app.board.status.notice
        await press(pilot, "T")
        assert app.board.consoles.chosen.timestamps
        await press(pilot, "y")
        assert "nothing is marked" in app.board.status.notice
        await press(pilot, "m", "up", "home", "m", "end", "y")
        assert app.clipboard


async def test_search_takes_a_text_or_asks_for_one() -> None:
    async with running(still()) as (app, pilot):
        app.board.obey("search nothing like it")
        await settle(pilot)
        assert "never showed nothing like it" in app.board.status.notice
