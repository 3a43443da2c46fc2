"""The program on a terminal: a pseudo-terminal that a test reads and types into."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import hvtui
from hvtui.terminal import Terminal

_PATIENCE_S = 60


class Session:
    """A program, and what its terminal shows."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int, columns: int, lines: int) -> None:
        self.process = process
        self._fd = fd
        self._terminal = Terminal(columns, lines)

    @property
    def text(self) -> str:
        return "\n".join(self._terminal.text(y) for y in range(self._terminal.lines))

    def see(self, text: str) -> None:
        """Wait until the terminal shows it."""
        self._read_until(lambda: text in self.text, f"{text!r} did not come")

    def type(self, data: bytes) -> None:
        os.write(self._fd, data)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        self._terminal.resize(columns, lines)
        set_size(self._fd, columns, lines)
        self.process.send_signal(signal.SIGWINCH)

    def leave(self) -> int:
        """Wait for the program to end; its exit code."""
        self._read_until(lambda: self.process.poll() is not None, "it did not end")
        return self.process.wait()

    def _read_until(self, condition: Callable[[], bool], complaint: str) -> None:
        last = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < last, f"{complaint}; the terminal shows\n{self.text}"
            if select.select([self._fd], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):  # as a closed terminal reads
                    self._terminal.feed(os.read(self._fd, 1 << 16))


def set_size(fd: int, columns: int, lines: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextlib.contextmanager
def on_terminal(
    *arguments: str, columns: int = 100, lines: int = 30, directory: Path | None = None
) -> Iterator[Session]:
    """`hvtui` with arguments on a terminal of its own, in a directory; killed at the end if it still runs."""
    ours, theirs = pty.openpty()
    set_size(theirs, columns, lines)
    command: Sequence[str] = [sys.executable, "-m", "hvtui", *arguments]
    chosen = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    chosen |= {"TERM": "xterm-256color", "PYTHONPATH": str(Path(hvtui.__file__).parents[1])}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=chosen, cwd=directory, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Session(process, ours, columns, lines)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
