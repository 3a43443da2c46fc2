"""What a vCPU's FF-A messages have it wait for: plain data, so that no call spans guest execution in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.manager.endpoint import Target


@dataclass(slots=True)
class CallState:
    """The messages one vCPU is in the middle of."""

    callee: Target | None = None
    """Who has to answer; it is in a direct request or FFA_RUN."""
    caller: Target | None = None
    """Whom it has to answer."""
    function: int = 0
    """The call that `caller` made."""
    suspended: bool = False
    """`caller` no longer waits: it was told FFA_INTERRUPT or FFA_YIELD, and its FFA_RUN lets this vCPU go on."""
    lost: int | None = None
    """Endpoint whose suspended call ended with this vCPU's partition, and which has not heard of it yet."""

    def clear(self) -> None:
        """Its partition ended in the middle of whatever."""
        lost = self.caller.endpoint if self.caller is not None and self.suspended else None
        self.callee = None
        self.release()
        self.lost = lost

    def release(self) -> None:
        """It has nobody to answer."""
        self.caller, self.function, self.suspended, self.lost = None, 0, False, None
