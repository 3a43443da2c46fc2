"""The Endpoint RX/TX descriptor, by which a hypervisor registers a VM's buffers with the SPMC (DEN0077A v1.2, 13.4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from engine.ffa.ranges import Composite, overlap, parse_composite, refuse

HEADER = struct.Struct("<HHII")
"""Endpoint id, reserved, offset of the RX region, offset of the TX region."""
_FIRST = 16
"""Where regions begin here: composites are aligned to 8 bytes or more."""


@dataclass(frozen=True, slots=True)
class EndpointBuffers:
    """Where the buffers of an endpoint lie; physical addresses."""

    endpoint: int
    rx: Composite
    tx: Composite

    def pack(self) -> bytes:
        """The descriptor as a hypervisor writes it to its TX buffer."""
        head = HEADER.pack(self.endpoint, 0, _FIRST, _FIRST + self.rx.size)
        return head.ljust(_FIRST, b"\0") + self.rx.pack() + self.tx.pack()


def parse_endpoint_buffers(data: bytes) -> EndpointBuffers:
    """The descriptor at the start of a TX buffer; bytes after it do not matter.

    Raises DescriptorError with INVALID_PARAMETERS where a region overlaps the header, leaves `data` or is malformed,
    where both share a page, or where they differ in size.
    """
    if len(data) < HEADER.size:
        raise refuse(f"{len(data)} bytes are too short for the header")
    endpoint, reserved, rx_at, tx_at = HEADER.unpack_from(data)
    if reserved:
        raise refuse("reserved field of the endpoint descriptor is not zero")
    if min(rx_at, tx_at) < HEADER.size:
        raise refuse(f"regions at {rx_at} and {tx_at} overlap the header")
    found = EndpointBuffers(endpoint, parse_composite(data, rx_at), parse_composite(data, tx_at))
    if found.rx.pages != found.tx.pages:
        raise refuse(f"RX of {found.rx.pages} pages, TX of {found.tx.pages}")
    shared = overlap(found.rx.ranges, found.tx.ranges)
    if shared is not None:
        raise refuse(f"{shared} is in both buffers")
    return found
