"""The status line: what the machine does, its time and speed, and the keys that matter now."""

from __future__ import annotations

from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from engine.views import MachineView, RunState
from hvtui import text
from hvtui.actions import ACTIONS, key_label
from hvtui.theme import Ink

_STATES: dict[RunState, tuple[str, Style]] = {
    RunState.RUNNING: ("▶ running", Ink.GREEN),
    RunState.PAUSED: ("‖ paused", Ink.AMBER),
    RunState.OFF: ("○ off", Ink.MUTED),
    RunState.FAILED: ("✖ failed", Ink.ALERT),
}


class StatusLine(Widget):
    """One line at the bottom of the board; every field has its place whatever the figures."""

    view: reactive[MachineView | None] = reactive(None)
    mips: reactive[float | None] = reactive(None)
    typing_into: reactive[str] = reactive("")
    """VM that has the keyboard, or ""."""

    def __init__(self, pace: str) -> None:
        super().__init__(id="status")
        self._pace = pace

    def render_line(self, y: int) -> Strip:
        if y or self.view is None:
            return text.line([], self.size.width, Ink.BAR)
        left = self._left(self.view)
        used = sum(len(part) for part, _ in left)
        return text.line([*left, *self._right(self.size.width - used)], self.size.width, Ink.BAR)

    def _left(self, view: MachineView) -> list[tuple[str, Style]]:
        word, style = _STATES[view.state]
        speed = f"{self.mips:6.1f}" if self.mips is not None else "     -"
        return [
            (f" {word:9} ", style + Style(bold=True)),
            (f" {text.clock(view.nanoseconds)} ", Ink.TEXT),
            (f"{speed} MIPS ", Ink.TEXT),
            (f" {self._pace} ", Ink.MUTED),
        ]

    def _right(self, room: int) -> list[tuple[str, Style]]:
        """Why it stopped, then hints as far as there is room, at the right edge."""
        hints = self._hints()
        size = sum(len(part) for part, _ in hints)
        while hints and size > room:
            size -= len(hints.pop(-3)[0]) + len(hints.pop(-2)[0]) if len(hints) > 2 else len(hints.pop()[0])
        detail = self.view.detail if self.view is not None and self.view.state is not RunState.RUNNING else ""
        space = max(0, room - size)
        return [(text.fit(f" {detail}", space - 1) + " " if space > 1 else " " * space, Ink.TEXT), *hints]

    def _hints(self) -> list[tuple[str, Style]]:
        if self.typing_into:
            return [("ctrl+]", Ink.KEY), (" leave ", Ink.TEXT)]
        running = self.view is not None and self.view.state is RunState.RUNNING
        parts: list[tuple[str, Style]] = []
        for action in ACTIONS:
            if action.hint:
                word = "resume" if action.name == "pause" and not running else action.hint
                parts += [(key_label(action).split(",")[0], Ink.KEY), (f" {word}  ", Ink.TEXT)]
        return parts
