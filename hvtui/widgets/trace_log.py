"""The rows of the trace: as many as there are, of which only those in view are ever here."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.message import Message
from textual.strip import Strip

from hvtui import text
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.trace_lanes import Lanes, Layout
from hvtui.trace_look import TraceLook, TraceRow
from hvtui.trace_steps import steps
from hvtui.trace_text import log_heading, log_line, short_seconds
from hvtui.widgets.lines import LinesPane

_STEPS = {"up": -1, "down": 1, "k": -1, "j": 1}
_SIDES = {"left": -1, "right": 1}
_TIME = 11
"""Columns that lanes leave to the time."""


class TraceLog(LinesPane):
    """Follows the newest row as long as the cursor is on it; else the view stays where it is, whatever comes."""

    class Moved(Message):
        """Other rows are in view, or the cursor is on another one."""

    class Opened(Message):
        """Somebody wants to read all about the chosen row."""

    def __init__(self, nanoseconds: Callable[[int], int]) -> None:
        super().__init__(id="trace-log", classes="pane")
        self._nanoseconds = nanoseconds
        self.lanes: Lanes | None = None
        """None: a log."""
        self.left = 0
        """The first lane in view, where there is no room for all."""
        self.following = True
        self.cursor = -1
        """Number of the chosen row."""
        self.top = 0
        """Number of the first row in view."""
        self.empty = "nothing has happened yet"
        """What stands there without any rows."""
        self._look: TraceLook | None = None
        self._first = self._end = 0
        self._settling = False
        self._drawn: tuple[object, ...] = ()
        """What the newest look made of the view."""

    @property
    def room(self) -> int:
        """Rows in view; the heading is none."""
        return max(1, self.rows - 1)

    @property
    def below(self) -> int:
        """Rows after those in view."""
        return max(0, self._end - self.top - self.room)

    # --- rows --------------------------------------------------------------------------------------

    def show(self, look: TraceLook) -> None:
        """What the machine has told."""
        self._look, self._first, self._end = look, look.first, look.end
        self.set_line_count(look.end - look.first + 1)
        if self.following:
            self.cursor = look.end - 1
        else:
            self.cursor = max(look.first, min(self.cursor, look.end - 1))
        self._settle(look.end - self.room if self.following else self.top)
        drawn = (self.lanes, self.cursor, self.top, [look.row(self.top + line) for line in range(self.room)])
        if drawn != self._drawn:
            self._drawn = drawn
            self.refresh()

    def choose(self, number: int, middle: bool = False) -> None:
        """Put the cursor on a row, and the row into view; the newest one is followed."""
        self.cursor = max(self._first, min(number, self._end - 1))
        self.following = self.cursor >= self._end - 1
        top = self.top
        if self.following:
            top = self._end - self.room
        elif middle and not top <= self.cursor < top + self.room:
            top = self.cursor - self.room // 2
        elif self.cursor < top:
            top = self.cursor
        elif self.cursor >= top + self.room:
            top = self.cursor + 1 - self.room
        self._settle(top)
        self.refresh()
        self.post_message(self.Moved())

    def _settle(self, top: int) -> None:
        """Have a row at the top, as near as there are rows."""
        self.top = max(self._first, min(top, self._end - self.room))
        self._settling = True
        self.scroll_to(y=self.top - self._first, animate=False, immediate=True, force=True)
        self._settling = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._settling or self._look is None:
            return
        self.top = self._first + round(new_value)
        # The cursor comes along: keys go on from what is seen.
        self.cursor = max(self.top, min(self.cursor, self.top + self.room - 1, self._end - 1))
        self.following = self.below == 0
        if self.following:
            self.cursor = self._end - 1
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        if self._look is not None:
            self.choose(self.cursor if not self.following else self._end - 1)

    # --- input -------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        pages = {"pageup": 1 - self.room, "pagedown": self.room - 1}
        ends = {"home": self._first, "end": self._end - 1}
        step = _STEPS.get(event.key, pages.get(event.key))
        if step is not None:
            self.choose(self.cursor + step)
        elif event.key in ends:
            self.choose(ends[event.key])
        elif event.key in _SIDES and self.lanes is not None:
            self._shift(_SIDES[event.key])
        elif event.key == "enter":
            self.post_message(self.Opened())
        else:
            return
        event.stop()
        event.prevent_default()

    def _shift(self, step: int) -> None:
        """Other lanes come into view."""
        layout = self._layout(self.scrollable_content_region.width)
        self.left = max(0, min(layout.start + step, layout.last_left))
        self.refresh()

    async def _on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        number = self.top + offset.y - 1 if offset is not None else self._first - 1
        if offset is not None and offset.y and self._first <= number < self._end:
            again = number == self.cursor and self.has_focus
            self.choose(number)
            if again and event.chain > 1:
                self.post_message(self.Opened())

    # --- drawing -----------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y == 0:
            return text.line(self._heading(width), width).apply_style(self._base())
        if y == 1 and self._look is not None and self._first == self._end:
            return text.line([(f" {self.empty}", Ink.FAINT)], width).apply_style(self._base())
        return super().render_line(y - 1)

    def _layout(self, width: int) -> Layout:
        assert self.lanes is not None
        return Layout(self.lanes, max(1, width - 1 - _TIME), self.left)

    def _heading(self, width: int) -> Line:
        if self.lanes is None:
            return [(text.shorten(f" {log_heading(width - 1)}", width), Ink.MUTED)]
        return [(f" {'TIME':>{_TIME - 1}} ", Ink.MUTED), *self._layout(width).heading()]

    def draw_line(self, number: int, width: int) -> Strip:
        number += self._first
        row = self._look.row(number) if self._look is not None else None
        if row is None:
            return text.line([(f"{'⋯':>13}" if number < self._end else "", Ink.FAINT)], width)
        chosen = number == self.cursor
        base = (Ink.SELECTED if self.has_focus else Ink.SELECTED_BLURRED) if chosen else None
        mark = ("▌" if chosen else " ", Ink.AMBER)
        return text.line([mark, *self._parts(row, width - 1)], width, base)

    def _parts(self, row: TraceRow, width: int) -> Line:
        nanoseconds = self._nanoseconds(row.event.cycle)
        if self.lanes is None:
            return log_line(row, nanoseconds, width)
        found = steps(row.event)
        step = found[row.step] if row.step < len(found) else None
        return [(f"{short_seconds(nanoseconds)} ", Ink.MUTED), *self._layout(width + 1).draw(step, row.running)]

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.refresh()
