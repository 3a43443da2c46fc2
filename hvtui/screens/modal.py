"""The base of every dialog: a framed box in the middle, Escape leaves it."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Input, Label

Result = TypeVar("Result")

NARROW, TINY = 44, 14
"""Columns and lines below which dialogs do without ornaments."""


class Dialog(ModalScreen[Result], Generic[Result]):
    """Closes with None on Escape or Ctrl-C."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "close", "Close", show=False)]

    def on_resize(self) -> None:
        # Where it is small, what has the focus may be where one would have to scroll to.
        self.call_after_refresh(self._show_focused)

    def _show_focused(self) -> None:
        if self.focused is not None:
            self.focused.scroll_visible(animate=False)

    def action_close(self) -> None:
        self.dismiss(None)


class ExplainedDialog(Dialog[Result]):
    """Has a field, and a label `meaning` beside it that says what is being typed."""

    def meaning(self, value: str) -> str:
        """What the field's contents mean. ValueError, in words, where it is nothing that could be entered."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self._explain("")

    @on(Input.Changed)
    def _explain_input(self, event: Input.Changed) -> None:
        self._explain(event.value)

    def _explain(self, value: str) -> None:
        label = self.query_one("#meaning", Label)
        try:
            label.update(self.meaning(value))
        except ValueError as error:
            label.update(f"{'✖ ' if value else ''}{error}")
            label.set_class(bool(value), "-wrong")
        else:
            label.remove_class("-wrong")

    def refuse(self) -> None:
        """Somebody wanted to enter what cannot be."""
        self.query_one("#meaning", Label).add_class("-wrong")
        self.app.bell()
