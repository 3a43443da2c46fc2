"""`Terminal`: what a console widget needs of a terminal, whatever does the work behind it.

Lines have numbers, from 0 for the first one that was ever there; a line keeps its number until the width
changes. `first` to `end` (not included) are those that can still be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.style import Style
from textual.strip import Strip

from hvtui.terminal.cells import segments
from hvtui.terminal.dispatch import Dispatch
from hvtui.terminal.line import Line
from hvtui.terminal.parser import Parser
from hvtui.terminal.screen import Screen

SCROLLBACK = 10_000
"""Lines kept above the screen."""


class CursorPlace(NamedTuple):
    """Where the cursor is, from the top left corner of the screen."""

    x: int
    y: int
    visible: bool
    """The guest shows it."""
    block: bool = True
    """It covers its cell; else a line under it is enough."""


class Terminal:
    """An xterm-like terminal of any size from 1x1; no bytes make it fail."""

    def __init__(self, columns: int = 80, lines: int = 24, scrollback: int = SCROLLBACK) -> None:
        self._screen = Screen(columns, lines, scrollback)
        self._listener = Dispatch(self._screen)
        self._parser = Parser(self._listener)

    def feed(self, data: bytes, begun: Sequence[tuple[int, int]] = ()) -> None:
        """The guest printed `data`; `begun` tells (offset in it, virtual nanoseconds) of lines, in order.

        A time holds for what follows it; what comes before the first one goes on from the time before.
        """
        start = 0
        for offset, at_ns in begun:
            if offset > start:
                self._parser.feed(data[start:offset])
                start = offset
            self._screen.now_ns = at_ns
        self._parser.feed(data[start:] if start else data)

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
        """Lines that ever left the screen at the top: the number of the screen's first line."""
        return self._screen.scrolled

    @property
    def first(self) -> int:
        """Number of the oldest line that is kept."""
        return self._screen.scrolled - len(self._screen.history)

    @property
    def end(self) -> int:
        """Number after the screen's last line."""
        return self._screen.scrolled + self._screen.lines

    @property
    def cursor(self) -> CursorPlace:
        cursor, modes = self._screen.cursor, self._screen.modes
        return CursorPlace(min(cursor.x, self.columns - 1), cursor.y, modes.visible, modes.shape < 3)

    @property
    def application_cursor(self) -> bool:
        """Arrow keys send `ESC O A` rather than `ESC [ A`."""
        return self._screen.modes.application_cursor

    @property
    def bracketed_paste(self) -> bool:
        """The guest wants to know what is pasted and what is typed."""
        return self._screen.modes.bracketed_paste

    def take_dirty(self) -> set[int]:
        """Screen lines that changed since this was last called."""
        dirty = self._screen.dirty
        self._screen.dirty = set()
        return dirty

    def take_replies(self) -> bytes:
        """What the terminal answers to the guest's questions (its cursor position, for example)."""
        replies = "".join(self._listener.replies).encode()
        self._listener.replies.clear()
        return replies

    def line(self, number: int) -> Line:
        """A line by its number; an empty one where there is none."""
        y = number - self._screen.scrolled
        if 0 <= y < self.lines:
            return self._screen.page.rows[y]
        history = self._screen.history
        return history[y] if -len(history) <= y < 0 else Line()

    def all_lines(self) -> Iterator[Line]:
        """The scrollback and the screen, from the oldest line on."""
        yield from self._screen.history
        yield from self._screen.page.rows

    def strip(self, y: int, back: int = 0, cursor: Style | None = None) -> Strip:
        """Line `y` of the screen, `back` lines further up; `cursor` is laid over the cursor's cell."""
        place = self.cursor
        at = place.x if cursor is not None and place.visible and y - back == place.y else -1
        return Strip(segments(self.line(self.scrolled + y - back), self.columns, at, cursor), self.columns)

    def text(self, y: int, back: int = 0) -> str:
        """The characters of a line, without style."""
        return self.strip(y, back).text
