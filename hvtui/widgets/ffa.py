"""FF-A on a page of its own: endpoints, shares, notifications and calls as they are, and all about the chosen one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message

from engine.ffa.log import endpoint_name
from engine.views import FfaPartitionView, FfaView
from hvtui.collect import KEPT_CALLS
from hvtui.ffa_calls import Call, CallList
from hvtui.ffa_text import call_page, endpoint_page, notification_page, share_page
from hvtui.frame import FfaBatch
from hvtui.items import Page
from hvtui.theme import Ink
from hvtui.widgets.detail import Detail
from hvtui.widgets.ffa_call_table import CallTable
from hvtui.widgets.ffa_tables import Bound, EndpointTable, NotificationTable, Share, ShareTable
from hvtui.widgets.table import Table
from hvtui.widgets.titles import set_title

_TURNS = {"left": -1, "right": 1}


class FfaPage(Container):
    """Where room is short, the three tables of records take turns in one place."""

    class Retitled(Message):
        """Something that titles tell has changed."""

    def __init__(self, nanoseconds: Callable[[int], int]) -> None:
        super().__init__(id="ffa")
        self._nanoseconds = nanoseconds
        self._view = FfaView((), (), ())
        self._calls = CallList(KEPT_CALLS)
        self._listed: int | None = None
        """Whose calls are in the list."""
        self.shares = ShareTable()
        self.endpoints = EndpointTable()
        self.notifications = NotificationTable()
        self.calls = CallTable(nanoseconds)
        self.detail = Detail("ffa-detail")
        self._records: tuple[Table[Any], ...] = (self.shares, self.endpoints, self.notifications)
        self._active: Table[Any] = self.calls
        """The detail pane follows its cursor."""
        self.calls.active = True
        self._told: tuple[object, ...] = ()
        self._held = False
        self.turn = 0
        """Which table of records has the place."""
        self.endpoint: int | None = None
        """Only what concerns it is shown; None: all."""
        self._set_turn(0)

    def compose(self) -> ComposeResult:
        with Vertical(id="ffa-tables"):
            yield from self._records
            yield self.calls
        yield self.detail

    @property
    def filter_name(self) -> str:
        return "all" if self.endpoint is None else f"endpoint {endpoint_name(self.endpoint)}"

    @property
    def home(self) -> Table[Any]:
        """Where the chosen row is: the focus goes there when the page is opened, and when details were read."""
        return self._active if self._active.display else self.calls

    def show(self, view: FfaView, batch: FfaBatch) -> None:
        """The records as they are, and what is new of the calls."""
        if batch.endpoint != self.endpoint:
            return  # asked for before the filter changed
        self._view = view
        other_filter = batch.endpoint != self._listed
        if other_filter:
            self._listed, self._calls = batch.endpoint, CallList(KEPT_CALLS)
        self._calls.add(batch)
        self._fill(other_filter)

    def next_endpoint(self) -> None:
        """Filter by the endpoint after this one; after the last, by none. Tables follow with the next frame."""
        choices = [None, *(partition.id for partition in self._view.partitions)]
        place = choices.index(self.endpoint) + 1 if self.endpoint in choices else 0
        self.endpoint = choices[place % len(choices)]

    def _fill(self, other_filter: bool) -> None:
        self.endpoints.show(self._view)
        self.shares.show(self._view, self.endpoint)
        self.notifications.show(self._view, self.endpoint)
        wanted = [call for call in self._calls.calls if self.endpoint is None or self.endpoint in call.endpoints]
        self.calls.show(wanted, other_filter)
        self._tell()

    # --- details -----------------------------------------------------------------------------------

    def _tell(self) -> None:
        """All about the chosen row, unless that has been said, and whether calls are held back."""
        if self.calls.held is not self._held:
            self._held = self.calls.held
            self.post_message(self.Retitled())
        chosen = self._active.chosen
        became = (chosen.registers, chosen.abandoned) if isinstance(chosen, Call) else None
        told = (self._active, chosen, became, self._view)
        if told != self._told:
            self._told = told
            about, page = self._about(chosen)
            self.detail.show((self._active.table_name, about), page)

    def _about(self, chosen: object) -> tuple[object, Page]:
        """What the details stay with while it changes, and what they say."""
        view = self._view
        if isinstance(chosen, Call):
            return chosen.sequence, call_page(chosen, view, self._nanoseconds(chosen.event.cycle))
        if isinstance(chosen, Share):
            return chosen.share.handle, share_page(chosen.share, view)
        if isinstance(chosen, FfaPartitionView):
            return chosen.id, endpoint_page(chosen, view)
        if isinstance(chosen, Bound):
            return chosen.notification.endpoint, notification_page(chosen.notification, view)
        return None, Page([[(self._active.empty, Ink.FAINT)]], [])

    @on(Table.Chosen)
    def _chosen(self, message: Table.Chosen) -> None:
        if not self.display:
            return  # the focus only goes through on its way to the board
        self._active.active = False
        self._active = message.table
        self._active.active = True
        self._tell()

    # --- room --------------------------------------------------------------------------------------

    @property
    def takes_turns(self) -> bool:
        """There is no room for all tables of records."""
        return sum(table.display for table in self._records) == 1

    async def _on_key(self, event: events.Key) -> None:
        step = _TURNS.get(event.key)
        if step is not None and self.takes_turns:
            self._set_turn((self.turn + step) % len(self._records))
            if self.screen.focused is not self.calls:
                self._records[self.turn].focus()
            self.post_message(self.Retitled())
            event.stop()

    def _set_turn(self, turn: int) -> None:
        self.turn = turn
        for place, table in enumerate(self._records):
            table.set_class(place != turn, "-waits")

    def retitle(self) -> None:
        """What is filtered, how much is not shown, and where the other tables are."""
        names = [table.table_name for table in self._records]
        for place, table in enumerate(self._records):
            others = [name for name in names if name != names[place]] if self.takes_turns else []
            set_title(table, " │ ".join([names[place], *others]) + (" (← →)" if others else ""))
        held = ", held (end)" if self._held else ""
        set_title(self.calls, f"ff-a calls, {self.filter_name} (n){held} │ board (x)")
        set_title(self.detail, "details")
