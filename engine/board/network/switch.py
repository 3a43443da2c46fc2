"""A learning Ethernet switch between devices of the board (IEEE 802.1Q clause 8, without the protocols of bridges)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from engine.board.network import chance, ethernet
from engine.board.network.mac_table import MacTable
from engine.board.network.port import Direction, Drop, Port
from engine.board.network.views import StationView, SwitchView

AGEING_NS = 300_000_000_000
"""How long an address is remembered: the standard's 300 s (802.1Q table 8-6)."""
TABLE_SIZE = 1024
QUEUE_SIZE = 1024
"""Frames on their way, of all ports together."""
BURST = 256
"""Frames that go through at one instant, so that devices answering each other at once leave time to the rest."""
REST_NS = 1000
"""Until the next of them do."""


class Switch:
    """Any number of ports. What one sends reaches the port where its receiver was last seen, or all others.

    Every port is a member of every VLAN; each VLAN has addresses of its own (independent learning) and tags stay as
    they are. The links into the switch lose `loss_ppm` frames in a million, the same ones for the same seed, and take
    `delay_ns` of virtual time; frames never overtake each other. With a delay of 0 a frame is delivered before `send`
    returns, unless that was called from inside a delivery.

    `now_ns` is virtual time in nanoseconds; the board asks `next_match_ns` and calls `poll`. `schedule`: a frame was
    sent, so that the next moment of interest is another one. After `poll` and `reset` the board asks anyway.
    """

    def __init__(
        self,
        name: str,
        now_ns: Callable[[], int],
        schedule: Callable[[], None],
        seed: int = 0,
        delay_ns: int = 0,
        loss_ppm: int = 0,
        table_size: int = TABLE_SIZE,
        ageing_ns: int = AGEING_NS,
        queue_size: int = QUEUE_SIZE,
    ) -> None:
        self.name = name
        self.ports: list[Port] = []
        self._now_ns = now_ns
        self._schedule = schedule
        self._seed = seed
        self._delay_ns = delay_ns
        self._loss_ppm = loss_ppm
        self._queue_size = queue_size
        self._table = MacTable(table_size, ageing_ns)
        self._waiting: deque[tuple[int, int, bytes]] = deque()
        """(when it arrives in nanoseconds, index of the port it came from, frame), in order."""
        self._forwarding = False
        self.reset()

    def reset(self) -> None:
        """Nothing learned, counted or on its way; ports and the state of their links stay."""
        self._clock = 0
        self._resume_ns = 0
        self._sequence = 0
        """Frames that chance decided about."""
        self._waiting.clear()
        self._table.clear()
        for port in self.ports:
            port.clear()

    def add_port(self, name: str, deliver: Callable[[bytes], bool]) -> Port:
        """Connect a device, with the link up."""
        port = Port(name, len(self.ports), deliver, self._transmit, self._link_changed)
        self.ports.append(port)
        return port

    # --- time ----------------------------------------------------------------------------------------

    def next_match_ns(self) -> int | None:
        """When the next frame arrives, None while none is on its way."""
        return max(self._waiting[0][0], self._resume_ns) if self._waiting else None

    def poll(self) -> None:
        """Forward the frames that have arrived."""
        if self._waiting:
            self._forward(self._advance())

    def _advance(self) -> int:
        """The time; cores whose clocks differ by a slice do not turn it back."""
        self._clock = max(self._clock, self._now_ns())
        return self._clock

    # --- frames --------------------------------------------------------------------------------------

    def _transmit(self, port: Port, frame: bytes) -> None:
        now, before = self._advance(), self.next_match_ns()
        self._forward(now)
        reason = self._refusal(port, frame)
        if reason is not Drop.DOWN:
            port.show(now, Direction.IN, frame)
        if reason is None:
            self._waiting.append((now + self._delay_ns, port.index, frame))
            self._forward(now)
        else:
            port.drops[reason] += 1
        if not self._forwarding and self.next_match_ns() != before:
            self._schedule()

    def _refusal(self, port: Port, frame: bytes) -> Drop | None:
        """Why a frame does not get into the switch, if so."""
        if not port.up:
            return Drop.DOWN
        if ethernet.is_runt(frame):
            return Drop.RUNT
        if ethernet.is_oversize(frame):
            return Drop.OVERSIZE
        if self._lost():
            return Drop.LOSS
        return Drop.QUEUE if len(self._waiting) >= self._queue_size else None

    def _lost(self) -> bool:
        draw = chance.parts_per_million(self._seed, self.name, self._sequence) if self._loss_ppm else chance.MILLION
        self._sequence += 1
        return draw < self._loss_ppm

    def _forward(self, now: int) -> None:
        """Let what has arrived through, and what devices send meanwhile: it joins the queue, so nothing recurses."""
        if self._forwarding:
            return
        self._forwarding = True
        try:
            for _ in range(BURST):
                if not self._due(now):
                    return
                _, index, frame = self._waiting.popleft()
                self._arrive(now, self.ports[index], frame)
            if self._due(now):
                self._resume_ns = now + REST_NS
        finally:
            self._forwarding = False

    def _due(self, now: int) -> bool:
        moment = self.next_match_ns()
        return moment is not None and moment <= now

    def _arrive(self, now: int, source: Port, frame: bytes) -> None:
        if not source.up:
            source.drops[Drop.DOWN] += 1
            return
        source.count_in(frame)
        vlan, sender, receiver = ethernet.vlan(frame), ethernet.source(frame), ethernet.destination(frame)
        if not ethernet.is_group(sender):
            self._table.learn(vlan, sender, source.index, now)
        # Never found for a group address, because none is ever learned.
        target = self._table.find(vlan, receiver, now)
        if target is None:
            self._flood(now, source, frame)
        elif target == source.index:
            source.drops[Drop.SAME_PORT] += 1
        else:
            self.ports[target].hand_out(now, frame)

    def _flood(self, now: int, source: Port, frame: bytes) -> None:
        for port in self.ports:
            if port is not source:
                port.hand_out(now, frame)

    def _link_changed(self, port: Port) -> None:
        if not port.up:
            self._table.forget_port(port.index)

    # --- looking -------------------------------------------------------------------------------------

    def view(self) -> SwitchView:
        """A picture of it now; looking changes nothing."""
        now = max(self._clock, self._now_ns())
        stations = tuple(
            StationView(station.vlan, ethernet.text(station.address), self.ports[station.port].name, station.age_ns)
            for station in self._table.stations(now)
        )
        return SwitchView(self.name, tuple(port.view() for port in self.ports), stations, len(self._waiting))
