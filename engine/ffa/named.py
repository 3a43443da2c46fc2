"""Which endpoints and which memory a call or an answer names, from registers and descriptors as events keep them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from engine.ffa import message, relinquish
from engine.ffa.abi import RETRIEVES, SENDS, Function, function, handle_of, receiver_of, sender_of
from engine.ffa.notification_info import unpack_info
from engine.ffa.outline import outline
from engine.ffa.version import Version

_PAIRS = frozenset(
    {
        *(Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_REQ_64, Function.MSG_SEND_DIRECT_REQ2),
        *(Function.MSG_SEND_DIRECT_RESP_32, Function.MSG_SEND_DIRECT_RESP_64, Function.MSG_SEND_DIRECT_RESP2),
        *(Function.NOTIFICATION_BIND, Function.NOTIFICATION_UNBIND, Function.NOTIFICATION_SET),
    }
)
"""Functions with two endpoints in w1."""
_TARGETS = frozenset({Function.RUN, Function.INTERRUPT, Function.MSG_WAIT, Function.YIELD})
"""Functions with an endpoint in w1[31:16] and one of its vCPUs below; zero where those are not arguments."""
_SINGLES = frozenset(
    {
        *(Function.NOTIFICATION_BITMAP_CREATE, Function.NOTIFICATION_BITMAP_DESTROY),
        *(Function.NOTIFICATION_GET, Function.RX_ACQUIRE),
    }
)
"""Functions with an endpoint in w1[15:0]."""
_INFO_GETS = (Function.NOTIFICATION_INFO_GET_32, Function.NOTIFICATION_INFO_GET_64)
_HANDLES = frozenset({Function.MEM_RECLAIM, Function.MEM_FRAG_RX, Function.MEM_FRAG_TX})
_UNSEEN = _HANDLES | RETRIEVES | frozenset({Function.MEM_RELINQUISH, *_INFO_GETS})
"""Functions of which only their memory or their answer tells whom they concern."""
_REGIONS = SENDS | RETRIEVES | {Function.MEM_FRAG_TX}


def may_name(endpoint: int, registers: Sequence[int], sent: bytes, version: Version) -> bool:
    """False where a call surely names another endpoint or none: a quick choice out of many calls."""
    if endpoint in (receiver_of(registers[1]), sender_of(registers[1])) or function(registers[0]) in _UNSEEN:
        return True
    return endpoint in in_descriptor(registers[0], sent, version) if sent else False


def in_registers(registers: Sequence[int]) -> frozenset[int]:
    """Endpoints that a call or an answer names, from x0 on."""
    known, word = function(registers[0]), registers[1]
    if known in _PAIRS:
        return frozenset((sender_of(word), receiver_of(word)))
    if known in _TARGETS and word:
        return frozenset((sender_of(word),))
    return frozenset((receiver_of(word),)) if known in _SINGLES else frozenset()


def in_answer(fid: int, registers: Sequence[int]) -> frozenset[int]:
    """Endpoints that the answer to a call with the id `fid` names; no registers, no endpoints."""
    if not registers or function(fid) is Function.VERSION:
        return frozenset()
    answer = function(registers[0])
    if function(fid) in _INFO_GETS and answer in (Function.SUCCESS_32, Function.SUCCESS_64):
        lists, _ = unpack_info(registers[2:8], answer is Function.SUCCESS_64)
        return frozenset(entry.endpoint for entry in lists)
    return in_registers(registers)


def in_descriptor(fid: int, sent: bytes, version: Version) -> frozenset[int]:
    """Endpoints named by what a call had in TX."""
    return frozenset(_described(function(fid), sent, version))


def _described(known: Function | None, sent: bytes, version: Version) -> Iterable[int]:
    if known is Function.MSG_SEND2 and len(sent) >= message.HEADER_1_1.size:
        ids = message.HEADER_1_1.unpack_from(sent)[3]
        return sender_of(ids), receiver_of(ids)
    if known is Function.MEM_RELINQUISH and len(sent) >= relinquish.HEADER.size:
        count = min(relinquish.HEADER.unpack_from(sent)[2], (len(sent) - relinquish.HEADER.size) // 2)
        return struct.unpack_from(f"<{count}H", sent, relinquish.HEADER.size)
    found = outline(sent, version) if known in _REGIONS else None
    return (found.sender, *(each.endpoint for each in found.receivers)) if found is not None else ()


def handle(registers: Sequence[int], result: Sequence[int], sent: bytes, version: Version) -> int | None:
    """The memory handle that a call names or that its answer gave out, None for neither."""
    known = function(registers[0])
    if known in _HANDLES:
        return handle_of(registers[1], registers[2])
    if known is Function.MEM_RELINQUISH and len(sent) >= relinquish.HEADER.size:
        return int(relinquish.HEADER.unpack_from(sent)[0])
    if known in RETRIEVES:
        found = outline(sent, version)
        return found.handle if found is not None else None
    return _given(result) if known in SENDS and result else None


def _given(result: Sequence[int]) -> int | None:
    """What a send got: its handle, with the last fragment or before."""
    known = function(result[0])
    if known is Function.MEM_FRAG_RX:
        return handle_of(result[1], result[2])
    return handle_of(result[2], result[3]) if known in (Function.SUCCESS_32, Function.SUCCESS_64) else None
