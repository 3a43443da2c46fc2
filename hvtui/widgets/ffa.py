"""Who shares memory with whom by FF-A, one line a borrower, and below it the newest calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from engine.ffa.log import endpoint_name
from engine.views import FfaBorrowerView, FfaTransactionView, FfaView
from hvtui import text
from hvtui.collect import KEPT_CALLS
from hvtui.ffa_calls import Call, CallList, concerns
from hvtui.ffa_text import call_details, share_details
from hvtui.frame import FfaBatch
from hvtui.theme import Ink
from hvtui.widgets.lines import LinesPane

_ROOMY = 100
"""Columns from which handles are written in full."""
_NO_UUID = f" {UUID(int=0)}"
_RANGES = 2
"""Ranges that a line tells; all stand in the details."""
_STEPS = {"up": -1, "down": 1, "k": -1, "j": 1, "home": -(1 << 30), "end": 1 << 30}
_STATES = {"offered": Ink.AMBER, "retrieved": Ink.GREEN, "relinquished": Ink.MUTED}


class _Row(NamedTuple):
    key: tuple[int, int]
    """(handle, place of the borrower) or (-1, sequence number): the cursor stays with it."""
    share: FfaTransactionView | None = None
    borrower: FfaBorrowerView | None = None
    call: Call | None = None
    heading: str = ""


class FfaPane(LinesPane):
    """Shares, then calls with the newest first. Arrows choose a line, Enter tells all about it."""

    class Opened(Message):
        """Somebody wants to know all about a line."""

        def __init__(self, title: str, text: str) -> None:
            super().__init__()
            self.title = title
            self.text = text

    def __init__(self, nanoseconds: Callable[[int], int]) -> None:
        super().__init__(id="ffa", classes="pane")
        self._nanoseconds = nanoseconds
        self._view = FfaView((), (), ())
        self._calls = CallList(KEPT_CALLS)
        self._rows: list[_Row] = []
        self._cursor = 0
        self.endpoint: int | None = None
        """Only its shares and calls are shown; None: all."""

    @property
    def filter_name(self) -> str:
        return "all" if self.endpoint is None else f"endpoint {endpoint_name(self.endpoint)}"

    def show(self, view: FfaView, batch: FfaBatch) -> None:
        """The shares as they are, and what is new of the calls."""
        if view != self._view or batch.events or batch.gap or not self._rows:
            self._view = view
            self._calls.add(batch)
            self._build()

    def next_endpoint(self) -> None:
        """Filter by the endpoint after this one; after the last, by none."""
        choices = [None, *(partition.id for partition in self._view.partitions)]
        place = choices.index(self.endpoint) + 1 if self.endpoint in choices else 0
        self.endpoint = choices[place % len(choices)]
        self._build()
        self.scroll_to(y=0, animate=False)

    def _build(self) -> None:
        at_top = self._cursor <= self._first()
        key = self._rows[self._cursor].key if self._rows else None
        self._rows = [*self._share_rows(), *self._call_rows()]
        places = [place for place, row in enumerate(self._rows) if row.key == key and not row.heading]
        self._cursor = places[0] if places and not at_top else self._first()
        self.set_line_count(len(self._rows))
        self.refresh()

    def _first(self) -> int:
        """The first line that can be chosen."""
        return next((place for place, row in enumerate(self._rows) if not row.heading), 0)

    def _share_rows(self) -> list[_Row]:
        shares = [share for share in self._view.transactions if self._wanted(share)]
        rows = [_Row((0, 0), heading="shares" if shares else "no memory is shared")]
        for share in shares:
            rows += [_Row((share.handle, place), share, borrower) for place, borrower in enumerate(share.borrowers)]
        return rows

    def _wanted(self, share: FfaTransactionView) -> bool:
        return self.endpoint is None or concerns(share, self.endpoint)

    def _call_rows(self) -> list[_Row]:
        wanted = [call for call in self._calls.calls if self.endpoint is None or self.endpoint in call.endpoints]
        rows = [_Row((-1, call.sequence), call=call) for call in reversed(wanted)]
        return [_Row((0, 1), heading="calls" if rows else "no calls"), *rows]

    # --- input -------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        pages = {"pageup": 1 - self.rows, "pagedown": self.rows - 1}
        step = _STEPS.get(event.key, pages.get(event.key))
        if step is not None:
            self._move(step)
        elif event.key == "enter":
            self._open()
        else:
            return
        event.stop()
        event.prevent_default()

    async def _on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        place = self.scroll_offset.y + offset.y if offset is not None else len(self._rows)
        if place < len(self._rows) and not self._rows[place].heading:
            again = place == self._cursor
            self._choose(place)
            if again:
                self._open()

    def _move(self, step: int) -> None:
        """To the line `step` further down that can be chosen; headings do not count."""
        places = [place for place, row in enumerate(self._rows) if not row.heading]
        if self._cursor in places:
            self._choose(places[max(0, min(len(places) - 1, places.index(self._cursor) + step))])

    def _choose(self, place: int) -> None:
        self._cursor = place
        top = 0 if place == self._first() else place
        if top < self.scroll_offset.y or place >= self.scroll_offset.y + self.rows:
            self.scroll_to(y=top if top < self.scroll_offset.y else place + 1 - self.rows, animate=False)
        self.refresh()

    def _open(self) -> None:
        row = self._rows[self._cursor] if self._rows else None
        if row is not None and row.share is not None:
            self.post_message(self.Opened(f"share {row.share.handle:#x}", share_details(row.share, self._view)))
        elif row is not None and row.call is not None:
            nanoseconds = self._nanoseconds(row.call.event.cycle)
            self.post_message(self.Opened("FF-A call", call_details(row.call, self._view, nanoseconds)))

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.refresh()

    # --- drawing -----------------------------------------------------------------------------------

    def draw_line(self, number: int, width: int) -> Strip:
        if number >= len(self._rows):
            return text.line([], width)
        row = self._rows[number]
        if row.heading:
            return text.line([(_heading(row.heading, width), Ink.MUTED)], width)
        selected = number == self._cursor
        base = (Ink.SELECTED if self.has_focus else Ink.SELECTED_BLURRED) if selected else None
        mark = ("▌" if selected else " ", Ink.AMBER)
        if row.call is not None:
            return text.line([mark, *self._call_parts(row.call, width)], width, base)
        assert row.share is not None
        assert row.borrower is not None
        return text.line([mark, *_share_parts(row.share, row.borrower, row.key[1], width)], width, base)

    def _call_parts(self, call: Call, width: int) -> list[tuple[str, Style]]:
        told, result = _call_columns(width)
        style = Ink.RED if call.failed else Ink.AMBER if call.waits else Ink.GREEN
        return [
            (f"{text.seconds(self._nanoseconds(call.event.cycle))} ", Ink.MUTED),
            (f"{endpoint_name(call.event.endpoint):6} ", Ink.BLUE),
            (f"{text.fit(_brief(call.text), told)} ", Ink.TEXT),
            (text.shorten(_brief(call.result), result), style),
        ]


def _brief(line: str) -> str:
    """Without a UUID that says nothing."""
    return line.replace(_NO_UUID, "")


def _call_columns(width: int) -> tuple[int, int]:
    """Columns of a call and of its result."""
    room = max(0, width - 1 - 16 - 7 - 1)
    return room * 3 // 5, room - room * 3 // 5


def _heading(kind: str, width: int) -> str:
    if kind == "shares":
        handle = "HANDLE".ljust(_handle_width(width))
        return f" {handle} TAG    KIND   OWNER  BORROWER PERMS    STATE        PAGES  IPA (OWNER → BORROWER)"
    if kind == "calls":
        return f" {'TIME':>15} CALLER {text.fit('CALL', _call_columns(width)[0])} RESULT"
    return f" {kind}"


def _handle_width(width: int) -> int:
    return 18 if width >= _ROOMY else 5


def _handle(share: FfaTransactionView, width: int) -> str:
    """In full, or its last digits where room is short."""
    return f"{share.handle:#018x}" if width >= _ROOMY else f"…{share.handle & 0xFFFF:04x}"


def _share_parts(
    share: FfaTransactionView, borrower: FfaBorrowerView, place: int, width: int
) -> list[tuple[str, Style]]:
    """A share's own columns are faint on all its lines but the first."""
    own = Ink.TEXT if place == 0 else Ink.FAINT
    taken = _ranges(borrower.ranges)
    permissions = borrower.granted or borrower.offered
    return [
        (f"{_handle(share, width)} {text.fit(f'{share.tag:#x}', 6)} ", own),
        (f"{share.kind:6} ", Ink.VIOLET if place == 0 else Ink.FAINT),
        (f"{endpoint_name(share.owner):6} ", own),
        (f"{endpoint_name(borrower.endpoint):8} ", Ink.BLUE),
        (f"{text.fit(permissions, 8)} ", Ink.TEXT),
        (f"{borrower.state:12} ", _STATES.get(borrower.state, Ink.TEXT)),
        (f"{share.pages:5}  ", Ink.TEXT),
        (_ranges(share.ranges) + (f" → {taken}" if taken else ""), Ink.TEXT),
    ]


def _ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    """`0x48001000+2,0x48005000+1`: addresses, each with its pages where there are several ranges."""
    if len(ranges) == 1:
        return f"{ranges[0][0]:#x}"
    more = f",… {len(ranges) - _RANGES} more" if len(ranges) > _RANGES else ""
    return ",".join(f"{ipa:#x}+{pages}" for ipa, pages in ranges[:_RANGES]) + more
