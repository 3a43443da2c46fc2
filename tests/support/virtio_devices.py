"""Every kind of virtio device, with what a test that knows none of them needs: one list for all such tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.board.network.switch import Switch
from engine.board.virtio.block import Request, VirtioBlock
from engine.board.virtio.device import VirtioDevice
from engine.board.virtio.disk_memory import RamDisk
from engine.board.virtio.net import CONTROL, RX, TX, VirtioNet
from engine.board.virtio.rng import VirtioRng
from tests.support.virtio import Driver

_SECTORS = 64
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


DEVICES: dict[str, Callable[[], Subject]] = {
    "blk": block,
    "blk read-only": lambda: block(read_only=True),
    "net": net,
    "rng": rng,
}
"""By name; each call makes a new device."""
