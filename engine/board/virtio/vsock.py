"""The virtio socket device (virtio 1.2, 5.10)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.board.virtio.device import VirtioDevice
from engine.board.virtio.guest_memory import DmaError, gather, scatter
from engine.board.virtio.queue import Chain, Queue, RingError
from engine.board.virtio.vsock_hub import VsockHub
from engine.board.virtio.vsock_inbox import Inbox
from engine.board.virtio.vsock_packet import HEADER_SIZE, Connection, Header, Op, Packet

RECEIVE, TRANSMIT, EVENT = 0, 1, 2
"""Queues, as the driver sees them (5.10.2)."""
TRANSPORT_RESET = struct.pack("<I", 0)
"""The one event there is (5.10.6.7)."""


class VsockFeature(enum.IntFlag):
    """Feature bits (5.10.3)."""

    STREAM = 1 << 0
    SEQPACKET = 1 << 1


class VsockCounts(NamedTuple):
    """What a device has carried."""

    sent: int = 0
    """Packets of the guest."""
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    resets: int = 0
    """Of those received."""
    refused: int = 0
    """Packets of the guest that were none of its own, or none at all."""


class VirtioVsock(VirtioDevice):
    """One guest's way to the others."""

    device_id = 19
    queue_sizes = (128, 128, 16)
    features = int(VsockFeature.STREAM)

    def __init__(self, cid: int, hub: VsockHub) -> None:
        super().__init__("virtio-vsock")
        self.cid = cid
        self.counts = VsockCounts()
        self._hub = hub
        self._inbox = Inbox()
        self._was_reset = False
        """The driver has not been told yet that connections of before are gone."""
        hub.attach(self)

    def facts(self) -> Mapping[str, int | str]:
        counts = self.counts
        return {
            "cid": self.cid,
            "connections": len(self._hub.connections(self.cid)),
            "packets sent": counts.sent,
            "bytes sent": counts.sent_bytes,
            "packets received": counts.received,
            "bytes received": counts.received_bytes,
            "resets": counts.resets,
            "refused": counts.refused,
            "bytes waiting": self._inbox.size,
        }

    def config(self) -> bytes:
        """struct virtio_vsock_config (5.10.4)."""
        return struct.pack("<Q", self.cid)

    def reset(self) -> None:
        """The guest keeps its CID: its next driver hears that what was before is over (5.10.6.7)."""
        self._was_reset |= bool(self.negotiated)
        super().reset()
        self.stopped()

    def stopped(self) -> None:
        self._inbox.clear()
        self._hub.gone(self.cid)

    def notified(self, index: int) -> None:
        self._careful({RECEIVE: self._deliver, TRANSMIT: self._send, EVENT: self._tell}[index])

    def _careful(self, action: Callable[[], None]) -> None:
        """A device that breaks has no connections any more."""
        try:
            action()
        except (RingError, DmaError):
            self._inbox.clear()
            self._hub.gone(self.cid)
            raise

    # --- from the guest ------------------------------------------------------------------------------

    def _send(self) -> None:
        # What a packet leads to may break this device, too: the queue is asked for each time.
        while (queue := self.host.queue(TRANSMIT)) is not None and (chain := queue.take()) is not None:
            self._transmit(queue, chain)
            queue.put(chain, 0)
        self.host.used(TRANSMIT)

    def _transmit(self, queue: Queue, chain: Chain) -> None:
        if chain.length < HEADER_SIZE:
            raise RingError("a packet without a header")
        header = Header.parse(gather(queue.memory, chain.readable, 0, HEADER_SIZE))
        if header.source_cid != self.cid:
            self._count(refused=1)
        elif not header.sound or header.length > chain.length - HEADER_SIZE:
            self._count(refused=1)
            self._hub.refuse(header)
        else:
            payload = gather(queue.memory, chain.readable, HEADER_SIZE, header.length)
            self._count(sent=1, sent_bytes=len(payload))
            self._hub.carry(Packet(header, payload))

    # --- to the guest --------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the driver takes packets."""
        return self.host.queue(RECEIVE) is not None

    def give(self, packet: Packet, cause: int) -> bool:
        """Deliver, now or when there are buffers, on the account of a CID; False where that has too much waiting."""
        fits = self._inbox.put(packet, cause)
        if fits:
            self.host.attempt(lambda: self._careful(self._deliver))
        return fits

    def forget(self, connection: Connection) -> None:
        """Drop what waits of a connection."""
        self._inbox.forget(connection)

    def _deliver(self) -> None:
        queue = self.host.queue(RECEIVE)
        while queue is not None and self._inbox and (chain := queue.take()) is not None:
            if chain.room <= HEADER_SIZE:
                raise RingError("a buffer for packets that has no room for one")
            header, part = self._inbox.take(chain.room - HEADER_SIZE)
            scatter(queue.memory, chain.writable, header.pack() + part)
            queue.put(chain, HEADER_SIZE + len(part))
            self._count(received=1, received_bytes=len(part), resets=header.op == Op.RST)
        self.host.used(RECEIVE)

    def _tell(self) -> None:
        queue = self.host.queue(EVENT)
        if queue is None or not self._was_reset or (chain := queue.take()) is None:
            return
        if chain.room < len(TRANSPORT_RESET):
            raise RingError("a buffer for events that has no room for one")
        queue.put(chain, scatter(queue.memory, chain.writable, TRANSPORT_RESET))
        self._was_reset = False
        self.host.used(EVENT)

    def _count(self, **more: int) -> None:
        self.counts = self.counts._replace(**{key: getattr(self.counts, key) + n for key, n in more.items()})
