"""The virtio console (virtio 1.2, 5.3): one port whose terminal has a size."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Mapping

from engine.board.virtio.device import VirtioDevice
from engine.board.virtio.guest_memory import gather, scatter
from engine.board.virtio.queue import Chain, Queue, RingError

RECEIVE, TRANSMIT = 0, 1
"""Queues, as the driver sees them (5.3.2)."""
HOST_QUEUE = 64 * 1024
"""Bytes of typed input that may wait for buffers."""
LARGEST_OUTPUT = 1 << 20
"""Bytes of one buffer to transmit."""
_CHUNK = 4096
"""Bytes printed at once."""
_CONFIG = struct.Struct("<HHII")
_EMERGENCY = 8
"""Where `emerg_wr` is in the configuration space (5.3.4)."""


class ConsoleFeature(enum.IntFlag):
    """Feature bits (5.3.3)."""

    SIZE = 1 << 0
    MULTIPORT = 1 << 1
    EMERG_WRITE = 1 << 2


class VirtioConsole(VirtioDevice):
    """One terminal. Output goes to a callback; input waits until the driver has buffers for it."""

    device_id = 3
    queue_sizes = (64, 64)
    features = int(ConsoleFeature.SIZE | ConsoleFeature.EMERG_WRITE)

    def __init__(self, on_output: Callable[[bytes], None]) -> None:
        super().__init__("virtio-console")
        self._on_output = on_output
        self._typed = bytearray()
        self.columns, self.rows = 80, 24
        """The terminal's size: the host's, so a reset of the guest leaves it."""
        self.printed = self.received = 0
        """Bytes that the guest sent and got."""

    def facts(self) -> Mapping[str, int | str]:
        return {
            "size": f"{self.columns}x{self.rows}",
            "bytes printed": self.printed,
            "bytes typed": self.received,
            "bytes waiting": len(self._typed),
        }

    def config(self) -> bytes:
        """struct virtio_console_config (5.3.4); what is written to `emerg_wr` reads as 0."""
        return _CONFIG.pack(self.columns, self.rows, 1, 0)

    def write_config(self, offset: int, data: bytes) -> None:
        """A character by `emerg_wr`, which works in every state of the device (5.3.5)."""
        if offset == _EMERGENCY:
            self._print(data[:1])

    def reset(self) -> None:
        """What was typed before is for nobody."""
        super().reset()
        self._typed.clear()

    def started(self) -> None:
        """Linux looks at the size only when it hears that it changed."""
        if self.negotiated & ConsoleFeature.SIZE:
            self.host.config_changed()

    def notified(self, index: int) -> None:
        queue = self.host.queue(index)
        if queue is None:
            return
        if index == TRANSMIT:
            for chain in queue.chains():
                self._transmit(queue, chain)
            self.host.used(TRANSMIT)
        else:
            self._deliver(queue)

    # --- output --------------------------------------------------------------------------------------

    def _transmit(self, queue: Queue, chain: Chain) -> None:
        size = chain.length
        if size > LARGEST_OUTPUT:
            raise RingError(f"{size} bytes to print at once")
        for start in range(0, size, _CHUNK):
            self._print(gather(queue.memory, chain.readable, start, _CHUNK))
        queue.put(chain, 0)

    def _print(self, data: bytes) -> None:
        self.printed += len(data)
        self._on_output(data)

    # --- the port behind a console -------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Typed bytes that it still takes; 0 while no driver is ready to receive."""
        return HOST_QUEUE - len(self._typed) if self.host.queue(RECEIVE) is not None else 0

    def receive(self, data: bytes) -> int:
        """Queue typed bytes for the guest; returns how many were accepted."""
        accepted = data[: self.room]
        self._typed += accepted
        self.host.attempt(lambda: self.notified(RECEIVE))
        return len(accepted)

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has another size, each from 0 to 65535; the driver hears of it (5.3.5)."""
        if (columns, rows) != (self.columns, self.rows):
            self.columns, self.rows = columns, rows
            self.host.config_changed()

    def _deliver(self, queue: Queue) -> None:
        """Give what was typed to the buffers that there are."""
        while self._typed and (chain := queue.take()) is not None:
            if not chain.room:
                raise RingError("a buffer to receive into without a place to write")
            written = scatter(queue.memory, chain.writable, bytes(self._typed[: chain.room]))
            del self._typed[:written]
            self.received += written
            queue.put(chain, written)
        self.host.used(RECEIVE)
