"""A guest's side of virtio: flat memory with holes, and a driver that works a device through its registers."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from engine.board.virtio.device import Feature, VirtioDevice
from engine.board.virtio.guest_memory import DmaError, Segment
from engine.board.virtio.mmio import VirtioMmio
from engine.board.virtio.registers import Reg, Status

BASE = 0x4000_0000
SIZE = 1 << 20
NEXT, WRITE, INDIRECT = 1, 2, 4
_RING_SPACE = 0x4000
_BUFFERS = BASE + 0x4_0000
"""Where buffers are put; rings lie below."""


class FlatMemory:
    """RAM at [BASE, BASE + SIZE). Pages in `denied` may not be touched, those in `frozen` not written."""

    def __init__(self) -> None:
        self.data: bytearray | memoryview = bytearray(SIZE)
        self.denied: set[int] = set()
        self.frozen: set[int] = set()
        self.settled = 0

    def _check(self, address: int, size: int, *, write: bool) -> int:
        if not BASE <= address <= address + size <= BASE + SIZE:
            raise DmaError(f"nothing at {address:#x}")
        pages = range(address >> 12, (address + size + 0xFFF) >> 12)
        if self.denied.intersection(pages) or (write and self.frozen.intersection(pages)):
            raise DmaError(f"no access to {address:#x}")
        return address - BASE

    def read(self, address: int, size: int) -> bytes:
        at = self._check(address, size, write=False)
        return bytes(self.data[at : at + size])

    def write(self, address: int, data: bytes) -> None:
        at = self._check(address, len(data), write=True)
        self.data[at : at + len(data)] = data

    write_ring = write

    def views(self, address: int, size: int, *, write: bool) -> list[memoryview]:
        at = self._check(address, size, write=write)
        view = memoryview(self.data)[at : at + size]
        return [view if write else view.toreadonly()]

    def settle(self) -> None:
        self.settled += 1


class DriverQueue:
    """The driver's half of a split queue."""

    def __init__(self, memory: FlatMemory, index: int, size: int, *, event_index: bool) -> None:
        self.memory, self.index, self.size = memory, index, size
        self.event_index = event_index
        self.descriptors = BASE + index * _RING_SPACE
        self.available = self.descriptors + 16 * size
        self.used = (self.available + 6 + 2 * size + 3) & ~3
        self.made = self.seen = 0
        self.next_free = 0

    def descriptor(self, slot: int, address: int, size: int, flags: int, following: int = 0) -> None:
        self.memory.write(self.descriptors + 16 * slot, struct.pack("<QIHH", address, size, flags, following))

    def offer(self, head: int) -> None:
        """Make a chain available."""
        self.memory.write(self.available + 4 + 2 * (self.made % self.size), struct.pack("<H", head))
        self.made = (self.made + 1) & 0xFFFF
        self.memory.write(self.available + 2, struct.pack("<H", self.made))

    def add(self, readable: Sequence[Segment], writable: Sequence[Segment]) -> int:
        """Put a chain into the next free descriptors and offer it; its head."""
        parts = [(segment, 0) for segment in readable] + [(segment, WRITE) for segment in writable]
        slots = [(self.next_free + n) % self.size for n in range(len(parts))]
        for n, ((address, size), flags) in enumerate(parts):
            more = n + 1 < len(parts)
            self.descriptor(slots[n], address, size, flags | (NEXT if more else 0), slots[n + 1] if more else 0)
        self.next_free = (self.next_free + len(parts)) % self.size
        self.offer(slots[0])
        return slots[0]

    def add_indirect(self, table: int, readable: Sequence[Segment], writable: Sequence[Segment]) -> int:
        """The same through a table at `table`."""
        parts = [(segment, 0) for segment in readable] + [(segment, WRITE) for segment in writable]
        for n, ((address, size), flags) in enumerate(parts):
            more = NEXT if n + 1 < len(parts) else 0
            self.memory.write(table + 16 * n, struct.pack("<QIHH", address, size, flags | more, n + 1))
        slot, self.next_free = self.next_free, (self.next_free + 1) % self.size
        self.descriptor(slot, table, 16 * len(parts), INDIRECT)
        self.offer(slot)
        return slot

    def done(self) -> list[tuple[int, int]]:
        """(head, bytes written) of the chains used since the last look."""
        index = struct.unpack("<H", self.memory.read(self.used + 2, 2))[0]
        found = []
        while self.seen != index:
            entry = self.memory.read(self.used + 4 + 8 * (self.seen % self.size), 8)
            found.append(struct.unpack("<II", entry))
            self.seen = (self.seen + 1) & 0xFFFF
        return found

    def suppress(self, index: int) -> None:
        """Ask for an interrupt when entry `index` is used, or (without event index) for none at all."""
        if self.event_index:
            self.memory.write(self.available + 4 + 2 * self.size, struct.pack("<H", index))
        else:
            self.memory.write(self.available, struct.pack("<H", 1))


class Driver:
    """Brings a device up as the specification asks (3.1.1), and works it."""

    def __init__(self, device: VirtioDevice, memory: FlatMemory | None = None) -> None:
        self.memory = memory or FlatMemory()
        self.lines: list[bool] = []
        self.slot = VirtioMmio(device, self.memory, self.lines.append)
        self.lines.clear()
        self.queues: list[DriverQueue] = []
        self._next = _BUFFERS

    def read(self, register: Reg) -> int:
        return self.slot.read(register, 4)

    def write(self, register: Reg, value: int) -> None:
        self.slot.write(register, 4, value)

    @property
    def status(self) -> Status:
        return Status(self.read(Reg.Status))

    def offered(self) -> int:
        """All feature bits of the device."""
        low, high = (self._select(n) for n in (0, 1))
        return low | high << 32

    def _select(self, word: int) -> int:
        self.write(Reg.DeviceFeaturesSel, word)
        return self.read(Reg.DeviceFeatures)

    def negotiate(self, features: int) -> Status:
        """Up to FEATURES_OK; the status after it."""
        for bit in (Status.ACKNOWLEDGE, Status.DRIVER):
            self.write(Reg.Status, self.status | bit)
        for word in (0, 1):
            self.write(Reg.DriverFeaturesSel, word)
            self.write(Reg.DriverFeatures, features >> 32 * word & 0xFFFF_FFFF)
        self.write(Reg.Status, self.status | Status.FEATURES_OK)
        return self.status

    def start(self, features: int = 0, size: int = 16) -> None:
        """All the way to DRIVER_OK, with every queue enabled."""
        features |= Feature.VERSION_1
        assert self.negotiate(features) & Status.FEATURES_OK
        event_index = bool(features & Feature.EVENT_IDX)
        self.memory.data[: _BUFFERS - BASE] = bytes(_BUFFERS - BASE)
        self.queues = []
        for index, setup in enumerate(self.slot.queues):
            self.queues.append(DriverQueue(self.memory, index, min(size, setup.largest), event_index=event_index))
            self.set_up(self.queues[-1])
        self.write(Reg.Status, self.status | Status.DRIVER_OK)

    def rewind_buffers(self) -> None:
        """Use the places of all buffers again."""
        self._next = _BUFFERS

    def set_up(self, queue: DriverQueue) -> None:
        """Write the registers of a queue, and enable it."""
        self.write(Reg.QueueSel, queue.index)
        self.write(Reg.QueueSize, queue.size)
        places = (queue.descriptors, queue.available, queue.used)
        for register, address in zip((Reg.QueueDescLow, Reg.QueueDriverLow, Reg.QueueDeviceLow), places, strict=True):
            self.write(register, address & 0xFFFF_FFFF)
            self.write(Reg(register + 4), address >> 32)
        self.write(Reg.QueueReady, 1)

    def notify(self, queue: int = 0) -> None:
        self.write(Reg.QueueNotify, queue)

    def acknowledge(self) -> int:
        """What the interrupt was for; takes it back."""
        causes = self.read(Reg.InterruptStatus)
        self.write(Reg.InterruptACK, causes)
        return causes

    def buffer(self, content: bytes | int) -> Segment:
        """A place of its own with some bytes in it, or for so many."""
        data = bytes(content) if isinstance(content, int) else content
        segment = Segment(self._next, len(data))
        self._next += (len(data) + 63) & ~63
        self.memory.data[segment.address - BASE : segment.address - BASE + len(data)] = data
        return segment

    def bytes(self, segment: Segment) -> bytes:
        at = segment.address - BASE
        return bytes(self.memory.data[at : at + segment.size])
