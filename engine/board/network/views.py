"""Frozen pictures of a switch for front ends."""

from __future__ import annotations

import msgspec


class PortView(msgspec.Struct, frozen=True):
    """One port; counters since the switch was reset. In is from the device into the switch."""

    name: str
    up: bool
    frames_in: int
    bytes_in: int
    frames_out: int
    bytes_out: int
    drops: tuple[tuple[str, int], ...]
    """(reason, frames), only of reasons that occurred, in the order of `port.Drop`."""


class StationView(msgspec.Struct, frozen=True):
    """One row of the MAC table."""

    vlan: int
    """0: untagged."""
    address: str
    """`52:54:00:00:00:01`."""
    port: str
    age_ns: int
    """Virtual time since the station last sent a frame."""


class SwitchView(msgspec.Struct, frozen=True):
    """One switch."""

    name: str
    ports: tuple[PortView, ...]
    stations: tuple[StationView, ...]
    """The one not seen for longest first."""
    waiting: int
    """Frames on their way."""
