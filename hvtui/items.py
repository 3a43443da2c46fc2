"""Labelled values, laid out in as many lines as a width takes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from rich.style import Style

from hvtui.theme import Ink

Line: TypeAlias = list[tuple[str, Style]]
"""Styled parts."""
_LEAST_LABEL, _MOST_LABEL = 10, 14
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
        return _from_top([*_column(page.main, width), *_column(page.aside, width)])
    half = (width - _GAP) // 2
    empty: Line = []
    columns = (_from_top(_column(items, half)) for items in page)
    return [[*left, *_gap(left, half), *right] for left, right in zip_longest(*columns, fillvalue=empty)]


def _gap(left: Line, half: int) -> Line:
    return [(" " * max(0, half + _GAP - sum(len(part) for part, _ in left)), Ink.TEXT)]


def _from_top(lines: list[Line]) -> list[Line]:
    """Without the empty lines that begin it."""
    return lines[next((number for number, line in enumerate(lines) if line), 0) :]


def _column(items: Items, width: int) -> list[Line]:
    labels = max((item.depth + len(item.label) for item in items if isinstance(item, Item)), default=0)
    column = max(_LEAST_LABEL, min(labels, _MOST_LABEL))
    return [line for item in items for line in ([item] if isinstance(item, list) else _lines(item, column, width))]


def heading(title: str) -> Items:
    """A title with an empty line above it."""
    return [[], [(title, Ink.HEADING)]]


def _lines(item: Item, column: int, width: int) -> Iterator[Line]:
    """The label in `column` columns, the value in the rest."""
    indented = " " * item.depth + item.label
    label = f"{indented:{column}} "
    room = max(_LEAST_VALUE, width - len(label))
    first, *rest = textwrap.wrap(item.value, room, break_on_hyphens=False) or [""]
    yield [(label, Ink.MUTED), (first, item.style)]
    for more in rest:
        yield [(" " * len(label), Ink.MUTED), (more, item.style)]
