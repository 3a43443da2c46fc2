"""What waits for one guest's buffers: bounded, by who caused it."""

from __future__ import annotations

from collections import Counter, deque

from engine.board.virtio.vsock_packet import Connection, Header, Op, Packet

ALLOWANCE = 1 << 20
"""Bytes that one VM may have waiting at another. Credit keeps ordinary streams far below: theirs are 256 KiB."""
RESERVE = 1 << 20
"""More of it for resets, which must not be lost because data filled the allowance."""
_OVERHEAD = 128
"""Bytes that any packet counts for."""


class Inbox:
    """Packets in order, of which the first may have been delivered in part."""

    def __init__(self) -> None:
        self._packets: deque[tuple[Packet, int]] = deque()
        """Each with the CID of who caused it."""
        self._used: Counter[int] = Counter()
        self._begun = 0
        """Bytes of the first packet that were delivered."""

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def size(self) -> int:
        """Bytes of payload that wait."""
        return sum(len(packet.payload) for packet, _ in self._packets) - self._begun

    def clear(self) -> None:
        self._packets.clear()
        self._used.clear()
        self._begun = 0

    def put(self, packet: Packet, cause: int) -> bool:
        """Append a packet on the account of a CID; False where that has too much waiting."""
        cost = _OVERHEAD + len(packet.payload)
        allowed = ALLOWANCE + (RESERVE if packet.header.op == Op.RST else 0)
        if self._used[cause] + cost > allowed:
            return False
        self._used[cause] += cost
        self._packets.append((packet, cause))
        return True

    def take(self, room: int) -> tuple[Header, bytes]:
        """The next packet, or as much of its payload as there is room for: the header says how much. Not empty."""
        packet, _ = self._packets[0]
        part = packet.payload[self._begun : self._begun + room]
        self._begun += len(part)
        if self._begun == len(packet.payload):
            self._account(*self._packets.popleft())
            self._begun = 0
        return packet.header._replace(length=len(part)), part

    def forget(self, connection: Connection) -> None:
        """Drop what waits of a connection."""
        kept: deque[tuple[Packet, int]] = deque()
        for place, (packet, cause) in enumerate(self._packets):
            if packet.header.connection != connection:
                kept.append((packet, cause))
                continue
            self._account(packet, cause)
            if place == 0:
                self._begun = 0
        self._packets = kept

    def _account(self, packet: Packet, cause: int) -> None:
        self._used[cause] -= _OVERHEAD + len(packet.payload)
