"""The character grid: pyte's screen with scrollback, an alternate screen, and lines that wrap again on resize."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from pyte import modes
from pyte import screens as pyte_screens
from wcwidth import wcwidth

_WRAPPED = -1
"""A line's key that no column has: the line goes on in the next one."""
_MARK = pyte_screens.Char("\\")
_RUNS = re.compile(r"[\x20-\x7e]+|[^\x20-\x7e]")

Line = dict[int, Any]
"""Cells of a line by column (`pyte.screens.Char`); a missing one is blank."""


class _Cells(dict[str, Any]):
    """Cells with the same attributes, by character."""

    def __init__(self, attributes: Any) -> None:
        self._attributes = attributes

    def __missing__(self, character: str) -> Any:
        cell = self[character] = self._attributes._replace(data=character)
        return cell


class Screen(pyte_screens.Screen):  # type: ignore[misc]  # pyte has no types
    """pyte's screen, extended where a Linux console needs more."""

    # pyte has no types; these are the attributes of its screen that are used here.
    columns: int
    lines: int
    buffer: dict[int, Line]
    cursor: Any
    dirty: set[int]
    margins: tuple[int, int] | None
    tabstops: set[int]

    def __init__(self, columns: int, lines: int, history: int) -> None:
        self.history: deque[Line] = deque(maxlen=history)
        """Lines that left at the top, oldest first."""
        self.application_cursor = False
        """DECCKM: arrow keys send SS3 sequences."""
        self.scrolled = 0
        """Lines that ever left at the top."""
        self._primary: tuple[Any, ...] | None = None
        self._cells: dict[Any, _Cells] = {}
        super().__init__(columns, lines)

    # --- writing -------------------------------------------------------------------------------

    def draw(self, data: str) -> None:
        """Write text at the cursor, wrapping at the right margin."""
        data = data.translate(self.g1_charset if self.charset else self.g0_charset)
        plain = modes.IRM not in self.mode
        for match in _RUNS.finditer(data):
            run = match[0]
            if plain and run.isascii():
                self._draw_run(run)
            else:
                self._draw_slowly(run)

    def _draw_run(self, run: str) -> None:
        """Characters of one column each, as many at a time as fit on a line."""
        cells = self._cells_like(self.cursor.attrs)
        while run:
            room = self._room(1)
            part, run = run[:room], run[room:]
            x = self.cursor.x
            self.buffer[self.cursor.y].update(zip(range(x, x + len(part)), map(cells.__getitem__, part), strict=True))
            self.cursor.x = x + len(part)
            self.dirty.add(self.cursor.y)

    def _cells_like(self, attributes: Any) -> _Cells:
        cells = self._cells.get(attributes)
        if cells is None:
            if len(self._cells) > 256:
                self._cells.clear()
            cells = self._cells[attributes] = _Cells(attributes)
        return cells

    def _room(self, width: int) -> int:
        """Columns left on this line, at least `width`: wraps, or stays at the margin, when there are fewer."""
        if self.cursor.x + width > self.columns:
            if modes.DECAWM in self.mode:
                self.buffer[self.cursor.y][_WRAPPED] = _MARK
                self.carriage_return()
                self.index()
            else:
                self.cursor.x = max(0, self.columns - width)
        return max(1, self.columns - int(self.cursor.x))

    def _draw_slowly(self, run: str) -> None:
        for character in run:
            width = wcwidth(character)
            if width == 0:
                super().draw(character)  # combines with the one before
            if 0 < width <= self.columns:
                self._room(width)
                if modes.IRM in self.mode:
                    self.insert_characters(width)
                line, x = self.buffer[self.cursor.y], self.cursor.x
                line[x] = self.cursor.attrs._replace(data=character)
                if width == 2:
                    line[x + 1] = self.cursor.attrs._replace(data="")
                self.cursor.x = x + width
                self.dirty.add(self.cursor.y)

    def index(self) -> None:
        """Down one line; at the bottom the top line goes into the history."""
        top, bottom = self.margins or (0, self.lines - 1)
        if self.cursor.y == bottom and top == 0 and self._primary is None:
            self.history.append(self.buffer[0])
            self.scrolled += 1
        super().index()

    # --- where pyte differs from xterm, or trusts its input --------------------------------------

    def cursor_to_line(self, line: int | None = None) -> None:
        self.cursor_position(line, self.cursor.x + 1)

    def save_cursor(self) -> None:
        """One slot, as terminals have."""
        self.savepoints.clear()
        super().save_cursor()

    def erase_in_display(self, how: int = 0) -> None:
        """0 to the end, 1 from the beginning, 2 all of the screen, 3 the scrollback."""
        if how == 3:
            self.history.clear()
            self.dirty.update(range(self.lines))
        else:
            super().erase_in_display(how)

    def reset(self) -> None:
        self._primary = None
        self.application_cursor = False
        super().reset()

    def backspace(self) -> None:
        self.cursor.x = max(0, min(self.cursor.x, self.columns - 1) - 1)

    def private_mode(self, mode: int, on: bool) -> None:
        """DECSET and DECRST; modes that would change the size or the whole look are ignored."""
        if mode in (6, 7, 25):
            (self.set_mode if on else self.reset_mode)(mode, private=True)
            self.dirty.add(self.cursor.y)
        elif mode == 1:
            self.application_cursor = on
        elif mode in (47, 1047, 1049):
            self._alternate(on)

    # --- the alternate screen ----------------------------------------------------------------------

    def _alternate(self, on: bool) -> None:
        if on and self._primary is None:
            cursor = pyte_screens.Cursor(self.cursor.x, self.cursor.y, self.cursor.attrs)
            self._primary = (dict(self.buffer), cursor, self.columns, self.lines)
            self.buffer.clear()
            self.margins = None
        elif not on and self._primary is not None:
            self._leave_alternate(*self._primary)
        self.dirty.update(range(self.lines))

    def _leave_alternate(self, buffer: dict[int, Line], cursor: Any, columns: int, lines: int) -> None:
        self._primary = None
        now = (self.columns, self.lines)
        self.columns, self.lines = columns, lines
        self.margins = None
        self.buffer.clear()
        self.buffer.update(buffer)
        self.cursor = cursor
        self.set_size(*now)

    # --- resizing ------------------------------------------------------------------------------------

    def set_size(self, columns: int, lines: int) -> None:
        """Change the size; lines of the primary screen wrap again to the new width."""
        if (columns, lines) != (self.columns, self.lines):
            if self._primary is None:
                self._rewrap(columns, lines)
            else:
                self.resize(lines, columns)
            self.columns, self.lines = columns, lines
            self.margins = None
            self.tabstops = set(range(8, columns, 8))
            self.ensure_hbounds()
            self.ensure_vbounds()
        self.dirty.update(range(lines))

    def _rewrap(self, columns: int, lines: int) -> None:
        last = max([self.cursor.y, *(y for y, line in self.buffer.items() if _length(line))])
        rows = [*self.history, *(self.buffer[y] for y in range(last + 1))]
        at = len(self.history) + self.cursor.y
        wrapped: list[Line] = []
        place = (0, 0)
        for first, group in _logical(rows):
            offset = (at - first) * self.columns + self.cursor.x if first <= at < first + len(group) else -1
            if offset >= 0:
                place = (len(wrapped) + offset // columns, offset % columns)
            wrapped += self._wrap(group, columns, offset)
        top = max(0, min(len(wrapped) - lines, place[0]), place[0] - lines + 1)
        self.history.clear()
        self.history.extend(wrapped[:top])
        self.buffer.clear()
        self.buffer.update(enumerate(wrapped[top : top + lines]))
        self.cursor.y, self.cursor.x = place[0] - top, place[1]

    def _wrap(self, group: list[Line], columns: int, cursor: int) -> Iterable[Line]:
        """One logical line in rows of `columns`; there is a row for the cursor at offset `cursor`, if any."""
        if len(group) == 1 and _length(group[0]) <= columns and cursor < columns:
            return group
        cells: list[Any] = []
        for full in group[:-1]:
            cells += [full[x] for x in range(self.columns)]
        cells += [group[-1][x] for x in range(_length(group[-1]))]
        count = max(-(-len(cells) // columns), cursor // columns + 1, 1)
        rows: list[Line] = []
        for n in range(count):
            row: Line = pyte_screens.StaticDefaultDict(self.default_char)
            row.update(enumerate(cells[n * columns : (n + 1) * columns]))
            if n < count - 1:
                row[_WRAPPED] = _MARK
            rows.append(row)
        return rows


def _length(line: Line) -> int:
    """Columns up to the last that a line sets."""
    return max(line, default=-1) + 1


def _logical(rows: list[Line]) -> Iterator[tuple[int, list[Line]]]:
    """(index of the first row, rows) of each line as the guest wrote it."""
    group: list[Line] = []
    for number, row in enumerate(rows):
        group.append(row)
        if row.get(_WRAPPED) is not _MARK:
            yield number - len(group) + 1, group
            group = []
    if group:
        yield len(rows) - len(group), group
