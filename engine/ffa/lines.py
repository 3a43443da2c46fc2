"""One line of text for a call or its answer as events keep them: what registers and descriptors say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.ffa.abi import RETRIEVES, SENDS, Function, function, handle_of, receiver_of, sender_of
from engine.ffa.log import describe, endpoint_name, padded
from engine.ffa.message import HEADER_1_1 as MESSAGE_HEADER
from engine.ffa.notification_info import IdList, unpack_info
from engine.ffa.notifications import bitmap_of
from engine.ffa.outline import outline
from engine.ffa.relinquish import HEADER as RELINQUISH_HEADER
from engine.ffa.version import NOT_SUPPORTED_WORD, Version, parse_version

_FEW = 4
"""Receivers that a line names."""
_REGIONS = SENDS | RETRIEVES | {Function.MEM_FRAG_TX}


def describe_call(registers: Sequence[int], sent: bytes, version: Version) -> str:
    """`MEM_SHARE_32 1 -> 2, 3 pages 2`: as `describe`, with what the caller had in TX where that says more."""
    known = function(registers[0])
    summary = _sent(known, sent, version) if known is not None else ""
    if known is None or not summary:
        return describe(registers)
    return f"{describe(registers) if known is Function.MEM_FRAG_TX else known.name} {summary}"


def describe_answer(fid: int, registers: Sequence[int]) -> str:
    """`SUCCESS_32 handle 0x8000000000000001`: the answer to a call with the id `fid`, from x0 on."""
    asked = function(fid)
    if asked is Function.VERSION:
        return _version(registers[0])
    known = function(registers[0])
    decoder = _ANSWERS.get(asked) if asked is not None else None
    if decoder is None or known not in (Function.SUCCESS_32, Function.SUCCESS_64):
        return describe(registers)
    return f"{known.name} {decoder(padded(registers))}".rstrip()


def is_refused(fid: int, registers: Sequence[int]) -> bool:
    """Whether an answer to a call with the id `fid` is FFA_ERROR, or what FFA_VERSION has instead."""
    if function(fid) is Function.VERSION:
        return registers[0] == NOT_SUPPORTED_WORD
    return function(registers[0]) is Function.ERROR


def _sent(known: Function, data: bytes, version: Version) -> str:
    """What a descriptor says in a few words, "" for none."""
    if known is Function.MSG_SEND2 and len(data) >= MESSAGE_HEADER.size:
        _, _, _, ids, size = MESSAGE_HEADER.unpack_from(data)
        return f"{endpoint_name(sender_of(ids))} -> {endpoint_name(receiver_of(ids))} bytes {size}"
    if known is Function.MEM_RELINQUISH and len(data) >= RELINQUISH_HEADER.size:
        return f"handle 0x{RELINQUISH_HEADER.unpack_from(data)[0]:x}"
    return _region(data, version) if known in _REGIONS else ""


def _region(data: bytes, version: Version) -> str:
    """A retrieve request has a handle, a send has none yet."""
    found = outline(data, version)
    if found is None:
        return ""
    if found.handle:
        return f"handle 0x{found.handle:x} of {endpoint_name(found.sender)}"
    receivers = ", ".join(endpoint_name(each.endpoint) for each in found.receivers[:_FEW])
    more = ", …" if found.count > _FEW else ""
    pages = f" pages {found.regions[0].pages}" if found.regions else ""
    return f"{endpoint_name(found.sender)} -> {receivers}{more}{pages}"


def _version(word: int) -> str:
    agreed = parse_version(word)
    return "NOT_SUPPORTED" if agreed is None else str(agreed)


def _handle(x: Sequence[int]) -> str:
    return f"handle 0x{handle_of(x[2], x[3]):x}"


def _infos(x: Sequence[int]) -> str:
    return f"partitions {x[2]}{f' of {x[3]} bytes' if x[3] else ''}"


def _infos_regs(x: Sequence[int]) -> str:
    return f"index {x[2] >> 16 & 0xFFFF} of {x[2] & 0xFFFF}, {x[2] >> 48} bytes each"


def _taken(x: Sequence[int]) -> str:
    bitmaps = (("SP", 2), ("VM", 4), ("framework", 6))
    words = [f"{source} 0x{bitmap_of(*x[n : n + 2]):x}" for source, n in bitmaps if any(x[n : n + 2])]
    return " ".join(words) or "nothing"


def _news(x: Sequence[int]) -> str:
    lists, more = unpack_info(x[2:8], function(x[0]) is Function.SUCCESS_64)
    return "; ".join(map(_id_list, lists)) + (" and more" if more else "")


def _id_list(entry: IdList) -> str:
    return endpoint_name(entry.endpoint) + "".join(f" vCPU {vcpu}" for vcpu in entry.vcpus)


_ANSWERS: dict[Function, Callable[[Sequence[int]], str]] = {
    **dict.fromkeys((*SENDS, Function.MEM_FRAG_TX), _handle),
    Function.ID_GET: lambda x: endpoint_name(x[2]),
    Function.SPM_ID_GET: lambda x: endpoint_name(x[2]),
    Function.PARTITION_INFO_GET: _infos,
    Function.PARTITION_INFO_GET_REGS: _infos_regs,
    Function.NOTIFICATION_GET: _taken,
    Function.NOTIFICATION_INFO_GET_32: _news,
    Function.NOTIFICATION_INFO_GET_64: _news,
}
"""What FFA_SUCCESS says, by the call that it answers."""
