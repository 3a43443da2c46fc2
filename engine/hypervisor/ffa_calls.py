"""What a vCPU's FF-A messages have it wait for: plain data, so that no call spans guest execution in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Target(NamedTuple):
    """One vCPU of a partition, as target information words name it."""

    endpoint: int
    vcpu: int

    @property
    def word(self) -> int:
        """Endpoint in bits [31:16], vCPU in [15:0]."""
        return self.endpoint << 16 | self.vcpu


@dataclass(slots=True)
class CallState:
    """The messages one vCPU is in the middle of."""

    callee: Target | None = None
    """Who has to answer; it is in a direct request or FFA_RUN."""
    caller: Target | None = None
    """Who waits for it."""
    function: int = 0
    """The call by which `caller` waits."""
    yielded: bool = False
    """It called FFA_YIELD while another partition ran it, and continues with the next FFA_RUN."""

    def clear(self) -> None:
        """It is in the middle of nothing."""
        self.callee, self.caller, self.function, self.yielded = None, None, 0, False
