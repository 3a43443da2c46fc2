"""The dialog of breakpoints and watchpoints: what is typed adds one, those that are set can be removed or disabled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from engine.views import BreakpointView
from hvtui import text
from hvtui.monitor import LONGEST
from hvtui.screens.modal import Dialog


class Breakpoints(Dialog[str]):
    """Closes with the monitor line that does what was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "focus_list", show=False),
        Binding("space", "turn", show=False),
    ]

    def __init__(self, vm: str, found: Sequence[BreakpointView]) -> None:
        super().__init__()
        self._vm = vm
        self._set = {each.number: each for each in found}

    def compose(self) -> ComposeResult:
        with Vertical(classes="box", id="breakpoints") as box:
            box.border_title = "Breakpoints and watchpoints"
            box.border_subtitle = "enter sets · ↓ enter removes · space disables · escape"
            yield Label(f"Hold {self._vm} before it executes at", markup=False)
            with Vertical(classes="fields"):
                field = Input(id="place", placeholder="0x48000000, guest_main, main+0x10 if x0 == 3", compact=True)
                field.max_length = LONGEST
                field.cursor_blink = False
                yield field
            if self._set:
                yield OptionList(*map(_option, self._set.values()), id="set", compact=True)
            else:
                yield Label("none is set; :watch ADDRESS sets a watchpoint", classes="faint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#place", Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(f"break {event.value.strip()}")

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(f"delete {event.option.id}")

    def action_turn(self) -> None:
        """Disable the one that the cursor is on, or enable it again."""
        for listed in self.query(OptionList):
            option = listed.highlighted_option
            if option is not None:
                chosen = self._set[int(option.id or 0)]
                self.dismiss(f"{'disable' if chosen.enabled else 'enable'} {chosen.number}")

    def action_focus_list(self) -> None:
        for pane in self.query("#set"):
            pane.focus()


def _option(each: BreakpointView) -> Option:
    place = f"{each.vm or 'PA'} {each.address:#x} {each.symbol}".strip()
    what = f"{each.access} {each.size} bytes, " if each.size else ""
    times = "once" if each.hits == 1 else f"{each.hits} times"
    more = f", if {each.condition}" if each.condition else ""
    more += f", after {each.ignore} more" if each.ignore else ""
    mark = "●" if each.enabled else "○"
    return Option(
        f"{each.number:2d} {mark} {text.shorten(place, 34)}  {what}reached {times}{more}", id=str(each.number)
    )
