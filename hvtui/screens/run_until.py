"""The dialog that lets guests run to something: the next event of a kind, or a virtual time."""

from __future__ import annotations

import re
from collections.abc import Iterable
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

_TIME = re.compile(r"(\+?)(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})")
_SECOND = 1_000_000_000
_EXPECTED = "expected seconds after power-on, or + seconds from now"


def parse_time(value: str, now: int) -> int:
    """Virtual nanoseconds: `2.5` is since power-on, `+0.1` since `now`. ValueError, in words, when it is neither."""
    found = _TIME.fullmatch(value.strip())
    if found is None:
        raise ValueError(_EXPECTED)
    whole, _, fraction = found[2].partition(".")
    moment = int(whole or 0) * _SECOND + int(fraction.ljust(9, "0"))
    if found[1]:
        return now + moment
    if moment <= now:
        raise ValueError(f"that has passed: it is {text.seconds(now).strip()} s now")
    return moment


class RunUntil(ExplainedDialog[Goal | int]):
    """A kind of event picked, or a time typed; nanoseconds then."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "focus_list", show=False)]

    def __init__(self, now: int, goals: Iterable[Goal]) -> None:
        """`goals`: the kinds of events that this machine has."""
        super().__init__()
        self._now = now
        self._goals = goals

    def compose(self) -> ComposeResult:
        with Vertical(classes="box", id="run-until") as box:
            box.border_title = "Run until"
            box.border_subtitle = "enter runs · tab next field · escape"
            yield OptionList(
                *(Option(f"the next {goal}", id=goal.name) for goal in self._goals), id="goals", compact=True
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
            self.dismiss(parse_time(event.value, self._now))
        except ValueError:
            self.refuse()

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(Goal[event.option.id or Goal.TRAP.name])

    def action_focus_list(self) -> None:
        self.query_one("#goals", OptionList).focus()
