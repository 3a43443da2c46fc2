"""Every action of the registry, by its key and by its monitor line, and what it changes on a real machine.

Each row says what is to be seen afterwards and not before; an action without its rows fails.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from textual.pilot import Pilot

from engine.machine import Machine
from engine.views import BreakpointView, MachineView, RunState, VmRunState
from hvtui import monitor
from hvtui.actions import ACTIONS, find
from hvtui.app import HvtuiApp
from hvtui.screens.details import Details
from hvtui.screens.help import Help
from hvtui.screens.jump import Jump
from hvtui.widgets.cpu import CpuPage
from hvtui.widgets.ffa import FfaPage
from hvtui.widgets.memory import MemoryPage
from hvtui.widgets.trace import TracePage
from tests.support.machines import Guest, machine_config
from tests.support.net_guest import answering
from tests.ui.support import SECOND, booted, console_text, running, settle, still, ticking, until

SCRIPT = "session.hvt"


class Start(NamedTuple):
    """What was before, to compare with."""

    view: MachineView
    heights: dict[str, int]
    """Of panes, by id."""


class Way(NamedTuple):
    """How an action is performed, and what tells that it was."""

    steps: tuple[str, ...]
    """Keys; text to type, after an apostrophe; monitor lines with their colon. The first one is the action's."""
    seen: Callable[[HvtuiApp, Start], bool]
    before: tuple[str, ...] = ()
    machine: str = "ticking"


def way(*steps: str, seen: Callable[[HvtuiApp, Start], bool], before: str = "", on: str = "ticking") -> Way:
    """`before`: steps, with a bar between them."""
    return Way(steps, seen, tuple(step for step in before.split("|") if step), on)


# --- machines ----------------------------------------------------------------------------------------


def _talked(machine: Machine) -> None:
    machine.control.advance(2 * SECOND)


def _plain(tmp_path: Path) -> Machine:
    """One guest with a network port, which has not run yet."""
    nic: dict[str, Any] = {"nic": [{}]}
    made = Machine(machine_config(tmp_path, Guest(answering(b"\2" * 6, b"\4" * 6), virtio=nic)))
    made.start(running=False)
    return made


MACHINES: dict[str, Callable[[Path], Machine]] = {
    "ticking": lambda _: still(ticking),
    "booted": lambda _: still(booted),
    "ffa": lambda _: still(_talked, "ffa.toml"),
    "network": _plain,
}


# --- what is seen ------------------------------------------------------------------------------------


def view(app: HvtuiApp) -> MachineView:
    assert app.board.frame is not None
    return app.board.frame.view


def held(app: HvtuiApp, detail: str) -> bool:
    return app.board.bridge.state is RunState.PAUSED and view(app).detail.startswith(detail)


def symbol(app: HvtuiApp) -> str:
    return view(app).vms[0].vcpus[0].symbol


def says(words: str) -> Callable[[HvtuiApp, Start], bool]:
    return lambda app, _: words in app.board.status.notice


def focused(name: str) -> Callable[[HvtuiApp, Start], bool]:
    return lambda app, _: app.focused is not None and app.focused.id == name


def register(app: HvtuiApp, name: str) -> int | None:
    shown = app.board.registers.shown
    return shown.value(name) if shown is not None else None


def stop(app: HvtuiApp) -> BreakpointView | None:
    return view(app).breakpoints[0] if view(app).breakpoints else None


def stop_has(**values: object) -> Callable[[HvtuiApp, Start], bool]:
    def seen(app: HvtuiApp, _: Start) -> bool:
        found = stop(app)
        return found is not None and all(getattr(found, name) == value for name, value in values.items())

    return seen


def memory(app: HvtuiApp) -> bytes:
    return app.board.machine.memory("vm0", 0, 0x49000000, 2, "pa").result(5)


def cpu(app: HvtuiApp) -> CpuPage:
    page = app.board.pages["cpu"]
    assert isinstance(page, CpuPage)
    return page


def trace(app: HvtuiApp) -> TracePage:
    page = app.board.pages["trace"]
    assert isinstance(page, TracePage)
    return page


def title(app: HvtuiApp, page: str) -> str:
    found = app.board.pages[page]
    assert isinstance(found, CpuPage | MemoryPage | TracePage)
    pane = {CpuPage: "memory", MemoryPage: "walk", TracePage: "pane"}[type(found)]
    return str(getattr(found, pane).border_title)


def searched(app: HvtuiApp) -> str:
    """What is looked for in the first console, and what was found."""
    bar = app.board.consoles["vm0"].bar
    return f"{bar.text}: {bar.says}" if bar is not None and bar.is_mounted else ""


def endpoint(app: HvtuiApp) -> int | None:
    page = app.board.pages["ffa"]
    assert isinstance(page, FfaPage)
    return page.endpoint


def cable(app: HvtuiApp) -> bool:
    """Whether the carrier of the only port is there."""
    return app.board.machine.ask(lambda control: control.cable("vm0").plugged).result(5)


def powered_off(vm: int) -> Callable[[HvtuiApp, Start], bool]:
    return lambda app, _: view(app).vms[vm].state is VmRunState.OFF


def at_start(vm: int, entry: int) -> Callable[[HvtuiApp, Start], bool]:
    return lambda app, _: view(app).vms[vm].vcpus[0].pc == entry


def executed(count: int) -> Callable[[HvtuiApp, Start], bool]:
    return lambda app, start: view(app).instructions == start.view.instructions + count


def shows(screen: type) -> Callable[[HvtuiApp, Start], bool]:
    return lambda app, _: isinstance(app.screen, screen)


def is_running(app: HvtuiApp, start: Start) -> bool:
    return app.board.bridge.state is RunState.RUNNING and view(app).nanoseconds > start.view.nanoseconds


def file(name: str) -> Callable[[HvtuiApp, Start], bool]:
    return lambda app, _: any(each.stat().st_size for each in Path().glob(name))


def printed(text: str) -> Callable[[HvtuiApp, Start], bool]:
    return lambda app, _: text in console_text(app, "vm0")


# --- the table ---------------------------------------------------------------------------------------

_CALL = "until print_va+0x8c"
"""Here vm0 calls uart_putc."""
_BREAK = ":break dispatch_irq"

KEYS: dict[str, Way] = {
    "pause": way("space", seen=is_running),
    "continue": way("c", seen=is_running),
    "step": way("s", seen=executed(1)),
    "next": way("n", before=f":{_CALL}", seen=lambda app, _: symbol(app) == "print_va+0x90"),
    "finish": way("f", seen=lambda app, _: held(app, "finished") and symbol(app) == "print_va+0x90"),
    "run_to_trap": way("t", seen=lambda app, _: held(app, "trap:")),
    "until": way("u", "down", "enter", seen=lambda app, _: held(app, "interrupt:")),
    "inject": way("i", "'5", "enter", seen=lambda app, _: 5 in view(app).vms[0].vcpus[0].pending),
    "set": way("equals_sign", "'x9 0x77", "enter", "y", seen=lambda app, _: register(app, "X9") == 0x77),
    "print": way("p", "'el + 41", "enter", seen=says("el + 41 = 0x2a (42)")),
    "reset": way("r", "y", seen=at_start(0, 0x48000000)),
    "power_off": way("O", "y", seen=powered_off(0)),
    "break": way("b", "'dispatch_irq", "enter", seen=stop_has(kind="breakpoint", symbol="dispatch_irq")),
    "watch": way("w", "'0x48010000 4 rw", "enter", seen=stop_has(kind="watchpoint", size=4, access="rw")),
    "screen": way("5", seen=lambda app, _: app.board.page is app.board.pages["trace"]),
    "address": way("a", "'guest_main", "enter", before="2", seen=lambda app, _: not cpu(app).code.following),
    "space": way("M", before="2", seen=lambda app, _: title(app, "cpu").startswith("memory IPA")),
    "here": way("h", before="2|:address guest_main", seen=lambda app, _: cpu(app).code.following),
    "lanes": way("l", before="5", seen=lambda app, _: title(app, "trace").startswith("lanes")),
    "filter": way("F", "'vm1", "enter", before="5", seen=lambda app, _: "filter vm1" in title(app, "trace")),
    "ffa_filter": way("x", before="4", on="ffa", seen=lambda app, _: endpoint(app) == 1),
    "next_vcpu": way("v", seen=lambda app, _: app.board.bridge.selected == ("vm0", 1)),
    "registers": way("g", seen=focused("registers")),
    "events": way("e", seen=focused("events")),
    "traffic": way("o", seen=lambda app, _: app.board.event_log.traffic),
    "next_pane": way("tab", seen=focused("console-2")),
    "previous_pane": way("shift+tab", seen=focused("events")),
    "jump": way("ctrl+o", seen=shows(Jump)),
    "maximise": way("z", seen=lambda app, start: app.board.consoles["vm0"].outer_size == (120, 38)),
    "grow": way("plus", before="e", seen=lambda app, s: app.board.event_log.outer_size.height > s.heights["events"]),
    "shrink": way("minus", before="e", seen=lambda app, s: app.board.event_log.outer_size.height < s.heights["events"]),
    "console": way("alt+2", seen=focused("console-2")),
    "next_console": way("full_stop", seen=focused("console-2")),
    "previous_console": way("comma", seen=focused("console-2")),
    "search": way("slash", "'tick 1", seen=lambda app, _: searched(app) == "tick 1: 1 found"),
    "mark": way("m", seen=lambda app, _: app.board.consoles["vm0"].copy_cursor is not None),
    "copy": way("y", before="m|up|home|m|end", seen=lambda app, _: app.clipboard.startswith("[vm0] ")),
    "timestamps": way("T", seen=lambda app, _: app.board.consoles["vm0"].timestamps),
    "split": way("vertical_line", seen=lambda app, _: app.board.consoles.split == 1),
    "save": way("ctrl+s", "enter", seen=file("two-vms-vm0.log")),
    "end_script": way("escape", before=f":source {SCRIPT}", seen=says(f"{SCRIPT} was ended")),
    "monitor": way("colon", seen=lambda app, _: app.board.monitor_line.is_open),
    "help": way("question_mark", seen=shows(Help)),
    "palette": way("ctrl+p", seen=lambda app, _: type(app.screen).__name__ == "CommandPalette"),
    "details": way("d", seen=shows(Details)),
    "theme": way("Y", seen=lambda app, _: app.theme == "colour-blind"),
    "screenshot": way("ctrl+x", seen=file("hvtui-two-vms-board-*.svg")),
    "quit": way("q", "y", seen=lambda app, _: app._exit),
}

LINES: dict[str, Way] = {
    "pause": way(":pause", seen=is_running),
    "continue": way(":continue", seen=is_running),
    "step": way(":step 10", seen=executed(10)),
    "next": way(":next", before=f":{_CALL}", seen=lambda app, _: symbol(app) == "print_va+0x90"),
    "finish": way(":finish", seen=lambda app, _: held(app, "finished") and symbol(app) == "print_va+0x90"),
    "run_to_trap": way(":run-to-trap", seen=lambda app, _: held(app, "trap:")),
    "until": way(":until guest_main+0x3c4", seen=lambda app, _: symbol(app) == "guest_main+0x3c4"),
    "inject": way(":inject 5 vm1/1", seen=lambda app, _: 5 in view(app).vms[1].vcpus[1].pending),
    "set": way(":set x9 0x77", "y", seen=lambda app, _: register(app, "X9") == 0x77),
    "write": way(":write pa 0x49000000 de ad", "y", seen=lambda app, _: memory(app) == b"\xde\xad"),
    "print": way(":print el + 41", seen=says("el + 41 = 0x2a (42)")),
    "reset": way(":reset vm1", seen=at_start(1, 0x68000000)),
    "power_off": way(":power-off vm1", seen=powered_off(1)),
    "type": way(r":type vm0 ping\n", "space", on="booted", seen=printed("[vm0] you typed: ping")),
    "plug": way(":plug vm0", before=":unplug vm0", on="network", seen=lambda app, _: cable(app)),
    "unplug": way(":unplug vm0", on="network", seen=lambda app, _: not cable(app)),
    "break": way(":break dispatch_irq if x0 == 33", seen=stop_has(symbol="dispatch_irq", condition="x0 == 33")),
    "watch": way(":watch pa:0x48010000 4 rw", seen=stop_has(kind="watchpoint", space="pa", size=4, access="rw")),
    "delete": way(":delete 1", before=_BREAK, seen=lambda app, _: stop(app) is None),
    "condition": way(":condition 1 x0 == 1", before=_BREAK, seen=stop_has(condition="x0 == 1")),
    "ignore": way(":ignore 1 7", before=_BREAK, seen=stop_has(ignore=7)),
    "enable": way(":enable 1", before=f"{_BREAK}|:disable 1", seen=stop_has(enabled=True)),
    "disable": way(":disable 1", before=_BREAK, seen=stop_has(enabled=False)),
    "screen": way(":screen memory", seen=lambda app, _: app.board.page is app.board.pages["memory"]),
    "address": way(
        ":address ipa:0x48000000",
        before="3",
        seen=lambda app, _: title(app, "memory").startswith("walk, IPA"),
    ),
    "space": way(":space pa", before="2", seen=lambda app, _: title(app, "cpu").startswith("memory PA")),
    "here": way(":here", before="2|:address guest_main", seen=lambda app, _: cpu(app).code.following),
    "lanes": way(":lanes", before="5", seen=lambda app, _: title(app, "trace").startswith("lanes")),
    "filter": way(":filter vm1", before="5", seen=lambda app, _: "filter vm1" in title(app, "trace")),
    "ffa_filter": way(":ffa-filter", before="4", on="ffa", seen=lambda app, _: endpoint(app) == 1),
    "next_vcpu": way(":next-vcpu", seen=lambda app, _: app.board.bridge.selected == ("vm0", 1)),
    "select": way(":select vm1/1", seen=lambda app, _: app.board.bridge.selected == ("vm1", 1)),
    "registers": way(":registers", seen=focused("registers")),
    "events": way(":events", seen=focused("events")),
    "traffic": way(":traffic", seen=lambda app, _: app.board.event_log.traffic),
    "next_pane": way(":next-pane", seen=focused("console-2")),
    "previous_pane": way(":previous-pane", seen=focused("events")),
    "jump": way(":jump", seen=shows(Jump)),
    "maximise": way(":maximise", seen=lambda app, _: app.board.consoles["vm0"].outer_size == (120, 38)),
    "grow": way(":grow", before="e", seen=lambda app, s: app.board.event_log.outer_size.height > s.heights["events"]),
    "shrink": way(
        ":shrink", before="e", seen=lambda app, s: app.board.event_log.outer_size.height < s.heights["events"]
    ),
    "console": way(":console vm1", seen=focused("console-2")),
    "next_console": way(":next-console", seen=focused("console-2")),
    "previous_console": way(":previous-console", seen=focused("console-2")),
    "search": way(":search tick", seen=lambda app, _: searched(app) == "tick: 3/3"),
    "mark": way(":mark", seen=lambda app, _: app.board.consoles["vm0"].copy_cursor is not None),
    "copy": way(":copy", before="m|up|home|m|end", seen=lambda app, _: app.clipboard.startswith("[vm0] ")),
    "timestamps": way(":timestamps", seen=lambda app, _: app.board.consoles["vm0"].timestamps),
    "split": way(":split", seen=lambda app, _: app.board.consoles.split == 1),
    "save": way(":save boot.log", seen=file("boot.log")),
    "wait": way(":wait vm1 tick 2", seen=lambda app, _: held(app, "") and "tick 2" in console_text(app, "vm1")),
    "wait_event": way(
        ":wait-event interrupt vm1", seen=lambda app, s: held(app, "") and view(app).cycles > s.view.cycles
    ),
    "run": way(":run 0.001", seen=lambda app, s: view(app).nanoseconds == s.view.nanoseconds + 1_000_000),
    "check": way(":check el == 1", seen=says("el == 1: true")),
    "say": way(":say all is well", seen=lambda app, _: app.board.caption.words == "all is well"),
    "source": way(f":source {SCRIPT}", seen=lambda app, _: app.board.caption.words == "hello"),
    "end_script": way(":end-script", before=f":source {SCRIPT}", seen=says(f"{SCRIPT} was ended")),
    "monitor": way(":monitor", seen=lambda app, _: app.board.monitor_line.is_open),
    "help": way(":help break", seen=lambda app, _: isinstance(app.screen, Help) and len(app.screen._actions) == 1),
    "palette": way(":palette", seen=lambda app, _: type(app.screen).__name__ == "CommandPalette"),
    "details": way(":details", seen=shows(Details)),
    "theme": way(":theme light", seen=lambda app, _: app.theme == "light"),
    "screenshot": way(":screenshot here.svg", seen=file("here.svg")),
    "quit": way(":quit", "y", seen=lambda app, _: app._exit),
}


def test_every_action_is_in_the_table() -> None:
    assert set(KEYS) == {action.name for action in ACTIONS if action.keys}
    assert set(LINES) == {action.name for action in ACTIONS}
    for name, each in KEYS.items():
        assert each.steps[0] in find(name).keys
    for name, each in LINES.items():
        assert monitor.find(each.steps[0][1:].split()[0]).name == name


# --- doing it ----------------------------------------------------------------------------------------


async def perform(app: HvtuiApp, pilot: Pilot[None], step: str) -> None:
    """A step, and all it leads to, unless guests go on."""
    if step.startswith(":"):
        await pilot.press("colon")
        app.board.monitor_line.query_one("_Field").value = step[1:]  # type: ignore[attr-defined]
        await pilot.press("enter")
    elif step.startswith("'"):
        await pilot.press(*("space" if character == " " else character for character in step[1:]))
    else:
        await pilot.press(step)
    await pilot.pause()


async def rest(app: HvtuiApp, pilot: Pilot[None]) -> None:
    """Until guests are held, and all of it is on the screen; or until a script says something."""
    if app.board._session is not None:
        await until(pilot, lambda: bool(app.board.caption.words))
        return
    await settle(pilot)
    await until(pilot, lambda: app.board.bridge.state is not RunState.RUNNING)
    await settle(pilot)


def start(app: HvtuiApp) -> Start:
    heights = {pane.id or "": pane.outer_size.height for pane in app.board.query(".pane")}
    return Start(view(app), heights)


async def do(machine: Machine, each: Way) -> None:
    async with running(machine) as (app, pilot):
        for step in each.before:
            await perform(app, pilot, step)
            await rest(app, pilot)
        first = start(app)
        assert not each.seen(app, first)
        for step in each.steps:
            await perform(app, pilot, step)
        await until(pilot, lambda: each.seen(app, first))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written where they harm nobody; a script is there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / SCRIPT).write_text(f"say hello\nsay {'and so on ' * 20}\n")


@pytest.mark.parametrize("name", KEYS)
async def test_by_key(tmp_path: Path, name: str) -> None:
    await do(MACHINES[KEYS[name].machine](tmp_path), KEYS[name])


@pytest.mark.parametrize("name", LINES)
async def test_by_line(tmp_path: Path, name: str) -> None:
    await do(MACHINES[LINES[name].machine](tmp_path), LINES[name])
