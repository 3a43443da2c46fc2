"""Rows to choose from under a heading that stays: the base of the tables on pages."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

from textual import events
from textual.message import Message
from textual.strip import Strip

from hvtui import text
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.lines import LinesPane

T = TypeVar("T")

STEPS = {"up": -1, "down": 1, "k": -1, "j": 1, "home": -(1 << 30), "end": 1 << 30}
"""Keys that move the cursor, and how far."""


class Row(NamedTuple, Generic[T]):
    """One line, and what the cursor remembers it by."""

    key: Hashable
    item: T


class Table(LinesPane, Generic[T]):
    """The cursor stays with its row, and the row on its line of the screen, whatever comes and goes elsewhere."""

    class Chosen(Message):
        """The cursor moved, or somebody came to this table."""

        def __init__(self, table: Table[T]) -> None:
            super().__init__()
            self.table = table

    class Opened(Message):
        """Somebody wants to read all about the chosen row."""

    def __init__(self, page: str, name: str, empty: str) -> None:
        super().__init__(id=f"{page}-{name.replace(' ', '-')}", classes="pane")
        self.table_name = name
        self.empty = empty
        """What stands there without any rows."""
        self._rows: list[Row[T]] = []
        self._cursor = 0
        self._active = False

    @property
    def chosen(self) -> T | None:
        """What the cursor is on."""
        return self._rows[self._cursor].item if self._rows else None

    @property
    def active(self) -> bool:
        """Its cursor shows: of several tables, the one last chosen from."""
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        if active is not self._active:
            self._active = active
            self.refresh()

    def heading(self, width: int) -> str:
        """The line above the rows."""
        raise NotImplementedError

    def parts(self, item: T, width: int) -> Line:
        """A row in `width` columns."""
        raise NotImplementedError

    def set_rows(self, rows: Sequence[Row[T]]) -> None:
        """Other rows; a cursor whose row is gone goes to the one that has its place."""
        if rows == self._rows:
            return
        key = self._rows[self._cursor].key if self._rows else None
        before, top = self._cursor, self.scroll_offset.y
        self._rows = list(rows)
        places = [place for place, row in enumerate(rows) if row.key == key]
        self._cursor = places[0] if places else max(0, min(before, len(rows) - 1))
        self.set_line_count(len(rows) + 1)
        if self._cursor != before and top:
            self._scroll(top + self._cursor - before)
        self._keep_in_view()
        self.refresh()

    # --- input -------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        pages = {"pageup": 2 - self.rows, "pagedown": self.rows - 2}
        step = STEPS.get(event.key, pages.get(event.key))
        if step is not None:
            self.move(step)
        elif event.key == "enter" and self._rows:
            self.post_message(self.Opened())
        else:
            return
        event.stop()
        event.prevent_default()

    async def _on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        place = self.scroll_offset.y + offset.y - 1 if offset is not None else -1
        if 0 <= place < len(self._rows):
            again = place == self._cursor and self.has_focus
            self.choose(place)
            if again and event.chain > 1:
                self.post_message(self.Opened())

    def move(self, step: int) -> None:
        """To the row `step` further down, or the last one there is on the way."""
        self.choose(max(0, min(len(self._rows) - 1, self._cursor + step)))

    def choose(self, place: int) -> None:
        """Put the cursor on a row."""
        self._cursor = place
        self._keep_in_view()
        self.refresh()
        self.post_message(self.Chosen(self))

    def _keep_in_view(self) -> None:
        top, visible = self.scroll_offset.y, max(1, self.rows - 1)
        if self._cursor < top:
            self._scroll(self._cursor)
        elif self._cursor >= top + visible:
            self._scroll(self._cursor + 1 - visible)

    def _scroll(self, top: int) -> None:
        self.scroll_to(y=max(0, top), animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        # As many rows above the cursor as there is room for, whatever sizes it had on its way to this one.
        self._scroll(min(self.scroll_offset.y, max(0, self._cursor + 2 - self.rows)))
        self._keep_in_view()

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.refresh()
        if has_focus:
            self.post_message(self.Chosen(self))

    # --- drawing -----------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y == 0:
            return text.line([(f" {self.heading(width - 1)}", Ink.MUTED)], width).apply_style(self._base())
        if y == 1 and not self._rows:
            return text.line([(f" {self.empty}", Ink.FAINT)], width).apply_style(self._base())
        return super().render_line(y - 1)

    def draw_line(self, number: int, width: int) -> Strip:
        if number >= len(self._rows):
            return text.line([], width)
        selected = self._active and number == self._cursor
        base = (Ink.SELECTED if self.has_focus else Ink.SELECTED_BLURRED) if selected else None
        mark = ("▌" if selected else " ", Ink.AMBER)
        parts = self.parts(self._rows[number].item, width - 1)
        if sum(len(part) for part, _ in parts) >= width:
            parts = text.fit_parts(parts, width)
        return text.line([mark, *parts], width, base)
