"""What every virtio device has, whatever bus it is on (virtio 1.2, 2)."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from engine.board.virtio.guest_memory import GuestMemory
from engine.board.virtio.queue import Queue


class Feature(enum.IntFlag):
    """Feature bits of all device types (virtio 1.2, 6)."""

    INDIRECT_DESC = 1 << 28
    EVENT_IDX = 1 << 29
    VERSION_1 = 1 << 32
    RING_RESET = 1 << 40


class Host(Protocol):
    """The transport, as its device sees it."""

    memory: GuestMemory

    def queue(self, index: int) -> Queue | None:
        """A queue that the device may use now; None while there is none, or the driver is not ready."""

    def attempt(self, action: Callable[[], None]) -> bool:
        """Use queues outside `notified`; False where nothing may be used now, or the ring turned out broken."""

    def used(self, index: int) -> None:
        """Buffers of a queue were put: interrupt the driver if it wants that."""

    def config_changed(self) -> None:
        """The configuration space has new contents."""

    def fail(self, why: str) -> None:
        """The device cannot go on: DEVICE_NEEDS_RESET (2.1.1)."""


class VirtioDevice(ABC):
    """One device; its transport calls the methods, and `host` is set before any of them."""

    device_id: ClassVar[int]
    """Type (virtio 1.2, 5)."""
    queue_sizes: Sequence[int]
    """Largest size of each queue."""
    features: int = 0
    """Bits of its own type that it offers."""
    host: Host

    def __init__(self, name: str) -> None:
        self.name = name
        self.negotiated = 0
        """Features of its own type and common ones that the driver accepted; 0 before."""

    def accepts(self, _features: int) -> bool:
        """Whether the driver's choice is one it can work with, for features that need others."""
        return True

    def started(self) -> None:  # noqa: B027 - most devices wait to be notified
        """DRIVER_OK: the driver is ready."""

    def stopped(self) -> None:  # noqa: B027 - the same
        """The guest crashed or went off: nothing of it runs before a reset."""

    def queue_ready(self, _index: int) -> None:  # noqa: B027 - the same
        """The driver enabled a queue."""

    @abstractmethod
    def notified(self, index: int) -> None:
        """The driver made buffers available in a queue. RingError and DmaError break the device."""

    def reset(self) -> None:
        """As after power-on; no queue exists any more."""
        self.negotiated = 0

    def facts(self) -> Mapping[str, int | str]:
        """What people may want to know of it: its configuration and its counters."""
        return {}

    def config(self) -> bytes:
        """The device-specific configuration space."""
        return b""

    def write_config(self, _offset: int, _data: bytes) -> None:  # noqa: B027 - mostly there is nothing to write
        """The driver wrote to the configuration space."""
