"""The actions on consoles: which are seen, and what is done with their text."""

from __future__ import annotations

from pathlib import Path

from textual.widget import Widget

from hvtui.screens.board_base import BoardBase
from hvtui.widgets.console import Console

_SPLITS = ("as many consoles as fit", "one console", "two consoles", "three consoles", "four consoles")


class ConsoleActions(BoardBase):
    """They apply to the focused console, or else to the one chosen last."""

    @property
    def _current(self) -> Console:
        return self.focused if isinstance(self.focused, Console) else self.consoles.chosen

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
            self.select_partition(console.vm_name)

    def search_console(self, text: str | None) -> None:
        console = self._current
        self.show_pane(console)
        console.open_search(text)
        if text is not None and not console.search(text):
            self.status.say(f"{console.vm_name} never showed {text}", warning=True)

    def action_mark(self) -> None:
        self.show_pane(self._current)
        self._current.enter_copy_mode()

    def action_copy(self) -> None:
        if not self._current.copy_selection():
            self.status.say("nothing is marked: m, or drag the mouse over a console", warning=True)

    def action_timestamps(self) -> None:
        console = self._current
        console.timestamps = not console.timestamps

    def action_split(self) -> None:
        self.status.say(_SPLITS[self.consoles.cycle_split()])
        self.call_after_refresh(self.laid_out)

    def action_save(self, file: str | None = None) -> None:
        if file is None:
            self.action_monitor(f"save {self.machine.config.name}-{self._current.vm_name}.log")
        else:
            self.attempt(self._save(self._current, Path(file)))

    async def _save(self, console: Console, file: Path) -> str:
        """With escape sequences where the name says that it is for a terminal."""
        console.save(file, ansi=file.suffix in (".ansi", ".ans"))
        return f"{file} has all lines of {console.vm_name}"
