"""Split virtqueues as the device sees them (virtio 1.2, 2.7), with indirect descriptors and event index.

Everything in a ring is the guest's: each index, length and address is checked before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.board.virtio.guest_memory import GuestMemory, Segment, total

MOST_ENTRIES = 32768
"""Of a split queue (2.7)."""
_DESCRIPTOR = struct.Struct("<QIHH")
_USED = struct.Struct("<II")
_U16 = struct.Struct("<H")
_NEXT, _WRITE, _INDIRECT = 1, 2, 4
_NO_INTERRUPT = 1
_INDEX = 0xFFFF
_HEAD = 4
"""Flags and index, before the entries of the available and used rings."""
_LARGEST_CHAIN = 1 << 32
"""Bytes in one chain (2.7.5.2)."""


class RingError(Exception):
    """A ring that breaks the rules; only a reset of the device mends it."""


class Descriptor(NamedTuple):
    """One entry of a descriptor table (2.7.5)."""

    address: int
    size: int
    flags: int
    next: int


class Chain(NamedTuple):
    """One buffer that the driver made available."""

    head: int
    """Index of its first descriptor, which names it when it is used."""
    readable: tuple[Segment, ...]
    """What the device may read."""
    writable: tuple[Segment, ...]
    """What it may write."""

    @property
    def room(self) -> int:
        """Bytes that the device may write."""
        return total(self.writable)

    @property
    def length(self) -> int:
        """Bytes that the device may read."""
        return total(self.readable)


class Queue:
    """One queue between the driver's enabling and its end; made new for each."""

    def __init__(
        self, memory: GuestMemory, size: int, descriptors: int, available: int, used: int, *, event_index: bool
    ) -> None:
        """`size` entries, a power of two; the rest are IPAs of its three parts."""
        self.memory = memory
        self.size = size
        self.descriptors, self.available, self.used = descriptors, available, used
        self._event_index = event_index
        self.next_available = 0
        """Running index of the next buffer to take (16 bits)."""
        self.next_used = 0
        """Running index of the next used entry (16 bits)."""
        self.taken = 0
        """Buffers taken so far."""
        self._signalled = 0
        """`next_used` at the last look at whether to interrupt."""
        self.last: Chain | None = None
        """The chain taken last, for people."""

    # --- from the driver ---------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Buffers that wait for the device. Raises RingError."""
        index = self._u16(self.available + 2)
        waiting = (index - self.next_available) & _INDEX
        if waiting > self.size:
            raise RingError(f"available index {index} is more than {self.size} ahead of {self.next_available}")
        return waiting

    def take(self) -> Chain | None:
        """The next buffer; None when there is none. Raises RingError, DmaError."""
        if not self.pending:
            self._ask_for_notification()
            if not self.pending:
                return None
        slot = self.next_available % self.size
        head = self._u16(self.available + _HEAD + 2 * slot)
        chain = self._chain(head)
        self.next_available = (self.next_available + 1) & _INDEX
        self.taken += 1
        self.last = chain
        return chain

    def put_back(self) -> None:
        """The buffer taken last is not used now; the next `take` gives it again."""
        self.next_available = (self.next_available - 1) & _INDEX
        self.taken -= 1

    def chains(self) -> Iterator[Chain]:
        """The buffers that wait now, taken one by one, and a look for more.

        What the device writes may change the ring; that never makes it work for ever.
        """
        for _ in range(self.size + 1):
            chain = self.take()
            if chain is None:
                return
            yield chain

    def _ask_for_notification(self) -> None:
        """The driver need not notify about buffers that the device has seen (2.7.10)."""
        if self._event_index:
            self.memory.write_ring(self.used + _HEAD + _USED.size * self.size, _U16.pack(self.next_available))

    def _chain(self, head: int) -> Chain:
        readable: list[Segment] = []
        writable: list[Segment] = []
        for entry in self._descriptors(head):
            if entry.flags & _WRITE:
                writable.append(Segment(entry.address, entry.size))
            elif writable:
                raise RingError(f"chain {head}: a readable descriptor after a writable one")
            else:
                readable.append(Segment(entry.address, entry.size))
        chain = Chain(head, tuple(readable), tuple(writable))
        if chain.length + chain.room > _LARGEST_CHAIN:
            raise RingError(f"chain {head}: more than 4 GiB")
        return chain

    def _descriptors(self, head: int) -> Iterator[Descriptor]:
        """The chain's descriptors, those of an indirect table in place of the one that names it."""
        table, entries, index = self.descriptors, self.size, head
        for _ in range(self.size + 1):
            if index >= entries:
                raise RingError(f"chain {head}: descriptor {index} of {entries}")
            entry = Descriptor(*_DESCRIPTOR.unpack(self.memory.read(table + _DESCRIPTOR.size * index, 16)))
            if entry.flags & _INDIRECT:
                table, entries, index = *self._indirect(head, entry, table), 0
                continue
            yield entry
            if not entry.flags & _NEXT:
                return
            index = entry.next
        raise RingError(f"chain {head}: longer than the queue")

    def _indirect(self, head: int, entry: Descriptor, table: int) -> tuple[int, int]:
        """(address, entries) of an indirect table (2.7.5.3)."""
        if table != self.descriptors or entry.flags & _NEXT:
            raise RingError(f"chain {head}: an indirect table within a table, or with more behind it")
        if not entry.size or entry.size % _DESCRIPTOR.size or entry.size > MOST_ENTRIES * _DESCRIPTOR.size:
            raise RingError(f"chain {head}: an indirect table of {entry.size} bytes")
        return entry.address, entry.size // _DESCRIPTOR.size

    # --- to the driver -----------------------------------------------------------------------------

    def put(self, chain: Chain, written: int) -> None:
        """The device has used a buffer and wrote that many bytes."""
        self.put_all([(chain, written)])

    def put_all(self, used: Sequence[tuple[Chain, int]]) -> None:
        """The device has used several buffers, which the driver sees all at once; with the bytes written to each."""
        index = self.next_used
        for chain, written in used:
            slot = index % self.size
            self.memory.write_ring(self.used + _HEAD + _USED.size * slot, _USED.pack(chain.head, written))
            index = (index + 1) & _INDEX
        self.memory.write_ring(self.used + 2, _U16.pack(index))
        self.next_used = index

    def wants_interrupt(self) -> bool:
        """Whether the driver wants to hear of what was used since the last look (2.7.7)."""
        old, self._signalled = self._signalled, self.next_used
        if old == self.next_used:
            return False
        if not self._event_index:
            return not self._u16(self.available) & _NO_INTERRUPT
        event = self._u16(self.available + _HEAD + 2 * self.size)
        return (self.next_used - event - 1) & _INDEX < (self.next_used - old) & _INDEX

    def _u16(self, address: int) -> int:
        return int(_U16.unpack(self.memory.read(address, 2))[0])
