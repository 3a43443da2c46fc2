"""`Terminal`: what a console widget needs of a terminal, whatever does the work behind it."""

from __future__ import annotations

from typing import NamedTuple

from rich.style import Style
from textual.strip import Strip

from hvtui.terminal.cells import segments
from hvtui.terminal.dispatch import Dispatch
from hvtui.terminal.parser import Parser
from hvtui.terminal.screen import Screen

SCROLLBACK = 3000
"""Lines kept above the screen."""


class CursorPlace(NamedTuple):
    """Where the cursor is, from the top left corner of the screen."""

    x: int
    y: int
    visible: bool
    """The guest shows it."""


class Terminal:
    """An xterm-like terminal of any size from 1x1; no bytes make it fail."""

    def __init__(self, columns: int = 80, lines: int = 24, scrollback: int = SCROLLBACK) -> None:
        self._screen = Screen(columns, lines, scrollback)
        self._listener = Dispatch(self._screen)
        self._parser = Parser(self._listener)

    def feed(self, data: bytes) -> None:
        """The guest printed `data`."""
        self._parser.feed(data)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size; lines wrap again."""
        self._screen.set_size(max(1, columns), max(1, lines))

    @property
    def columns(self) -> int:
        return self._screen.columns

    @property
    def lines(self) -> int:
        return self._screen.lines

    @property
    def scrollback(self) -> int:
        """Lines above the screen that can still be shown."""
        return len(self._screen.history)

    @property
    def scrolled(self) -> int:
        """Lines that ever left the screen at the top."""
        return self._screen.scrolled

    @property
    def cursor(self) -> CursorPlace:
        cursor = self._screen.cursor
        return CursorPlace(min(cursor.x, self.columns - 1), cursor.y, not cursor.hidden)

    @property
    def application_cursor(self) -> bool:
        """Arrow keys send `ESC O A` rather than `ESC [ A`."""
        return self._screen.application_cursor

    def take_dirty(self) -> set[int]:
        """Screen lines that changed since this was last called."""
        dirty = {y for y in self._screen.dirty if y < self.lines}
        self._screen.dirty.clear()
        return dirty

    def take_replies(self) -> bytes:
        """What the terminal answers to the guest's questions (its cursor position, for example)."""
        replies = "".join(self._listener.replies).encode()
        self._listener.replies.clear()
        return replies

    def strip(self, y: int, back: int = 0, cursor: Style | None = None) -> Strip:
        """Line `y` of the screen, `back` lines further up; `cursor` is laid over the cursor's cell."""
        line = y - back
        history = self._screen.history
        if line >= 0:
            place = self.cursor
            cells = self._screen.buffer[line] if line < self.lines else {}
            at = place.x if cursor is not None and place.visible and line == place.y else -1
        else:
            cells, at = (history[line] if -line <= len(history) else {}), -1
        return Strip(segments(cells, self.columns, at, cursor), self.columns)

    def text(self, y: int, back: int = 0) -> str:
        """The characters of a line, without style."""
        return self.strip(y, back).text
