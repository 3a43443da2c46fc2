"""The code of a vCPU around its PC, or wherever somebody went: breakpoints, labels, and where branches go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from rich.style import Style
from textual import events
from textual.message import Message

from engine.debug_views import CodeLine, CodeView
from hvtui import places
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.page import Page
from hvtui.widgets.table import STEPS
from hvtui.widgets.text_pane import TextPane

_WORDS_FROM = 72
"""Columns from which the encoding of each instruction has room."""
_BRANCHES = frozenset({"b", "bl", "br", "blr", "ret", "cbz", "cbnz", "tbz", "tbnz", "eret", "svc", "hvc", "smc"})
_MNEMONIC, _COMMENT_AT = 8, 34
_ABOVE_PC = 3
"""PC comes to this part of the height when it has left the pane."""
_WHEEL = 3


class CodeRow(NamedTuple):
    """An instruction, or the label on the line above it."""

    line: CodeLine
    is_label: bool = False

    @property
    def key(self) -> tuple[int, bool]:
        return self.line.address, self.is_label


def rows_of(lines: Sequence[CodeLine]) -> list[CodeRow]:
    """Labels have lines of their own."""
    return [row for line in lines for row in ([CodeRow(line, True)] if line.label else []) + [CodeRow(line)]]


def first_row(rows: Sequence[CodeRow], at: int, height: int, top: int | None, margin: int) -> int:
    """Where the window begins, so that row `at` is in it and has `margin` rows before and after it.

    It stays at `top` as long as it can. Without a margin it moves no further than it must, and at most by its own
    height; else it starts over.
    """
    last = max(0, len(rows) - height)
    if top is not None and top + min(margin, at) <= at < top + height - margin:
        return min(top, last)
    if top is not None and not margin and top - height <= at < top + 2 * height:
        return max(0, min(last, at if at < top else at - height + 1))
    return max(0, min(last, at - height // _ABOVE_PC))


class CodePane(TextPane):
    """Follows PC until somebody goes elsewhere; the window only moves when it has to."""

    class Toggled(Message):
        """A breakpoint is wanted at an address, or those that are there are not."""

        def __init__(self, address: int, numbers: tuple[int, ...]) -> None:
            super().__init__()
            self.address = address
            self.numbers = numbers

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.following = True
        self.cursor: int | None = None
        """Address of the line that keys are about; None until there are any."""
        self._rows: list[CodeRow] = []
        self._top: tuple[int, bool] | None = None
        """Key of the row at the top; None to choose it anew."""
        self._pc: int | None = None
        self._enabled: frozenset[int] = frozenset()

    # --- where ---------------------------------------------------------------------------------------

    @property
    def around(self) -> int | None:
        """The address whose code is wanted; None: PC."""
        return None if self.following and self.cursor == self._pc else self.cursor

    def go(self, address: int) -> None:
        """Look at another place, and stay there."""
        self.following, self.cursor, self._top = False, address & -4, None

    def here(self) -> None:
        """Follow PC again."""
        self.following, self.cursor, self._pc, self._top = True, None, None, None

    def move(self, step: int) -> None:
        """The cursor, by instructions; beyond the window, the window comes along and no longer follows PC."""
        if self.cursor is None:
            return
        self.cursor = max(0, min((1 << 64) - 4, self.cursor + 4 * step))
        before = self._top
        self.write()
        if self._top != before or all(row.line.address != self.cursor for row in self._rows):
            self.following = False
        self.post_message(Page.LookAgain())

    # --- what ----------------------------------------------------------------------------------------

    def show(self, view: CodeView, enabled: Collection[int]) -> None:
        """Code as it is, and which breakpoints are enabled."""
        if self.following and view.pc != self._pc:
            self.cursor = view.pc
        self._pc, self._enabled = view.pc, frozenset(enabled)
        if not self.following or any(line.address == self.cursor for line in view.lines):
            self._rows = rows_of(view.lines)
            self.write()

    def write(self) -> None:
        found = [place for place, row in enumerate(self._rows) if row.key == (self.cursor, False)]
        if not found:
            return
        height, width = self.rows, self.scrollable_content_region.width
        top = next((place for place, row in enumerate(self._rows) if row.key == self._top), None)
        margin = 2 if self.following and self.cursor == self._pc and height > 6 else 0
        first = first_row(self._rows, found[0], height, top, margin)
        self._top = self._rows[first].key
        shown = self._rows[first : first + height]
        column = places.digits(shown[-1].line.address)
        self.set_lines(code_lines(shown, width, column, self._enabled), found[0] - first)

    # --- input ---------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        pages = {"pageup": 1 - self.rows, "pagedown": self.rows - 1}
        step = STEPS.get(event.key, pages.get(event.key))
        if event.key == "enter":
            self._toggle()
        elif step is not None and event.key not in ("home", "end"):
            self.move(step)
        else:
            return
        event.stop()
        event.prevent_default()

    def _toggle(self) -> None:
        numbers = [row.line.breakpoints for row in self._rows if row.key == (self.cursor, False)]
        if numbers and self.cursor is not None:
            self.post_message(self.Toggled(self.cursor, numbers[0]))

    async def _on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        first = next((place for place, row in enumerate(self._rows) if row.key == self._top), 0)
        if offset is not None and first + offset.y < len(self._rows):
            self.cursor = self._rows[first + offset.y].line.address
            self.write()
            if event.chain > 1:
                self._toggle()

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(_WHEEL)

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-_WHEEL)


def code_lines(rows: Sequence[CodeRow], width: int, column: int, enabled: Collection[int]) -> list[Line]:
    """Rows one below the other; of a hole, only the first one says why there is nothing."""
    lines, told = [], ""
    for row in rows:
        reason = row.line.operands if row.line.word is None else ""
        lines.append(row_parts(row, width, column, enabled, reason != told))
        told = reason
    return lines


def row_parts(row: CodeRow, width: int, column: int, enabled: Collection[int], tell: bool = True) -> Line:
    """A row in `width` columns, with addresses of `column` digits."""
    line = row.line
    if row.is_label:
        return [(" " * 4, Ink.TEXT), (f"{line.label}:", Ink.HEADING)]
    mark = ("●", Ink.RED) if any(each in enabled for each in line.breakpoints) else ("○", Ink.RED)
    address = Ink.KEY if line.is_pc else Ink.MUTED
    parts: Line = [
        mark if line.breakpoints else (" ", Ink.TEXT),
        ("▶ " if line.is_pc else "  ", Ink.KEY),
        (f"{line.address:0{column}x}  ", address),
    ]
    if width >= _WORDS_FROM:
        parts.append((f"{line.word:08x}  " if line.word is not None else "········  ", Ink.FAINT))
    if line.word is None:
        return [*parts, (f"·· {line.operands if tell else ''}", Ink.FAINT)]
    parts += [(f"{line.mnemonic:{_MNEMONIC}}", _ink(line)), (line.operands, Ink.STRONG if line.is_pc else Ink.TEXT)]
    if line.comment:
        code = _MNEMONIC + len(line.operands)
        parts.append((" " * max(2, _COMMENT_AT - code) + f"; {line.comment}", Ink.GREEN))
    return parts


def _ink(line: CodeLine) -> Style:
    """Branches and calls stand out; data does not."""
    if line.mnemonic in ("udf", ".word"):
        return Ink.FAINT
    if line.mnemonic in _BRANCHES or line.mnemonic.startswith("b."):
        return Ink.VIOLET
    return Ink.BLUE
