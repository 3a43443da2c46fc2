"""Where stations are: the filtering database of a switch, learned and forgotten by itself (IEEE 802.1Q 8.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Station(NamedTuple):
    """One learned address."""

    vlan: int
    address: bytes
    port: int
    """Index of the port behind which it was seen."""
    age_ns: int
    """Since it last sent something."""


class MacTable:
    """At most `size` addresses; each is forgotten `ageing_ns` after it was last seen, or when the room is needed.

    The times given must never decrease. Frames carry both keys, so they are all the guests' choice: the size is what
    bounds the table.
    """

    def __init__(self, size: int, ageing_ns: int) -> None:
        self._size = size
        self._ageing_ns = ageing_ns
        self._seen: dict[tuple[int, bytes], tuple[int, int]] = {}
        """(VLAN, address) -> (port, when it was last seen), the one not seen for longest first."""

    def learn(self, vlan: int, address: bytes, port: int, now: int) -> None:
        """It sent something from there; it is no longer where it was before."""
        self._seen.pop((vlan, address), None)
        if not self._size:
            return
        if len(self._seen) >= self._size:
            # Addresses whose time is over are the first to go.
            del self._seen[next(iter(self._seen))]
        self._seen[vlan, address] = port, now

    def find(self, vlan: int, address: bytes, now: int) -> int | None:
        """Port behind which it is; None while nobody knows."""
        self._expire(now)
        found = self._seen.get((vlan, address))
        return None if found is None else found[0]

    def forget_port(self, port: int) -> None:
        """Its link went: whoever was there may be anywhere."""
        self._seen = {key: value for key, value in self._seen.items() if value[0] != port}

    def clear(self) -> None:
        self._seen.clear()

    def stations(self, now: int) -> Iterator[Station]:
        """The addresses known at that time, the one not seen for longest first; changes nothing."""
        for (vlan, address), (port, seen) in self._seen.items():
            if not self._over(seen, now):
                yield Station(vlan, address, port, now - seen)

    def _over(self, seen: int, now: int) -> bool:
        return now - seen >= self._ageing_ns

    def _expire(self, now: int) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if not self._over(self._seen[oldest][1], now):
                return
            del self._seen[oldest]
