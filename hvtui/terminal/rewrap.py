"""Lines wrapped again to another width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hvtui.terminal.line import BLANK, Cell, Line


class Place(NamedTuple):
    """A cell: index of its line, and its column."""

    line: int
    x: int


def rewrap(lines: Sequence[Line], at: Place, columns: int, width: int) -> tuple[list[Line], Place]:
    """Lines of `columns` in lines of `width`, and where the cell `at` went. The lines given may be used again."""
    wrapped: list[Line] = []
    place = Place(0, 0)
    for first, group in _logical(lines):
        inside = first <= at.line < first + len(group)
        rows, there = _wrap(group, columns, width, (at.line - first) * columns + at.x if inside else -1)
        if inside:
            place = Place(len(wrapped) + there.line, there.x)
        wrapped += rows
    return wrapped, place


def _wrap(group: list[Line], columns: int, width: int, cursor: int) -> tuple[list[Line], Place]:
    """One logical line, and the place of its cell at offset `cursor`, for which there is a line in any case."""
    if len(group) == 1 and len(group[0].cells) <= width and cursor < width:
        return group, Place(0, max(0, cursor))
    cells: list[Cell] = []
    for full in group[:-1]:
        cells += full.cells + [BLANK] * (columns - len(full.cells))
    cells += group[-1].cells
    rows: list[Line] = []
    place = Place(0, 0)
    start = 0
    while not rows or start < len(cells) or start <= cursor:
        end = start + width
        if width > 1 and end < len(cells) and cells[end].text == "":
            end -= 1  # a wide character stays together
        if start <= cursor < end:
            place = Place(len(rows), cursor - start)
        rows.append(Line(cells[start:end], wrapped=True, begun_ns=group[0].begun_ns))
        start = end
    rows[-1].wrapped = False
    return rows, place


def _logical(lines: Sequence[Line]) -> Iterator[tuple[int, list[Line]]]:
    """(index of the first line, lines) of each line as the guest wrote it."""
    group: list[Line] = []
    for index, line in enumerate(lines):
        group.append(line)
        if not line.wrapped:
            yield index - len(group) + 1, group
            group = []
    if group:
        yield len(lines) - len(group), group
