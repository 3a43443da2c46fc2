"""The character grid as a guest sees it: cursor, margins, modes, two pages and scrollback (VT220, and xterm's 256)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import groupby

from wcwidth import wcwidth

from hvtui.terminal import sgr
from hvtui.terminal.charsets import ASCII, SETS, Charset
from hvtui.terminal.known_cells import KnownCells
from hvtui.terminal.line import BLANK, PLAIN, Cell, Line, Look
from hvtui.terminal.page import Page
from hvtui.terminal.rewrap import Place, rewrap


@dataclass(slots=True)
class Cursor:
    """What DECSC saves."""

    x: int = 0
    """Equal to the number of columns after the last one was written: the next character wraps."""
    y: int = 0
    look: Look = PLAIN
    charsets: tuple[Charset, Charset] = (ASCII, ASCII)
    """G0 and G1."""
    shifted: bool = False
    """G1 is used."""
    origin: bool = False
    """DECOM: lines count from the top margin, and the cursor stays inside the margins."""


@dataclass(slots=True)
class Modes:
    """What DECSET, SM and their kin switch, besides origin mode."""

    autowrap: bool = True
    insert: bool = False
    newline: bool = False
    """LNM: a line feed also returns the carriage."""
    application_cursor: bool = False
    """DECCKM: arrow keys send SS3 sequences."""
    application_keypad: bool = False
    bracketed_paste: bool = False
    visible: bool = True
    """DECTCEM: the cursor is shown."""
    shape: int = 0
    """DECSCUSR: 3 and 4 an underline, 5 and 6 a bar, else a block."""


@dataclass(slots=True)
class _Primary:
    """The primary screen while the alternate one is shown."""

    page: Page
    place: Cursor
    """The cursor when it was left; moves with the text when the size changes."""
    restores: bool
    """1049: the cursor goes back there."""


@dataclass(slots=True)
class Screen:
    """All state of a terminal but its parser's. Counts and places are within bounds whatever the guest asks."""

    columns: int
    lines: int
    keep: int
    """Most lines of scrollback."""
    cursor: Cursor = field(default_factory=Cursor)
    modes: Modes = field(default_factory=Modes)
    dirty: set[int] = field(default_factory=set)
    """Lines of the screen that changed."""
    scrolled: int = 0
    """Lines that ever left at the top; as a number of a line, the first one on the screen."""
    now_ns: int | None = None
    """Virtual time of what is being written."""
    page: Page = field(init=False)
    history: deque[Line] = field(init=False)
    """Lines that left at the top, oldest first."""
    top: int = field(default=0, init=False)
    bottom: int = field(init=False)
    """Margins: first and last line of what scrolls."""
    tabs: set[int] = field(init=False)
    _saved: Cursor = field(default_factory=Cursor, init=False)
    _primary: _Primary | None = field(default=None, init=False)
    _last: str = field(default="", init=False)
    """The last character written, for REP."""
    _known: KnownCells = field(default_factory=KnownCells, init=False)

    def __post_init__(self) -> None:
        self.page = Page(self.columns, self.lines)
        self.history = deque(maxlen=self.keep)
        self.bottom = self.lines - 1
        self.tabs = set(range(8, self.columns, 8))

    def reset(self) -> None:
        """RIS: everything as at the start, but the scrollback stays."""
        self._primary = None
        self.page = Page(self.columns, self.lines)
        self.tabs = set(range(8, self.columns, 8))
        self.soft_reset()
        self.cursor = Cursor()
        self._last = ""
        self._all_dirty()

    def soft_reset(self) -> None:
        """DECSTR: modes, margins and character sets as at the start; text and cursor stay."""
        self.modes = Modes()
        self.top, self.bottom = 0, self.lines - 1
        self.cursor = Cursor(self.cursor.x, self.cursor.y)
        self._saved = Cursor()
        self.dirty.add(self.cursor.y)

    # --- writing -------------------------------------------------------------------------------

    def draw(self, text: str) -> None:
        """Write text at the cursor, wrapping at the right margin."""
        charset = self.cursor.charsets[self.cursor.shifted]
        if charset:
            text = text.translate(charset)
        if text.isascii() and not self.modes.insert:
            self._draw_run(text)
            return
        for narrow, characters in groupby(text, _is_narrow):
            if narrow and not self.modes.insert:
                self._draw_run("".join(characters))
            else:
                for character in characters:
                    self._draw_one(character)

    def _draw_run(self, run: str) -> None:
        """Characters of one column each, as many at a time as fit on a line."""
        cells = self._known.of(self.cursor.look, run)
        start = 0
        while start < len(cells):
            end = start + self._room(1)
            if not self.modes.autowrap and end < len(cells):
                cells[end - 1 :] = cells[-1:]
            self._put(cells[start:end])
            start = end
        self._last = run[-1]

    def _put(self, cells: list[Cell]) -> None:
        cursor = self.cursor
        row = self.page.rows[cursor.y]
        if row.begun_ns is None:
            row.begun_ns = self.now_ns
        row.put(cursor.x, cells)
        cursor.x += len(cells)
        if cursor.x >= self.columns:
            row.wrapped = False
            cursor.x = self.columns if self.modes.autowrap else self.columns - 1
        self.dirty.add(cursor.y)

    def _room(self, width: int) -> int:
        """Columns left on this line, at least `width`: wraps, or stays at the margin, when there are fewer."""
        cursor = self.cursor
        if cursor.x + width > self.columns:
            if self.modes.autowrap:
                begun = self.page.rows[cursor.y]
                begun.wrapped = True
                cursor.x = 0
                self.index()
                self.page.rows[cursor.y].begun_ns = begun.begun_ns
            else:
                cursor.x = max(0, self.columns - width)
        return self.columns - cursor.x

    def _draw_one(self, character: str) -> None:
        width = wcwidth(character)
        cursor = self.cursor
        if width == 0:
            self._combine(character)
        stuck = width == 2 and not self.modes.autowrap and cursor.x == self.columns - 1
        if not 0 < width <= self.columns or stuck:
            return
        self._room(width)
        row = self.page.rows[cursor.y]
        if self.modes.insert:
            row.insert(cursor.x, width, self.columns, self._blank())
        self._put([Cell(character, cursor.look), Cell("", cursor.look)][:width])
        self._last = character

    def _combine(self, mark: str) -> None:
        cursor = self.cursor
        if cursor.x:
            self.page.rows[cursor.y].combine(cursor.x - 1, mark)
            self.dirty.add(cursor.y)

    def repeat(self, count: int) -> None:
        """REP: the last character again, at most a line full."""
        if self._last:
            self.draw(self._last * min(count, self.columns))

    def _blank(self) -> Cell:
        """What erasing leaves: nothing but the background colour."""
        back = self.cursor.look.back
        return BLANK if back < 0 else Cell(" ", Look(back=back))

    # --- lines -----------------------------------------------------------------------------------

    def index(self) -> None:
        """IND: down one line; at the bottom margin the lines between the margins move up."""
        if self.cursor.y == self.bottom:
            self.scroll_up(1)
        elif self.cursor.y < self.lines - 1:
            self.cursor.y += 1

    def reverse_index(self) -> None:
        """RI: up one line; at the top margin the lines between the margins move down."""
        if self.cursor.y == self.top:
            self.scroll_down(1)
        elif self.cursor.y > 0:
            self.cursor.y -= 1

    def scroll_up(self, count: int) -> None:
        """SU. From the top of the primary screen lines go into the scrollback."""
        gone = self.page.scroll_up(self.top, self.bottom, count, self._blank())
        if self.top == 0 and self._primary is None:
            self.history.extend(gone)
            self.scrolled += len(gone)
        if len(self.dirty) < self.lines:
            self.dirty.update(range(self.top, self.bottom + 1))

    def scroll_down(self, count: int) -> None:
        """SD."""
        self.page.scroll_down(self.top, self.bottom, count, self._blank())
        self.dirty.update(range(self.top, self.bottom + 1))

    def insert_lines(self, count: int) -> None:
        """IL: at the cursor, which goes to the first column; outside of the margins nothing happens."""
        if self.top <= self.cursor.y <= self.bottom:
            self.page.scroll_down(self.cursor.y, self.bottom, count, self._blank())
            self._lines_moved()

    def delete_lines(self, count: int) -> None:
        """DL: at the cursor, which goes to the first column; outside of the margins nothing happens."""
        if self.top <= self.cursor.y <= self.bottom:
            self.page.scroll_up(self.cursor.y, self.bottom, count, self._blank())
            self._lines_moved()

    def _lines_moved(self) -> None:
        self.cursor.x = 0
        self.dirty.update(range(self.cursor.y, self.bottom + 1))

    # --- within a line ------------------------------------------------------------------------------

    def insert_characters(self, count: int) -> None:
        """ICH: blanks at the cursor."""
        self._line().insert(self._column(), count, self.columns, self._blank())

    def delete_characters(self, count: int) -> None:
        """DCH: at the cursor."""
        self._line().delete(self._column(), count, self.columns, self._blank())

    def erase_characters(self, count: int) -> None:
        """ECH: from the cursor on."""
        x = self._column()
        self._line().erase(x, min(x + count, self.columns), self._blank())

    def erase_in_line(self, how: int) -> None:
        """EL: 0 to the end, 1 from the beginning, 2 all of it; the cursor's cell goes in any case."""
        x, line = self._column(), self._line()
        line.erase(0 if how else x, x + 1 if how == 1 else self.columns, self._blank())
        if how != 1:
            line.wrapped = False
        if how == 2:
            line.begun_ns = None

    def erase_in_display(self, how: int) -> None:
        """ED: 0 to the end, 1 from the beginning, 2 all of the screen, 3 the scrollback."""
        y, blank = self.cursor.y, self._blank()
        if how == 3:
            self.history.clear()
        elif how == 2:
            self.page.clear(0, self.lines, blank)
        elif how == 1:
            self.page.clear(0, y, blank)
            self.erase_in_line(1)
        else:
            self.page.clear(y + 1, self.lines, blank)
            self.erase_in_line(0)
        self._all_dirty()

    def alignment_display(self) -> None:
        """DECALN: a screen full of E, no margins, the cursor at home."""
        self.top, self.bottom = 0, self.lines - 1
        self.page.rows = [Line([Cell("E", PLAIN)] * self.columns, begun_ns=self.now_ns) for _ in range(self.lines)]
        self.cursor.x = self.cursor.y = 0
        self._all_dirty()

    def _line(self) -> Line:
        self.dirty.add(self.cursor.y)
        return self.page.rows[self.cursor.y]

    def _column(self) -> int:
        """The cursor's; a pending wrap is forgotten."""
        self.cursor.x = min(self.cursor.x, self.columns - 1)
        return self.cursor.x

    def _all_dirty(self) -> None:
        self.dirty.update(range(self.lines))

    # --- the cursor -----------------------------------------------------------------------------------

    def to(self, line: int, column: int) -> None:
        """CUP: both from 0, lines from the top margin in origin mode."""
        first, last = (self.top, self.bottom) if self.cursor.origin else (0, self.lines - 1)
        self.cursor.y = max(first, min(first + line, last))
        self.to_column(column)

    def to_column(self, column: int) -> None:
        """CHA, from 0."""
        self.cursor.x = max(0, min(column, self.columns - 1))

    def to_line(self, line: int) -> None:
        """VPA, from 0."""
        self.to(line, self.cursor.x)

    def up(self, count: int) -> None:
        """CUU: as far as the top margin, if the cursor was below it."""
        self._vertically(max(self.cursor.y - count, self.top if self.cursor.y >= self.top else 0))

    def down(self, count: int) -> None:
        """CUD: as far as the bottom margin, if the cursor was above it."""
        self._vertically(min(self.cursor.y + count, self.bottom if self.cursor.y <= self.bottom else self.lines - 1))

    def _vertically(self, y: int) -> None:
        self.cursor.y = y
        self._column()

    def right(self, count: int) -> None:
        """CUF."""
        self.to_column(self.cursor.x + count)

    def left(self, count: int) -> None:
        """CUB, and a backspace."""
        self.to_column(self._column() - count)

    def tab(self, count: int) -> None:
        """CHT: to the next tab stops, or the last column."""
        stops = sorted(stop for stop in self.tabs if stop > self.cursor.x)
        self.to_column(stops[count - 1] if count <= len(stops) else self.columns - 1)

    def back_tab(self, count: int) -> None:
        """CBT: to the tab stops before, or the first column."""
        stops = sorted((stop for stop in self.tabs if stop < self.cursor.x), reverse=True)
        self.cursor.x = stops[count - 1] if count <= len(stops) else 0

    def set_margins(self, top: int, bottom: int) -> None:
        """DECSTBM, from 0; at least two lines, or nothing happens."""
        bottom = min(bottom, self.lines - 1)
        if top < bottom:
            self.top, self.bottom = top, bottom
            self.to(0, 0)

    def save_cursor(self) -> None:
        """DECSC."""
        self._saved = replace(self.cursor)

    def restore_cursor(self) -> None:
        """DECRC: without DECSC before, to home."""
        self.cursor = replace(self._saved)
        self._confine()

    def _confine(self) -> None:
        self.cursor.x = min(self.cursor.x, self.columns)
        self.cursor.y = min(self.cursor.y, self.lines - 1)
        self.dirty.add(self.cursor.y)

    def set_look(self, parameters: str) -> None:
        """SGR."""
        self.cursor.look = sgr.applied(self.cursor.look, parameters)

    def designate(self, slot: int, name: str) -> None:
        """SCS: `name` is a character set for G0 or G1."""
        zero, one = self.cursor.charsets
        charset = SETS.get(name, ASCII)
        self.cursor.charsets = (zero, charset) if slot else (charset, one)

    # --- the alternate screen ----------------------------------------------------------------------

    @property
    def alternate(self) -> bool:
        """The alternate screen is shown."""
        return self._primary is not None

    def show_alternate(self, restores: bool) -> None:
        """Another, empty page, that has no scrollback; with `restores`, leaving it puts the cursor back (1049)."""
        if self._primary is None:
            self._primary = _Primary(self.page, replace(self.cursor), restores)
            self.page = Page(self.columns, self.lines)
            self._all_dirty()

    def show_primary(self, restores: bool) -> None:
        """Back to what was there before."""
        if self._primary is not None:
            primary, self._primary = self._primary, None
            self.page = primary.page
            if restores and primary.restores:
                self.cursor = primary.place
            self._confine()
            self._all_dirty()

    # --- resizing ------------------------------------------------------------------------------------

    def set_size(self, columns: int, lines: int) -> None:
        """Change the size; lines of the primary screen wrap again to the new width."""
        if (columns, lines) == (self.columns, self.lines):
            return
        if self._primary is None:
            self._rewrap(self.page, self.cursor, columns, lines)
        else:
            self._rewrap(self._primary.page, self._primary.place, columns, lines)
            self.cursor.y -= self.page.crop(columns, lines, self.cursor.y)
        self.columns, self.lines = columns, lines
        self.top, self.bottom = 0, lines - 1
        self.tabs = set(range(8, columns, 8))
        self.cursor.x = min(self.cursor.x, columns - 1)
        self._confine()
        self.dirty = set(range(lines))

    def _rewrap(self, page: Page, cursor: Cursor, columns: int, lines: int) -> None:
        last = max([cursor.y, *(y for y, row in enumerate(page.rows) if row.cells)])
        before = len(self.history)
        at = Place(before + cursor.y, cursor.x)
        wrapped, place = rewrap([*self.history, *page.rows[: last + 1]], at, page.columns, columns)
        top = max(0, min(len(wrapped) - lines, place.line), place.line - lines + 1)
        self.history = deque(wrapped[:top], maxlen=self.keep)
        self.scrolled += max(len(self.history) - before, -self.scrolled)
        page.columns = columns
        page.rows = wrapped[top : top + lines]
        page.rows += [Line() for _ in range(lines - len(page.rows))]
        cursor.x, cursor.y = place.x, place.line - top


def _is_narrow(character: str) -> bool:
    return wcwidth(character) == 1
