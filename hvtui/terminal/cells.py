"""From a terminal's cells to segments: runs of characters with the same style, in the theme's colours."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from wcwidth import wcwidth

from hvtui.palettes import ANSI, PALETTES
from hvtui.terminal.line import BLANK, PLAIN, TRUE_COLOUR, Cell, Line, Look
from hvtui.theme import themed

_COLOURS = tuple(colour for colour, _ in ANSI)
_FOREGROUND = PALETTES[0].foreground
_BACKGROUND = PALETTES[0].background
_STEPS = (0, 95, 135, 175, 215, 255)
"""Of each part of a colour of the 6x6x6 cube (16 to 231)."""


def segments(line: Line, columns: int, cursor_at: int = -1, cursor: Style | None = None) -> list[Segment]:
    """A line of exactly `columns` columns; the cell at `cursor_at` (-1: none) has `cursor` laid over it."""
    if cursor is None or cursor_at < 0:
        return _runs(line.cells, columns)
    cells = line.cells + [BLANK] * (cursor_at + 1 - len(line.cells))
    start = cursor_at - (cells[cursor_at].text == "" and cursor_at > 0)
    end = start + (2 if start + 1 < len(cells) and cells[start + 1].text == "" else 1)
    under = [Segment(run.text, (run.style or Style()) + cursor) for run in _runs(cells[start:end], end - start)]
    return _runs(cells[:start], start) + under + _runs(cells[end:], columns - end)


def _runs(cells: list[Cell], columns: int) -> list[Segment]:
    """The cells in exactly `columns` columns, blanks after them."""
    runs: list[Segment] = []
    text: list[str] = []
    look = PLAIN
    room = columns
    for cell in cells[:columns]:
        shown, width = (cell.text, len(cell.text)) if cell.text.isascii() else _fitting(cell.text, room)
        if cell.look is not look and cell.look != look:
            _flush(runs, text, look)
            look = cell.look
        text.append(shown)
        room -= width
        if room <= 0:
            break
    if room > 0:
        if look != PLAIN:
            _flush(runs, text, look)
            look = PLAIN
        text.append(" " * room)
    _flush(runs, text, look)
    return runs


@lru_cache(maxsize=4096)
def _fitting(text: str, room: int) -> tuple[str, int]:
    """A cell as it is shown, and its width; the second half of a wide character comes with the first."""
    width = 2 if wcwidth(text[0]) == 2 else 1
    if width > room:
        return " ", 1
    for shown in (text, text[0]):
        if cell_len(shown) == width:
            return shown, width
    return "\N{REPLACEMENT CHARACTER}".ljust(width), width  # whoever lays out the screen counts otherwise


def _flush(runs: list[Segment], text: list[str], look: Look) -> None:
    if not text:
        return
    style, joined = style_of(look), "".join(text)
    if joined.isascii() or cell_len(joined) == sum(map(cell_len, text)):
        runs.append(Segment(joined, style))
    else:
        runs += [Segment(cell, style) for cell in text]  # emoji that would join, and be measured as one
    text.clear()


def style_of(look: Look) -> Style:
    """The style of a look: the one place where a terminal's colours come from."""
    return themed(_style(look))


@lru_cache(maxsize=1024)
def _style(look: Look) -> Style:
    front, back = _colour(look.front, _FOREGROUND), _colour(look.back, _BACKGROUND)
    if look.reverse:
        front, back = back, front
    return Style(
        color=back if look.concealed else front,
        bgcolor=back if look.reverse or look.back >= 0 else None,
        bold=look.bold or None,
        dim=look.dim or None,
        italic=look.italic or None,
        underline=look.underline or None,
        blink=look.blink or None,
        strike=look.strike or None,
        overline=look.overline or None,
    )


def _colour(number: int, default: str) -> Color:
    if number < 0:
        return Color.parse(default)
    if number >= TRUE_COLOUR:
        return Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255)
    if number < 16:
        return Color.parse(_COLOURS[number])
    if number < 232:
        red, rest = divmod(number - 16, 36)
        return Color.from_rgb(_STEPS[red], _STEPS[rest // 6], _STEPS[rest % 6])
    return Color.from_rgb(*[8 + 10 * (number - 232)] * 3)
