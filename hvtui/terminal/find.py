"""Finding text in a terminal's lines, and marking parts of them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from hvtui.terminal.line import Cell, Line
from hvtui.terminal.terminal import Terminal

MOST_MATCHES = 10_000


class Point(NamedTuple):
    """A cell: number of its line (`Terminal.first` to `end`), and its column."""

    line: int
    x: int


class Span(NamedTuple):
    """Columns of a line, `end` not included."""

    line: int
    start: int
    end: int


def pattern(text: str) -> re.Pattern[str]:
    """What to look for: a regular expression if it is one, else just this text; capitals make case matter."""
    flags = re.RegexFlag(0) if any(map(str.isupper, text)) else re.IGNORECASE
    try:
        return re.compile(text, flags)
    except (re.error, OverflowError, RecursionError):
        return re.compile(re.escape(text), flags)


def matches(line: Line, number: int, wanted: re.Pattern[str]) -> Iterator[Span]:
    """In one line, from the left; empty ones are left out."""
    text = line.text()
    columns = range(len(text)) if text.isascii() else [x for x, cell in enumerate(line.cells) for _ in cell.text]
    for match in wanted.finditer(text):
        start, end = match.span()
        if end > start:
            after = columns[end - 1] + 1
            yield Span(number, columns[start], after + (after < len(line.cells) and line.cells[after].text == ""))


def find_all(terminal: Terminal, wanted: re.Pattern[str]) -> list[Span]:
    """Oldest first; the newest `MOST_MATCHES` of them."""
    found: deque[Span] = deque(maxlen=MOST_MATCHES)
    for number, line in enumerate(terminal.all_lines(), terminal.first):
        found.extend(matches(line, number, wanted))
    return list(found)


class Selection(NamedTuple):
    """From where it was begun to where it ends, both included, in any order."""

    anchor: Point
    head: Point

    def columns(self, number: int) -> tuple[int, int] | None:
        """(start, end) of what is selected of a line; the end may be after its last column."""
        first, last = sorted(self)
        if not first.line <= number <= last.line:
            return None
        return (first.x if number == first.line else 0, last.x + 1 if number == last.line else 1 << 16)

    def text(self, terminal: Terminal) -> str:
        """The selected characters; lines that the terminal wrapped are one."""
        first, last = sorted(self)
        text = ""
        end_line = min(last.line + 1, terminal.end)
        for number in range(max(first.line, terminal.first), end_line):
            line = terminal.line(number)
            start, end = self.columns(number) or (0, 0)
            part = Line(line.cells[start:end], wrapped=line.wrapped and end >= len(line.cells)).text()
            text += part if line.wrapped or number == end_line - 1 else part + "\n"
        return text


def word_at(terminal: Terminal, point: Point) -> Selection:
    """The word in this place: what has no blanks, brackets or quotes in it; else the character."""
    cells = terminal.line(point.line).cells
    start = end = point.x
    if _in_word(cells, point.x):
        while start > 0 and _in_word(cells, start - 1):
            start -= 1
        while _in_word(cells, end + 1):
            end += 1
    return Selection(Point(point.line, start), Point(point.line, end))


def _in_word(cells: list[Cell], x: int) -> bool:
    return 0 <= x < len(cells) and cells[x].text not in _BETWEEN_WORDS


_BETWEEN_WORDS = frozenset(" \"'`()[]{}<>|,;│")


def line_at(terminal: Terminal, point: Point) -> Selection:
    """The whole line, with what the terminal wrapped."""
    first = last = point.line
    while first > terminal.first and terminal.line(first - 1).wrapped:
        first -= 1
    while last + 1 < terminal.end and terminal.line(last).wrapped:
        last += 1
    return Selection(Point(first, 0), Point(last, terminal.columns - 1))
