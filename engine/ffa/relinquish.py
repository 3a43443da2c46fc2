"""The descriptor of MEM_RELINQUISH (DEN0140 v1.2, 2.6; table 16.25 of DEN0077A v1.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from engine.ffa.descriptors import MAX_RECEIVERS
from engine.ffa.ranges import refuse

HEADER = struct.Struct("<QII")
"""Handle, flags, endpoint count; endpoint ids of 16 bits follow."""
LONGEST = HEADER.size + 2 * MAX_RECEIVERS
"""Bytes of the longest descriptor that is accepted."""


@dataclass(frozen=True, slots=True)
class Relinquish:
    """Who gives back access to what."""

    handle: int
    endpoints: tuple[int, ...]
    flags: int = 0

    def pack(self) -> bytes:
        """The descriptor as a borrower writes it to its TX buffer."""
        head = HEADER.pack(self.handle, self.flags, len(self.endpoints))
        return head + struct.pack(f"<{len(self.endpoints)}H", *self.endpoints)


def parse_relinquish(data: bytes, max_endpoints: int = MAX_RECEIVERS) -> Relinquish:
    """The descriptor at the start of a TX buffer; bytes after it do not matter. Raises DescriptorError."""
    if len(data) < HEADER.size:
        raise refuse(f"{len(data)} bytes are too short for the header")
    handle, flags, count = HEADER.unpack_from(data)
    if not 0 < count <= max_endpoints or HEADER.size + 2 * count > len(data):
        raise refuse(f"{count} endpoints in {len(data)} bytes")
    return Relinquish(handle, struct.unpack_from(f"<{count}H", data, HEADER.size), flags)
