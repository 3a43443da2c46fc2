"""The dialog of breakpoints: a place typed adds one, one picked is removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from engine.views import BreakpointView
from hvtui import text
from hvtui.screens.modal import Dialog

_LONGEST = 128


class Breakpoints(Dialog[str | int]):
    """The text of a place, or the number of a breakpoint."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "focus_list", show=False)]

    def __init__(self, vm: str, breakpoints: Sequence[BreakpointView]) -> None:
        super().__init__()
        self._vm = vm
        self._set = breakpoints

    def compose(self) -> ComposeResult:
        with Vertical(classes="box", id="breakpoints") as box:
            box.border_title = f"Breakpoints of {self._vm}"
            box.border_subtitle = "enter adds, or removes the chosen one · escape"
            with Horizontal(classes="fields"):
                yield Label("at")
                field = Input(id="place", placeholder="0x48000000, guest_main or guest_main+0x10", compact=True)
                field.max_length = _LONGEST
                field.cursor_blink = False
                yield field
            if self._set:
                yield OptionList(*map(_option, self._set), id="set", compact=True)
            else:
                yield Label("none is set", classes="faint")

    def on_mount(self) -> None:
        self.query_one("#place", Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(event.value.strip())

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option.id or 0))

    def action_focus_list(self) -> None:
        for pane in self.query("#set"):
            pane.focus()


def _option(each: BreakpointView) -> Option:
    place = f"{each.address:#x} {each.symbol}".strip()
    times = "once" if each.hits == 1 else f"{each.hits} times"
    return Option(f"{each.number:2d}  {each.vm}  {text.shorten(place, 36)}  reached {times}", id=str(each.number))
