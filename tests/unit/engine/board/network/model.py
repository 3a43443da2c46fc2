"""What a switch does, said as simply as possible: lists that are searched, and frames that are not bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.board.network.ethernet import BROADCAST
from tests.unit.engine.board.network.bench import frame


class Sent(NamedTuple):
    """A frame as it was meant."""

    destination: bytes
    source: bytes
    vlan: int | None
    size: int
    """Bytes, headers and tag included."""

    @property
    def tagged(self) -> bool:
        return self.vlan is not None and self.size >= 18

    @property
    def lan(self) -> int:
        """The VLAN whose addresses count; 0 without one."""
        return self.vlan & 4095 if self.vlan is not None and self.tagged else 0

    @property
    def wire(self) -> bytes:
        return frame(self.destination, self.source, bytes(1600), self.vlan)[: self.size]


@dataclass
class Row:
    """A known station."""

    lan: int
    address: bytes
    port: int
    seen: int


@dataclass
class Model:
    """The last port's device answers broadcasts, from inside the delivery."""

    ports: int
    delay: int
    table_size: int
    ageing: int
    queue: int
    responder: bytes
    now: int = 0
    rows: list[Row] = field(default_factory=list)
    """In the order in which they were last seen."""
    pending: list[tuple[int, int, Sent]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.up = [True] * self.ports
        self.room = [1 << 30] * self.ports
        self.got: list[list[bytes]] = [[] for _ in range(self.ports)]
        self.count: list[Counter[str]] = [Counter() for _ in range(self.ports)]

    def send(self, port: int, sent: Sent) -> None:
        self.forward()
        self._enter(port, sent)
        self.forward()

    def _enter(self, port: int, sent: Sent) -> None:
        count = self.count[port]
        if not self.up[port]:
            count["link down"] += 1
        elif sent.size < 14:
            count["runt"] += 1
        elif sent.size > (1518 if sent.tagged else 1514):
            count["oversize"] += 1
        elif len(self.pending) >= self.queue:
            count["queue full"] += 1
        else:
            self.pending.append((self.now + self.delay, port, sent))

    def link(self, port: int, up: bool) -> None:
        self.up[port] = up
        if not up:
            self.rows = [row for row in self.rows if row.port != port]

    def forward(self) -> None:
        while self.pending and self.pending[0][0] <= self.now:
            _, port, sent = self.pending.pop(0)
            self._arrive(port, sent)

    def known(self) -> list[Row]:
        return [row for row in self.rows if self.now < row.seen + self.ageing]

    def _arrive(self, port: int, sent: Sent) -> None:
        if not self.up[port]:
            self.count[port]["link down"] += 1
            return
        self.count[port].update(frames_in=1, bytes_in=sent.size)
        if sent.source[0] % 2 == 0:
            others = [row for row in self.known() if (row.lan, row.address) != (sent.lan, sent.source)]
            self.rows = [*others, Row(sent.lan, sent.source, port, self.now)][-self.table_size :]
        unicast = sent.destination[0] % 2 == 0
        where = [row.port for row in self.known() if unicast and (row.lan, row.address) == (sent.lan, sent.destination)]
        if where == [port]:
            self.count[port]["same port"] += 1
            return
        for target in where or [other for other in range(self.ports) if other != port and self.up[other]]:
            self._deliver(target, sent)

    def _deliver(self, port: int, sent: Sent) -> None:
        if not self.room[port]:
            self.count[port]["no room"] += 1
            return
        self.room[port] -= 1
        self.got[port].append(sent.wire)
        self.count[port].update(frames_out=1, bytes_out=sent.size)
        if port == self.ports - 1 and sent.destination == BROADCAST:
            self._enter(port, Sent(sent.source, self.responder, None, 60))
