"""The lines of one screen, and what happens to several of them at once."""

from __future__ import annotations

from hvtui.terminal.line import BLANK, Cell, Line


class Page:
    """As many lines as the screen has."""

    def __init__(self, columns: int, count: int) -> None:
        self.columns = columns
        self.rows = [Line() for _ in range(count)]

    def scroll_up(self, top: int, bottom: int, count: int, blank: Cell) -> list[Line]:
        """Move lines `top` to `bottom` up; returns those that left, oldest first."""
        if count == 1:
            gone = [self.rows.pop(top)]
            self.rows[bottom:bottom] = self.blank_lines(1, blank)
            return gone
        count = min(count, bottom - top + 1)
        gone = self.rows[top : top + count]
        self.rows[top : bottom + 1] = self.rows[top + count : bottom + 1] + self.blank_lines(count, blank)
        return gone

    def scroll_down(self, top: int, bottom: int, count: int, blank: Cell) -> None:
        """Move lines `top` to `bottom` down; those at the bottom are lost."""
        count = min(count, bottom - top + 1)
        kept = self.rows[top : bottom + 1 - count]
        self.rows[top : bottom + 1] = self.blank_lines(count, blank) + kept

    def blank_lines(self, count: int, blank: Cell) -> list[Line]:
        """New lines, in the background colour of `blank`."""
        return [Line([] if blank is BLANK else [blank] * self.columns) for _ in range(count)]

    def clear(self, first: int, end: int, blank: Cell) -> None:
        """Lines from `first` up to, not including, `end`."""
        self.rows[first:end] = self.blank_lines(max(0, end - first), blank)

    def crop(self, columns: int, count: int, keep: int) -> int:
        """Change the size without wrapping; line `keep` stays. Returns how many lines went at the top."""
        self.columns = columns
        above = max(0, keep - count + 1)
        self.rows = self.rows[above : above + count]
        self.rows += [Line() for _ in range(count - len(self.rows))]
        for row in self.rows:
            row.crop(columns)
        return above
