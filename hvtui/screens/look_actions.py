"""The actions that every page takes in its own way: where to look, what for, and what not to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from textual import on

from hvtui.screens.board_base import BoardBase
from hvtui.widgets.trace import TracePage
from hvtui.widgets.trace_log import TraceLog

T = TypeVar("T")


@runtime_checkable
class GoesTo(Protocol):
    """A page that can look elsewhere."""

    def go_to(self, place: str) -> None:
        """Look at an address or a symbol; the trace: at an instruction count. ValueError, in words, for none."""


@runtime_checkable
class ComesBack(Protocol):
    """A page that follows something unless it was told to look elsewhere."""

    def here(self) -> None:
        """Follow it again."""


@runtime_checkable
class HasSpaces(Protocol):
    """A page that reads addresses in one of several spaces."""

    def space(self, space: str | None) -> None:
        """Read them in this one, or the next one. ValueError, in words, for none."""


@runtime_checkable
class HasLanes(Protocol):
    """A page that can draw lanes."""

    def lanes(self) -> None:
        """A log, or lanes."""


@runtime_checkable
class Filters(Protocol):
    """A page whose rows can be chosen by words."""

    def filter(self, text: str) -> None:
        """Only rows with all words; "" for all rows."""


@runtime_checkable
class Searches(Protocol):
    """A page whose rows can be searched."""

    def search(self, text: str) -> None:
        """Go to the next older row with all words; "" for those looked for last."""


@runtime_checkable
class HidesTraffic(Protocol):
    """A page that hides what is seldom of interest."""

    def traffic(self) -> None:
        """Show it, or hide it again."""


class LookActions(BoardBase):
    """Keys go to the page that is open, or the status line says where they would do something."""

    @property
    def open_page(self) -> object:
        """The page that is open, for what it can do."""
        return self.page

    def action_address(self, place: str | None = None) -> None:
        page = self.open_page
        if not isinstance(page, GoesTo):
            self._not_here("addresses are looked at on the CPU, memory and trace screens")
        elif place is None:
            self.action_monitor("address ")
        else:
            self._try(page.go_to, place)

    def action_here(self) -> None:
        page = self.open_page
        if isinstance(page, ComesBack):
            page.here()
        else:
            self._not_here("this screen follows nothing: CPU, memory and trace do")

    def action_space(self, space: str | None = None) -> None:
        page = self.open_page
        if isinstance(page, HasSpaces):
            self._try(page.space, space)
        else:
            self._not_here("address spaces are changed on the CPU and memory screens")

    def action_lanes(self) -> None:
        page = self.open_page
        if isinstance(page, HasLanes):
            page.lanes()
        else:
            self._not_here("lanes are on the trace screen")

    def action_filter(self, text: str | None = None) -> None:
        page = self.open_page
        if not isinstance(page, Filters):
            self._not_here("the trace screen has a filter")
        elif text is None:
            self.action_monitor("filter ")
        else:
            page.filter(text)

    def action_search(self, text: str | None = None) -> None:
        page = self.open_page
        if isinstance(page, Searches):
            if text is None:
                self.action_monitor("search ")
            else:
                page.search(text)
        elif self.page is None:
            self.search_console(text)
        else:
            self._not_here("consoles and the trace can be searched")

    def action_traffic(self) -> None:
        page = self.open_page
        if isinstance(page, HidesTraffic):
            page.traffic()
        else:
            self.event_log.traffic = not self.event_log.traffic

    # --- helpers -------------------------------------------------------------------------------------

    def _try(self, look: Callable[[T], None], where: T) -> None:
        try:
            look(where)
        except ValueError as error:
            self.status.say(str(error), warning=True)

    def _not_here(self, words: str) -> None:
        self.status.say(words, warning=True)

    # --- what pages say ------------------------------------------------------------------------------

    @on(TracePage.Says)
    def _page_says(self, message: TracePage.Says) -> None:
        self.status.say(message.words)

    @on(TraceLog.Opened)
    def _read_event(self) -> None:
        if isinstance(self.page, TracePage):
            self.show_pane(self.page.detail)
