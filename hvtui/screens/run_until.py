"""The dialog that lets guests run to something: the next event of a kind, or a virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from engine.debug.goals import Goal
from hvtui import text
from hvtui.screens.modal import ExplainedDialog
from hvtui.times import parse_time


class RunUntil(ExplainedDialog[str]):
    """A kind of event picked, or a time typed: in the words of the command."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "focus_list", show=False)]

    def __init__(self, now: int, goals: Mapping[str, Goal]) -> None:
        """`goals`: the kinds of events that this machine has, by their words."""
        super().__init__()
        self._now = now
        self._goals = goals

    def compose(self) -> ComposeResult:
        with Vertical(classes="box", id="run-until") as box:
            box.border_title = "Run until"
            box.border_subtitle = "enter runs · tab next field · escape"
            yield OptionList(
                *(Option(f"the next {goal}", id=word) for word, goal in self._goals.items()), id="goals", compact=True
            )
            with Horizontal(classes="fields"):
                yield Label("time")
                field = Input(id="time", placeholder="2.5 or +0.1", compact=True, max_length=21, select_on_focus=False)
                field.cursor_blink = False
                yield field
                yield Label("", id="meaning", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#goals", OptionList).focus()

    def meaning(self, value: str) -> str:
        return f"to {text.seconds(parse_time(value, self._now)).strip()} s"

    async def on_key(self, event: object) -> None:
        """Digits go to the time at once."""
        key = getattr(event, "character", None)
        field = self.query_one("#time", Input)
        if key and key in "0123456789.+" and not field.has_focus:
            field.value += key  # quick fingers type more before the focus is there
            field.focus()
            field.cursor_position = len(field.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        try:
            parse_time(event.value, self._now)
        except ValueError:
            self.refuse()
        else:
            self.dismiss(event.value.strip())

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)

    def action_focus_list(self) -> None:
        self.query_one("#goals", OptionList).focus()
