"""The bar of screens at the top: their keys and names, and which one is open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from hvtui import text
from hvtui.modes import BOARD, MODES, Mode
from hvtui.theme import Ink


class ModeBar(Widget):
    """One line; a click on a name goes there."""

    mode: reactive[str] = reactive(BOARD.name)
    caption: reactive[str] = reactive("")
    """At the right edge, where there is room."""

    class Chosen(Message):
        """Somebody wants to go to a screen."""

        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, keys: Sequence[str], there: Sequence[str], machine: str) -> None:
        """`keys`: of the modes, or of the first ones, as people write them; `there`: names of those of this machine."""
        super().__init__(id="modes")
        self._keys = [*keys, *("" for _ in MODES)][: len(MODES)]
        self._there = set(there)
        self._machine = machine

    def render_line(self, y: int) -> Strip:
        if y:
            return text.line([], self.size.width, Ink.BAR)
        parts = [part for mode, key in zip(MODES, self._keys, strict=True) for part in self._label(mode, key)]
        used = sum(len(part) for part, _ in parts)
        room = self.size.width - used - 1
        right = text.shorten(self.caption or self._machine, max(0, room))
        return text.line([*parts, (f"{right:>{max(0, room)}} ", Ink.MUTED)], self.size.width, Ink.BAR)

    def _label(self, mode: Mode, key: str) -> Iterator[tuple[str, Style]]:
        short = self.size.width < sum(map(len, self._labels())) and mode.name != self.mode
        title = mode.title[:3] if short else mode.title
        if mode.name == self.mode:
            yield f" {key} {title} ", Ink.MODE
        elif mode.name in self._there:
            yield f" {key}", Ink.KEY
            yield f" {title} ", Ink.TEXT
        else:
            yield f" {key} {title} ", Ink.FAINT

    def _labels(self) -> list[str]:
        return [f" {key} {mode.title} " for mode, key in zip(MODES, self._keys, strict=True)]

    async def _on_click(self, event: events.Click) -> None:
        at = 0
        for mode, key in zip(MODES, self._keys, strict=True):
            at += sum(len(part) for part, _ in self._label(mode, key))
            if event.x < at:
                self.post_message(self.Chosen(mode.name))
                return
