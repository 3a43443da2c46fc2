"""What consoles show that nobody has used up yet: where waits for text look."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

from engine.console import Console

_KEEP = 1 << 16
"""Characters of a console that an expression is searched in, from the end."""
_LONGEST = 1 << 12
"""Characters of text that comes in pieces which may still match as one: what it was searched in is not again."""


class Screen:
    """The text of one console that no wait has used up; carriage returns left out."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._position = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._searched: tuple[re.Pattern[str], int] | None = None
        """What was not found last, and in how many characters."""

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """The text that matches, or None; what matched and all before it is used up then."""
        self._read()
        start = 0
        if self._searched is not None and self._searched[0] is pattern:
            start = max(0, self._searched[1] - _LONGEST)
        found = pattern.search(self._text, start)
        self._searched = (pattern, len(self._text)) if found is None else None
        if found is None:
            return None
        self._text = self._text[found.end() :]
        return found[0]

    def _read(self) -> None:
        if self._console.end == self._position:
            return
        data, self._position = self._console.since(self._position)
        text = self._text + self._decoder.decode(data).replace("\r", "")
        gone = max(0, len(text) - _KEEP)
        self._text = text[gone:]
        if self._searched is not None:
            self._searched = self._searched[0], max(0, self._searched[1] - gone)


class Screens:
    """Those of a machine; each wait takes up where the last one ended."""

    def __init__(self, consoles: Iterable[Console]) -> None:
        self._screens = {console.name: Screen(console) for console in consoles}

    def take(self, console: str | None, pattern: re.Pattern[str]) -> tuple[str, str] | None:
        """(console, text) of the first match on a console, or (None) on any of them, in their order."""
        for name in self._screens if console is None else (console,):
            found = self._screens[name].take(pattern)
            if found is not None:
                return name, found
        return None
