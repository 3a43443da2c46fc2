"""A partition's intermediate physical addresses: a strip of all of them, and a table of ranges to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from engine.debug_views import IpaKind, IpaMapView, IpaRange
from hvtui import places, text
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.memory_kinds import LOOKS, relation
from hvtui.widgets.table import Row, Table


class MapTable(Table[IpaRange]):
    """One row a range of addresses that are alike."""

    def __init__(self, page: str) -> None:
        super().__init__(page, "map", "no addresses")
        self.active = True
        self._column = 8

    def show(self, view: IpaMapView) -> None:
        """Ranges in address order."""
        self._column = places.digits(max((each.ipa for each in view.ranges), default=0))
        self.set_rows([Row((view.partition, each.ipa), each) for each in view.ranges])

    def point(self, ipa: int | None) -> None:
        """Put the cursor on the range that an address is in."""
        for place, row in enumerate(self._rows):
            if ipa is not None and row.item.ipa <= ipa < row.item.ipa + row.item.size and row.item != self.chosen:
                self.choose(place)

    def heading(self, width: int) -> str:
        return text.shorten(f"{'IPA':{self._column}}   SIZE {'PA':{self._column}} RWX WHAT", width)

    def parts(self, item: IpaRange, _width: int) -> Line:
        look = LOOKS[item.kind]
        nothing = item.kind is IpaKind.NOTHING
        physical = f"{item.physical:0{self._column}x}" if item.physical is not None else "-"
        about = relation(item.kind, item.peers, item.handles) or item.detail
        return [
            (" ", Ink.TEXT),
            (f"{item.ipa:0{self._column}x} ", Ink.FAINT if nothing else Ink.STRONG),
            (f"{places.size(item.size):>6} ", Ink.FAINT if nothing else Ink.TEXT),
            (f"{physical:{self._column}} ", Ink.MUTED),
            (f"{item.permissions} ", Ink.FAINT if nothing else Ink.TEXT),
            (f"{look.glyph} {item.kind.value}", look.style),
            (f"  {about}" if about else "", Ink.MUTED),
        ]


class IpaStrip(Widget):
    """The whole address space in one line, what is chosen of it below, and what the glyphs mean."""

    class Pointed(Message):
        """Somebody clicked on a range."""

        def __init__(self, range_: IpaRange) -> None:
            super().__init__()
            self.range = range_

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self._ranges: tuple[IpaRange, ...] = ()
        self._ipa: int | None = None

    def show(self, view: IpaMapView, ipa: int | None) -> None:
        """Other ranges, and the address that is looked at."""
        if (view.ranges, ipa) != (self._ranges, self._ipa):
            self._ranges, self._ipa = view.ranges, ipa
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        return text.line(self._line(y, width), width).apply_style(self.visual_style.rich_style)

    def _line(self, y: int, width: int) -> Line:
        cells = strip_cells(self._ranges, width - 2)
        if y == 0:
            return [(" ", Ink.TEXT), *(_cell(self._ranges[cell].kind) for cell in cells)]
        return caret(self._ranges, cells, self._ipa, width) if y == 1 else legend(self._ranges)

    async def _on_click(self, event: events.Click) -> None:
        cells = strip_cells(self._ranges, self.size.width - 2)
        if event.y == 0 and 1 <= event.x <= len(cells):
            self.post_message(self.Pointed(self._ranges[cells[event.x - 1]]))


def _cell(kind: IpaKind) -> tuple[str, Style]:
    return LOOKS[kind].glyph, LOOKS[kind].style


def strip_cells(ranges: Sequence[IpaRange], width: int) -> list[int]:
    """Which range each of `width` cells stands for.

    Holes take one cell, everything else at least one and the rest to scale; where there are more ranges than
    cells, some are left out.
    """
    if width <= 0 or not ranges:
        return []
    if len(ranges) > width:
        return [place * len(ranges) // width for place in range(width)]
    weights = [0 if each.kind is IpaKind.NOTHING else each.size for each in ranges]
    total, spare = sum(weights), width - len(ranges)
    cells: list[int] = []
    passed = 0
    for place, weight in enumerate(weights):
        extra = (passed + weight) * spare // total - passed * spare // total if total else 0
        passed += weight
        cells += [place] * (1 + extra)
    return cells


def caret(ranges: Sequence[IpaRange], cells: Sequence[int], ipa: int | None, width: int) -> Line:
    """A mark below the cell of an address, with its words at the side that has room."""
    found = [place for place, each in enumerate(ranges) if ipa is not None and each.ipa <= ipa < each.ipa + each.size]
    mine = [cell for cell, place in enumerate(cells) if found and place == found[0]]
    if not mine or ipa is None:
        return [(" no IPA is looked at", Ink.FAINT)]
    chosen = ranges[found[0]]
    at = 1 + mine[0] + (ipa - chosen.ipa) * len(mine) // chosen.size
    words = f"IPA {ipa:#x}, {chosen.kind.value}"
    if at + len(words) + 2 < width:
        return [(" " * at, Ink.TEXT), ("▲ ", Ink.KEY), (words, Ink.TEXT)]
    return [(f"{text.shorten(words, max(0, at - 1)):>{max(0, at - 1)}} ", Ink.TEXT), ("▲", Ink.KEY)]


def legend(ranges: Sequence[IpaRange]) -> Line:
    """The glyphs that are there, by name."""
    there = {each.kind for each in ranges}
    parts: Line = [(" ", Ink.TEXT)]
    for kind, look in LOOKS.items():
        if kind in there:
            parts += [(look.glyph, look.style), (f" {kind.value}   ", Ink.MUTED)]
    return parts
