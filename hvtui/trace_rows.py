"""Rows of a trace: numbers in ascending order that grow at both ends, each known by a number of its own for good."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

_WASTE = 1 << 16
"""Values at the front that may be gone before the memory is made smaller."""


class Rows:
    """Row 0 is the first one ever appended; those prepended are -1, -2, ...; eight bytes each.

    A row's number stays, whatever comes before or after it and whatever is dropped.
    """

    def __init__(self) -> None:
        self._older = array("q")
        """Descending: row -1 is the first."""
        self._newer = array("q")
        self._gone = 0
        """Rows from 0 on that were dropped."""
        self._cut = 0
        """Of these, how many are no longer in the memory."""

    @property
    def first(self) -> int:
        """Number of the oldest row."""
        return -len(self._older) if self._older else self._gone

    @property
    def end(self) -> int:
        """One more than the number of the newest row."""
        return self._cut + len(self._newer)

    def append(self, value: int) -> None:
        """A newest row; its value is above all others."""
        self._newer.append(value)

    def prepend(self, value: int) -> None:
        """An oldest row; its value is below all others. Only as long as no row from 0 on was dropped."""
        self._older.append(value)

    def drop_before(self, value: int) -> None:
        """Forget the rows below a value."""
        if self._older:
            del self._older[bisect_right(self._older, -value, key=_negative) :]
        if not self._older:
            self._gone = self._cut + bisect_left(self._newer, value, self._gone - self._cut)
            if self._gone - self._cut > _WASTE:
                del self._newer[: self._gone - self._cut]
                self._cut = self._gone

    def between(self, start: int, end: int) -> list[int]:
        """Values of the rows from number `start` to before `end`, as far as they are there."""
        start, end = max(start, self.first), min(end, self.end)
        older = [self._older[-1 - row] for row in range(start, min(end, 0))]
        newer = self._newer[max(start, 0) - self._cut : max(end, 0) - self._cut] if end > 0 else ()
        return [*older, *newer]

    def find(self, value: int) -> int:
        """Number of the first row of this value or above; `end` if there is none."""
        if self._older and self._older[0] >= value:
            return -bisect_right(self._older, -value, key=_negative)
        return self._cut + bisect_left(self._newer, value, self._gone - self._cut)


def _negative(value: int) -> int:
    return -value
