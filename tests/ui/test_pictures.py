"""Every screen of one machine at one instruction, in three sizes and two themes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from engine import config, paths
from engine.debug.goals import ConsoleText, EventMatch
from engine.machine import Machine
from hvtui.app import TRACED_EVENTS, HvtuiApp
from hvtui.settings import Settings
from tests.ui.support import Compare, keys

SIZES = ((80, 24), (120, 40), (200, 60))
THEMES = ("hvtui", "contrast")
PATIENCE_NS = 10_000_000_000
SCREENS = {
    "board": ("1",),
    "cpu": ("2",),
    "memory": ("3", "down"),
    "ffa": ("4",),
    "trace": ("5",),
    "lanes": ("5", "l"),
    "interrupts": ("6",),
    "devices": ("7",),
}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """vm0 shares a page with sp_hello, which has just retrieved it in the middle of a direct request."""
    made = Machine(config.load(paths.machines_dir() / "ffa.toml", ["vm0.rng=true"]), events=TRACED_EVENTS)
    control = made.control
    control.wait_for(ConsoleText("vm0", re.compile("press")), PATIENCE_NS)
    control.type("vm0", b"3")
    control.wait_for(EventMatch("ff-a", re.compile("sp_hello.*MEM_RETRIEVE_REQ")), PATIENCE_NS)
    made.start(running=False)
    yield made
    made.close()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("screen", SCREENS)
def test_screens(snap_compare: Compare, machine: Machine, screen: str, size: tuple[int, int], theme: str) -> None:
    app = HvtuiApp(machine, settings=Settings(theme))
    assert snap_compare(app, terminal_size=size, run_before=keys(*SCREENS[screen]))
