"""What joins the socket devices of a machine: it carries packets, and knows which connections there are.

A guest hears from another only within a connection that one of them asked for. Whatever else it sends is answered
with a reset, as is anything for a guest that does not run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Protocol

from engine.board.virtio.vsock_packet import STREAM, Address, Connection, Header, Op, Packet, reset

MOST_CONNECTIONS = 1024
"""That one guest has asked for at a time."""


class Endpoint(Protocol):
    """One guest's socket device, as the hub sees it."""

    @property
    def cid(self) -> int: ...

    @property
    def ready(self) -> bool:
        """Whether its driver takes packets."""

    def give(self, packet: Packet, cause: int) -> bool:
        """Deliver, now or when there are buffers, on the account of a CID; False where that has too much waiting."""

    def forget(self, connection: Connection) -> None:
        """Drop what waits of a connection."""


class VsockHub:
    """The socket devices of one machine by CID."""

    def __init__(self) -> None:
        self._endpoints: dict[int, Endpoint] = {}
        self._asked_by: dict[Connection, int] = {}
        """Connections, the oldest first, with the CID of who asked for each."""
        self._unanswered: defaultdict[int, dict[Connection, None]] = defaultdict(dict)
        """By who asked, the oldest first."""
        self._asked: Counter[int] = Counter()

    def attach(self, endpoint: Endpoint) -> None:
        """Plug a device in; no two have the same CID."""
        self._endpoints[endpoint.cid] = endpoint

    def connections(self, cid: int) -> list[Connection]:
        """Those that a guest is an end of, the oldest first."""
        return [each for each in self._asked_by if cid in (each.low.cid, each.high.cid)]

    def carry(self, packet: Packet) -> None:
        """A guest sent a sound packet; its device made sure that it comes from there."""
        header = packet.header
        target = self._endpoints.get(header.destination_cid)
        known = header.connection in self._asked_by
        if header.op == Op.RST:
            if known:
                self._end(header.connection)
                self._reset(header.source, header.destination, header.source_cid)
        elif target is None or not target.ready or not (known or self._may_ask(header)):
            self.refuse(header)
        else:
            self._pass(target, packet, known)

    def _pass(self, target: Endpoint, packet: Packet, known: bool) -> None:
        header = packet.header
        if not known:
            self._begin(header)
        elif header.op == Op.RESPONSE:
            self._unanswered[self._asked_by[header.connection]].pop(header.connection, None)
        if target.give(packet, header.source_cid):
            return
        if known:
            target.forget(header.connection)
        else:
            self._end(header.connection)  # nobody but its sender ever hears of it
        self.refuse(header)

    def refuse(self, header: Header) -> None:
        """Answer what a guest sent with a reset, which ends the connection that it belongs to for both."""
        if header.connection in self._asked_by:
            self._end(header.connection)
            self._reset(header.source, header.destination, header.source_cid)
        if header.op != Op.RST:
            self._reset(header.destination, header.source, header.source_cid, header.type)

    def gone(self, cid: int) -> None:
        """A guest has forgotten its connections: it stopped, or starts over."""
        ended = self.connections(cid)
        for connection in ended:
            self._end(connection)
        for low, high in ended:
            source, destination = (low, high) if low.cid == cid else (high, low)
            if destination.cid != cid:
                self._reset(source, destination, cid)

    def _may_ask(self, header: Header) -> bool:
        return header.op == Op.REQUEST and (
            self._asked[header.source_cid] < MOST_CONNECTIONS or self._give_up(header.source_cid)
        )

    def _give_up(self, cid: int) -> bool:
        """End the oldest connection that a guest asked for in vain; False if there is none."""
        oldest = next(iter(self._unanswered[cid]), None)
        if oldest is None:
            return False
        self._end(oldest)
        self._reset(oldest.low, oldest.high, cid)
        self._reset(oldest.high, oldest.low, cid)
        return True

    def _begin(self, header: Header) -> None:
        self._asked_by[header.connection] = header.source_cid
        self._asked[header.source_cid] += 1
        self._unanswered[header.source_cid][header.connection] = None

    def _end(self, connection: Connection) -> None:
        asker = self._asked_by.pop(connection)
        self._asked[asker] -= 1
        self._unanswered[asker].pop(connection, None)

    def _reset(self, source: Address, destination: Address, cause: int, kind: int = STREAM) -> None:
        target = self._endpoints.get(destination.cid)
        if target is not None and target.ready:
            # One that finds no room is lost: its guest learns the same when it next says something.
            target.give(reset(source, destination, kind), cause)
