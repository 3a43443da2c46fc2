"""What the bridge hands to the widgets: one frozen picture, and what is new since the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.events import Event, FfaAnswer, FfaCall
from engine.views import MachineView, RegistersView


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in a row."""

    first: int
    """Sequence number of the first one."""
    events: tuple[Event, ...]
    complete: bool
    """These are all that is kept, not just what followed the batch before."""


@dataclass(frozen=True, slots=True)
class FfaBatch:
    """What is new of the FF-A calls."""

    events: tuple[tuple[int, FfaCall | FfaAnswer], ...]
    """(sequence number, event), oldest first."""
    gap: bool
    """Some between the batch before and this one are lost."""
    end: int
    """Sequence number that the next batch starts from."""
    endpoint: int | None = None
    """Calls that surely do not concern it were left out; None: all are there."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The answer to what a page wanted to know."""

    page: str
    """Who asked."""
    value: object
    """What its `look` returned, or the MachineError that says why there is nothing to be seen."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a guest printed, and when."""

    data: bytes
    begun: tuple[tuple[int, int], ...] = ()
    """(offset of a line's first byte in it, virtual nanoseconds), in order; lines between two begin with the first."""

    def pieces(self, size: int) -> Iterator[Printed]:
        """The same in pieces of at most `size` bytes."""
        first = 0
        for start in range(0, len(self.data), size):
            last = first
            while last < len(self.begun) and self.begun[last][0] < start + size:
                last += 1
            begun = tuple((offset - start, at_ns) for offset, at_ns in self.begun[first:last])
            yield Printed(self.data[start : start + size], begun)
            first = last


@dataclass(frozen=True, slots=True)
class Frame:
    """One answer of the machine."""

    view: MachineView
    consoles: tuple[tuple[str, Printed], ...]
    """(VM, what it printed since the frame before); only those that printed."""
    events: EventBatch | None
    """None when there are no new ones, or it is too early to show them."""
    ffa: FfaBatch | None
    """None when nobody looks at the calls, or it is too early to show them."""
    registers: RegistersView | None
    """Of the selected vCPU; None when they were not asked for."""
    mips: float | None
    """Million guest instructions per wall-clock second; None while that is not known."""
    failure: str
    """Traceback of what ended the engine, else ""."""
    looked: Looked | None = None
    """What a page asked for besides; None when none did."""
