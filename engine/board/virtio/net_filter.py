"""Which frames a network device passes on to its driver (virtio 1.2, 5.1.6.5.1 and 5.1.6.5.2)."""

from __future__ import annotations

import enum
from typing import TypeAlias

from engine.board.network import ethernet

MOST_ADDRESSES = 64
"""Addresses of a table that are remembered; of a longer one, every address of its kind is let through."""

Addresses: TypeAlias = "frozenset[bytes] | None"
"""None: all of them."""


class Mode(enum.IntEnum):
    """What the driver turns on and off: the commands of class RX (5.1.6.5.1)."""

    PROMISC = 0
    ALLMULTI = 1
    ALLUNI = 2
    NOMULTI = 3
    NOUNI = 4
    NOBCAST = 5


class ReceiveFilter:
    """By the receiver's address. As after reset it lets its own address and broadcasts through."""

    def __init__(self, mac: bytes) -> None:
        self._first_mac = mac
        self.reset()

    def reset(self) -> None:
        """The address of the configuration, no modes, and empty tables (5.1.6.5.2.1)."""
        self.mac = self._first_mac
        self.modes: set[Mode] = set()
        self.stations: Addresses = frozenset()
        """Further addresses of single stations."""
        self.groups: Addresses = frozenset()

    def accepts(self, frame: bytes) -> bool:
        """Whether the driver wants a frame; any bytes. Promiscuous mode overrides all others."""
        address = ethernet.destination(frame)
        if Mode.PROMISC in self.modes:
            return True
        if address == ethernet.BROADCAST:
            return Mode.NOBCAST not in self.modes
        if ethernet.is_group(address):
            listed = self.groups is None or address in self.groups
            return Mode.NOMULTI not in self.modes and (listed or Mode.ALLMULTI in self.modes)
        listed = address == self.mac or self.stations is None or address in self.stations
        return Mode.NOUNI not in self.modes and (listed or Mode.ALLUNI in self.modes)
