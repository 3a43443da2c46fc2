"""Memory as bytes: what a vCPU's virtual, a partition's intermediate physical or the board's addresses hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from rich.style import Style
from textual import events

from engine.debug.memory_window import LARGEST
from engine.debug_views import MemoryView, PageBytes
from hvtui import places
from hvtui.items import Line
from hvtui.places import Spot
from hvtui.theme import Ink
from hvtui.widgets.page import Page
from hvtui.widgets.table import STEPS
from hvtui.widgets.text_pane import TextPane

_ROW, _HALF_ROW = 16, 8
"""Bytes of a row."""
_MOST_REMEMBERED = 4096
"""Rows whose bytes are kept for comparison."""
_WHEEL = 3
_CHANGED = Ink.CHANGED + Style(underline=True)


class SeenBytes:
    """What memory held when it was last looked at, so that changes can be told from one stop to the next."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[str, str, int], tuple[int, bytes, bytes]] = OrderedDict()
        """By partition, space and address of a row: instant, bytes, and the bytes before."""

    def changed(self, view: MemoryView, cycles: int, width: int, still: bool) -> frozenset[int]:
        """Addresses of bytes that differ from the stop before; none while guests run, for those never stop."""
        if not still:
            return frozenset()
        found: set[int] = set()
        for offset in range(0, len(view.data), width):
            data = view.data[offset : offset + width]
            start = view.address + offset
            pairs = zip(data, self._before((view.vm, view.space, start), cycles, data), strict=False)
            found |= {start + place for place, (now, before) in enumerate(pairs) if now != before}
        return frozenset(found)

    def _before(self, key: tuple[str, str, int], cycles: int, data: bytes) -> bytes:
        known = self._rows.pop(key, None)
        if known is None:
            entry = (cycles, data, data)
        elif known[:2] == (cycles, data):
            entry = known
        else:
            entry = (cycles, data, known[1])
        self._rows[key] = entry
        if len(self._rows) > _MOST_REMEMBERED:
            self._rows.popitem(last=False)
        return entry[2]


class MemoryPane(TextPane):
    """Begins at SP and follows it until somebody goes elsewhere."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.space = "va"
        """Whose addresses stand in the first column."""
        self.base: Spot | None = None
        """Where somebody went, in the space that was meant then; None: where SP points to."""
        self._seen = SeenBytes()
        self._view: MemoryView | None = None
        self._changed: frozenset[int] = frozenset()

    # --- where ---------------------------------------------------------------------------------------

    @property
    def row(self) -> int:
        """Bytes of a row."""
        long = self._view is not None and self._view.address >> 32
        return _ROW if self.scrollable_content_region.width >= (81 if long else 73) else _HALF_ROW

    @property
    def wanted(self) -> int:
        """Bytes that fit."""
        return min(LARGEST, self.row * self.rows)

    def go(self, spot: Spot, space: str) -> None:
        """Look at another place, by the addresses of a space."""
        self.base, self.space = spot, space

    def here(self) -> None:
        """Follow SP again."""
        self.base = None

    def move(self, step: int) -> None:
        """By rows."""
        if self._view is not None:
            address = max(0, min((1 << 64) - self.row * self.rows, self._view.address + step * self.row))
            self.base = Spot(self.space, address)
            self.post_message(Page.LookAgain())

    # --- what ----------------------------------------------------------------------------------------

    def show(self, view: MemoryView, cycles: int, still: bool) -> None:
        """Bytes as they are."""
        self._view = view
        self._changed = self._seen.changed(view, cycles, self.row, still)
        self.write()

    def write(self) -> None:
        if self._view is not None:
            rows = memory_rows(self._view, self.row, self._changed, self.scrollable_content_region.width)
            self.set_lines(list(rows)[: self.rows])

    # --- input ---------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        pages = {"pageup": 1 - self.rows, "pagedown": self.rows - 1}
        step = STEPS.get(event.key, pages.get(event.key))
        if step is not None and event.key not in ("home", "end"):
            self.move(step)
            event.stop()
            event.prevent_default()

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(_WHEEL)

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-_WHEEL)


def memory_rows(view: MemoryView, row: int, changed: frozenset[int], width: int) -> Iterator[Line]:
    """`0000000048000000*48 65 6c 6c ... Hello`; a star marks the rows, and lines under them the bytes, that changed."""
    column = places.digits(view.address)
    gap = "  " if width > column + 4 * row + 2 else " "
    told: PageBytes | None = None
    for offset in range(0, len(view.data), row):
        places_of_row = range(offset, min(offset + row, len(view.data)))
        lit = any(view.address + place in changed for place in places_of_row)
        parts: Line = [(f"{view.address + offset:0{column}x}", Ink.MUTED), ("*" if lit else " ", Ink.KEY)]
        page = _page(view, offset)
        if page.physical is None:
            reason = f" {page.problem}" if page is not told else ""
            told = page
            yield [*parts, ("·· " * min(2, row), Ink.FAINT), (reason.lstrip(), Ink.FAINT)]
            continue
        parts += [part for place in places_of_row for part in _byte(view, place, changed)]
        parts.append((" " * (3 * (row - len(places_of_row))) + gap[1:], Ink.TEXT))
        yield [*parts, *_characters(view, places_of_row)]


def _page(view: MemoryView, offset: int) -> PageBytes:
    address = view.address + offset
    return next(page for page in view.pages if page.address <= address < page.address + page.size)


def _byte(view: MemoryView, place: int, changed: frozenset[int]) -> Line:
    value = view.byte(place)
    if value is None:
        return [("·· ", Ink.FAINT)]
    if view.address + place in changed:
        return [(f"{value:02x}", _CHANGED), (" ", Ink.TEXT)]
    return [(f"{value:02x} ", Ink.TEXT if value else Ink.FAINT)]


def _characters(view: MemoryView, row: range) -> Line:
    values = [view.byte(place) for place in row]
    shown = "".join(chr(value) if value is not None and 0x20 <= value < 0x7F else "." for value in values)
    return [(shown, Ink.CYAN)]
