"""A port of a switch: the link of one device, what went over it and what did not."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias

from engine.board.network.views import PortView


class Drop(enum.StrEnum):
    """Why a frame went no further; counted at the port it came from, `NO_ROOM` at the one it was for."""

    RUNT = "runt"
    OVERSIZE = "oversize"
    DOWN = "link down"
    LOSS = "loss"
    QUEUE = "queue full"
    """Too many frames were on their way already."""
    SAME_PORT = "same port"
    """Its receiver is where it came from."""
    NO_ROOM = "no room"
    """The device did not take it."""


class Direction(enum.Enum):
    """As the switch sees it."""

    IN = "in"
    """From the device into the switch."""
    OUT = "out"


Tap: TypeAlias = Callable[[int, Direction, bytes], None]
"""Called with the virtual time in nanoseconds and a frame."""


class Port:
    """Made by `Switch.add_port`. `deliver` hands a frame to the device, which answers whether it had room for it.

    The device may send from inside `deliver`: what it sends then waits until the frame at hand has been delivered.
    """

    def __init__(
        self,
        name: str,
        index: int,
        deliver: Callable[[bytes], bool],
        transmit: Callable[[Port, bytes], None],
        link_changed: Callable[[Port], None],
    ) -> None:
        self.name = name
        self.index = index
        """Its number in the switch, from 0."""
        self._deliver = deliver
        self._transmit = transmit
        self._link_changed = link_changed
        self._up = True
        self.taps: list[Tap] = []
        """They see all that is on the link, dropped afterwards or not; a tap must not send."""
        self.at_link: Callable[[bool], None] = lambda _up: None
        """Called with the new state of the link when it changed."""
        self.clear()

    def clear(self) -> None:
        """The counters start over; link and taps are as before."""
        self.frames_in = self.bytes_in = self.frames_out = self.bytes_out = 0
        self.drops = dict.fromkeys(Drop, 0)

    @property
    def up(self) -> bool:
        """Whether the link carries frames; a port starts with it up."""
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        if up is not self._up:
            self._up = up
            self._link_changed(self)
            self.at_link(up)

    def send(self, frame: bytes) -> None:
        """The device transmits; any bytes."""
        self._transmit(self, frame)

    def count_in(self, frame: bytes) -> None:
        """It came into the switch."""
        self.frames_in += 1
        self.bytes_in += len(frame)

    def hand_out(self, now: int, frame: bytes) -> None:
        """Give the device a frame, if the link is up."""
        if not self._up:
            return
        self.show(now, Direction.OUT, frame)
        if self._deliver(frame):
            self.frames_out += 1
            self.bytes_out += len(frame)
        else:
            self.drops[Drop.NO_ROOM] += 1

    def show(self, now: int, direction: Direction, frame: bytes) -> None:
        """Let the taps see a frame."""
        for tap in tuple(self.taps):
            tap(now, direction, frame)

    def view(self) -> PortView:
        drops = tuple((reason.value, count) for reason, count in self.drops.items() if count)
        return PortView(self.name, self._up, self.frames_in, self.bytes_in, self.frames_out, self.bytes_out, drops)
