"""All about one thing, to read: labelled values that scroll."""

from __future__ import annotations

from collections.abc import Hashable

from textual import events
from textual.message import Message
from textual.strip import Strip

from hvtui import text
from hvtui.items import Line, Page, lay_out
from hvtui.widgets.lines import LinesPane


class Detail(LinesPane):
    """Starts from the top for another thing, and stays where it is while the same one changes."""

    class Left(Message):
        """Somebody wants to go back to where the thing was chosen."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, classes="pane")
        self._about: Hashable = None
        self._page = Page([], [])
        self._lines: list[Line] = []
        self._width = 0

    def show(self, about: Hashable, page: Page) -> None:
        """What there is to say about a thing."""
        if about == self._about and page == self._page:
            return
        other, self._about, self._page = about != self._about, about, page
        self._lay_out()
        if other:
            self.scroll_to(y=0, animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        self._width = self.content_size.width
        self._lines = lay_out(self._page, self._width)
        if len(self._lines) > self.content_size.height:
            # The scrollbar that this takes comes only later, and would hide the ends of full lines.
            self._lines = lay_out(self._page, self._width - self.styles.scrollbar_size_vertical)
        self.set_line_count(len(self._lines))
        self.refresh()

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("enter", "escape"):
            self.post_message(self.Left())
            event.stop()
            event.prevent_default()

    def draw_line(self, number: int, width: int) -> Strip:
        return text.line(self._lines[number], width)
