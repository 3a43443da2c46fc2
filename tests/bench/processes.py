"""Whole programs, measured from outside: time until they print something, CPU time, peak memory."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HVTUI: Final = (sys.executable, "-c", "from hvtui.cli import main; main()")
SETTLE_S: Final = 2.0
"""Until what a start costs is over."""
_PATIENCE_S: Final = 120
_QUESTION_S, _QUIT_S = 0.5, 5.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """What a program took until it had printed what was waited for."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Seat:
    """What the app took while nobody touched it."""

    cpu_share: float
    """Of one host core, once it had settled."""
    peak_mb: float


def peak_mb(pid: int) -> float:
    """Largest resident set so far. Not `ru_maxrss`, which a child inherits from whoever started it."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def run_until(argv: Sequence[str], text: bytes) -> Run:
    """Start a program, wait until it has printed `text`, and end it."""
    started = time.perf_counter()
    with subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        assert child.stdout is not None
        said = _read_until(child.stdout.fileno(), text, started + _PATIENCE_S)
        took = time.perf_counter() - started
        assert text in said, said[-500:].decode(errors="replace")
        peak = peak_mb(child.pid)
        child.kill()
    return Run(took, peak)


def sit(machine: Path, text: bytes, watch: float) -> Seat:
    """Open a machine in the app on an 80x24 terminal; once `text` is there, watch it some seconds, and quit."""
    child, terminal = _open_terminal([*HVTUI, str(machine)])
    try:
        said = _read_until(terminal, text, time.perf_counter() + _PATIENCE_S)
        assert text in said, said[-500:]
        _drain(terminal, SETTLE_S)
        before, started = cpu_seconds(child), time.perf_counter()
        _drain(terminal, watch)
        share = (cpu_seconds(child) - before) / (time.perf_counter() - started)
        peak = peak_mb(child)
        _quit(child, terminal)
        return Seat(share, peak)
    finally:
        os.close(terminal)


@dataclass(frozen=True)
class Response:
    """How quickly the app answered."""

    first_paint_s: float
    """From the start of the program to the first thing on the terminal that says what it shows."""
    keys_s: list[float]
    """From a key to the first that was painted because of it, for each key."""
    quit_s: float
    """From the answer to the last question to the program's end."""


def respond(machine: Path, keys: Sequence[tuple[bytes, bytes]], sign: bytes, pause_s: float) -> Response:
    """Open a machine on a terminal of 80x24, press keys while it runs, and wait for what each paints.

    `keys`: (what is sent, what must be painted then). `sign`: what shows that the app is there.
    """
    started = time.perf_counter()
    child, terminal = _open_terminal([*HVTUI, str(machine)])
    try:
        assert sign in _read_until(terminal, sign, started + _PATIENCE_S)
        first = time.perf_counter() - started
        _drain(terminal, SETTLE_S)
        took = [_answer(terminal, key, painted, pause_s) for key, painted in keys]
        os.write(terminal, b"q")
        _drain(terminal, _QUESTION_S)
        leaving = time.perf_counter()
        os.write(terminal, b"y")
        while not os.waitpid(child, os.WNOHANG)[0]:
            _drain(terminal, 0.002)
        return Response(first, took, time.perf_counter() - leaving)
    finally:
        os.close(terminal)


def _answer(terminal: int, key: bytes, painted: bytes, pause_s: float) -> float:
    pressed = time.perf_counter()
    os.write(terminal, key)
    said = _read_until(terminal, painted, pressed + _PATIENCE_S)
    took = time.perf_counter() - pressed
    assert painted in said, said[-300:]
    _drain(terminal, pause_s)
    return took


def _quit(child: int, terminal: int) -> None:
    """Leave the app as people do, with q and y."""
    os.write(terminal, b"q")
    _drain(terminal, _QUESTION_S)
    os.write(terminal, b"y")
    _drain(terminal, _QUIT_S)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _open_terminal(argv: list[str]) -> tuple[int, int]:
    """Start a program on a pseudo-terminal of 80x24; (process id, our end)."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ.update(TERM="xterm-256color", LINES="24", COLUMNS="80")
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.execv(argv[0], argv)
    return child, terminal


def _drain(descriptor: int, seconds: float) -> None:
    """Read and forget for some seconds, or until the other end is closed."""
    _read_until(descriptor, None, time.perf_counter() + seconds)


def _read_until(descriptor: int, text: bytes | None, deadline: float) -> bytes:
    """Everything printed until `text` was, or until the deadline or the end."""
    said = b""
    while text is None or text not in said:
        left = deadline - time.perf_counter()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            break
        data = b""
        with suppress(OSError):  # a terminal whose other end is closed
            data = os.read(descriptor, 1 << 16)
        if not data:
            break
        said += data
    return said
