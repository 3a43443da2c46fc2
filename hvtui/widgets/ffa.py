"""FF-A on a page of its own: endpoints, shares, notifications and calls as they are, and all about the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from engine.ffa.log import endpoint_name
from engine.views import FfaPartitionView, FfaView, Part
from hvtui.collect import KEPT_CALLS
from hvtui.ffa_calls import Call, CallList
from hvtui.ffa_text import call_page, endpoint_page, notification_page, share_page
from hvtui.frame import FfaBatch, Frame
from hvtui.items import Page
from hvtui.widgets.ffa_call_table import CallTable
from hvtui.widgets.ffa_tables import Bound, EndpointTable, NotificationTable, Share, ShareTable
from hvtui.widgets.partitions import call_chains
from hvtui.widgets.records_page import RecordsPage


class FfaPage(RecordsPage):
    """Records of the relayer and of the SPMC, and the calls below."""

    part = Part.FFA

    def __init__(self, nanoseconds: Callable[[int], int]) -> None:
        self._nanoseconds = nanoseconds
        self._view = FfaView((), (), ())
        self._calls = CallList(KEPT_CALLS)
        self._listed: int | None = None
        """Whose calls are in the list."""
        self.shares = ShareTable()
        self.endpoints = EndpointTable()
        self.notifications = NotificationTable()
        self.calls = CallTable(nanoseconds)
        self._held = False
        self._chains: tuple[str, ...] = ()
        """Of every core that is in the secure world."""
        self.endpoint: int | None = None
        """Only what concerns it is shown; None: all."""
        super().__init__("ffa", (self.shares, self.endpoints, self.notifications), self.calls)

    @property
    def filter_name(self) -> str:
        return "all" if self.endpoint is None else f"endpoint {endpoint_name(self.endpoint)}"

    def show(self, frame: Frame) -> None:
        """The records as they are, and what is new of the calls."""
        view, batch = frame.view.ffa, frame.ffa
        if view is None or batch is None or batch.endpoint != self.endpoint:
            return  # asked for before the filter changed
        self._view = view
        self._told_chains(call_chains(frame.view))
        other_filter = batch.endpoint != self._listed
        if other_filter:
            self._listed, self._calls = batch.endpoint, CallList(KEPT_CALLS)
        self._fill(batch, other_filter)

    def _told_chains(self, chains: tuple[str, ...]) -> None:
        if chains != self._chains:
            self._chains = chains
            self.post_message(self.Retitled())

    def next_endpoint(self) -> None:
        """Filter by the endpoint after this one; after the last, by none. Tables follow with the next frame."""
        choices = [None, *(partition.id for partition in self._view.partitions)]
        place = choices.index(self.endpoint) + 1 if self.endpoint in choices else 0
        self.endpoint = choices[place % len(choices)]

    def _fill(self, batch: FfaBatch, other_filter: bool) -> None:
        self._calls.add(batch)
        self.endpoints.show(self._view)
        self.shares.show(self._view, self.endpoint)
        self.notifications.show(self._view, self.endpoint)
        wanted = [call for call in self._calls.calls if self.endpoint is None or self.endpoint in call.endpoints]
        self.calls.show(wanted, other_filter)
        self.tell()

    def tell(self) -> None:
        """Also whether calls are held back."""
        if self.calls.held is not self._held:
            self._held = self.calls.held
            self.post_message(self.Retitled())
        super().tell()

    def version(self, chosen: object) -> Hashable:
        became = (chosen.registers, chosen.abandoned) if isinstance(chosen, Call) else None
        return became, self._view

    def about(self, chosen: Any) -> tuple[Hashable, Page]:
        view = self._view
        if isinstance(chosen, Call):
            return chosen.sequence, call_page(chosen, view, self._nanoseconds(chosen.event.cycle))
        if isinstance(chosen, Share):
            return chosen.share.handle, share_page(chosen.share, view)
        if isinstance(chosen, FfaPartitionView):
            return chosen.id, endpoint_page(chosen, view)
        assert isinstance(chosen, Bound)
        return chosen.notification.endpoint, notification_page(chosen.notification, view)

    def main_title(self) -> str:
        """What is filtered, and how much is not shown."""
        held = ", held (end)" if self._held else ""
        return " · ".join([f"ff-a calls, {self.filter_name} (x){held}", *self._chains])
