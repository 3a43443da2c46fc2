"""Jump mode: a letter on every pane, typing one goes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Label

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


class Jump(ModalScreen[Widget]):
    """Closes with the pane whose letter was typed or clicked; with None on any other key."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c,ctrl+o", "close", show=False)]

    def __init__(self, panes: Sequence[Widget]) -> None:
        super().__init__()
        self._panes = dict(zip(LETTERS, panes, strict=False))

    def compose(self) -> ComposeResult:
        for letter, pane in self._panes.items():
            label = Label(f" {letter} ", id=f"jump-{letter}", classes="jump")
            label.styles.offset = (pane.region.x + pane.region.width // 2 - 1, pane.region.y + pane.region.height // 2)
            yield label

    def action_close(self) -> None:
        self.dismiss(None)

    async def _on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss(self._panes.get(event.key))

    async def _on_click(self, event: events.Click) -> None:
        self.dismiss(next((pane for pane in self._panes.values() if pane.region.contains(*event.screen_offset)), None))
