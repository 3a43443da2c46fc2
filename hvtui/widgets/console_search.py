"""Searching in a console: a bar that says what is looked for, and which match of how many is shown."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import ClassVar

from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from hvtui.terminal.find import Span, find_all, matches, pattern
from hvtui.theme import Ink
from hvtui.widgets.console_copy import CopyableView
from hvtui.widgets.console_view import Overlay


class SearchBar(Horizontal):
    """One line over a console's last one. It says what is wanted; the console finds it."""

    DEFAULT_CSS = """
    SearchBar {
        dock: bottom;
        height: 1;
        background: $panel;
    }
    SearchBar > .sign {
        width: auto;
        padding: 0 1;
        color: $text-muted;
    }
    SearchBar > Input {
        width: 1fr;
        background: $panel;
    }
    """

    class Wanted(Message):
        """Another pattern was typed."""

    class Go(Message):
        """Show the next match."""

        def __init__(self, backwards: bool) -> None:
            super().__init__()
            self.backwards = backwards

    class Closed(Message):
        """No more of this."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._input = _Line(text, compact=True, select_on_focus=True)
        self._count = Static("", classes="sign count", markup=False)

    def compose(self) -> ComposeResult:
        yield Static("/", classes="sign")
        yield self._input
        yield self._count

    def on_mount(self) -> None:
        self._input.focus()

    @property
    def text(self) -> str:
        """What is looked for."""
        return self._input.value

    @text.setter
    def text(self, text: str) -> None:
        self._input.value = text

    @property
    def says(self) -> str:
        """The note at its right end."""
        return str(self._count.content)

    def say(self, note: str) -> None:
        """Write a note at its right end: `3/17`."""
        self._count.update(note)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Wanted())


class _Line(Input):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go(True)", show=False),
        Binding("shift+enter,ctrl+n", "go(False)", show=False),
        Binding("escape", "close", show=False),
    ]

    def action_go(self, backwards: bool) -> None:
        self.post_message(SearchBar.Go(backwards))

    def action_close(self) -> None:
        self.post_message(SearchBar.Closed())


class SearchableView(CopyableView):
    """Finds text in all its lines, and marks it where it is visible."""

    bar: SearchBar | None = None
    """While it is open."""
    _wanted: re.Pattern[str] | None = None
    _shown: Span | None = None
    """The match that was gone to last."""

    def search(self, text: str, backwards: bool = True) -> bool:
        """Go to the next older (or newer) match of a text or regular expression, all around; False: there is none.

        A pattern without capitals matches both cases. "" ends the marks.
        """
        self._want(text)
        found = find_all(self.terminal, self._wanted) if self._wanted is not None else []
        index = self._next(found, backwards)
        self._shown = found[index] if found else None
        if self._shown is not None:
            self.reveal(self._shown.line, covered=1)
        self._say(f"{index + 1}/{len(found)}" if found else "no match" if text else "")
        self.refresh()
        return bool(found)

    def open_search(self, text: str | None = None) -> None:
        """Show the search bar with a text, or with what was looked for last."""
        if self.bar is None:
            last = self._wanted.pattern if self._wanted is not None else ""
            self.bar = SearchBar(last if text is None else text)
            self.mount(self.bar)
        elif text is not None:
            self.bar.text = text

    def close_search(self) -> None:
        """Away with the bar and the marks."""
        if self.bar is not None:
            self.bar.remove()
            self.bar = None
        self._wanted = self._shown = None
        self.focus()
        self.refresh()

    def _want(self, text: str) -> None:
        wanted = pattern(text) if text else None
        if wanted != self._wanted:
            self._wanted, self._shown = wanted, None

    def _next(self, found: list[Span], backwards: bool) -> int:
        """Index of the match to go to: the nearest at the bottom of what is visible, then one after the other."""
        if self._shown is None:
            place = bisect_left(found, Span(self.number_at(self.terminal.lines), 0, 0))
        else:
            place = bisect_left(found, self._shown) if backwards else bisect_right(found, self._shown)
        return (place - backwards) % len(found) if found else 0

    def _say(self, note: str) -> None:
        if self.bar is not None:
            self.bar.say(note)

    def overlays(self, number: int) -> Iterator[Overlay]:
        yield from super().overlays(number)
        if self._wanted is not None:
            for span in matches(self.terminal.line(number), number, self._wanted):
                yield Overlay(span.start, span.end, Ink.CHANGED if span == self._shown else _MATCH)

    def refitted(self, wraps: bool) -> None:
        super().refitted(wraps)
        if wraps:
            self._shown = None

    @on(SearchBar.Wanted)
    def _other_text(self, event: SearchBar.Wanted) -> None:
        event.stop()
        if self.bar is None:
            return
        self._want(self.bar.text)
        if self._shown is None:
            count = len(find_all(self.terminal, self._wanted)) if self._wanted is not None else 0
            self._say(f"{count} found" if count else "no match" if self._wanted is not None else "")
        self.refresh()

    @on(SearchBar.Go)
    def _go_asked(self, event: SearchBar.Go) -> None:
        event.stop()
        if self.bar is not None:
            self.search(self.bar.text, event.backwards)

    @on(SearchBar.Closed)
    def _close_asked(self, event: SearchBar.Closed) -> None:
        event.stop()
        self.close_search()


_MATCH = Ink.SELECTED + Style(underline=True)
