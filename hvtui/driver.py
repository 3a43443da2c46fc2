"""Textual's terminal driver, but leaving at once, and with a recorder beside it where one is wanted.

Textual's input thread looks for the end every 100 ms, and once more after that; here a pipe tells it.
"""

from __future__ import annotations

import codecs
import os
import select
from typing import Any

from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from hvtui.cast import Recorder

_TICK_S = 0.1
"""A lone Escape is told apart from the start of a sequence after about this long."""


class QuickDriver(LinuxDriver):
    """Ends its input thread without a wait."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._recorder: Recorder | None = getattr(app, "recorder", None)
        """Gets what the terminal gets."""
        self._end_read, self._end_write = os.pipe()

    def start_application_mode(self) -> None:
        """Take the terminal."""
        if self._recorder is not None:
            self._recorder.resize(*self._get_terminal_size())
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def write(self, data: str) -> None:
        """Send something to the terminal; by the time that people see it, it is recorded."""
        if self._recorder is not None:
            self._recorder.output(data)
        super().write(data)

    def run_input_thread(self) -> None:
        """Turn terminal input into events until told to end."""
        parser = XTermParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        while not self.exit_event.is_set():
            ready, _, _ = select.select([self.fileno, self._end_read], [], [], _TICK_S)
            if self.fileno in ready:
                data = os.read(self.fileno, 4096)
                if not data:
                    return
                for event in parser.feed(decode(data)):
                    self.process_message(event)
            for event in parser.tick():
                self.process_message(event)

    def disable_input(self) -> None:
        """End the input thread and wait for it."""
        os.write(self._end_write, b"\0")
        super().disable_input()
