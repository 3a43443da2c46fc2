"""Programs of the Linux guest that use the whole screen, on the serial console of a terminal with 24 lines of 80."""

from __future__ import annotations

import re

import pytest

from engine import config, paths
from hvtui.terminal import Terminal
from tests.support import linux
from tests.support.linux import boot, needs_linux

pytestmark = needs_linux


class Screen:
    """A guest's console and the terminal it is shown on; the guest gets the terminal's answers."""

    def __init__(self, guest: linux.Terminal) -> None:
        self._guest = guest
        self._control = guest.bench.control
        self._console = self._control.console(guest.name)
        self._position = self._console.end
        self.terminal = Terminal(80, 24)
        self.type("stty rows 24 cols 80; clear\n")
        self.rest()

    def type(self, text: str) -> None:
        self._guest.type(text)

    def rest(self, quiet_ms: int = 400) -> list[str]:
        """Run until nothing was printed for a while; what is on the screen then."""
        hypervisor = self._guest.bench.hypervisor
        quiet = 0
        while quiet < quiet_ms:
            self._control.advance(hypervisor.now + hypervisor.cycles_of_ns(20_000_000))
            data, self._position = self._console.since(self._position)
            quiet = 0 if data else quiet + 20
            self.terminal.feed(data)
            answers = self.terminal.take_replies()
            if answers:
                self._control.type(self._guest.name, answers)
        return [self.terminal.text(y).rstrip() for y in range(24)]


@pytest.fixture(scope="module")
def screen() -> Screen:
    [guest] = boot(config.load(paths.machines_dir() / "linux-up.toml"))
    return Screen(guest)


def test_vi_edits_a_file(screen: Screen) -> None:
    screen.type("seq 100 > /tmp/list; vi /tmp/list\n")
    lines = screen.rest()
    assert lines[:23] == [str(n) for n in range(1, 24)]
    assert re.match(r"- /tmp/list 1/100 1%", lines[23])
    assert screen.terminal.cursor[:2] == (0, 0)
    screen.type("G")
    lines = screen.rest()
    assert lines[:23] == [str(n) for n in range(89, 101)] + ["~"] * 11
    assert screen.terminal.cursor.y == 11
    screen.type("1G")
    assert screen.rest()[:23] == [str(n) for n in range(1, 24)]
    screen.type("dGihello,\rworld\x1b")
    lines = screen.rest()
    assert lines[:23] == ["hello,", "world"] + ["~"] * 21
    assert screen.terminal.cursor[:2] == (4, 1)
    screen.type("1GOabove\x1b")
    screen.rest()  # or ESC and j would be one key
    screen.type("j$x0iH\x1b")
    assert screen.rest()[:3] == ["above", "Hhello", "world"]
    screen.type(":wq\r")
    assert screen.rest()[:2] == ["/ # seq 100 > /tmp/list; vi /tmp/list", "/ #"], "the primary screen is back"
    screen.type("clear; cat /tmp/list\n")
    assert screen.rest()[:4] == ["above", "Hhello", "world", "/ #"]


def test_less_pages_and_searches(screen: Screen) -> None:
    screen.type("clear; seq 1000 > /tmp/long; less /tmp/long\n")
    lines = screen.rest()
    assert lines[:23] == [str(n) for n in range(1, 24)]
    assert lines[23].startswith("/tmp/long")
    screen.type(" ")
    assert screen.rest()[:23] == [str(n) for n in range(24, 47)]
    screen.type("/500\r")
    assert screen.rest()[0] == "500"
    screen.type("G")
    lines = screen.rest()
    assert "1000" in lines
    assert lines[23] == "(END)"
    screen.type("q")
    assert screen.rest()[23].endswith("#")


def test_top_refreshes_in_place(screen: Screen) -> None:
    screen.type("clear; top -d 1\n")
    lines = screen.rest(quiet_ms=300)
    assert lines[0].startswith("Mem: ")
    assert lines[1].startswith("CPU: ")
    assert "PID" in lines[3]
    above = screen.terminal.scrolled
    again = screen.rest(quiet_ms=900)
    assert again[0].startswith("Mem: ")
    assert [line for line in again if " top" in line] != []
    assert screen.terminal.scrolled == above, "nothing scrolled"
    screen.type("q")
    screen.rest()
    screen.type("clear; top -b -n1 | head -n 4\n")
    lines = screen.rest()
    assert lines[0].startswith("Mem: ")
    assert "PID" in lines[3]
