"""The header of an indirect message, at the start of TX and RX buffers (DEN0077A v1.2: table Partition message header).

v1.1 has 20 bytes; v1.2 adds a reserved word and the UUID of the protocol, 40 bytes in all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from engine.ffa.abi import id_pair, receiver_of, sender_of
from engine.ffa.errors import Code, DescriptorError
from engine.ffa.ranges import refuse
from engine.ffa.version import V1_1, V1_2, Version

HEADER_1_1 = struct.Struct("<IIIII")
"""Flags, reserved, payload offset, sender and receiver, payload size."""
HEADER_1_2 = struct.Struct("<IIIIII16s")
"""As v1.1, reserved, UUID."""
NIL = UUID(int=0)
SHOWN = HEADER_1_2.size + 64
"""Bytes of a buffer that events keep of a message: the header, and what begins the payload."""


@dataclass(frozen=True, slots=True)
class Message:
    """An indirect message."""

    sender: int
    receiver: int
    payload: bytes
    uuid: UUID = NIL
    """The protocol the payload speaks; nil says nothing."""
    flags: int = 0
    """Must be zero up to v1.2."""

    def size(self, version: Version) -> int:
        """Bytes the message needs in an RX buffer of an endpoint of `version`."""
        return _header(version).size + len(self.payload)


def _header(version: Version) -> struct.Struct:
    if version < V1_1:
        raise DescriptorError(Code.NOT_SUPPORTED, "indirect messages came with v1.1")
    return HEADER_1_2 if version >= V1_2 else HEADER_1_1


def pack_message(message: Message, version: Version) -> bytes:
    """Header and payload for an endpoint of `version`, the payload right after the header.

    Raises DescriptorError with NOT_SUPPORTED for v1.0.
    """
    header = _header(version)
    common = (message.flags, 0, header.size, id_pair(message.sender, message.receiver), len(message.payload))
    head = header.pack(*common, 0, message.uuid.bytes) if header is HEADER_1_2 else header.pack(*common)
    return head + message.payload


def parse_message(buffer: bytes, version: Version) -> Message:
    """The message in a TX buffer of an endpoint of `version`.

    INVALID_PARAMETERS when flags are set, the payload is empty, overlaps the header or leaves the buffer; NOT_SUPPORTED
    for v1.0. Both arrive as DescriptorError. The reserved words are SBZ and ignored.
    """
    header = _header(version)
    if len(buffer) < header.size:
        raise refuse(f"{len(buffer)} bytes are too short for the header")
    flags, _, offset, ids, size = HEADER_1_1.unpack_from(buffer)
    if flags:
        raise refuse(f"flags 0x{flags:x}")
    if offset < header.size or size == 0 or offset + size > len(buffer):
        raise refuse(f"payload of {size} bytes at {offset} in {len(buffer)} bytes")
    uuid = UUID(bytes=HEADER_1_2.unpack_from(buffer)[6]) if header is HEADER_1_2 else NIL
    return Message(sender_of(ids), receiver_of(ids), buffer[offset : offset + size], uuid, flags)
