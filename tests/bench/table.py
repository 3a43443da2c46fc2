"""The one table that a benchmark run prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_ABSENT: Final = "-"


@dataclass(frozen=True)
class Row:
    """One figure, ready to print."""

    section: str
    what: str
    here: str
    """This program's figure with its unit."""
    there: str = _ABSENT
    """QEMU's."""
    ratio: str = _ABSENT
    """How many times QEMU's cost this program's is."""


@dataclass
class Table:
    """Rows as they come in; sections keep the order in which they first appeared."""

    rows: list[Row] = field(default_factory=list)
    heads: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Columns of sections that are not about QEMU."""
    notes: list[str] = field(default_factory=list)

    def cost(self, section: str, what: str, unit: str, here: float, there: float | None = None) -> None:
        """A figure of which less is better; with QEMU's, also the ratio."""
        if there is None:
            self.rows.append(Row(section, what, quantity(here, unit)))
        else:
            self.rows.append(Row(section, what, quantity(here, unit), quantity(there, unit), times(here, there)))

    def speed(self, section: str, what: str, unit: str, here: float, there: float | None = None) -> None:
        """A figure of which more is better."""
        if there is None:
            self.rows.append(Row(section, what, quantity(here, unit)))
        else:
            self.rows.append(Row(section, what, quantity(here, unit), quantity(there, unit), times(there, here)))

    def pages(self, section: str, what: str, rate: float, each: float, first: float) -> None:
        """How often a second something is done to pages, and what that costs a page; one alone costs `first`."""
        self.heads[section] = ("a second", "a page", "of 1 alone")
        share = quantity(100 * each / first, "%") if first > 0 else _ABSENT
        self.rows.append(Row(section, what, quantity(rate, "/s"), quantity(each, "us"), share))

    def note(self, text: str) -> None:
        """A line below the table; said once."""
        if text not in self.notes:
            self.notes.append(text)

    def lines(self) -> list[str]:
        """The table as text."""
        head = Row("", "", "hvtui", "QEMU", "times QEMU")
        width = max(map(len, (*(row.what for row in self.rows), *self.heads))) + 2
        lines = [_line(head, width)]
        for section in dict.fromkeys(row.section for row in self.rows):
            own = self.heads.get(section)
            lines.append(_line(Row("", section, *own), width, "") if own else section)
            lines += [_line(row, width) for row in self.rows if row.section == section]
        return [*lines, *(["", *self.notes] if self.notes else [])]


def _line(row: Row, width: int, indent: str = "  ") -> str:
    return f"{indent + row.what:<{width + 2}}{row.here:>16}{row.there:>16}{row.ratio:>12}"


def quantity(value: float, unit: str) -> str:
    """Three significant digits, never in scientific notation."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def times(more: float, less: float) -> str:
    """`more` as a multiple of `less`."""
    return quantity(more / less, "x") if less > 0 else _ABSENT
