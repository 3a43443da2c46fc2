"""What a switch needs to know of Ethernet frames: addresses, VLAN tag and lengths (IEEE 802.3, 802.1Q).

A frame is the bytes from the destination address to the end of the data, without preamble and check sequence. Every
function takes any bytes at all; what a short frame lacks reads as nothing.
"""

from __future__ import annotations

ADDRESS_SIZE = 6
SHORTEST = 14
"""Bytes of the two addresses and the type: nothing shorter is a frame. Short data is not padded to 60 bytes."""
LONGEST = 1514
TAG_SIZE = 4
LONGEST_TAGGED = LONGEST + TAG_SIZE
UNTAGGED = 0
"""VLAN id of a frame with no tag, or with one that gives only a priority (802.1Q 9.6)."""
BROADCAST = b"\xff" * ADDRESS_SIZE

_GROUP = 1
_TAG_TYPE = b"\x81\x00"
_TYPE_AT = 2 * ADDRESS_SIZE
_VLAN_ID = 0xFFF


def destination(frame: bytes) -> bytes:
    return frame[:ADDRESS_SIZE]


def source(frame: bytes) -> bytes:
    return frame[ADDRESS_SIZE:_TYPE_AT]


def is_group(address: bytes) -> bool:
    """Whether it is a multicast address or the broadcast address, and so nobody's own."""
    return bool(address[:1]) and bool(address[0] & _GROUP)


def is_tagged(frame: bytes) -> bool:
    """Whether a whole customer VLAN tag follows the addresses."""
    return len(frame) >= SHORTEST + TAG_SIZE and frame[_TYPE_AT:SHORTEST] == _TAG_TYPE


def vlan(frame: bytes) -> int:
    """VLAN id, 0 to 4095; UNTAGGED for a frame that is in none."""
    if not is_tagged(frame):
        return UNTAGGED
    return int.from_bytes(frame[SHORTEST : SHORTEST + 2], "big") & _VLAN_ID


def is_runt(frame: bytes) -> bool:
    return len(frame) < SHORTEST


def is_oversize(frame: bytes) -> bool:
    return len(frame) > (LONGEST_TAGGED if is_tagged(frame) else LONGEST)


def text(address: bytes) -> str:
    """In the usual notation, `52:54:00:00:00:01`."""
    return address.hex(":")
