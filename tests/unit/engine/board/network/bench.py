"""A switch with devices that keep what they get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.board.network.ethernet import BROADCAST
from engine.board.network.port import Port
from engine.board.network.switch import Switch

A, B, C, D = (bytes.fromhex(f"5254000000{n:02x}") for n in (1, 2, 3, 4))
MULTICAST = bytes.fromhex("01005e000001")
IPV4 = b"\x08\x00"


def frame(destination: bytes, source: bytes, data: bytes = b"", vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return destination + source + tag + IPV4 + data


def hello(source: bytes, vlan: int | None = None) -> bytes:
    """Makes a station known."""
    return frame(BROADCAST, source, b"hello", vlan)


@dataclass
class Nic:
    """A device behind a port: takes frames while there is room, and may answer at once."""

    room: int = 1 << 30
    got: list[bytes] = field(default_factory=list)
    answer: Callable[[bytes], None] = lambda _frame: None

    def deliver(self, data: bytes) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.got.append(data)
        self.answer(data)
        return True

    def take(self) -> list[bytes]:
        """What came since the last time."""
        got, self.got = self.got, []
        return got


class Bench:
    """Virtual time, a switch and as many devices as asked for."""

    def __init__(
        self,
        ports: int = 3,
        *,
        seed: int = 0,
        delay_ns: int = 0,
        loss_ppm: int = 0,
        table_size: int = 16,
        ageing_ns: int = 1000,
        queue_size: int = 8,
    ) -> None:
        self.now = 0
        self.scheduled = 0
        self.switch = Switch(
            "lan", lambda: self.now, self._count, seed, delay_ns, loss_ppm, table_size, ageing_ns, queue_size
        )
        self.nics = [Nic() for _ in range(ports)]
        self.ports: list[Port] = [
            self.switch.add_port(f"vm{number}", nic.deliver) for number, nic in enumerate(self.nics)
        ]

    def _count(self) -> None:
        self.scheduled += 1

    def at(self, now: int) -> None:
        """Let time come, as a board does that looks whenever the switch asked it to."""
        moment = self.switch.next_match_ns()
        while moment is not None and moment <= now:
            self.now = max(self.now, moment)
            self.switch.poll()
            moment = self.switch.next_match_ns()
        self.now = now
        self.switch.poll()

    def taken(self) -> list[list[bytes]]:
        return [nic.take() for nic in self.nics]

    def sends(self, port: int, data: bytes) -> list[list[bytes]]:
        """What each device gets of a frame without delay."""
        self.ports[port].send(data)
        return self.taken()
