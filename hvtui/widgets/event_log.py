"""The event log: one decoded line an event, following the newest unless scrolled away."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip

from engine.events import ConsoleOutput, Event
from hvtui import text
from hvtui.describe import describe, is_console_traffic, printable
from hvtui.frame import EventBatch
from hvtui.theme import Ink
from hvtui.widgets.lines import LinesPane

_KEEP = 10_000
_WHO = 10
_LONGEST_TEXT = 200
"""Console bytes that go on one line."""


class _Row(NamedTuple):
    event: Event | None
    """None: a gap."""
    text: str
    """Of a gap, or of console output put together; "" is to be described when drawn."""


class EventLog(LinesPane):
    """The newest events; drawn from the events themselves, only those in view."""

    traffic: reactive[bool] = reactive(False)
    """Show every console byte and serial port access, not just the text printed."""

    def __init__(self, nanoseconds: Callable[[int], int]) -> None:
        super().__init__(id="events", classes="pane")
        self._nanoseconds = nanoseconds
        self._events: deque[Event] = deque(maxlen=_KEEP)
        self._gaps: dict[int, int] = {}
        self._first = 0
        self._next = 0
        self._rows: deque[_Row] = deque(maxlen=_KEEP)
        self._printing: dict[str, list[bytes]] = {}
        self._following = True

    def add(self, batch: EventBatch) -> None:
        """New events, or all that are kept."""
        if batch.complete:
            self._clear()
        elif batch.first > self._next and self._events:
            self._rows.append(_Row(None, f"{batch.first - self._next} more; pause to see them"))
            self._printing.clear()
        self._events.extend(batch.events)
        self._next = batch.first + len(batch.events)
        self._append(batch.events)
        self._show()

    def _clear(self) -> None:
        self._events.clear()
        self._rows.clear()
        self._printing.clear()

    def _append(self, events: tuple[Event, ...] | deque[Event]) -> None:
        for event in events:
            if self.traffic:
                self._rows.append(_Row(event, ""))
            elif isinstance(event, ConsoleOutput):
                self._print(event)
            elif not is_console_traffic(event):
                self._rows.append(_Row(event, ""))
                self._printing.clear()

    def _print(self, event: ConsoleOutput) -> None:
        """Bytes of one console with nothing but traffic between them are one line."""
        rows = self._rows
        if rows and rows[-1].event is not None and event.vm in self._printing:
            data = self._printing[event.vm]
            if not data[-1].endswith(b"\n") and len(data) < _LONGEST_TEXT:
                data.append(event.data)
                rows[-1] = rows[-1]._replace(text=printable(b"".join(data)))
                return
        self._printing = {event.vm: [event.data]}
        rows.append(_Row(event, printable(event.data)))

    def watch_traffic(self) -> None:
        if self._events:
            self._rows.clear()
            self._printing.clear()
            self._append(self._events)
        self._show()
        self.border_subtitle = "all events" if self.traffic else ""

    # --- scrolling -------------------------------------------------------------------------------

    def _show(self) -> None:
        following = self._following
        self.set_line_count(len(self._rows))
        if following:
            self.scroll_end(animate=False, immediate=True, force=True)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._following = new_value >= self.max_scroll_y

    def on_resize(self) -> None:
        if self._following:
            self.call_after_refresh(self.scroll_end, animate=False)

    # --- drawing ---------------------------------------------------------------------------------

    def draw_line(self, number: int, width: int) -> Strip:
        if number >= len(self._rows):
            return text.line([], width)
        row = self._rows[number]
        if row.event is None:
            return text.line([(f"{'':16}⋯ {row.text}", Ink.FAINT)], width)
        return text.line(self._parts(row.event, row.text, width), width)

    def _parts(self, event: Event, printed: str, width: int) -> list[tuple[str, Style]]:
        line = describe(event)
        who = f"{event.vm}/{event.vcpu}" if event.vcpu >= 0 else event.vm
        room = max(0, width - 16 - _WHO - 1 - 2 - 10)
        return [
            (f"{text.seconds(self._nanoseconds(event.cycle))} ", Ink.MUTED),
            (f"{text.fit(who, _WHO)} ", Ink.TEXT),
            (f"{line.glyph} ", line.style),
            (f"{line.kind:9} ", line.style),
            (text.shorten(printed or line.text, room), Ink.TEXT if line.style is not Ink.MUTED else Ink.MUTED),
        ]
