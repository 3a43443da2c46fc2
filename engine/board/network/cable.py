"""What connects a device to a port of a switch, as whoever pulls cables sees it."""

from __future__ import annotations

from typing import Protocol

from engine.board.network.port import Port


class Cable(Protocol):
    """One cable."""

    port: Port
    """The switch's end."""

    @property
    def plugged(self) -> bool:
        """It is in. The link is up only if there is something behind it, too."""

    def plug(self, plugged: bool) -> None:
        """Put it in, or pull it out."""
