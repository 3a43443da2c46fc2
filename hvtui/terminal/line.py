"""A line of the screen or the scrollback: cells, and when it was begun."""

from __future__ import annotations

from typing import NamedTuple

_LONGEST_CLUSTER = 8
"""Code points of one cell: a character and what combines with it."""


class Look(NamedTuple):
    """What SGR sets for a character."""

    front: int = -1
    """-1 the default, 0 to 255 of the palette, from `TRUE_COLOUR` on a colour's three bytes."""
    back: int = -1
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    blink: bool = False
    reverse: bool = False
    concealed: bool = False
    strike: bool = False
    overline: bool = False


class Cell(NamedTuple):
    """One column. The second column of a wide character has the text ""."""

    text: str
    look: Look


TRUE_COLOUR = 1 << 24
PLAIN = Look()
BLANK = Cell(" ", PLAIN)


class Line:
    """Cells from the left; those after the last one are blank."""

    __slots__ = ("begun_ns", "cells", "wrapped")

    def __init__(self, cells: list[Cell] | None = None, wrapped: bool = False, begun_ns: int | None = None) -> None:
        self.cells = cells if cells is not None else []
        self.wrapped = wrapped
        """The guest's line goes on in the next one."""
        self.begun_ns = begun_ns
        """Virtual time when the guest began the line; None: it wrote nothing here, or nobody knows."""

    def put(self, x: int, cells: list[Cell]) -> None:
        """Write cells from column `x` on."""
        end = x + len(cells)
        self.part(x)
        self.part(end)
        if x > len(self.cells):
            self.cells += [BLANK] * (x - len(self.cells))
        self.cells[x:end] = cells

    def part(self, x: int) -> None:
        """Before column `x` becomes a border: of a wide character across it nothing is left."""
        if 0 < x < len(self.cells) and self.cells[x].text == "":
            self.cells[x - 1] = Cell(" ", self.cells[x - 1].look)
            self.cells[x] = Cell(" ", self.cells[x].look)

    def erase(self, start: int, end: int, blank: Cell) -> None:
        """Columns from `start` up to, not including, `end`."""
        if start >= end:
            return
        self.part(start)
        self.part(end)
        if blank is not BLANK:
            self.cells += [BLANK] * (end - len(self.cells))
            self.cells[start:end] = [blank] * (end - start)
        elif end >= len(self.cells):
            del self.cells[start:]
        else:
            self.cells[start:end] = [BLANK] * (end - start)

    def insert(self, x: int, count: int, columns: int, blank: Cell) -> None:
        """Shift what is at and after `x` to the right; what passes `columns` is lost."""
        self.part(x)
        count = min(count, columns - x)
        if x < len(self.cells) or blank is not BLANK:
            self.cells += [BLANK] * (x - len(self.cells))
            self.cells[x:x] = [blank] * count
            self.crop(columns)

    def delete(self, x: int, count: int, columns: int, blank: Cell) -> None:
        """Shift what is after `x` to the left; blanks come in at the right."""
        count = min(count, columns - x)
        self.part(x)
        self.part(x + count)
        if blank is not BLANK:
            self.cells += [BLANK] * (columns - len(self.cells))
        del self.cells[x : x + count]
        if blank is not BLANK:
            self.cells += [blank] * count

    def crop(self, columns: int) -> None:
        """Forget what is at and after a column."""
        self.part(columns)
        del self.cells[columns:]

    def combine(self, x: int, mark: str) -> None:
        """Add a combining character to the one in column `x`."""
        if x < len(self.cells):
            x -= self.cells[x].text == "" and x > 0
            cell = self.cells[x]
            if len(cell.text) < _LONGEST_CLUSTER:
                self.cells[x] = Cell(cell.text + mark, cell.look)

    def text(self) -> str:
        """Its characters, without blanks at the end."""
        text = "".join(cell.text for cell in self.cells)
        return text if self.wrapped else text.rstrip(" ")
