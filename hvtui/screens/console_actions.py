"""The actions on consoles."""

from __future__ import annotations

from textual.widget import Widget

from hvtui.screens.board_base import BoardBase
from hvtui.widgets.console import Console


class ConsoleActions(BoardBase):
    """Which console is looked at, and how."""

    def action_console(self, console: int | str) -> None:
        """By its number from 1, or its name."""
        number = console if isinstance(console, int) else self.consoles[console].number
        self._choose(self.consoles.choose(number))

    def action_next_console(self) -> None:
        self._turn(1)

    def action_previous_console(self) -> None:
        self._turn(-1)

    def _turn(self, step: int) -> None:
        count = len(list(self.consoles.all()))
        self.action_console((self.consoles.chosen.number - 1 + step) % count + 1)

    def _choose(self, console: Widget | None) -> None:
        if isinstance(console, Console):
            self.show_pane(console)
