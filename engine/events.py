"""What happened on the machine: typed, immutable events in a bounded ring.

Every event carries `cycle`, the virtual time of its physical core in executed instructions, so a
trace is reproducible to the instruction and a digest over it proves that two runs were the same.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Iterator

import msgspec


class Event(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Something observable that happened at one instruction boundary."""

    cycle: int
    """Virtual time in cycles (instructions) of the physical core that saw it."""
    vm: str
    """Partition name, or "" for the board itself."""
    vcpu: int
    """vCPU number inside the partition; -1 when it concerns the whole partition."""


class Trap(Event, frozen=True):
    """A guest exception that was taken to the hypervisor."""

    ec: int
    """Exception class, Arm ARM D17.2.37 (ESR_ELx.EC)."""
    pc: int
    what: str
    """In the field's words: `HVC PSCI_VERSION`, `read pl011 UARTFR`, `write ICC_EOIR1_EL1`."""
    value: int
    """The value read or written, or the call's function id."""


class ExceptionInjected(Event, frozen=True):
    """A synchronous exception delivered to a guest exception level."""

    target_el: int
    esr: int
    far: int
    pc: int


class PsciCall(Event, frozen=True):
    """One PSCI call with its result (DEN0022)."""

    function: str
    args: tuple[int, ...]
    result: int
    """Signed: 0 or positive is success, negative a PSCI error."""


class FfaCall(Event, frozen=True):
    """One FF-A call with its answer (DEN0077A v1.2)."""

    endpoint: int
    """Partition id of the caller."""
    function: str
    call: str
    """The call in one line, decoded."""
    result: str
    """The answer in one line; "waits" where it comes later, as an `FfaAnswer`."""


class FfaAnswer(Event, frozen=True):
    """A call that waited is answered: MSG_WAIT, a direct request or response, FFA_RUN."""

    endpoint: int
    """Partition id of the one that waited."""
    result: str


class Interrupt(Event, frozen=True):
    """A virtual interrupt became pending for a vCPU."""

    intid: int
    source: str
    """`timer`, `pl011`, `sgi from 0`, `injected`."""


class WorldSwitch(Event, frozen=True):
    """A physical core went from one world to the other; the partition is the normal world's that called, if any."""

    core: int
    secure: bool
    """Where it is now."""


class BootStage(Event, frozen=True):
    """The chain of trust loaded or entered an image."""

    stage: str
    """`BL31`, `BL32`, `SP 0x8001`, `BL33`."""
    address: int
    """Where it was loaded."""
    entry: int
    """Where it begins."""
    detail: str


class Switch(Event, frozen=True):
    """A physical core now runs this vCPU."""

    core: int


class Blocked(Event, frozen=True):
    """A vCPU gave its physical core away."""

    why: str
    """`wfi`, `wfe`, `off`, `preempted`."""


class ConsoleOutput(Event, frozen=True):
    """Bytes a partition wrote to its console (one guest store each)."""

    data: bytes


class HostInput(Event, frozen=True):
    """Something from outside the machine: typed bytes, an injected interrupt, a forced step."""

    kind: str
    """`type`, `inject`, `step` or `reset`."""
    data: bytes
    """What was typed."""
    number: int
    """INTID of an injected interrupt."""
    progress: int
    """Instructions executed by all cores: with `cycle`, the exact state of the machine it came into."""


class VmState(Event, frozen=True):
    """A partition changed state: started, off, reset, crashed."""

    state: str
    detail: str


class EventRing:
    """The newest `capacity` events, numbered from 0 without gaps; optionally a digest over all."""

    def __init__(self, capacity: int = 65536, digest: bool = False) -> None:
        self._ring: deque[Event] = deque(maxlen=capacity)
        self._hash = hashlib.sha256() if digest else None
        self._encode = msgspec.msgpack.Encoder().encode
        self.total = 0
        """Number of events ever emitted."""

    def emit(self, event: Event) -> None:
        self._ring.append(event)
        self.total += 1
        if self._hash is not None:
            self._hash.update(self._encode(event))

    def since(self, sequence: int) -> Iterator[Event]:
        """Events numbered `sequence` and later that are still kept, oldest first."""
        wanted = min(len(self._ring), max(0, self.total - sequence))
        return reversed(list(itertools.islice(reversed(self._ring), wanted)))

    def window(self, sequence: int, limit: int) -> tuple[int, list[Event]]:
        """(number of the first, events): the newest at most `limit` kept events numbered `sequence` or later."""
        start = max(sequence, self.first, self.total - limit)
        return start, list(self.since(start))

    @property
    def first(self) -> int:
        """Sequence number of the oldest event still kept."""
        return self.total - len(self._ring)

    def hexdigest(self, *more: bytes) -> str:
        """SHA-256 over every event so far and the given final state; the ring must have been made with digest."""
        if self._hash is None:
            raise ValueError("this ring keeps no digest")
        final = self._hash.copy()
        for chunk in more:
            final.update(chunk)
        return final.hexdigest()
