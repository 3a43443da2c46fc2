"""From a terminal's cells to segments: runs of characters with the same style, in the theme's colours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

_COLOURS = {
    "black": "#3b4252",
    "red": "#ff7a85",
    "green": "#7fd88f",
    "brown": "#f0c674",
    "blue": "#7aa2f7",
    "magenta": "#c792ea",
    "cyan": "#6fd3e0",
    "white": "#cdd6e3",
    "brightblack": "#7d8899",
    "brightred": "#ff9aa3",
    "brightgreen": "#a5eab1",
    "brightbrown": "#ffe09a",
    "brightblue": "#a4c0ff",
    "brightmagenta": "#ddb6f7",
    "bfightmagenta": "#ddb6f7",
    "brightcyan": "#9ceaf3",
    "brightwhite": "#ffffff",
}
"""pyte's colour names ("bfightmagenta" is its spelling); chosen to be read on the dark background."""
_FOREGROUND = "#cdd6e3"
_BACKGROUND = "#0e1318"

_Look = tuple[str, str, bool, bool, bool, bool, bool]
"""(foreground, background, bold, italic, underlined, struck through, reversed)"""
_PLAIN: _Look = ("default", "default", False, False, False, False, False)


def segments(cells: Mapping[int, Any], columns: int, cursor_at: int, cursor: Style | None) -> list[Segment]:
    """A line of exactly `columns` columns; the cell at `cursor_at` (-1: none) has `cursor` laid over it."""
    runs: list[Segment] = []
    text: list[str] = []
    look = _PLAIN
    stub_expected = False
    for x in range(columns):
        cell = cells.get(x)
        if cell is None:
            data, now = " ", _PLAIN
        else:
            data, now = cell[0], (*cell[1:7], cell[7])
        if data == "" and stub_expected:
            stub_expected = False
            continue
        stub_expected = _is_wide(data)
        if data == "" or (stub_expected and x == columns - 1):
            data, stub_expected = " ", False
        if x == cursor_at and cursor is not None:
            _flush(runs, text, look)
            runs.append(Segment(data, _style(now) + cursor))
            look = now
            continue
        if now != look:
            _flush(runs, text, look)
            look = now
        text.append(data)
    _flush(runs, text, look)
    return runs


def _is_wide(data: str) -> bool:
    return not data.isascii() and Segment(data).cell_length == 2


def _flush(runs: list[Segment], text: list[str], look: _Look) -> None:
    if text:
        runs.append(Segment("".join(text), _style(look)))
        text.clear()


@lru_cache(maxsize=1024)
def _style(look: _Look) -> Style:
    foreground, background, bold, italic, underline, strike, reverse = look
    front, back = _colour(foreground, _FOREGROUND), _colour(background, _BACKGROUND)
    if reverse:
        front, back = back, front
    return Style(
        color=front,
        bgcolor=back if reverse or background != "default" else None,
        bold=bold or None,
        italic=italic or None,
        underline=underline or None,
        strike=strike or None,
    )


def _colour(name: str, default: str) -> Color:
    if name == "default":
        return Color.parse(default)
    return Color.parse(_COLOURS.get(name) or f"#{name}")
