"""The way through the program that the README proposes to new users, taken as they would: on a terminal, by keys."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.support.tmux import Program, needs_tmux

pytestmark = needs_tmux
HVTUI = Path(sys.executable).with_name("hvtui")


def command(app: Program, line: str, shows: str) -> str:
    """A monitor line, and what is on the screen once it shows what came of it."""
    app.press(":")
    app.wait_for("tab completes")
    app.type(line)
    app.press("Enter")
    return app.wait_for(shows)


def pc(shown: str) -> int:
    """The address that the arrow in the code points at."""
    found = re.search(r"▶ ([0-9a-f]{8}) ", shown)
    assert found is not None, shown
    return int(found[1], 16)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_first_five_minutes(tmp_path: Path, size: tuple[int, int]) -> None:
    with Program(tmp_path, str(HVTUI), *size) as app:
        app.wait_for(r"press \? for keys")

        # Type into a guest.
        app.press("Enter")
        app.wait_for("typing into vm0")
        app.type("?")
        app.wait_for("space bar: quiet")
        app.press("C-]")
        app.wait_for("enter to type")

        # See a share appear in the table.
        command(app, "wait-event ffa vm0.*MEM_SHARE.*0x8001", "running")
        app.press("Enter")
        app.wait_for("typing into vm0")
        app.type("3")
        app.wait_for("paused")
        app.press("C-]")
        app.wait_for("enter to type")
        app.press("4")
        app.wait_for(r"share +1 → 0x8001 .*offered")

        # Pause in the middle of a DIRECT_REQ inside SP1, and step three instructions.
        app.press("u")
        app.wait_for("the next world switch")
        app.press("Down", "Down", "Down", "Enter")
        app.wait_for("core 0 secure: vm0 → sp_hello")
        command(app, "select sp_hello", "core 0 secure")
        app.press("2")
        shown = app.wait_for(r"code sp_hello/0[\s\S]*▶")
        for _ in range(3):
            before = pc(shown)
            app.press("s")
            shown = app.wait_for(rf"▶ (?!{before:08x})[0-9a-f]{{8}} ")
            assert pc(shown) == before + 4

        # Look at the page's stage-2 entry from both sides.
        command(app, "wait-event ffa sp_hello.*MEM_RETRIEVE_REQ", "sp_hello.* MEM_RETRIEVE_REQ")
        app.press("4")
        app.wait_for(r"share +1 → 0x8001 .*retrieved")
        command(app, "select vm0", "retrieved")
        app.press("3")
        app.wait_for("IPA map of vm0[\\s\\S]*own memory")
        app.press("Down")
        app.wait_for("shared out +to sp_hello")
        app.wait_for(r"IPA 0x[0-9a-f]+, shared out")
        command(app, "select sp_hello", "IPA map of sp_hello")
        app.wait_for("borrowed +from vm0")

        # Inject an interrupt, resume, quit.
        app.press("i")
        app.wait_for("Inject an interrupt")
        app.type("33")
        app.press("Enter")
        app.wait_for("INTID 33 is pending")
        app.press("1")
        app.wait_for("events")
        app.press("Space")
        app.wait_for("running")
        app.wait_for("vm0|sp_hello")
        app.press("q")
        app.wait_for("Quit hvtui")
        app.press("y")
        app.wait_for("left with 0")


def test_a_small_terminal_and_back(tmp_path: Path) -> None:
    with Program(tmp_path, str(HVTUI), 100, 30) as app:
        app.wait_for(r"press \? for keys")
        app.resize(20, 5)
        app.wait_for("vm0")
        app.resize(100, 30)
        app.wait_for("partitions")
        app.press("q")
        app.wait_for("Quit hvtui")
        app.press("y")
        app.wait_for("left with 0")
