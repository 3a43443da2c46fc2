"""Received frames on their way into the driver's buffers (virtio 1.2, 5.1.6.3 and 5.1.6.4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from engine.board.virtio.guest_memory import scatter
from engine.board.virtio.net_features import HEADER, header
from engine.board.virtio.queue import Chain, Queue, RingError

BACKLOG = 256
"""Frames that wait for buffers: a burst from a VM that runs before the driver had its turn."""


class Receiver:
    """Frames wait here in order until the driver has buffers for them. The counters outlive a reset."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self.frames = 0
        """Given to the driver."""
        self.bytes = 0
        """Of those."""
        self.refused = 0
        """Frames that found the backlog full."""
        self.too_small = 0
        """Frames lost because the driver's buffers do not hold one."""

    @property
    def waiting(self) -> int:
        """Frames that wait for buffers."""
        return len(self._waiting)

    def clear(self) -> None:
        """Whoever waited for the frames is gone."""
        self._waiting.clear()

    def keep(self, frame: bytes) -> bool:
        """Have a frame wait its turn; False where too many do."""
        if len(self._waiting) >= BACKLOG:
            self.refused += 1
            return False
        self._waiting.append(frame)
        return True

    def fill(self, queue: Queue, *, mergeable: bool) -> None:
        """Give the driver what there are buffers for. `mergeable`: a frame may fill several. RingError, DmaError."""
        while self._waiting:
            chains = self._take(queue, HEADER.size + len(self._waiting[0]), mergeable)
            if not chains:
                return
            self._give(queue, chains, self._waiting.popleft())

    @staticmethod
    def _take(queue: Queue, size: int, mergeable: bool) -> list[Chain]:
        """Buffers for so many bytes; none while the driver has to add more. Fewer than needed if it never can."""
        taken: list[Chain] = []
        while size > 0 and (mergeable or not taken):
            chain = queue.take()
            if chain is None:
                if len(taken) == queue.size:
                    break
                for _ in taken:
                    queue.put_back()
                return []
            if mergeable and chain.room < HEADER.size:
                raise RingError("a receive buffer shorter than a header")
            taken.append(chain)
            size -= chain.room
        return taken

    def _give(self, queue: Queue, chains: Sequence[Chain], frame: bytes) -> None:
        """Write a frame and let the driver see all its buffers at once; empty, where it does not fit."""
        data = header(len(chains)) + frame
        if sum(chain.room for chain in chains) < len(data):
            self.too_small += 1
            data = b""
        else:
            self.frames += 1
            self.bytes += len(frame)
        lengths, start = [], 0
        for chain in chains:
            part = data[start : start + chain.room]
            lengths.append(scatter(queue.memory, chain.writable, part))
            start += len(part)
        queue.put_all(list(zip(chains, lengths, strict=True)))
