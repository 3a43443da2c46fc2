"""The virtio entropy device (virtio 1.2, 5.4). Its bytes are as random as they are repeatable: the seed gives them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from engine.board.virtio.device import VirtioDevice
from engine.board.virtio.guest_memory import scatter
from engine.board.virtio.queue import Chain, Queue, RingError

_MOST = 4096
"""Bytes given for one request; the driver asks again."""
_BLOCK = 64


class VirtioRng(VirtioDevice):
    """One queue of buffers to fill."""

    device_id = 4
    queue_sizes = (64,)

    def __init__(self, seed: str) -> None:
        super().__init__("virtio-rng")
        self._seed = seed.encode()
        self._blocks = 0
        """Blocks of the stream that were given away. A reset does not begin it again: nobody gets the same twice."""
        self.given = 0
        """Bytes given."""

    def facts(self) -> Mapping[str, int | str]:
        return {"bytes given": self.given}

    def notified(self, _index: int) -> None:
        queue = self.host.queue(0)
        if queue is not None:
            for chain in queue.chains():
                self._give(queue, chain)
            self.host.used(0)

    def _give(self, queue: Queue, chain: Chain) -> None:
        if not chain.room:
            raise RingError("a request for entropy without a place for it")
        data = self._bytes(min(chain.room, _MOST))
        queue.put(chain, scatter(queue.memory, chain.writable, data))
        self.given += len(data)

    def _bytes(self, size: int) -> bytes:
        count = -(-size // _BLOCK)
        numbers = range(self._blocks, self._blocks + count)
        self._blocks += count
        return b"".join(hashlib.blake2b(b"%d" % n, key=self._key()).digest() for n in numbers)[:size]

    def _key(self) -> bytes:
        return hashlib.blake2b(self._seed).digest()
