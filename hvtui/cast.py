"""`--record FILE.cast`: the session as asciinema plays it (asciicast v2).

A header in JSON on the first line, then one event a line: `[seconds, "o", text]` for what the terminal was sent,
`[seconds, "r", "80x24"]` for a size it was given.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from engine.errors import MachineError

SUFFIX = ".cast"
_VERSION = 2
_DIGITS = 6
"""Of a second: microseconds, as asciinema writes them."""


class Recorder:
    """Writes events as they come; any thread may call it. Every event is in the file when the call returns."""

    def __init__(self, stream: TextIO, title: str, now: Callable[[], float] = time.monotonic) -> None:
        self.ended = ""
        """Why it ended by itself, else ""."""
        self._stream = stream
        self._title = title
        self._now = now
        self._start = now()
        self._size: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def resize(self, columns: int, lines: int) -> None:
        """The terminal's size; the first one begins the recording."""
        with self._lock:
            if self._size is None:
                self._start = self._now()
                header = {"version": _VERSION, "width": columns, "height": lines, "timestamp": int(time.time())}
                self._write({**header, "title": self._title})
            elif self._size != (columns, lines):
                self._write(self._event("r", f"{columns}x{lines}"))
            self._size = columns, lines

    def output(self, text: str) -> None:
        """The terminal was sent something."""
        with self._lock:
            if self._size is not None:
                self._write(self._event("o", text))

    def _event(self, code: str, data: str) -> list[float | str]:
        return [round(self._now() - self._start, _DIGITS), code, data]

    def _write(self, value: object) -> None:
        if self.ended:
            return
        try:
            self._stream.write(json.dumps(value) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            self.ended = f"the recording ended: {error.strerror if isinstance(error, OSError) else error}"


def parse(text: str) -> Path:
    """A file to record to. MachineError where it is not named like one: it will be overwritten."""
    path = Path(text)
    if path.suffix != SUFFIX or "\0" in text:
        raise MachineError(f"expected a file to record to whose name ends in {SUFFIX} (got {text!r})")
    return path


def name(machine: str) -> Path:
    """A file in the working directory for a machine's recording that begins now."""
    return Path(f"{machine}-{datetime.datetime.now().astimezone():%Y%m%d-%H%M%S}{SUFFIX}".replace("/", "-"))


@contextlib.contextmanager
def recording(file: Path | None, title: str, tell: Callable[[str], None]) -> Iterator[Recorder | None]:
    """Record to a file from here to the end of the block; None: do not. One that exists is overwritten.

    MachineError where it cannot be written. `tell` hears, in one line, of a recording that ended by itself.
    """
    if file is None:
        yield None
        return
    try:
        stream = file.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise MachineError(f"{file}: {error.strerror}") from None
    recorder = Recorder(stream, title)
    try:
        yield recorder
    finally:
        with contextlib.suppress(OSError):
            # It writes once more what could not be written.
            stream.close()
        if recorder.ended:
            tell(f"{file}: {recorder.ended}")
