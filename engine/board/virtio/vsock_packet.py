"""Packets of virtio sockets (virtio 1.2, 5.10.6)."""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

STREAM = 1
"""Type of the sockets that exist here."""
HEADER_SIZE = 44
LARGEST_PAYLOAD = 64 * 1024
"""Bytes of one packet."""
_HEADER = struct.Struct("<QQIIIHHIII")


class Op(enum.IntEnum):
    """What a packet is about (5.10.6)."""

    REQUEST = 1
    RESPONSE = 2
    RST = 3
    SHUTDOWN = 4
    RW = 5
    CREDIT_UPDATE = 6
    CREDIT_REQUEST = 7


_OPS = frozenset(Op)


class Address(NamedTuple):
    """One end of a connection."""

    cid: int
    port: int


class Connection(NamedTuple):
    """Both ends of a connection, the same whichever of them sends."""

    low: Address
    high: Address


class Header(NamedTuple):
    """struct virtio_vsock_hdr."""

    source_cid: int
    destination_cid: int
    source_port: int
    destination_port: int
    length: int
    type: int
    op: int
    flags: int
    buf_alloc: int
    """Bytes that the sender has room for, and how many it has taken out: what its peer may still send."""
    fwd_cnt: int

    @classmethod
    def parse(cls, data: bytes) -> Header:
        return cls(*_HEADER.unpack(data))

    def pack(self) -> bytes:
        return _HEADER.pack(*self)

    @property
    def source(self) -> Address:
        return Address(self.source_cid, self.source_port)

    @property
    def destination(self) -> Address:
        return Address(self.destination_cid, self.destination_port)

    @property
    def connection(self) -> Connection:
        return Connection(*sorted((self.source, self.destination)))

    @property
    def sound(self) -> bool:
        """Whether it is a packet of a stream that says what it is for."""
        longest = LARGEST_PAYLOAD if self.op == Op.RW else 0
        return self.type == STREAM and self.op in _OPS and self.length <= longest


class Packet(NamedTuple):
    """Something on its way, with a copy of its payload."""

    header: Header
    payload: bytes = b""


def reset(source: Address, destination: Address, kind: int = STREAM) -> Packet:
    """The end of a connection, or the answer to what belongs to none."""
    return Packet(Header(source.cid, destination.cid, source.port, destination.port, 0, kind, Op.RST, 0, 0, 0))
