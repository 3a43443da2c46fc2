"""Everything there is to say about an FF-A call, a share, an endpoint or its notifications."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from engine.events import FREE, FfaCall, FfaCost
from engine.ffa import dissect
from engine.ffa.dissect import Field
from engine.ffa.flags import FrameworkNotification
from engine.ffa.log import endpoint_name
from engine.ffa.notification_state import bits
from engine.views import (
    FfaBitmapView,
    FfaBorrowerView,
    FfaNotificationView,
    FfaPartitionView,
    FfaTransactionView,
    FfaView,
)
from hvtui import text
from hvtui.ffa_calls import Call, concerns
from hvtui.ffa_matrix import legend, matrix
from hvtui.items import Item, Items, Line, Page, heading
from hvtui.theme import Ink

_PAGE = 4096


def who(endpoint: int, view: FfaView) -> str:
    """`1 (vm0)`."""
    names = [partition.name for partition in view.partitions if partition.id == endpoint]
    return f"{endpoint_name(endpoint)} ({names[0]})" if names else endpoint_name(endpoint)


# --- calls -----------------------------------------------------------------------------------------


def call_page(call: Call, view: FfaView, nanoseconds: int) -> Page:
    """A call with its registers and descriptors, its answer, and the share that it is about if that still exists."""
    event = call.event
    items: Items = [
        Item("call", call.text),
        Item("answer", call.result, Ink.RED if call.failed else Ink.AMBER if call.waits else Ink.GREEN),
    ]
    if isinstance(event, FfaCall) and event.reason:
        items.append(Item("because", event.reason, Ink.RED))
    items.append(Item("caller", f"{who(event.endpoint, view)} vCPU {event.vcpu}"))
    items.append(Item("time", f"{text.seconds(nanoseconds).strip()} s, cycle {event.cycle}"))
    if call.answer is not None:
        items.append(Item("answered", f"{call.answer.cycle - event.cycle} cycles later"))
    aside = _share_of(call, view)
    if isinstance(event, FfaCall):
        items += [Item("cost", cost(event.cost)), *_registers(event, call.registers)]
        aside = [*_descriptors(event, view), *aside]
    return Page(items, aside)


def cost(spent: FfaCost) -> str:
    """`table entries 515, TLB flushes 2, bytes copied 112`."""
    if spent == FREE:
        return "registers only"
    counted = (
        (spent.entries, "table entries"),
        (spent.flushes, "TLB flushes"),
        (spent.copied, "bytes copied"),
        (spent.cleared, "bytes cleared"),
    )
    return ", ".join(f"{what} {count}" for count, what in counted if count) or "nothing changed"


def _registers(event: FfaCall, answer: tuple[int, ...]) -> Items:
    """Both sides of the call, register by register."""
    rows: Items = [[], [(f"{'':4}{'CALL':16}  {'ANSWER':16}", Ink.MUTED)]]
    for number, (asked, given) in enumerate(zip_longest(event.args, answer)):
        rows.append([(f"{f'x{number}':4}", Ink.BLUE), *_word(asked), ("  ", Ink.TEXT), *_word(given)])
    return rows


def _word(value: int | None) -> Line:
    if value is None:
        return [(f"{'-':16}", Ink.FAINT)]
    digits = f"{value:016x}"
    zeros = min(15, len(digits) - len(digits.lstrip("0")))
    return [(digits[:zeros], Ink.FAINT), (digits[zeros:], Ink.TEXT)]


def _descriptors(event: FfaCall, view: FfaView) -> Items:
    fid, items = event.args[0], []

    def named(endpoint: int) -> str:
        return who(endpoint, view)

    for title, data, take in (("in TX", event.sent, dissect.sent), ("put into RX", event.received, dissect.received)):
        fields = take(fid, data, event.version, named)
        if fields:
            items += [*heading(f"{title}, {len(data)} bytes, v{event.version}"), *map(_field, fields)]
    return items


def _field(field: Field) -> Item:
    return Item(field.name, field.value, depth=field.depth)


def _share_of(call: Call, view: FfaView) -> Items:
    handle = call.handle
    share = next((share for share in view.transactions if share.handle == handle), None)
    if share is not None:
        main, borrowers = share_page(share, view)
        return [*heading("the share as it is now"), *main, *borrowers]
    return [[], [("the share does not exist any more", Ink.MUTED)]] if handle else []


# --- records ---------------------------------------------------------------------------------------


def share_page(share: FfaTransactionView, view: FfaView) -> Page:
    """Every field of a memory transaction; its borrowers aside."""
    main: Items = [
        Item("handle", f"0x{share.handle:x}"),
        Item("tag", f"0x{share.tag:x}"),
        Item("kind", share.kind, Ink.VIOLET),
        Item("owner", who(share.owner, view) + (", which is gone" if share.orphaned else "")),
        Item("attributes", share.attributes),
        Item("pages", f"{share.pages} ({share.pages * _PAGE:#x} bytes)"),
        *_ranges(share.ranges, "owner IPA"),
    ]
    return Page(main, [item for borrower in share.borrowers for item in _borrower(borrower, view)])


def _borrower(borrower: FfaBorrowerView, view: FfaView) -> Items:
    return [
        [],
        Item("borrower", who(borrower.endpoint, view), Ink.BLUE),
        Item("state", borrower.state),
        Item("offered", borrower.offered),
        Item("granted", borrower.granted or "-"),
        *_ranges(borrower.ranges, "its IPA"),
    ]


def _ranges(ranges: Iterable[tuple[int, int]], label: str) -> Items:
    """One item a range, its last byte included."""
    return [Item(label, f"{ipa:#x}-{ipa + pages * _PAGE - 1:#x} pages {pages}") for ipa, pages in ranges]


def endpoint_page(partition: FfaPartitionView, view: FfaView) -> Page:
    """An endpoint and its mailbox; what it takes part in aside."""
    main: Items = [
        Item("endpoint", f"{endpoint_name(partition.id)} ({partition.name})"),
        Item("uuid", partition.uuid),
        Item("vCPUs", str(partition.vcpus)),
        Item("version", version(partition)),
        Item("properties", ", ".join(partition.properties) or "none"),
    ]
    if partition.buffer_pages:
        pages = f"pages {partition.buffer_pages}"
        main += [Item("TX", f"{partition.tx:#x} {pages}"), Item("RX", f"{partition.rx:#x} {pages}")]
        main.append(Item("RX holds" if partition.rx_content else "RX is", mailbox(partition)))
    else:
        main.append(Item("buffers", "none are mapped"))
    aside = _shares_of(partition.id, view)
    for notification in view.notifications:
        if notification.endpoint == partition.id:
            aside += heading("notifications")
            aside += [item for part in notification_page(notification, view) for item in part]
    return Page(main, aside)


def _shares_of(endpoint: int, view: FfaView) -> Items:
    shares = [share for share in view.transactions if concerns(share, endpoint)]
    items = heading("shares" if shares else "no shares")
    for share in shares:
        role = "owner" if share.owner == endpoint else "borrower"
        items.append(Item(role, f"{share.kind} 0x{share.handle:x}"))
    return items


def version(partition: FfaPartitionView) -> str:
    """What was negotiated, or what holds without that."""
    if not partition.version:
        return "simulated: none"
    return partition.version if partition.negotiated else f"{partition.version}, never asked for"


def mailbox(partition: FfaPartitionView) -> str:
    """Who has the RX buffer, or what is in it: `free`, `message from 1, 48 bytes`."""
    if not partition.rx_owner:
        return "-"
    if not partition.rx_content:
        return {"producer": "free", "consumer": "the endpoint's"}.get(partition.rx_owner, f"the {partition.rx_owner}'s")
    sender = f" from {endpoint_name(partition.rx_sender)}" if partition.rx_sender else ""
    return f"{partition.rx_content}{sender}, {partition.rx_size} bytes"


def notification_page(notification: FfaNotificationView, view: FfaView) -> Page:
    """Who may signal, and every bound bit with what is pending aside."""
    raised = framework(notification.framework)
    main: Items = [
        Item("receiver", who(notification.endpoint, view)),
        Item("framework", raised or "nothing pending", Ink.AMBER if raised else Ink.TEXT),
    ]
    for bitmap in notification.bitmaps:
        main += [[], *matrix(bitmap)]
    main += [[], legend()]
    aside: Items = []
    for bitmap in notification.bitmaps:
        for sender, bound in bitmap.senders:
            aside += [[], Item("sender", who(sender, view), Ink.BLUE), *_bits(bitmap, bound)]
    return Page(main, aside)


def _bits(bitmap: FfaBitmapView, bound: int) -> Items:
    styles = {True: Ink.AMBER, False: Ink.TEXT}
    return [Item(f"bit {bit}", _bit(bitmap, bit), styles[_is_pending(bitmap, bit)]) for bit in bits(bound)]


def _is_pending(bitmap: FfaBitmapView, bit: int) -> bool:
    return any(mask >> bit & 1 for mask in (bitmap.pending, *bitmap.vcpu_pending))


def _bit(bitmap: FfaBitmapView, bit: int) -> str:
    kind = "per vCPU" if bitmap.per_vcpu >> bit & 1 else "global"
    vcpus = [str(vcpu) for vcpu, mask in enumerate(bitmap.vcpu_pending) if mask >> bit & 1]
    pending = ["pending"] if bitmap.pending >> bit & 1 else []
    pending += [f"pending for vCPU {', '.join(vcpus)}"] if vcpus else []
    return ", ".join([kind, *pending])


def framework(pending: int) -> str:
    """`RX full (hypervisor)`: framework notifications that are pending, "" for none."""
    known = {
        FrameworkNotification.SPM_RX_FULL: "RX full (SPM)",
        FrameworkNotification.HYPERVISOR_RX_FULL: "RX full (hypervisor)",
    }
    return ", ".join(words for flag, words in known.items() if pending & flag)


def bit_list(bitmap: int, per_vcpu: int = 0) -> str:
    """`0,3-5,7v`: bits that are set, runs put together, per-vCPU ones marked."""
    runs: list[tuple[int, int, bool]] = []
    for bit in bits(bitmap):
        marked = bool(per_vcpu >> bit & 1)
        if runs and runs[-1][1:] == (bit - 1, marked):
            runs[-1] = (runs[-1][0], bit, marked)
        else:
            runs.append((bit, bit, marked))
    return ",".join(
        f"{first}{f'-{last}' if last > first else ''}{'v' if marked else ''}" for first, last, marked in runs
    )
