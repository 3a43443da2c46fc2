"""What one FF-A call did beyond its registers, noted where it is done and told by the call's event."""

from __future__ import annotations

from dataclasses import dataclass

from engine.events import FfaCost


@dataclass(slots=True)
class Work:
    """The descriptors a call passed, and the work they made."""

    sent: bytes = b""
    """What the caller had in TX."""
    received: bytes = b""
    """What the answer put into RX."""
    entries: int = 0
    """Stage-2 table entries written."""
    flushes: int = 0
    """TLB invalidations."""
    copied: int = 0
    """Bytes read from TX buffers and written to RX buffers."""
    cleared: int = 0
    """Bytes zeroed."""

    @property
    def cost(self) -> FfaCost:
        return FfaCost(self.entries, self.flushes, self.copied, self.cleared)
