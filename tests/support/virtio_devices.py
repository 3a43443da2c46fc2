"""Every kind of virtio device, with what a test that knows none of them needs: one list for all such tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.board.network.switch import Switch
from engine.board.virtio.block import Request, VirtioBlock
from engine.board.virtio.console import RECEIVE, TRANSMIT, VirtioConsole
from engine.board.virtio.device import VirtioDevice
from engine.board.virtio.disk_memory import RamDisk
from engine.board.virtio.net import CONTROL, RX, TX, VirtioNet
from engine.board.virtio.rng import VirtioRng
from engine.board.virtio.vsock import EVENT, VirtioVsock
from engine.board.virtio.vsock_hub import VsockHub
from engine.board.virtio.vsock_packet import HEADER_SIZE, STREAM, Header, Op
from tests.support.virtio import Driver

_SECTORS = 64
_CID, _PEER = 3, 4
_MAC, _OTHER = bytes.fromhex("525400000001"), bytes.fromhex("525400000002")
_FRAME = _OTHER + _MAC + b"\x88\xb5" + bytes(50)
_RECEIVED = _MAC + _OTHER + b"\x88\xb5" + bytes(range(50))


class Ask(NamedTuple):
    """A request that a driver may make."""

    queue: int
    readable: Sequence[bytes]
    writable: Sequence[int]
    """Bytes of each writable part."""


@dataclass(frozen=True)
class Subject:
    """A device under test."""

    device: VirtioDevice
    asks: Sequence[Ask]
    works: Callable[[Driver], bool]
    """Whether a driver that was just started is served, in all queues."""
    outside: Callable[[bytes], None] = lambda _data: None
    """Whatever comes to the device from elsewhere: a frame, typed characters."""


def used(driver: Driver, ask: Ask) -> tuple[int, bytes]:
    """Make a request, which must be done at once: (used length, contents of the writable parts)."""
    readable = [driver.buffer(part) for part in ask.readable]
    writable = [driver.buffer(size) for size in ask.writable]
    queue = driver.queues[ask.queue]
    head = queue.add(readable, writable)
    driver.notify(ask.queue)
    [(done, length)] = queue.done()
    assert done == head
    return length, b"".join(driver.bytes(segment) for segment in writable)


def block(*, read_only: bool = False) -> Subject:
    image = RamDisk(_SECTORS * 512)
    image.read_only = read_only
    device = VirtioBlock("virtio-blk0", image, "serial")

    def request(kind: int, sector: int, data: bytes = b"", room: int = 0) -> Ask:
        head = struct.pack("<IIQ", kind, 0, sector)
        return Ask(0, [head, data] if data else [head], [room, 1] if room else [1])

    identity = request(Request.GET_ID, 0, room=20)
    ranges = struct.pack("<QII", 3, 4, 0)
    asks = [
        identity,
        request(Request.IN, 1, room=1024),
        request(Request.OUT, _SECTORS - 2, bytes(1024)),
        request(Request.FLUSH, 0),
        request(Request.DISCARD, 0, ranges),
        request(Request.WRITE_ZEROES, 0, ranges * 2),
    ]
    return Subject(device, asks, lambda driver: used(driver, identity) == (21, b"serial".ljust(20, b"\0") + b"\0"))


def rng() -> Subject:
    asks = [Ask(0, [], [16]), Ask(0, [], [1, 5000])]
    return Subject(VirtioRng("seed"), asks, lambda driver: used(driver, asks[0])[0] == 16)


def net() -> Subject:
    sent: list[bytes] = []
    switch = Switch("lan", lambda: 0, lambda: None)

    def take(frame: bytes) -> bool:
        sent.append(frame)
        return True

    outside = switch.add_port("outside", take)
    device = VirtioNet("virtio-net0", _MAC, switch, "vm0")
    send = Ask(TX, [bytes(12), _FRAME], [])

    def works(driver: Driver) -> bool:
        sent.clear()
        into = driver.buffer(2000)
        driver.queues[RX].add([], [into])
        driver.notify(RX)
        outside.send(_RECEIVED)
        [(_, length)] = driver.queues[RX].done()
        received = driver.bytes(into)[12:length] == _RECEIVED
        return received and used(driver, send)[0] == 0 and sent == [_FRAME]

    asks = [
        send,
        Ask(RX, [], [1526]),
        Ask(RX, [], [12, 100]),
        Ask(CONTROL, [b"\0\0", b"\1"], [1]),
        Ask(CONTROL, [b"\1\0", struct.pack("<I", 1) + _OTHER, struct.pack("<I", 0)], [1]),
        Ask(CONTROL, [b"\1\1" + _OTHER], [1]),
    ]
    return Subject(device, asks, works, outside.send)


def console() -> Subject:
    printed: list[bytes] = []
    device = VirtioConsole(printed.append)
    send = Ask(TRANSMIT, [b"hello, ", b"world"], [])

    def works(driver: Driver) -> bool:
        printed.clear()
        into = driver.buffer(8)
        driver.queues[RECEIVE].add([], [into])
        driver.notify(RECEIVE)
        typed = device.receive(b"ls\n")
        [(_, length)] = driver.queues[RECEIVE].done()
        received = driver.bytes(into)[:length] == b"ls\n"
        return typed == 3 and received and used(driver, send)[0] == 0 and b"".join(printed) == b"hello, world"

    def outside(data: bytes) -> None:
        device.receive(data)
        device.resize(len(data), 24)

    return Subject(device, [send, Ask(RECEIVE, [], [64]), Ask(TRANSMIT, [bytes(5000)], [])], works, outside)


def vsock() -> Subject:
    hub = VsockHub()
    device = VirtioVsock(_CID, hub)
    peer = Driver(VirtioVsock(_PEER, hub))
    peer.start()

    def ask(op: int, payload: bytes = b"", **fields: int) -> Ask:
        header = Header(_CID, _PEER, 1, 2, len(payload), STREAM, op, 0, 65536, 0)._replace(**fields)
        return Ask(TRANSMIT, [header.pack(), payload] if payload else [header.pack()], [])

    def works(driver: Driver) -> bool:
        """Whether a packet for nobody is answered."""
        into = driver.buffer(HEADER_SIZE + 1)
        driver.queues[RECEIVE].add([], [into])
        driver.notify(RECEIVE)
        done = used(driver, ask(Op.REQUEST, destination_cid=99))[0]
        [(_, length)] = driver.queues[RECEIVE].done()
        return done == 0 and Header.parse(driver.bytes(into)[:length]).op == Op.RST

    def outside(data: bytes) -> None:
        """The peer asks for a connection, and sends."""
        for op, payload in ((Op.REQUEST, b""), (Op.RESPONSE, b""), (Op.RW, data[:1000])):
            header = Header(_PEER, _CID, 2, 1, len(payload), STREAM, op, 0, 0, 0)
            peer.rewind_buffers()
            used(peer, Ask(TRANSMIT, [header.pack(), payload], []))

    asks = [
        ask(Op.REQUEST),
        ask(Op.RESPONSE),
        ask(Op.RW, b"hello"),
        ask(Op.SHUTDOWN, flags=3),
        ask(Op.RST),
        ask(Op.RW, source_cid=_PEER),
        Ask(RECEIVE, [], [HEADER_SIZE + 16]),
        Ask(RECEIVE, [], [HEADER_SIZE, 4096]),
        Ask(EVENT, [], [4]),
    ]
    return Subject(device, asks, works, outside)


DEVICES: dict[str, Callable[[], Subject]] = {
    "blk": block,
    "blk read-only": lambda: block(read_only=True),
    "console": console,
    "net": net,
    "rng": rng,
    "vsock": vsock,
}
"""By name; each call makes a new device."""
