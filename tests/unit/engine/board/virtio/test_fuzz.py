"""Every virtio device against a driver that does anything at all: registers, rings, requests, and input from outside.

Nothing that a guest does raises in the host; the device writes what was offered to it and nothing else; a broken ring
is a device that needs a reset, and says so; and a reset makes it work again.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, TypeAlias

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.board.virtio.device import Feature
from engine.board.virtio.guest_memory import DmaError, Segment
from engine.board.virtio.queue import Queue
from engine.board.virtio.registers import CONFIG_CHANGE, Reg, Status
from tests.support.virtio import BASE, INDIRECT, NEXT, SIZE, WRITE, Driver, DriverQueue, FlatMemory
from tests.support.virtio_devices import DEVICES, Ask, Subject

TABLES = BASE + 0x3_0000
"""Where indirect tables are put."""
PAGES = [BASE + offset >> 12 for offset in (0, 0x1000, 0x4000, 0x8000, 0x3_0000, 0x4_0000, 0x4_1000, 0x5_0000)]
ODD_WORDS = (0, 1, 2, 3, 4, 11, 15, 16, 64, 128, 0xFFFF, 0x1_0000, 0x8000_0000, 0xFFFF_FFFF, BASE, BASE + 0x4000)

words = st.sampled_from(ODD_WORDS) | st.integers(0, 0xFFFF_FFFF)
offsets = st.sampled_from([int(reg) for reg in Reg]) | st.integers(0, 0x1FF)
sizes = st.sampled_from([1, 2, 4, 8])
addresses = (
    st.sampled_from([page << 12 for page in PAGES])
    | st.integers(BASE, BASE + 0xFF)
    | st.integers(BASE + 0x4_0000, BASE + 0x4_2000)
    | st.sampled_from([0, TABLES, BASE + SIZE - 1, BASE + SIZE, (1 << 64) - 1, (1 << 64) - 0x1000])
)
lengths = st.sampled_from([0, 1, 11, 12, 16, 17, 20, 32, 512, 1024, 4096, 0x8_0000, 0x8000_0000, 0xFFFF_FFFF])
descriptors = st.tuples(addresses, lengths, st.integers(0, 7), st.integers(0, 17) | st.just(0xFFFF))
Twist: TypeAlias = tuple[int, int, tuple[int, int, int, int]]
twists = st.tuples(st.integers(0, 3), st.integers(1, 15), descriptors)
"""Which descriptor of a chain, a mask of its fields, and what they become."""
features = st.just((1 << 41) - 1) | st.integers(0, (1 << 41) - 1)
queue_numbers = st.integers(0, 2)


@st.composite
def changed(draw: st.DrawFn, parts: Sequence[bytes]) -> list[bytes]:
    """The parts, mostly with some bytes overwritten or at another length."""
    whole = [bytearray(part) for part in parts]
    if len(whole) > 0 and draw(st.integers(0, 3)) > 0:
        part = whole[draw(st.integers(0, len(whole) - 1))]
        at = draw(st.integers(0, 3) | st.integers(0, len(part)))
        data = draw(st.binary(min_size=1, max_size=4))
        part[at : at + len(data)] = data
        del part[draw(st.just(len(part)) | st.integers(0, len(part))) :]
    return [bytes(part) for part in whole]


class WatchedMemory(FlatMemory):
    """Tells of every write."""

    def __init__(self) -> None:
        super().__init__()
        self.at_write: Callable[[int, int], None] = lambda _address, _size: None

    def write(self, address: int, data: bytes) -> None:
        self._check(address, len(data), write=True)
        self.at_write(address, len(data))
        super().write(address, data)

    write_ring = write

    def views(self, address: int, size: int, *, write: bool) -> list[memoryview]:
        found = super().views(address, size, write=write)
        if write:
            self.at_write(address, size)
        return found

    def peek(self, address: int, size: int) -> bytes:
        """What is there, whoever may read it; nothing where there is no memory."""
        at = address - BASE
        return bytes(self.data[at : at + size]) if 0 <= at <= SIZE - size else b""


class Grants:
    """What the rings, read anew before each write, allow a device to write during one operation."""

    def __init__(self, memory: WatchedMemory, queues: Sequence[Queue]) -> None:
        self._memory = memory
        self._first = [(queue, queue.next_available) for queue in queues]
        self._granted: set[Segment] = set()

    def check(self, address: int, size: int) -> None:
        for queue, first in self._first:
            self._granted.add(Segment(queue.used, 6 + 8 * queue.size))
            for head in self._heads(queue, first):
                self._walk(queue, head)
        inside = any(start <= address and address + size <= start + length for start, length in self._granted)
        assert inside or not size, f"nobody granted {size} bytes at {address:#x}"

    def _heads(self, queue: Queue, first: int) -> Iterator[int]:
        index = self._memory.peek(queue.available + 2, 2)
        waiting = (int.from_bytes(index, "little") - first) & 0xFFFF
        for n in range(min(waiting, queue.size)):
            yield int.from_bytes(self._memory.peek(queue.available + 4 + 2 * ((first + n) % queue.size), 2), "little")

    def _walk(self, queue: Queue, head: int) -> None:
        table, entries, index = queue.descriptors, queue.size, head
        for _ in range(queue.size + 2):
            entry = self._memory.peek(table + 16 * index, 16) if index < entries else b""
            if not entry:
                return
            address, size, flags, following = struct.unpack("<QIHH", entry)
            if flags & INDIRECT:
                table, entries, index = address, size // 16, 0
                continue
            if flags & WRITE:
                self._granted.add(Segment(address, size))
            if not flags & NEXT:
                return
            index = following


class DeviceMachine(RuleBasedStateMachine):
    """One device, and anything that may happen to it."""

    make: ClassVar[Callable[[], Subject]]

    def __init__(self) -> None:
        super().__init__()
        self.subject = type(self).make()
        self.memory = WatchedMemory()
        self.driver = Driver(self.subject.device, self.memory)
        self.slot = self.driver.slot

    # --- watching ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """One access of the guest, or one event outside."""
        broken = self.needs_reset
        queues = [setup.queue for setup in self.slot.queues if setup.queue is not None]
        self.memory.at_write = Grants(self.memory, [] if broken else queues).check
        before = {page: self.page(page) for page in self.memory.denied | self.memory.frozen}
        yield
        self.memory.at_write = lambda _address, _size: None
        assert all(self.page(page) == data for page, data in before.items())
        if self.needs_reset and not broken and self.slot.status & Status.DRIVER_OK:
            assert self.slot.interrupts & CONFIG_CHANGE
            assert self.slot.trouble

    @property
    def needs_reset(self) -> bool:
        return bool(self.slot.status & Status.DEVICE_NEEDS_RESET)

    def page(self, number: int) -> bytes:
        return self.memory.peek(number << 12, 0x1000)

    def queue(self, number: int) -> DriverQueue:
        return self.driver.queues[number % len(self.driver.queues)]

    def write(self, offset: int, size: int, value: int) -> None:
        with self.watched():
            self.slot.write(offset, size, value & (1 << 8 * size) - 1)

    def start(self, chosen: int, size: int) -> bool:
        """Reset and bring up, with as many of the features as there are; whether the device agreed to them."""
        self.write(Reg.Status, 4, 0)
        if not self.driver.negotiate(chosen & self.slot.offered | Feature.VERSION_1) & Status.FEATURES_OK:
            return False
        self.write(Reg.Status, 4, 0)
        self.driver.start(chosen & self.slot.offered, size)
        return True

    # --- what may happen -------------------------------------------------------------------------------

    @initialize(chosen=features, size=st.sampled_from([1, 2, 8, 16]))
    def begin(self, chosen: int, size: int) -> None:
        if not self.start(chosen, size):
            assert self.start(0, size)

    @rule(chosen=features, size=st.sampled_from([1, 2, 8, 16]))
    def restart(self, chosen: int, size: int) -> None:
        self.memory.denied.clear()
        self.memory.frozen.clear()
        self.begin(chosen, size)

    @rule(offset=offsets, size=sizes, value=words)
    def write_register(self, offset: int, size: int, value: int) -> None:
        self.write(offset, size, value)

    @rule(offset=offsets, size=sizes)
    def read_register(self, offset: int, size: int) -> None:
        with self.watched():
            assert 0 <= self.slot.read(offset, size) < 1 << 8 * size

    @rule(number=queue_numbers, slot=st.integers(0, 16), entry=descriptors)
    def write_descriptor(self, number: int, slot: int, entry: tuple[int, int, int, int]) -> None:
        self.poke(self.queue(number).descriptors + 16 * slot, struct.pack("<QIHH", *entry))

    @rule(slot=st.integers(0, 16), entry=descriptors)
    def write_table(self, slot: int, entry: tuple[int, int, int, int]) -> None:
        self.poke(TABLES + 16 * slot, struct.pack("<QIHH", *entry))

    @rule(number=queue_numbers, head=st.integers(0, 17) | st.just(0xFFFF), ahead=st.integers(0, 18) | st.just(0xFFFF))
    def offer(self, number: int, head: int, ahead: int) -> None:
        """A head in the next places, and the index beyond them by so much."""
        queue = self.queue(number)
        for n in range(queue.size):
            self.poke(queue.available + 4 + 2 * n, struct.pack("<H", (head + n) & 0xFFFF))
        queue.made = (queue.made + ahead) & 0xFFFF
        self.poke(queue.available + 2, struct.pack("<H", queue.made))
        self.notify(number)

    @rule(address=addresses, data=st.binary(max_size=40))
    def write_anything(self, address: int, data: bytes) -> None:
        self.poke(address, data)

    def poke(self, address: int, data: bytes) -> None:
        """The guest's own store."""
        at = address - BASE
        if 0 <= at <= SIZE - len(data):
            self.memory.data[at : at + len(data)] = data

    @rule(number=st.integers(0, 3))
    def notify(self, number: int) -> None:
        self.write(Reg.QueueNotify, 4, number)

    @rule(data=st.data(), count=st.integers(1, 8))
    def ask(self, data: st.DataObject, count: int) -> None:
        """Requests that are sound, or nearly: in their bytes, or in one of their descriptors."""
        for _ in range(count):
            if self.needs_reset or not self.slot.status & Status.DRIVER_OK:
                self.restart(data.draw(features), data.draw(st.sampled_from([1, 4, 16])))
            ask = data.draw(st.sampled_from(self.subject.asks))
            parts = data.draw(changed(ask.readable))
            self.request(ask, parts, data.draw(st.booleans()), data.draw(st.none() | st.none() | twists))

    def request(self, ask: Ask, parts: Sequence[bytes], indirect: bool, twist: Twist | None) -> None:
        """One of them, with other bytes to read than it should have."""
        self.driver.rewind_buffers()
        readable = [self.driver.buffer(part) for part in parts]
        writable = [self.driver.buffer(size) for size in ask.writable]
        queue = self.queue(ask.queue)
        first = queue.next_free
        with contextlib.suppress(DmaError):  # the driver's own stores, too, where pages were taken away
            if indirect:
                queue.add_indirect(TABLES, readable, writable)
            else:
                queue.add(readable, writable)
        if twist is not None:
            self.twist(TABLES if indirect else queue.descriptors + 16 * first, twist)
        self.notify(ask.queue)

    def twist(self, table: int, twist: Twist) -> None:
        """Change some fields of one descriptor."""
        place, which, entry = twist
        old = self.memory.peek(table + 16 * place, 16)
        if old:
            pairs = enumerate(zip(struct.unpack("<QIHH", old), entry, strict=True))
            self.poke(
                table + 16 * place, struct.pack("<QIHH", *(new if which >> n & 1 else was for n, (was, new) in pairs))
            )

    @rule(data=st.binary(max_size=60) | st.integers(0, 2000).map(bytes), own=st.booleans())
    def outside(self, data: bytes, own: bool) -> None:
        """Something comes to the device, for it or for anybody."""
        with self.watched():
            self.subject.outside(bytes.fromhex("525400000001") + data if own else data)

    @rule(page=st.sampled_from(PAGES), denied=st.booleans())
    def take_away(self, page: int, denied: bool) -> None:
        (self.memory.denied if denied else self.memory.frozen).add(page)

    @rule()
    def give_back(self) -> None:
        self.memory.denied.clear()
        self.memory.frozen.clear()

    @rule()
    def guest_ends(self) -> None:
        with self.watched():
            self.slot.stopped()

    @precondition(lambda self: self.needs_reset)
    @rule(number=queue_numbers)
    def nothing_is_done_before_the_reset(self, number: int) -> None:
        before = bytes(self.memory.data)
        self.notify(number)
        self.write(Reg.Status, 4, 15)
        assert bytes(self.memory.data) == before
        assert self.needs_reset

    # --- what always holds ------------------------------------------------------------------------------

    @invariant()
    def the_line_follows_the_causes(self) -> None:
        level = self.driver.lines[-1] if self.driver.lines else False
        assert level is bool(self.slot.interrupts)

    @invariant()
    def trouble_is_a_need_of_reset(self) -> None:
        assert bool(self.slot.trouble) is self.needs_reset

    def teardown(self) -> None:
        """Whatever happened, a reset makes it work."""
        self.give_back()
        assert self.start(0, 16)
        assert self.subject.works(self.driver)


SETTINGS = settings(max_examples=int(os.environ.get("VIRTIO_EXAMPLES", "25")), stateful_step_count=40)


def machine_for(name: str) -> type[DeviceMachine]:
    class Made(DeviceMachine):
        make = staticmethod(DEVICES[name])

    Made.__name__ = Made.__qualname__ = f"Machine of {name}"
    Made.TestCase.settings = SETTINGS
    return Made


for _name in DEVICES:
    globals()[f"Test_{_name.replace(' ', '_').replace('-', '_')}"] = machine_for(_name).TestCase
