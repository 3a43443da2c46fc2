"""tmux: another opinion about what a terminal shows, and a terminal for whole programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pytest

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
_PATIENCE_S = 20


class Picture(NamedTuple):
    """What a terminal shows."""

    lines: list[str]
    """Without blanks at the end."""
    x: int
    """Of the cursor; the number of columns when the next character wraps is the last column."""
    y: int


class _Server:
    """A tmux of its own with one session."""

    def __init__(self, directory: Path, command: str, columns: int, lines: int) -> None:
        # -L would put the socket where other servers are.
        self._command = ["tmux", "-S", str(directory / "tmux"), "-f", "/dev/null"]
        self._run("-u", "new-session", "-d", "-x", str(columns), "-y", str(lines), command)
        self._run("set", "-g", "status", "off")
        self.resize(columns, lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._run("kill-server")

    def resize(self, columns: int, lines: int) -> None:
        """Another size of the terminal."""
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def _run(self, *arguments: str) -> str:
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        environment.pop("TMUX", None)
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, check=True, env=environment, timeout=20
        )
        return done.stdout


class Pane(_Server):
    """A terminal of tmux that nothing runs in."""

    def __init__(self, directory: Path, columns: int, lines: int) -> None:
        # The cursor's answers would come back as input, so nobody echoes it.
        super().__init__(directory, "stty raw -echo; exec sleep 3600", columns, lines)
        self._columns = columns
        self._tty = Path(self._run("display-message", "-p", "#{pane_tty}").strip())
        self._count = 0
        self._wait_for(self._raw, "the pane's line is not raw")

    def show(self, data: bytes) -> Picture:
        """A terminal that was reset and then got `data`."""
        self._count += 1
        # CAN ends a sequence that data leaves open; the title tells that all of it arrived.
        self._write(b"\x1b[?1049l\x1bc\x1b[?6l\x1b7" + data + b"\x18\x1b]2;seen %d\x07" % self._count)
        found: list[str] = []

        def arrived() -> bool:
            format_ = "#{pane_title}|#{cursor_x}|#{cursor_y}"
            text = self._run("display-message", "-p", format_, ";", "capture-pane", "-p")
            found[:] = text.split("\n")
            return found[0].startswith(f"seen {self._count}|")

        self._wait_for(arrived, "the title did not come")
        _, x, y = found[0].split("|")
        return Picture([line.rstrip(" ") for line in found[1:-1]], min(int(x), self._columns - 1), int(y))

    def _raw(self) -> bool:
        """stty has done its work: output is not processed any more."""
        tty = os.open(self._tty, os.O_RDONLY | os.O_NOCTTY)
        try:
            return not termios.tcgetattr(tty)[1] & termios.OPOST
        finally:
            os.close(tty)

    def _write(self, data: bytes) -> None:
        tty = os.open(self._tty, os.O_WRONLY | os.O_NOCTTY)
        with os.fdopen(tty, "wb") as file:
            file.write(data)

    @staticmethod
    def _wait_for(condition: Callable[[], bool], complaint: str) -> None:
        last = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < last, complaint
            time.sleep(0.002)


class Program(_Server):
    """A program on a terminal of its own, driven as people do: by keys, and by reading the screen."""

    def __init__(self, directory: Path, command: str, columns: int, lines: int) -> None:
        super().__init__(directory, f"{command}; echo left with $?; cat", columns, lines)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: `Enter`, `C-]`, `Down`, `s`."""
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        """Text as it is."""
        self._run("send-keys", "-l", text)

    def screen(self) -> str:
        """What it shows."""
        return self._run("capture-pane", "-p")

    def wait_for(self, text: str, patience_s: float = 30) -> str:
        """Wait until an expression matches what it shows; the whole screen then."""
        pattern, last = re.compile(text, re.MULTILINE), time.monotonic() + patience_s
        while not pattern.search(shown := self.screen()):
            assert time.monotonic() < last, f"no {text!r} in:\n{shown}"
            time.sleep(0.05)
        return shown
