"""One line of text for the registers of a call or an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias
from uuid import UUID

from engine.ffa.abi import (
    FRAMEWORK_MESSAGE,
    FeatureId,
    FrameworkMessage,
    Function,
    function,
    handle_of,
    name,
    receiver_of,
    sender_of,
)
from engine.ffa.errors import code_name
from engine.ffa.notifications import bitmap_of
from engine.ffa.partition_info import uuid_from_registers, uuid_from_words
from engine.ffa.registers import WIDE, arguments
from engine.ffa.version import parse_version

_Args: TypeAlias = Sequence[int]
_Decoder: TypeAlias = Callable[[_Args], str]


def describe(registers: Sequence[int]) -> str:
    """`MEM_SHARE_32 total 96 fragment 96`: a call, or an answer that is a function id, from x0 on.

    Takes 8 or 18 registers. An id that v1.2 does not define is shown with x1-x3.
    """
    args = arguments(padded(registers))
    known = function(args[0])
    if known is None:
        return f"{name(args[0])} {_payload(args[1:4])}".rstrip()
    decoder = _DECODERS.get(known)
    return known.name if decoder is None else f"{known.name} {decoder(args)}".rstrip()


def padded(registers: Sequence[int]) -> tuple[int, ...]:
    """x0-x17, zeros where registers are not known."""
    return (*registers, *(0,) * (WIDE - len(registers)))


def endpoint_name(endpoint: int) -> str:
    """Small ids in decimal, the others in hexadecimal."""
    return str(endpoint) if endpoint < 10 else f"0x{endpoint:04x}"


def _payload(words: Sequence[int]) -> str:
    """Words in hexadecimal, without the zeros at the end."""
    last = max((index for index, word in enumerate(words) if word), default=-1)
    return " ".join(f"0x{word:x}" for word in words[: last + 1])


def _pair(args: _Args) -> str:
    return f"{endpoint_name(sender_of(args[1]))} -> {endpoint_name(receiver_of(args[1]))}"


def _target(args: _Args) -> str:
    return f"{endpoint_name(sender_of(args[1]))} vCPU {receiver_of(args[1])}"


def _handle(args: _Args) -> str:
    return f"handle 0x{handle_of(args[1], args[2]):x}"


def _direct(args: _Args) -> str:
    if args[2] & FRAMEWORK_MESSAGE:
        number = args[2] & 0xFF
        kinds = {int(kind): kind.name for kind in FrameworkMessage}
        return f"{_pair(args)} framework {kinds.get(number, number)} {_payload(args[3:8])}"
    return f"{_pair(args)} {_payload(args[3:8])}"


def _direct2(args: _Args) -> str:
    return f"{_pair(args)} {_uuid(uuid_from_registers(args[2], args[3]))}{_payload(args[4:18])}"


def _uuid(uuid: UUID) -> str:
    """Nothing for the one that says nothing."""
    return f"{uuid} " if uuid.int else ""


def _response2(args: _Args) -> str:
    return f"{_pair(args)} {_payload(args[4:18])}"


def _lengths(args: _Args) -> str:
    return f"total {args[1]} fragment {args[2]}"


def _version(args: _Args) -> str:
    version = parse_version(args[1] & 0xFFFF_FFFF)
    return f"0x{args[1]:x}" if version is None else str(version)


def _features(args: _Args) -> str:
    features = {int(feature): feature.name for feature in FeatureId}
    return features.get(args[1], name(args[1]))


def _bitmap(args: _Args) -> str:
    bound = "per-vCPU " if args[2] & 1 else ""
    return f"{_pair(args)} {bound}0x{bitmap_of(args[3], args[4]):x}"


def _set(args: _Args) -> str:
    vcpu = f" vCPU {sender_of(args[2])}" if args[2] & 1 else ""
    return f"{_pair(args)}{vcpu} 0x{bitmap_of(args[3], args[4]):x}"


def _get(args: _Args) -> str:
    return f"{endpoint_name(receiver_of(args[1]))} vCPU {sender_of(args[1])} flags 0x{args[2]:x}"


_DECODERS: dict[Function, _Decoder] = {
    Function.ERROR: lambda a: code_name(a[2]),
    Function.SUCCESS_32: lambda a: _payload(a[2:8]),
    Function.SUCCESS_64: lambda a: _payload(a[2:8]),
    Function.INTERRUPT: lambda a: f"{_target(a)} INTID {a[2]}",
    Function.VERSION: _version,
    Function.FEATURES: _features,
    Function.RXTX_MAP_32: lambda a: f"TX 0x{a[1]:x} RX 0x{a[2]:x} pages {a[3] & 0x3F}",
    Function.RXTX_MAP_64: lambda a: f"TX 0x{a[1]:x} RX 0x{a[2]:x} pages {a[3] & 0x3F}",
    Function.PARTITION_INFO_GET: lambda a: f"{_uuid(uuid_from_words(a[1:5]))}{'count only' if a[5] & 1 else ''}",
    Function.PARTITION_INFO_GET_REGS: lambda a: f"{_uuid(uuid_from_registers(a[1], a[2]))}index {a[3] & 0xFFFF}",
    Function.RUN: _target,
    Function.MSG_SEND_DIRECT_REQ_32: _direct,
    Function.MSG_SEND_DIRECT_REQ_64: _direct,
    Function.MSG_SEND_DIRECT_RESP_32: _direct,
    Function.MSG_SEND_DIRECT_RESP_64: _direct,
    Function.MSG_SEND_DIRECT_REQ2: _direct2,
    Function.MSG_SEND_DIRECT_RESP2: _response2,
    Function.MEM_DONATE_32: _lengths,
    Function.MEM_DONATE_64: _lengths,
    Function.MEM_LEND_32: _lengths,
    Function.MEM_LEND_64: _lengths,
    Function.MEM_SHARE_32: _lengths,
    Function.MEM_SHARE_64: _lengths,
    Function.MEM_RETRIEVE_REQ_32: _lengths,
    Function.MEM_RETRIEVE_REQ_64: _lengths,
    Function.MEM_RETRIEVE_RESP: _lengths,
    Function.MEM_RECLAIM: lambda a: f"{_handle(a)}{' zero' if a[3] & 1 else ''}",
    Function.MEM_FRAG_RX: lambda a: f"{_handle(a)} offset {a[3]}",
    Function.MEM_FRAG_TX: lambda a: f"{_handle(a)} fragment {a[3]}",
    Function.NOTIFICATION_BITMAP_CREATE: lambda a: f"{endpoint_name(receiver_of(a[1]))} vCPUs {a[2]}",
    Function.NOTIFICATION_BITMAP_DESTROY: lambda a: endpoint_name(receiver_of(a[1])),
    Function.NOTIFICATION_BIND: _bitmap,
    Function.NOTIFICATION_UNBIND: _bitmap,
    Function.NOTIFICATION_SET: _set,
    Function.NOTIFICATION_GET: _get,
    Function.RX_ACQUIRE: lambda a: endpoint_name(receiver_of(a[1])),
    Function.CONSOLE_LOG_32: lambda a: f"{a[1]} characters",
    Function.CONSOLE_LOG_64: lambda a: f"{a[1]} characters",
}
