"""FF-A versions and what FFA_VERSION settles with one endpoint (DEN0077A v1.2, 13.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

_MBZ = 1 << 31
NOT_SUPPORTED_WORD = 0xFFFF_FFFF
"""w0 of a refused FFA_VERSION: NOT_SUPPORTED, without FFA_ERROR."""


class Version(NamedTuple):
    """A version; later versions compare greater."""

    major: int
    """0 to 0x7FFF."""
    minor: int
    """0 to 0xFFFF."""

    def pack(self) -> int:
        """Bit 31 zero, major in [30:16], minor in [15:0]."""
        return (self.major & 0x7FFF) << 16 | self.minor & 0xFFFF

    def serves(self, caller: Version) -> bool:
        """Whether a callee of this version is compatible with `caller`: same major, minor not lower."""
        return self.major == caller.major and self.minor >= caller.minor

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


V1_0 = Version(1, 0)
V1_1 = Version(1, 1)
V1_2 = Version(1, 2)


def parse_version(word: int) -> Version | None:
    """The version in w1 of FFA_VERSION, or None where bit 31 is set."""
    if word & _MBZ:
        return None
    return Version(word >> 16 & 0x7FFF, word & 0xFFFF)


@dataclass(slots=True)
class Negotiation:
    """The version one endpoint and its manager use with each other."""

    ours: Version = V1_2
    """The highest version the manager speaks."""
    agreed: Version = V1_2
    """Decides descriptor layouts and which functions exist for the endpoint."""
    asked: bool = False
    """Whether the endpoint has made a successful FFA_VERSION call."""
    settled: bool = False
    """Whether the endpoint has made another call, after which `agreed` cannot change."""

    def request(self, word: int) -> int:
        """FFA_VERSION with `word` in w1; returns w0.

        Our version when the major numbers agree. A higher minor number of the caller gets ours as well, which tells
        it to downgrade. NOT_SUPPORTED for bit 31, another major number, or a change after another call.
        """
        asked = parse_version(word)
        if asked is None or asked.major != self.ours.major:
            return NOT_SUPPORTED_WORD
        agreed = min(asked, self.ours)
        if self.settled and agreed != self.agreed:
            return NOT_SUPPORTED_WORD
        self.agreed, self.asked = agreed, True
        return self.ours.pack()

    def settle(self) -> None:
        """The endpoint made a call other than FFA_VERSION."""
        self.settled = True
