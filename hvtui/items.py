"""Labelled values, laid out in as many lines as a width takes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from rich.style import Style

from hvtui.theme import Ink

Line: TypeAlias = list[tuple[str, Style]]
"""Styled parts."""
_LABEL = 11
_INDENT = 1
_LEAST_VALUE = 12
_TWO_COLUMNS, _GAP = 78, 2


class Item(NamedTuple):
    """A label and what it says; a value that is too long goes on below itself."""

    label: str
    value: str = ""
    style: Style = Ink.TEXT
    depth: int = 0
    """Columns to the right, of what belongs to the item above."""


Items: TypeAlias = list[Item | Line]


class Page(NamedTuple):
    """What there is to say about one thing."""

    main: Items
    aside: Items
    """Below the main part, or at its right where there is room."""


def lay_out(page: Page, width: int) -> list[Line]:
    """Lines of at most `width` columns where there is room for a value at all; lines among the items stay."""
    if width < _TWO_COLUMNS or not page.aside:
        return _column([*page.main, *page.aside], width)
    half = (width - _GAP) // 2
    empty: Line = []
    pairs = zip_longest(_column(page.main, half), _column(page.aside, half), fillvalue=empty)
    return [
        [*left, (" " * (half + _GAP - sum(len(part) for part, _ in left)), Ink.TEXT), *right] for left, right in pairs
    ]


def _column(items: Iterable[Item | Line], width: int) -> list[Line]:
    lines = [line for item in items for line in ([item] if isinstance(item, list) else _lines(item, width))]
    while lines and not lines[0]:
        del lines[0]
    return lines


def heading(title: str) -> Items:
    """A title with an empty line above it."""
    return [[], [(title, Ink.HEADING)]]


def _lines(item: Item, width: int) -> Iterator[Line]:
    indent = " " * (item.depth * _INDENT)
    label = f"{indent}{item.label:{max(0, _LABEL - len(indent))}} "
    room = max(_LEAST_VALUE, width - len(label))
    first, *rest = textwrap.wrap(item.value, room, break_on_hyphens=False) or [""]
    yield [(label, Ink.MUTED), (first, item.style)]
    for more in rest:
        yield [(" " * len(label), Ink.MUTED), (more, item.style)]
