"""Network devices on one switch, each with its driver."""

from __future__ import annotations

import itertools
import struct

from engine.board.network.switch import Switch
from engine.board.virtio.device import Feature
from engine.board.virtio.guest_memory import Segment
from engine.board.virtio.net import CONTROL, RX, TX, VirtioNet
from engine.board.virtio.net_features import NetFeature
from engine.board.virtio.net_filter import Mode
from tests.support.virtio import Driver

A, B, C, D = (bytes.fromhex(f"5254000000{n:02x}") for n in (1, 2, 3, 4))
BROADCAST = b"\xff" * 6
MULTICAST = bytes.fromhex("01005e000001")
HEADER = 12
ALL = int(
    NetFeature.MAC | NetFeature.STATUS | NetFeature.CTRL_VQ | NetFeature.CTRL_RX | NetFeature.CTRL_RX_EXTRA
) | int(NetFeature.CTRL_MAC_ADDR)
MERGEABLE = ALL | NetFeature.MRG_RXBUF
OK, ERR = 0, 1


def frame(to: bytes, sender: bytes, data: bytes = b"some data") -> bytes:
    return to + sender + b"\x88\xb5" + data


class Nic:
    """One device, brought up unless `features` is None."""

    def __init__(self, switch: Switch, mac: bytes, name: str, features: int | None = ALL, size: int = 16) -> None:
        self.device = VirtioNet(name, mac, switch, name)
        self.driver = Driver(self.device)
        self.offered: dict[int, Segment] = {}
        if features is not None:
            self.driver.start(features, size)

    def restart(self, features: int = ALL, size: int = 16) -> None:
        """A reset by the driver, and up again."""
        self.driver.slot.write(0x070, 4, 0)
        self.offered.clear()
        self.driver.start(features, size)

    def offer(self, *sizes: int, parts: int = 1, notify: bool = True) -> None:
        """Receive buffers of so many bytes, each cut into parts."""
        for size in sizes:
            cuts = [size * n // parts for n in range(parts + 1)]
            whole = self.driver.buffer(b"\xee" * size)
            segments = [Segment(whole.address + a, b - a) for a, b in itertools.pairwise(cuts)]
            self.offered[self.driver.queues[RX].add([], segments)] = whole
        if notify:
            self.driver.notify(RX)

    @property
    def up(self) -> bool:
        return self.device.port.up

    def used(self) -> list[tuple[int, bytes]]:
        """(used length, that many bytes) of each receive buffer that came back."""
        back = []
        for head, length in self.driver.queues[RX].done():
            whole = self.offered.pop(head)
            back.append((length, self.driver.bytes(whole)[:length]))
        return back

    def frames(self) -> list[bytes]:
        """Frames that came in one buffer each."""
        found = []
        for _, data in self.used():
            assert data[:HEADER] == struct.pack("<10xH", 1)
            found.append(data[HEADER:])
        return found

    def send(self, data: bytes, header: bytes = bytes(HEADER)) -> None:
        """Header and frame in descriptors of their own; the buffer is back at once."""
        queue, buffer = self.driver.queues[TX], self.driver.buffer
        head = queue.add([buffer(header), buffer(data)] if data else [buffer(header)], [])
        self.driver.notify(TX)
        assert queue.done() == [(head, 0)]

    def command(self, *data: bytes) -> int:
        """Class and command, then the data, in places of their own; what it is answered."""
        queue, ack = self.driver.queues[CONTROL], self.driver.buffer(b"\xff")
        head = queue.add([self.driver.buffer(part) for part in data], [ack])
        self.driver.notify(CONTROL)
        assert queue.done() == [(head, 1)]
        return self.driver.bytes(ack)[0]

    def mode(self, mode: Mode, on: bool) -> int:
        return self.command(bytes([0, mode]), bytes([on]))

    def tables(self, stations: list[bytes], groups: list[bytes]) -> int:
        return self.command(b"\x01\x00", table(*stations), table(*groups))


def table(*addresses: bytes) -> bytes:
    """struct virtio_net_ctrl_mac (5.1.6.5.2)."""
    return struct.pack("<I", len(addresses)) + b"".join(addresses)


class Lan:
    """A switch whose time stands still."""

    def __init__(self) -> None:
        self.switch = Switch("lan", lambda: 0, lambda: None)
        self.outside: list[bytes] = []
        """What came to a port without a device."""
        self.port = self.switch.add_port("outside", self._take)

    def _take(self, data: bytes) -> bool:
        self.outside.append(data)
        return True

    def nic(self, mac: bytes, features: int | None = ALL, size: int = 16) -> Nic:
        return Nic(self.switch, mac, f"vm{len(self.switch.ports) - 1}", features, size)


EVENT_INDEX = ALL | Feature.EVENT_IDX
