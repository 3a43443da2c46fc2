"""Feature bits and frame header of a network device (virtio 1.2, 5.1.3 and 5.1.6)."""

from __future__ import annotations

import enum
import struct

HEADER = struct.Struct("<BBHHHHH")
"""struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers."""


class NetFeature(enum.IntFlag):
    """Feature bits (5.1.3)."""

    MAC = 1 << 5
    MRG_RXBUF = 1 << 15
    STATUS = 1 << 16
    CTRL_VQ = 1 << 17
    CTRL_RX = 1 << 18
    CTRL_RX_EXTRA = 1 << 20
    CTRL_MAC_ADDR = 1 << 23


def header(buffers: int) -> bytes:
    """In front of a received frame that fills so many buffers; nothing is offloaded."""
    return HEADER.pack(0, 0, 0, 0, 0, 0, buffers)
