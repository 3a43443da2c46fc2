"""Shares and FF-A calls in full, for the details dialog."""

from __future__ import annotations

from collections.abc import Iterable

from engine.events import FfaCall
from engine.ffa.log import endpoint_name
from engine.views import FfaBorrowerView, FfaTransactionView, FfaView
from hvtui import text
from hvtui.ffa_calls import Call

_PAGE = 4096


def share_details(share: FfaTransactionView, view: FfaView) -> str:
    """Every field of a memory transaction."""
    lines = [
        f"handle      {share.handle:#018x}",
        f"tag         {share.tag:#x}",
        f"kind        {share.kind}",
        f"owner       {who(share.owner, view)}",
        f"attributes  {share.attributes}",
        f"pages       {share.pages} ({share.pages * _PAGE:#x} bytes)",
        *_ranges(share.ranges, "owner IPA   "),
    ]
    for borrower in share.borrowers:
        lines += ["", *_borrower(borrower, view)]
    return "\n".join(lines)


def call_details(call: Call, view: FfaView, nanoseconds: int) -> str:
    """A call, its answer, and the share that it made or names if that still exists."""
    event = call.event
    lines = [
        f"time      {text.seconds(nanoseconds).strip()} s, cycle {event.cycle}",
        f"caller    {who(event.endpoint, view)}, vCPU {event.vcpu}",
        f"function  {event.function if isinstance(event, FfaCall) else 'not kept'}",
        f"call      {call.text}",
        f"answer    {call.result}",
    ]
    if call.answer is not None:
        lines.append(f"came at   cycle {call.answer.cycle}, {call.answer.cycle - event.cycle} cycles later")
    return "\n".join([*lines, *_share_of(call, view)])


def who(endpoint: int, view: FfaView) -> str:
    """`1 (vm0)`."""
    names = [partition.name for partition in view.partitions if partition.id == endpoint]
    return f"{endpoint_name(endpoint)} ({names[0]})" if names else endpoint_name(endpoint)


def _share_of(call: Call, view: FfaView) -> list[str]:
    handle = call.handle
    if handle is None:
        return []
    for share in view.transactions:
        if share.handle == handle:
            return ["", "The share as it is now:", "", share_details(share, view)]
    return ["", f"The share {handle:#x} does not exist any more."]


def _borrower(borrower: FfaBorrowerView, view: FfaView) -> list[str]:
    return [
        f"borrower    {who(borrower.endpoint, view)}",
        f"state       {borrower.state}",
        f"offered     {borrower.offered}",
        f"granted     {borrower.granted or '-'}",
        *_ranges(borrower.ranges, "its IPA     "),
    ]


def _ranges(ranges: Iterable[tuple[int, int]], label: str) -> list[str]:
    """One line a range, its last byte included."""
    return [f"{label}{ipa:#x}-{ipa + pages * _PAGE - 1:#x}, pages: {pages}" for ipa, pages in ranges]
