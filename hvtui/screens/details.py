"""A text to read: why the machine stopped, a traceback."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from hvtui.screens.modal import Dialog


class Details(Dialog[None]):
    """Scrolls; any of Escape, Enter, q, d closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,q,d", "close", "Close", show=False)]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box large") as box:
            box.border_title = self._title
            box.border_subtitle = "escape closes"
            yield Static(self._text, markup=False)
