"""Split virtqueues by the clauses of virtio 1.2, 2.7, seen from the device."""

from __future__ import annotations

import struct

import pytest

from engine.board.virtio.guest_memory import Segment
from engine.board.virtio.queue import Queue, RingError
from tests.support.virtio import BASE, INDIRECT, NEXT, SIZE, WRITE, DriverQueue, FlatMemory

DATA = BASE + 0x8_0000
TABLE = BASE + 0x9_0000


class Ring:
    """Both halves of one queue, whose running indexes may begin anywhere."""

    def __init__(self, size: int = 8, *, event_index: bool = False, first: int = 0) -> None:
        self.memory = FlatMemory()
        self.driver = DriverQueue(self.memory, 0, size, event_index=event_index)
        places = (self.driver.descriptors, self.driver.available, self.driver.used)
        self.device = Queue(self.memory, size, *places, event_index=event_index)
        self.driver.made = self.driver.seen = first
        self.device.next_available = self.device.next_used = first
        self.memory.write(self.driver.available + 2, struct.pack("<H", first))
        self.memory.write(self.driver.used + 2, struct.pack("<H", first))
        self.device.wants_interrupt()
        self.device._signalled = first

    def entry(self, table: int, slot: int, address: int, size: int, flags: int, following: int = 0) -> None:
        self.memory.write(table + 16 * slot, struct.pack("<QIHH", address, size, flags, following))

    def use(self, count: int = 1) -> None:
        """Offer, take and put so many buffers."""
        for _ in range(count):
            self.driver.add([], [Segment(DATA, 4)])
            chain = self.device.take()
            assert chain is not None
            self.device.put(chain, 1)

    def event(self) -> int:
        """avail_event: behind the used ring (2.7.8)."""
        return int(struct.unpack("<H", self.memory.read(self.driver.used + 4 + 8 * self.driver.size, 2))[0])


# --- 2.7.5 descriptors ----------------------------------------------------------------------------


def test_readable_parts_come_before_writable_ones() -> None:
    """2.7.4.2: a chain may have both, the readable ones first."""
    ring = Ring()
    head = ring.driver.add([Segment(DATA, 3), Segment(DATA + 8, 5)], [Segment(DATA + 16, 7)])
    chain = ring.device.take()
    assert chain is not None
    assert (chain.head, chain.length, chain.room) == (head, 8, 7)
    assert chain.readable == (Segment(DATA, 3), Segment(DATA + 8, 5))
    assert chain.writable == (Segment(DATA + 16, 7),)


def test_a_readable_part_after_a_writable_one_breaks_the_ring() -> None:
    ring = Ring()
    ring.driver.descriptor(0, DATA, 4, WRITE | NEXT, 1)
    ring.driver.descriptor(1, DATA, 4, 0)
    ring.driver.offer(0)
    with pytest.raises(RingError, match=r"^chain 0: a readable descriptor after a writable one$"):
        ring.device.take()


@pytest.mark.parametrize("length", [1, 7, 8])
def test_a_chain_may_be_as_long_as_the_queue(length: int) -> None:
    ring = Ring()
    ring.driver.add([Segment(DATA, 1)] * length, [])
    chain = ring.device.take()
    assert chain is not None
    assert chain.length == length


def test_a_loop_breaks_the_ring() -> None:
    """2.7.5.3.1: no chain is longer than the queue."""
    ring = Ring()
    for slot in range(8):
        ring.driver.descriptor(slot, DATA, 1, NEXT, (slot + 1) % 8)
    ring.driver.offer(3)
    with pytest.raises(RingError, match=r"^chain 3: longer than the queue$"):
        ring.device.take()


@pytest.mark.parametrize("index", [8, 9, 0xFFFF])
def test_an_index_beyond_the_table_breaks_the_ring(index: int) -> None:
    heads, links = Ring(), Ring()
    heads.driver.offer(index)
    with pytest.raises(RingError, match=f"^chain {index}: descriptor {index} of 8$"):
        heads.device.take()
    links.driver.descriptor(0, DATA, 1, NEXT, index)
    links.driver.offer(0)
    with pytest.raises(RingError, match=f"^chain 0: descriptor {index} of 8$"):
        links.device.take()


def test_more_than_four_gigabytes_break_the_ring() -> None:
    """2.7.5.2: 2^32 bytes in total."""
    ring = Ring()
    ring.driver.add([Segment(DATA, 0xFFFF_FFFF)], [Segment(DATA, 1)])
    chain = ring.device.take()
    assert chain is not None
    assert (chain.length, chain.room) == (0xFFFF_FFFF, 1)
    ring.driver.add([Segment(DATA, 0xFFFF_FFFF)], [Segment(DATA, 2)])
    with pytest.raises(RingError, match="more than 4 GiB"):
        ring.device.take()


# --- 2.7.5.3 indirect tables ----------------------------------------------------------------------


def test_an_indirect_table_stands_for_its_descriptors() -> None:
    ring = Ring()
    ring.driver.add_indirect(TABLE, [Segment(DATA, 1), Segment(DATA + 1, 2)], [Segment(DATA + 8, 3)])
    chain = ring.device.take()
    assert chain is not None
    assert (chain.head, chain.length, chain.room) == (0, 3, 3)


def test_ordinary_descriptors_may_come_before_an_indirect_table() -> None:
    """2.7.5.3.2: zero or more ordinary ones, then one for a table."""
    ring = Ring()
    ring.driver.descriptor(0, DATA, 5, NEXT, 1)
    ring.driver.descriptor(1, TABLE, 32, INDIRECT)
    ring.entry(TABLE, 0, DATA + 8, 6, NEXT, 1)
    ring.entry(TABLE, 1, DATA + 16, 7, WRITE)
    ring.driver.offer(0)
    chain = ring.device.take()
    assert chain is not None
    assert (chain.readable, chain.writable) == ((Segment(DATA, 5), Segment(DATA + 8, 6)), (Segment(DATA + 16, 7),))


def test_the_write_flag_of_an_indirect_descriptor_is_ignored() -> None:
    """2.7.5.3.2: of the descriptor that refers to the table."""
    ring = Ring()
    ring.driver.descriptor(0, TABLE, 16, INDIRECT | WRITE)
    ring.entry(TABLE, 0, DATA, 6, 0)
    ring.driver.offer(0)
    chain = ring.device.take()
    assert chain is not None
    assert chain.readable == (Segment(DATA, 6),)


@pytest.mark.parametrize(
    ("size", "flags", "inner"),
    [
        (16, INDIRECT | NEXT, 0),  # a table, and more behind it
        (16, INDIRECT, INDIRECT),  # a table in a table
        (0, INDIRECT, 0),
        (15, INDIRECT, 0),
        (17, INDIRECT, 0),
        (16 * 32769, INDIRECT, 0),
        (0xFFFF_FFF0, INDIRECT, 0),
        (16, INDIRECT, NEXT),  # a link out of the table
    ],
)
def test_indirect_tables_that_break_the_ring(size: int, flags: int, inner: int) -> None:
    ring = Ring()
    ring.driver.descriptor(0, TABLE, size, flags, 1)
    ring.driver.descriptor(1, DATA, 1, 0)
    ring.entry(TABLE, 0, TABLE, 16, inner, 1)
    ring.driver.offer(0)
    with pytest.raises(RingError, match=r"^chain 0: "):
        ring.device.take()


def test_a_table_at_the_place_of_the_descriptor_table_ends_too() -> None:
    """An indirect table that is the queue's own table could refer to itself for ever."""
    ring = Ring()
    ring.driver.descriptor(0, ring.driver.descriptors, 128, INDIRECT)
    ring.driver.offer(0)
    with pytest.raises(RingError, match=r"^chain 0: "):
        ring.device.take()


# --- 2.7.6 available ring -------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 65531, 65535])
def test_buffers_are_taken_in_the_order_of_the_available_ring(first: int) -> None:
    ring = Ring(first=first)
    for slot in range(8):
        ring.driver.descriptor(slot, DATA + slot, 1, 0)
    for head in (5, 0, 7, 7, 2):
        ring.driver.offer(head)
    assert ring.device.pending == 5
    assert [chain.head for chain in ring.device.chains()] == [5, 0, 7, 7, 2]
    assert (ring.device.take(), ring.device.taken) == (None, 5)


@pytest.mark.parametrize("ahead", [9, 100, 0x7FFF, 0xFFFF])
def test_an_available_index_too_far_ahead_breaks_the_ring(ahead: int) -> None:
    ring = Ring(first=65533)
    ring.memory.write(ring.driver.available + 2, struct.pack("<H", (65533 + ahead) & 0xFFFF))
    with pytest.raises(RingError, match=r"^available index"):
        ring.device.take()


def test_a_full_queue_is_not_too_far_ahead() -> None:
    ring = Ring(first=65530)
    for head in range(8):
        ring.driver.descriptor(head, DATA, 1, 0)
        ring.driver.offer(head)
    assert [chain.head for chain in ring.device.chains()] == list(range(8))


def test_buffers_put_back_are_taken_again() -> None:
    ring = Ring(first=65535)
    heads = [ring.driver.add([Segment(DATA, n)], []) for n in (1, 2)]
    for _ in range(2):
        assert [chain.head for chain in ring.device.chains()] == heads
        ring.device.put_back()
        ring.device.put_back()
    assert ring.device.taken == 0
    assert ring.device.next_available == 65535


def test_a_ring_that_grows_while_it_is_worked_off_ends() -> None:
    """What the device writes may be the ring itself, as a hostile driver arranges it."""
    ring = Ring()
    ring.driver.descriptor(0, DATA, 1, WRITE)
    ring.driver.offer(0)
    taken = 0
    for chain in ring.device.chains():
        ring.device.put(chain, 1)
        ring.driver.offer(0)
        taken += 1
    assert 1 < taken <= 9


# --- 2.7.8 used ring ------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 65534])
def test_used_buffers_appear_in_the_order_they_were_put(first: int) -> None:
    """Which is the device's to choose; each with the bytes that it wrote."""
    ring = Ring(first=first)
    heads = [ring.driver.add([], [Segment(DATA, 64)]) for _ in range(4)]
    chains = list(ring.device.chains())
    for place, written in ((2, 5), (0, 0), (3, 64), (1, 7)):
        ring.device.put(chains[place], written)
    assert ring.driver.done() == [(heads[2], 5), (heads[0], 0), (heads[3], 64), (heads[1], 7)]


def test_several_used_buffers_appear_at_once() -> None:
    """5.1.6.4.1 asks for that where a frame fills several."""
    ring = Ring(first=65534)
    heads = [ring.driver.add([], [Segment(DATA, 64)]) for _ in range(3)]
    seen: list[int] = []
    write = ring.memory.write_ring

    def watch(address: int, data: bytes) -> None:
        write(address, data)
        seen.append(len(ring.driver.done()))

    ring.memory.write_ring = watch  # type: ignore[method-assign]
    ring.device.put_all([(chain, 64) for chain in ring.device.chains()][:3])
    assert [count for count in seen if count] == [3]
    assert heads == [0, 1, 2]


def test_the_index_is_written_after_the_entry() -> None:
    """2.7.8.2: a driver that looks in between never sees an entry that is not there."""
    ring = Ring()
    ring.driver.add([], [Segment(DATA, 64)])
    places: list[int] = []
    write = ring.memory.write_ring

    def watch(address: int, data: bytes) -> None:
        places.append(address)
        write(address, data)

    ring.memory.write_ring = watch  # type: ignore[method-assign]
    chain = ring.device.take()
    assert chain is not None
    ring.device.put(chain, 1)
    assert places == [ring.driver.used + 4, ring.driver.used + 2]


# --- 2.7.7 used buffer notifications --------------------------------------------------------------


def test_without_event_index_a_flag_suppresses_interrupts() -> None:
    ring = Ring()
    ring.use()
    assert ring.device.wants_interrupt()
    assert not ring.device.wants_interrupt()  # nothing new
    ring.driver.suppress(0)
    ring.use()
    assert not ring.device.wants_interrupt()


@pytest.mark.parametrize("first", [0, 100, 65530, 65535])
@pytest.mark.parametrize("after", [0, 1, 5, 7])
def test_an_interrupt_comes_when_the_event_index_is_passed(first: int, after: int) -> None:
    """2.7.7.2: once the entry at used_event is used, wherever 65535 -> 0 lies; and only then."""
    ring = Ring(event_index=True, first=first)
    ring.driver.suppress((first + after) & 0xFFFF)
    told = []
    for _ in range(12):
        ring.use()
        told.append(ring.device.wants_interrupt())
    assert told == [n == after for n in range(12)]


@pytest.mark.parametrize("first", [0, 65533])
def test_one_interrupt_for_several_buffers(first: int) -> None:
    ring = Ring(event_index=True, first=first)
    ring.driver.suppress((first + 2) & 0xFFFF)
    ring.use(4)
    assert ring.device.wants_interrupt()
    assert not ring.device.wants_interrupt()
    ring.driver.suppress((first + 3) & 0xFFFF)  # passed already
    ring.use(4)
    assert not ring.device.wants_interrupt()


def test_an_event_index_on_the_way_round_for_65536_buffers() -> None:
    """Real buffers, not indexes that were set: the driver asks for each hundredth."""
    ring = Ring(event_index=True)
    told = []
    for number in range(65536 + 200):
        if number % 100 == 0:
            ring.driver.suppress((number + 50) & 0xFFFF)
        ring.use()
        if ring.device.wants_interrupt():
            told.append(number)
    assert told == list(range(50, 65536 + 200, 100))


# --- 2.7.10 available buffer notifications --------------------------------------------------------


@pytest.mark.parametrize("first", [0, 65532, 65535])
def test_a_device_that_saw_all_asks_for_the_next_buffer(first: int) -> None:
    ring = Ring(event_index=True, first=first)
    for _ in range(3):
        ring.driver.add([Segment(DATA, 1)], [])
    assert len(list(ring.device.chains())) == 3
    assert ring.event() == (first + 3) & 0xFFFF


def test_a_device_that_took_a_full_queue_asks_too() -> None:
    ring = Ring(event_index=True)
    for _ in range(8):
        ring.driver.add([Segment(DATA, 1)], [])
    assert len(list(ring.device.chains())) == 8
    assert ring.event() == 8


def test_without_the_feature_nothing_lies_behind_the_used_ring() -> None:
    ring = Ring()
    before = bytes(ring.memory.data)
    assert ring.device.take() is None
    assert bytes(ring.memory.data) == before


def test_a_buffer_that_came_while_the_device_asked_is_taken() -> None:
    """2.7.10.2: it looks once more after it asked, or driver and device would wait for each other."""
    ring = Ring(event_index=True)
    write = ring.memory.write_ring

    def late(address: int, data: bytes) -> None:
        write(address, data)
        ring.driver.add([Segment(DATA, 9)], [])

    ring.memory.write_ring = late  # type: ignore[method-assign]
    chain = ring.device.take()
    assert chain is not None
    assert chain.length == 9


def test_rings_at_the_very_end_of_memory() -> None:
    memory = FlatMemory()
    queue = Queue(memory, 1, BASE + SIZE - 16, BASE + SIZE - 38, BASE + SIZE - 32, event_index=False)
    assert queue.take() is None
