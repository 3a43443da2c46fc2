"""A terminal's lines in a widget: scrolled back or not, with the time each was begun or not, parts of them marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Offset
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from hvtui.terminal import Terminal
from hvtui.terminal.find import Point
from hvtui.theme import Ink

_WHEEL_LINES = 3
_GUTTER = 13
"""Columns of a line's time, a blank on both sides included."""
_LEAST_BESIDE = 20
"""Columns of text that a gutter must leave."""


class Overlay(NamedTuple):
    """Columns of a line, `end` not included, that look otherwise."""

    start: int
    end: int
    style: Style


class TerminalView(Widget):
    """Shows a terminal, which has as many lines and columns as there is room for."""

    back: reactive[int] = reactive(0)
    """Lines scrolled back from the newest."""
    timestamps: reactive[bool] = reactive(False)
    """Every line has the virtual time when it was begun, in seconds, at its left."""

    def __init__(self, id: str, classes: str) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id, classes=classes)
        self.terminal = Terminal()

    # --- where things are --------------------------------------------------------------------------

    @property
    def gutter_width(self) -> int:
        """Columns at the left that are not the terminal's."""
        return _GUTTER if self.timestamps and self.size.width >= _GUTTER + _LEAST_BESIDE else 0

    def number_at(self, y: int) -> int:
        """Number of the terminal's line that row `y` shows."""
        return self.terminal.scrolled - self.back + y

    def point_at(self, screen_offset: Offset) -> Point:
        """The terminal's cell that is nearest to a place on the screen."""
        x, y = screen_offset - self.content_region.offset
        first, last = self.number_at(0), self.number_at(self.terminal.lines - 1)
        x = max(0, min(x - self.gutter_width, self.terminal.columns - 1))
        return Point(max(first, min(self.number_at(y), last)), x)

    def reveal(self, number: int, covered: int = 0) -> None:
        """Scroll to a line, unless it is visible; `covered` rows at the bottom are not."""
        visible = self.terminal.lines - covered
        if not self.number_at(0) <= number < self.number_at(visible):
            self._go_back(self.terminal.scrolled - number + visible // 2)

    def follow(self, number: int) -> None:
        """Scroll no further than needed to see a line."""
        if number < self.number_at(0):
            self._go_back(self.terminal.scrolled - number)
        elif number >= self.number_at(self.terminal.lines):
            self._go_back(self.terminal.end - 1 - number)

    def look_back(self, lines: int) -> None:
        """Show older (positive) or newer lines."""
        self._go_back(self.back + lines)

    def _go_back(self, back: int) -> None:
        self.back = max(0, min(self.terminal.scrollback, back))

    # --- drawing -------------------------------------------------------------------------------------

    def cursor_style(self) -> Style | None:
        """How the terminal's cursor is drawn; None: it is not."""
        return None

    def overlays(self, number: int) -> Iterator[Overlay]:  # noqa: ARG002  # those that have some need it
        """What to mark of a line; later ones cover earlier ones."""
        yield from ()

    def render_line(self, y: int) -> Strip:
        number, columns = self.number_at(y), self.terminal.columns
        strip = self.terminal.strip(y, self.back, self.cursor_style())
        for start, end, style in self.overlays(number):
            strip = overlaid(strip, max(0, start), min(end, columns), style)
        if self.gutter_width:
            strip = Strip.join([Strip([Segment(self._time(number), Ink.MUTED)]), strip])
        return strip.adjust_cell_length(self.size.width).apply_style(self.visual_style.rich_style)

    def _time(self, number: int) -> str:
        """` 12.345678 ` for the first row of a line that something was written to."""
        line = self.terminal.line(number)
        if line.begun_ns is None or self.terminal.line(number - 1).wrapped:
            return " " * _GUTTER
        seconds, rest = divmod(line.begun_ns, 1_000_000_000)
        return f" {seconds}.{rest // 1000:06} ".rjust(_GUTTER)[-_GUTTER:]

    # --- size ----------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        self.fit()

    def watch_timestamps(self) -> None:
        self.fit()

    def fit(self) -> None:
        """Give the terminal the room that there is."""
        columns, lines = self.size.width - self.gutter_width, self.size.height
        if columns > 0 and lines > 0:
            self.refitted(self.terminal.columns != columns)
            self.terminal.resize(columns, lines)
            self.back = min(self.back, self.terminal.scrollback)
            self.terminal.take_dirty()
            self.refresh()

    def refitted(self, wraps: bool) -> None:
        """The size is going to change; if the lines wrap again, they get other numbers."""

    # --- the wheel -----------------------------------------------------------------------------------

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.look_back(_WHEEL_LINES)
        event.stop()

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.look_back(-_WHEEL_LINES)
        event.stop()


def overlaid(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """A strip with `style` over some of its columns."""
    if start >= end:
        return strip
    before, under, after = strip.divide([start, end, max(end, strip.cell_length)])
    marked = [Segment(segment.text, (segment.style or Style()) + style) for segment in under]
    return Strip.join([before, Strip(marked, under.cell_length), after])
