"""A pane of lines that are all known: only those that changed are painted anew."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip

from hvtui import text
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.lines import LinesPane
from hvtui.widgets.page import Page


class TextPane(LinesPane):
    """Lines as they were written; subclasses write them."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, classes="pane")
        self._lines: list[Line] = []
        self._chosen = -1

    def write(self) -> None:
        """`set_lines` for the width and height there are now; also called when they change."""
        raise NotImplementedError

    def set_lines(self, lines: Sequence[Line], chosen: int = -1) -> None:
        """Other lines; `chosen` is the one that a cursor is on, -1 for none."""
        old, before = self._lines, self._chosen
        self._lines, self._chosen = list(lines), chosen
        if len(old) != len(self._lines):
            self.set_line_count(len(self._lines))
            self.refresh()
            return
        for number, (line, now) in enumerate(zip(old, self._lines, strict=True)):
            if line != now or (chosen != before and number in (chosen, before)):
                self.refresh_line(number)

    def on_resize(self) -> None:
        self.write()
        self.post_message(Page.LookAgain())  # there may be room for what was not asked for

    def on_show(self) -> None:
        self.post_message(Page.LookAgain())

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        if self._chosen >= 0:
            self.refresh_line(self._chosen)

    def draw_line(self, number: int, width: int) -> Strip:
        if number != self._chosen:
            return text.line(self._lines[number], width)
        base = Ink.SELECTED if self.has_focus else Ink.SELECTED_BLURRED
        return text.line(self._lines[number], width, base)
