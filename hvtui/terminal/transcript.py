"""All that a terminal still has, as text: plain, or with the colours it had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from hvtui.terminal import sgr
from hvtui.terminal.line import PLAIN, Line
from hvtui.terminal.terminal import Terminal


def plain(terminal: Terminal) -> str:
    """Scrollback and screen; lines that the terminal wrapped are one, and blank lines at the end are left out."""
    return _joined((line.wrapped, line.text()) for line in terminal.all_lines())


def ansi(terminal: Terminal) -> str:
    """The same with SGR sequences."""
    return _joined((line.wrapped, "".join(_coloured(line))) for line in terminal.all_lines())


def _joined(lines: Iterable[tuple[bool, str]]) -> str:
    text = "".join(text if wrapped else text + "\n" for wrapped, text in lines).rstrip("\n")
    return text + "\n" if text else ""


def _coloured(line: Line) -> Iterator[str]:
    for look, cells in groupby(line.cells, lambda cell: cell.look):
        text = "".join(cell.text for cell in cells)
        yield text if look == PLAIN else f"\x1b[{sgr.encoded(look)}m{text}\x1b[m"
