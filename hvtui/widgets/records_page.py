"""A page of the board: tables of records above, a table that matters most below, and all about the chosen row."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from hvtui import items
from hvtui.theme import Ink
from hvtui.widgets.detail import Detail
from hvtui.widgets.page import Page
from hvtui.widgets.table import Table
from hvtui.widgets.titles import set_title

_TURNS = {"left": -1, "right": 1}


class RecordsPage(Page):
    """Where room is short, the tables of records take turns in one place."""

    class Retitled(Message):
        """Something that titles tell has changed."""

    def __init__(self, name: str, records: Sequence[Table[Any]], main: Table[Any]) -> None:
        super().__init__(name)
        self._records = tuple(records)
        self.main = main
        self.detail = Detail(f"{name}-detail")
        self.detail.add_class("page-detail")
        for table in (*self._records, main):
            table.add_class("record" if table is not main else "main")
        self._active = main
        """The detail pane follows its cursor."""
        self.main.active = True
        self._told: tuple[object, ...] = ()
        self.turn = 0
        """Which table of records has the place."""
        self._set_turn(0)

    def compose(self) -> ComposeResult:
        with Vertical(classes="page-tables"):
            yield from self._records
            yield self.main
        yield self.detail

    # --- what subclasses say -------------------------------------------------------------------------

    def about(self, chosen: Any) -> tuple[Hashable, items.Page]:
        """What the details stay with while it changes, and what they say of a row."""
        raise NotImplementedError

    def main_title(self) -> str:
        """Of the table below."""
        return self.main.table_name

    def version(self, _chosen: object) -> Hashable:
        """Changes whenever the details of a row must be written anew."""
        raise NotImplementedError

    # --- details -------------------------------------------------------------------------------------

    @property
    def home(self) -> Table[Any]:
        """Where the chosen row is: the focus goes there when the page is opened, and when details were read."""
        return self._active if self._active.display else self.main

    def tell(self) -> None:
        """All about the chosen row, unless that has been said."""
        chosen = self._active.chosen
        told = (self._active, chosen, self.version(chosen))
        if told != self._told:
            self._told = told
            nothing = (None, items.Page([[(self._active.empty, Ink.FAINT)]], []))
            about, page = nothing if chosen is None else self.about(chosen)
            self.detail.show((self._active.table_name, about), page)

    @on(Table.Chosen)
    def _chosen(self, message: Table.Chosen) -> None:
        if not self.display:
            return  # the focus only goes through on its way to the board
        self._active.active = False
        self._active = message.table
        self._active.active = True
        self.tell()

    # --- room ----------------------------------------------------------------------------------------

    @property
    def takes_turns(self) -> bool:
        """There is no room for all tables of records."""
        return len(self._records) > 1 and sum(table.display for table in self._records) == 1

    async def _on_key(self, event: events.Key) -> None:
        step = _TURNS.get(event.key)
        if step is not None and self.takes_turns:
            self._set_turn((self.turn + step) % len(self._records))
            if self.screen.focused is not self.main:
                self._records[self.turn].focus()
            self.post_message(self.Retitled())
            event.stop()

    def _set_turn(self, turn: int) -> None:
        self.turn = turn
        for place, table in enumerate(self._records):
            table.set_class(place != turn, "-waits")

    def retitle(self) -> None:
        """Where the other tables are."""
        names = [table.table_name for table in self._records]
        for place, table in enumerate(self._records):
            others = [name for name in names if name != names[place]] if self.takes_turns else []
            set_title(table, " │ ".join([names[place], *others]) + (" (← →)" if others else ""))
        set_title(self.main, self.main_title())
        set_title(self.detail, "details")
