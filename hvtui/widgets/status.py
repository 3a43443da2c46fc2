"""The status line: what the machine does, its time and speed, and the keys that matter now."""

from __future__ import annotations

from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from engine.views import MachineView, RunState
from hvtui import text
from hvtui.actions import ACTIONS
from hvtui.keymap import Keymap
from hvtui.theme import Ink

_STATES: dict[RunState, tuple[str, Style]] = {
    RunState.RUNNING: ("▶ running", Ink.GREEN),
    RunState.PAUSED: ("‖ paused", Ink.AMBER),
    RunState.OFF: ("○ off", Ink.MUTED),
    RunState.FAILED: ("✖ failed", Ink.ALERT),
}
_LEAST_DETAIL = 10
_NOTICE_S = 5.0
_HINT = 3
"""Parts that a hint is made of."""


class StatusLine(Widget):
    """One line at the bottom of the board; every field has its place whatever the figures."""

    view: reactive[MachineView | None] = reactive(None)
    mips: reactive[float | None] = reactive(None)
    typing_into: reactive[str] = reactive("")
    """VM that has the keyboard, or ""."""
    notice: reactive[str] = reactive("")
    """What a key led to; shown for a while in place of time and hints."""

    def __init__(self, pace: str, keymap: Keymap) -> None:
        super().__init__(id="status")
        self._keymap = keymap
        self._pace = pace
        self._notice_style = Ink.TEXT
        self._notice_timer: Timer | None = None

    def say(self, message: str, *, warning: bool = False) -> None:
        """Show a notice, instead of the one before if that still stands; "" shows none."""
        if self._notice_timer is not None:
            self._notice_timer.stop()
        self._notice_style = Ink.AMBER if warning else Ink.GREEN
        self.notice = f"{'!' if warning else '✓'} {message}" if message else ""
        self.refresh()
        self._notice_timer = self.set_timer(_NOTICE_S, self._forget) if message else None

    def _forget(self) -> None:
        self.notice = ""

    def render_line(self, y: int) -> Strip:
        if y or self.view is None:
            return text.line([], self.size.width, Ink.BAR)
        left = self._left(self.view)
        if self.notice:
            notice = (f" {self.notice}", self._notice_style)
            beside = _width([left[0], notice]) <= self.size.width
            return text.line([left[0], notice] if beside else [notice], self.size.width, Ink.BAR)
        return text.line([*left, *self._right(self.size.width - _width(left))], self.size.width, Ink.BAR)

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
        while len(hints) > _HINT * 2 and _width(hints) > room:
            del hints[-_HINT * 3 : -_HINT * 2]  # the last two, help and quit, go last
        space = max(0, room - _width(hints))
        detail = self.view.detail if self.view is not None and self.view.state is not RunState.RUNNING else ""
        words = text.fit(f" {detail}", space - 1) + " " if space >= _LEAST_DETAIL else " " * space
        return [(words, Ink.TEXT), *hints]

    def _hints(self) -> list[tuple[str, Style]]:
        if self.typing_into:
            return [("ctrl+]", Ink.KEY), (" leave", Ink.TEXT), (" ", Ink.TEXT)]
        running = self.view is not None and self.view.state is RunState.RUNNING
        parts: list[tuple[str, Style]] = []
        for action in ACTIONS:
            if action.hint:
                word = "resume" if action.name == "pause" and not running else action.hint
                click = Style.from_meta({"@click": f"screen.{action.name}"})
                parts += [
                    (self._keymap.first(action), Ink.KEY + click),
                    (f" {word}", Ink.TEXT + click),
                    ("  ", Ink.TEXT),
                ]
        return parts


def _width(parts: list[tuple[str, Style]]) -> int:
    return sum(len(part) for part, _ in parts)
