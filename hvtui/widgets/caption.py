"""What a session script says, in a line or two above the status line."""

from __future__ import annotations

import textwrap

from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from hvtui import text
from hvtui.theme import Ink


class Caption(Widget):
    """Hidden while there is nothing to say."""

    DEFAULT_CSS = """
    Caption { layer: above; dock: bottom; height: auto; display: none; margin: 0 0 1 0; background: $panel; }
    Caption.-shown { display: block; }
    """
    words: reactive[str] = reactive("", layout=True)

    def __init__(self) -> None:
        super().__init__(id="caption")
        self._lines: list[str] = []

    def watch_words(self, words: str) -> None:
        self.set_class(bool(words), "-shown")

    def get_content_height(self, *_: object) -> int:
        return max(1, len(self._wrapped()))

    def _wrapped(self) -> list[str]:
        return textwrap.wrap(self.words, max(10, (self.size.width or self.screen.size.width) - 4))

    def render_line(self, y: int) -> Strip:
        lines = self._wrapped()
        words = lines[y] if y < len(lines) else ""
        return text.line([(" ▸ " if y == 0 else "   ", Ink.KEY), (words, Ink.STRONG)], self.size.width, Ink.BAR)
