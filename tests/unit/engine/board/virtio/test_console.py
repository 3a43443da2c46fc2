"""The console device, worked through its registers as a driver would (virtio 1.2, 5.3)."""

from __future__ import annotations

import pytest

from engine.board.virtio.console import HOST_QUEUE, LARGEST_OUTPUT, RECEIVE, TRANSMIT, ConsoleFeature, VirtioConsole
from engine.board.virtio.device import Feature
from engine.board.virtio.guest_memory import Segment
from engine.board.virtio.registers import CONFIG, CONFIG_CHANGE, USED_BUFFER, Reg, Status
from tests.support.virtio import BASE, SIZE, Driver

EMERGENCY = CONFIG + 8


class Terminal:
    """A console, who looks at it, and its driver."""

    def __init__(self, features: int = int(ConsoleFeature.SIZE)) -> None:
        self.printed: list[bytes] = []
        self.device = VirtioConsole(self.printed.append)
        self.driver = Driver(self.device)
        self.features = features

    def start(self) -> Terminal:
        self.driver.start(self.features)
        self.driver.acknowledge()
        return self

    def offer(self, *sizes: int) -> list[Segment]:
        """Buffers to receive into, without notifying."""
        buffers = [self.driver.buffer(size) for size in sizes]
        for buffer in buffers:
            self.driver.queues[RECEIVE].add([], [buffer])
        return buffers

    def transmit(self, *parts: bytes) -> None:
        self.driver.queues[TRANSMIT].add([self.driver.buffer(part) for part in parts], [])
        self.driver.notify(TRANSMIT)


def test_what_it_offers() -> None:
    terminal = Terminal()
    assert terminal.driver.read(Reg.DeviceID) == 3
    offered = ConsoleFeature(terminal.driver.offered() & 0xFF_FFFF)
    assert offered == ConsoleFeature.SIZE | ConsoleFeature.EMERG_WRITE
    assert [terminal.driver.slot.read(CONFIG + at, size) for at, size in ((0, 2), (2, 2), (4, 4), (8, 4))] == [
        80,
        24,
        1,
        0,
    ]


def test_everything_transmitted_is_printed_in_order() -> None:
    terminal = Terminal().start()
    terminal.transmit(b"hello, ", b"", b"wor")
    terminal.transmit(b"ld" * 4000)
    assert b"".join(terminal.printed) == b"hello, wor" + b"ld" * 4000
    assert max(map(len, terminal.printed)) <= 4096
    assert [written for _, written in terminal.driver.queues[TRANSMIT].done()] == [0, 0]
    assert terminal.driver.acknowledge() == USED_BUFFER


def test_the_largest_buffer_is_printed_and_one_more_byte_breaks_the_device() -> None:
    terminal = Terminal().start()
    whole = [Segment(BASE, SIZE)] * (LARGEST_OUTPUT // SIZE)
    terminal.driver.queues[TRANSMIT].add(whole, [])
    terminal.driver.notify(TRANSMIT)
    assert sum(map(len, terminal.printed)) == LARGEST_OUTPUT
    terminal.driver.queues[TRANSMIT].add([*whole, Segment(BASE, 1)], [])
    terminal.driver.notify(TRANSMIT)
    assert terminal.driver.status & Status.DEVICE_NEEDS_RESET
    assert sum(map(len, terminal.printed)) == LARGEST_OUTPUT


def test_input_waits_for_a_driver_and_then_for_buffers() -> None:
    terminal = Terminal()
    assert (terminal.device.room, terminal.device.receive(b"early")) == (0, 0)
    terminal.start()
    assert terminal.device.room == HOST_QUEUE
    assert terminal.device.receive(b"hello") == 5
    assert terminal.device.room == HOST_QUEUE - 5
    assert terminal.driver.queues[RECEIVE].done() == []
    first, second = terminal.offer(3, 10)
    terminal.driver.notify(RECEIVE)
    assert [written for _, written in terminal.driver.queues[RECEIVE].done()] == [3, 2]
    assert terminal.driver.bytes(first) + terminal.driver.bytes(second)[:2] == b"hello"
    assert terminal.driver.acknowledge() == USED_BUFFER
    assert terminal.device.room == HOST_QUEUE


def test_input_goes_into_buffers_that_wait() -> None:
    terminal = Terminal().start()
    [buffer] = terminal.offer(64)
    terminal.driver.notify(RECEIVE)
    assert terminal.driver.queues[RECEIVE].done() == [], "a buffer is kept for what will be typed"
    assert terminal.device.receive(b"ls\n") == 3
    assert terminal.driver.queues[RECEIVE].done() == [(0, 3)]
    assert terminal.driver.bytes(buffer)[:3] == b"ls\n"


def test_more_than_fits_is_not_taken() -> None:
    terminal = Terminal().start()
    data = bytes(range(256)) * (HOST_QUEUE // 128)
    assert terminal.device.receive(data) == HOST_QUEUE
    assert (terminal.device.room, terminal.device.receive(b"x")) == (0, 0)
    got = b""
    while len(got) < HOST_QUEUE:
        [buffer] = terminal.offer(HOST_QUEUE // 2)
        terminal.driver.notify(RECEIVE)
        got += terminal.driver.bytes(buffer)
    assert got == data[:HOST_QUEUE]


def test_a_reset_forgets_what_was_typed_but_not_the_size() -> None:
    terminal = Terminal().start()
    terminal.device.receive(b"old")
    terminal.device.resize(100, 50)
    terminal.driver.write(Reg.Status, 0)
    assert terminal.device.room == 0
    terminal.start()
    [buffer] = terminal.offer(16)
    terminal.driver.notify(RECEIVE)
    terminal.device.receive(b"new")
    assert terminal.driver.bytes(buffer)[:3] == b"new"
    assert terminal.driver.slot.read(CONFIG, 4) == 50 << 16 | 100


def test_a_new_size_is_a_change_of_configuration() -> None:
    terminal = Terminal().start()
    generation = terminal.driver.read(Reg.ConfigGeneration)
    terminal.device.resize(132, 43)
    assert terminal.driver.acknowledge() == CONFIG_CHANGE
    assert terminal.driver.read(Reg.ConfigGeneration) != generation
    assert terminal.driver.slot.read(CONFIG, 4) == 43 << 16 | 132
    terminal.device.resize(132, 43)
    assert terminal.driver.acknowledge() == 0, "the same size is no change"


@pytest.mark.parametrize(("features", "told"), [(ConsoleFeature.SIZE, CONFIG_CHANGE), (ConsoleFeature(0), 0)])
def test_a_driver_hears_of_the_size_as_it_starts_if_it_asked(features: ConsoleFeature, told: int) -> None:
    terminal = Terminal()
    terminal.driver.start(int(features))
    assert terminal.driver.acknowledge() == told


def test_emergency_write_needs_no_driver() -> None:
    terminal = Terminal()
    for size in (1, 2, 4):
        terminal.driver.slot.write(EMERGENCY, size, ord("a") + size)
    terminal.driver.slot.write(CONFIG, 4, 0x41)
    terminal.driver.slot.write(EMERGENCY + 1, 1, 0x41)
    assert terminal.printed == [b"b", b"c", b"e"]
    assert terminal.driver.slot.read(CONFIG, 4) == 24 << 16 | 80
    terminal.start()
    terminal.driver.slot.write(EMERGENCY, 4, ord("!"))
    assert terminal.printed[-1] == b"!"


@pytest.mark.parametrize("queue", [RECEIVE, TRANSMIT])
def test_bad_buffers_break_the_device_and_nothing_else(queue: int) -> None:
    terminal = Terminal(int(ConsoleFeature.SIZE | Feature.INDIRECT_DESC)).start()
    outside = Segment(BASE + SIZE, 16)
    terminal.driver.queues[queue].add(*([], [outside]) if queue == RECEIVE else ([outside], []))
    terminal.device.receive(b"x")
    terminal.driver.notify(queue)
    assert terminal.driver.status & Status.DEVICE_NEEDS_RESET
    assert (terminal.printed, terminal.device.room) == ([], 0)
    terminal.driver.write(Reg.Status, 0)
    terminal.start().transmit(b"again")
    assert terminal.printed == [b"again"]


def test_a_buffer_that_holds_nothing_breaks_it() -> None:
    terminal = Terminal().start()
    terminal.driver.queues[RECEIVE].add([terminal.driver.buffer(8)], [])
    terminal.device.receive(b"x")
    assert terminal.driver.status & Status.DEVICE_NEEDS_RESET
