"""What happened on the machine: typed, immutable events in a bounded ring.

Every event carries `cycle`, the virtual time of its physical core in executed instructions, so a
trace is reproducible to the instruction and a digest over it proves that two runs were the same.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, cast

import msgspec

from engine.ffa.version import Version


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


class FfaCost(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one FF-A call took beyond its registers: counted work, so every host tells the same."""

    entries: int = 0
    """Stage-2 table entries written, with those of tables made or split on the way."""
    flushes: int = 0
    """TLB invalidations."""
    copied: int = 0
    """Bytes read from TX buffers and written to RX buffers."""
    cleared: int = 0
    """Bytes of shared memory zeroed."""


FREE = FfaCost()
"""Of calls that only move registers."""


class FfaCall(Event, frozen=True):
    """One FF-A call with its answer (DEN0077A v1.2), as it was: `ffa.lines` and `ffa.dissect` put it into words."""

    endpoint: int
    """Partition id of the caller."""
    args: tuple[int, ...]
    """x0-x7, or x0-x17 of a wide call, upper halves included."""
    result: tuple[int, ...]
    """The answer's x0-x7 or x0-x17; empty where it comes later, as an `FfaAnswer`."""
    version: Version
    """What caller and manager agreed on: the layout of the descriptors."""
    reason: str = ""
    """Why it was refused."""
    sent: bytes = b""
    """The descriptor or message header that the caller had in TX; all of it where the last fragment came."""
    received: bytes = b""
    """The descriptor that the answer put into the caller's RX buffer, before it was cut into fragments."""
    cost: FfaCost = FREE


class FfaAnswer(Event, frozen=True):
    """A call that waited is answered: MSG_WAIT, a direct request or response, FFA_RUN."""

    endpoint: int
    """Partition id of the one that waited."""
    result: tuple[int, ...]
    """x0-x7 or x0-x17 as it continues."""


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
    """`BL1`, `BL2`, `BL31`, `BL32`, `SP 0x8001`, `BL33`: in this order, partitions in theirs."""
    address: int
    """Where it was loaded; 0 where it is Python, and lies nowhere."""
    entry: int
    """Address of its first instruction, or 0."""
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
    """Something from outside the machine: typed bytes, an injected interrupt, a forced step, a frame, ..."""

    kind: str
    """`type`, `resize`, `inject`, `step`, `reset`, `off`; `frame` into its network, `vm`; a port's `plug`, `unplug`;
    of a debugger, `register` and `write va`, `write ipa`, `write pa`."""
    data: bytes
    """What was typed, the frame, why a cable was pulled, the bytes written, or the name of the register."""
    number: int
    """INTID of an injected interrupt; value of a register; address of bytes; of a screen, see `screen_number`."""
    progress: int
    """Instructions executed by all cores: with `cycle`, the exact state of the machine it came into."""


def screen_number(columns: int, rows: int) -> int:
    """A screen's size, each from 1 to 65535, as the number of a `resize`."""
    return columns << 16 | rows


def screen_size(number: int) -> tuple[int, int]:
    """Columns and rows of a `resize`."""
    return number >> 16, number & 0xFFFF


class VmState(Event, frozen=True):
    """A partition changed state: started, off, reset, crashed."""

    state: str
    detail: str


KEPT_EVENTS: Final = 65_536
"""As many as a machine keeps unless more are asked for."""
HEAVIEST: Final = 16 << 20
"""Bytes of descriptors that the ring keeps."""
_PIECE: Final = 4096
"""Events that `newest` takes out at a time."""


class EventRing:
    """The newest `capacity` events, numbered from 0 without gaps; optionally a digest over all.

    Events that carry a guest's data hold `heaviest` bytes together at most; the newest one is kept in any case.
    Any of them is found at once by its number: the memory is a list whose places are used again from the first one on.
    """

    def __init__(self, capacity: int = KEPT_EVENTS, digest: bool = False, heaviest: int = HEAVIEST) -> None:
        self._capacity = capacity
        self._slots: list[Event | None] = []
        """Event n is in place n % capacity; None where it had to go before its time."""
        self._floor = 0
        """Every event before this one had to go."""
        self._heavy: deque[tuple[int, int]] = deque()
        """(number, bytes) of kept events that carry data."""
        self._weight = 0
        self._heaviest = heaviest
        self._hash = hashlib.sha256() if digest else None
        self._encode = msgspec.msgpack.Encoder().encode
        self.watch: Callable[[Event], None] | None = None
        """Called with every event as it happens."""
        self.total = 0
        """Number of events ever emitted."""

    def emit(self, event: Event, weight: int = 0) -> None:
        """Add an event; `weight` is how many bytes of a guest's data it carries."""
        total = self.total
        if total < self._capacity:
            self._slots.append(event)
        else:
            self._slots[total % self._capacity] = event
        self.total = total + 1
        if self._hash is not None:
            self._hash.update(self._encode(event))
        if weight:
            self._make_room(weight)
        if self.watch is not None:
            self.watch(event)

    def _make_room(self, weight: int) -> None:
        """The newest event carries `weight` bytes: the oldest ones go where that is too much."""
        self._heavy.append((self.total - 1, weight))
        self._weight += weight
        while self._heavy[0][0] < self.first or (self._weight > self._heaviest and len(self._heavy) > 1):
            number, gone = self._heavy.popleft()
            self._weight -= gone
            self._drop_through(number)

    def _drop_through(self, number: int) -> None:
        """Events up to this one go."""
        for gone in range(self.first, number + 1):
            self._slots[gone % self._capacity] = None
        self._floor = max(self._floor, number + 1)

    def between(self, start: int, end: int) -> list[Event]:
        """Kept events numbered from `start` to before `end`, oldest first."""
        start, end = max(start, self.first), min(end, self.total)
        if start >= end:
            return []
        left, right = start % self._capacity, (end - 1) % self._capacity + 1
        found = self._slots[left:right] if left < right else self._slots[left:] + self._slots[:right]
        return cast("list[Event]", found)  # those that had to go are before `first`

    def newest(self, sequence: int) -> Iterator[Event]:
        """Events numbered `sequence` and later that are still kept, newest first."""
        start = max(sequence, self.first)
        for end in range(self.total, start, -_PIECE):
            yield from reversed(self.between(max(start, end - _PIECE), end))

    def since(self, sequence: int) -> Iterator[Event]:
        """Events numbered `sequence` and later that are still kept, oldest first."""
        return iter(self.between(sequence, self.total))

    def window(self, sequence: int, limit: int) -> tuple[int, list[Event]]:
        """(number of the first, events): the newest at most `limit` kept events numbered `sequence` or later."""
        start = max(sequence, self.first, self.total - limit)
        return start, self.between(start, self.total)

    @property
    def first(self) -> int:
        """Sequence number of the oldest event still kept."""
        return max(self._floor, self.total - self._capacity)

    def hexdigest(self, *more: bytes) -> str:
        """SHA-256 over every event so far and the given final state; the ring must have been made with digest."""
        if self._hash is None:
            raise ValueError("this ring keeps no digest")
        final = self._hash.copy()
        for chunk in more:
            final.update(chunk)
        return final.hexdigest()
