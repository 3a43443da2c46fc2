"""The FF-A relayer's records as tables: endpoints with mailboxes, shares by borrower, notifications by sender."""

from __future__ import annotations

from typing import NamedTuple

from engine.ffa.log import endpoint_name
from engine.views import (
    FfaBitmapView,
    FfaBorrowerView,
    FfaNotificationView,
    FfaPartitionView,
    FfaTransactionView,
    FfaView,
)
from hvtui import text
from hvtui.ffa_calls import concerns
from hvtui.ffa_text import bit_list, framework, mailbox
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.table import Row, Table

_ROOMY = 96
"""Columns from which handles and tags are written in full."""
_BEFORE_RX, _BEFORE_PENDING = 42, 42
"""Columns before the last one of endpoints and of notifications."""
_RANGES = 2
"""Ranges that a row tells; all stand in the details."""
_STATES = {"offered": Ink.AMBER, "retrieved": Ink.GREEN, "relinquished": Ink.MUTED}


class EndpointTable(Table[FfaPartitionView]):
    """One row an endpoint."""

    def __init__(self) -> None:
        super().__init__("ffa", "endpoints", "no endpoints")

    def show(self, view: FfaView) -> None:
        self.set_rows([Row(partition.id, partition) for partition in view.partitions])

    def heading(self, width: int) -> str:
        return text.shorten("ID     NAME   FF-A  TX         RX         RX BUFFER", width)

    def parts(self, item: FfaPartitionView, width: int) -> Line:
        version = item.version if item.negotiated or not item.version else f"({item.version})"
        full = bool(item.rx_content)
        return [
            (f"{endpoint_name(item.id):6} ", Ink.BLUE),
            (f"{text.fit(item.name, 6)} ", Ink.TEXT),
            (f"{version or '-':5} ", Ink.TEXT if item.negotiated else Ink.MUTED),
            (f"{_buffer(item, item.tx):10} {_buffer(item, item.rx):10} ", Ink.TEXT),
            (text.shorten(mailbox(item), max(0, width - _BEFORE_RX)), Ink.AMBER if full else Ink.MUTED),
        ]


def _buffer(partition: FfaPartitionView, address: int) -> str:
    return f"{address:#x}" if partition.buffer_pages else "-"


class Share(NamedTuple):
    """One borrower of a transaction."""

    share: FfaTransactionView
    borrower: FfaBorrowerView
    first: bool


class ShareTable(Table[Share]):
    """One row a borrower; what is the same for all borrowers of a share is faint on all but the first."""

    def __init__(self) -> None:
        super().__init__("ffa", "shares", "no memory is shared")

    def show(self, view: FfaView, endpoint: int | None) -> None:
        """The shares that concern an endpoint, or all."""
        shares = [share for share in view.transactions if endpoint is None or concerns(share, endpoint)]
        self.set_rows(
            [
                Row((share.handle, borrower.endpoint), Share(share, borrower, place == 0))
                for share in shares
                for place, borrower in enumerate(share.borrowers)
            ]
        )

    def heading(self, width: int) -> str:
        handle, tag = ("HANDLE".ljust(18), "TAG     ") if width >= _ROOMY else ("HANDL", "")
        return f"{handle} {tag}KIND   BETWEEN    PERMS STATE        PAGES IPA"

    def parts(self, item: Share, width: int) -> Line:
        share, borrower = item.share, item.borrower
        own = Ink.TEXT if item.first else Ink.FAINT
        taken = "same" if borrower.ranges == share.ranges else _ranges(borrower.ranges)
        tag = f"{text.fit(f'{share.tag:#x}', 7)} " if width >= _ROOMY else ""
        return [
            (f"{_handle(share, width)} {tag}", own),
            (f"{share.kind:6} ", Ink.VIOLET if item.first else Ink.FAINT),
            (f"{f'{endpoint_name(share.owner)} → {endpoint_name(borrower.endpoint)}':10} ", Ink.BLUE),
            (f"{text.fit(borrower.granted or borrower.offered, 5)} ", Ink.TEXT),
            (f"{borrower.state:12} ", _STATES.get(borrower.state, Ink.TEXT)),
            (f"{share.pages:5} ", Ink.TEXT),
            (_ranges(share.ranges) + (f"→{taken}" if taken else ""), Ink.TEXT),
        ]


def _handle(share: FfaTransactionView, width: int) -> str:
    """In full, or its last digits where room is short."""
    return f"{share.handle:#018x}" if width >= _ROOMY else f"…{share.handle & 0xFFFF:04x}"


def _ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    """`0x48001000+2,0x48005000+1`: addresses, each with its pages where there are several ranges."""
    if len(ranges) == 1:
        return f"{ranges[0][0]:#x}"
    more = f",… {len(ranges) - _RANGES} more" if len(ranges) > _RANGES else ""
    return ",".join(f"{ipa:#x}+{pages}" for ipa, pages in ranges[:_RANGES]) + more


class Bound(NamedTuple):
    """What one sender may signal to one receiver; without a bitmap, what the framework signals."""

    notification: FfaNotificationView
    sender: int
    bitmap: FfaBitmapView | None
    bound: int


class NotificationTable(Table[Bound]):
    """One row a receiver and sender."""

    def __init__(self) -> None:
        super().__init__("ffa", "notifications", "nobody has notification bitmaps")

    def show(self, view: FfaView, endpoint: int | None) -> None:
        """What an endpoint may send or receive, or everything."""
        rows = [row for notification in view.notifications for row in _senders(notification)]
        self.set_rows([row for row in rows if endpoint is None or _concerns(row.item, endpoint)])

    def heading(self, width: int) -> str:
        return text.shorten("RECEIVER SENDER     BOUND (v: per vCPU)   PENDING", width)

    def parts(self, item: Bound, width: int) -> Line:
        bitmap = item.bitmap
        pending = framework(item.notification.framework) if bitmap is None else _pending(bitmap, item.bound)
        return [
            (f"{endpoint_name(item.notification.endpoint):8} ", Ink.BLUE),
            (f"{'framework' if bitmap is None else endpoint_name(item.sender):10} ", Ink.BLUE),
            (f"{text.fit('RX full' if bitmap is None else bit_list(item.bound, bitmap.per_vcpu), 21)} ", Ink.TEXT),
            (text.shorten(pending or "-", max(0, width - _BEFORE_PENDING)), Ink.AMBER if pending else Ink.MUTED),
        ]


def _senders(notification: FfaNotificationView) -> list[Row[Bound]]:
    bound = [
        Row((notification.endpoint, sender), Bound(notification, sender, bitmap, bits))
        for bitmap in notification.bitmaps
        for sender, bits in bitmap.senders
    ]
    return [*bound, Row((notification.endpoint, None), Bound(notification, 0, None, 0))]


def _concerns(item: Bound, endpoint: int) -> bool:
    return endpoint == item.notification.endpoint or (item.bitmap is not None and endpoint == item.sender)


def _pending(bitmap: FfaBitmapView, bound: int) -> str:
    """`0,2; vCPU 1: 5`."""
    each = [("", bitmap.pending), *((f"vCPU {vcpu}: ", mask) for vcpu, mask in enumerate(bitmap.vcpu_pending))]
    return "; ".join(f"{where}{bit_list(mask & bound)}" for where, mask in each if mask & bound)
