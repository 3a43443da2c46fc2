"""What a run may stop at: the next event of a kind, seen as it happens and noticed by no guest."""

from __future__ import annotations

import enum

from engine.events import Event, EventRing, FfaAnswer, FfaCall, Interrupt, Trap, WorldSwitch
from engine.ffa import lines, log
from engine.hypervisor.hypervisor import Hypervisor


class Goal(enum.StrEnum):
    """Kinds of events to run to."""

    TRAP = "trap"
    """A guest's exception that is taken to EL2, or EL3."""
    FFA = "FF-A call"
    """A call, or the answer to one that waited."""
    INTERRUPT = "interrupt"
    """A virtual interrupt becomes pending."""
    WORLD = "world switch"
    """A physical core enters or leaves the secure world."""


_EVENTS: dict[Goal, type[Event] | tuple[type[Event], ...]] = {
    Goal.TRAP: Trap,
    Goal.FFA: (FfaCall, FfaAnswer),
    Goal.INTERRUPT: Interrupt,
    Goal.WORLD: WorldSwitch,
}


class Goals:
    """At most one goal at a time; reaching it holds the machine."""

    def __init__(self, events: EventRing, hypervisor: Hypervisor) -> None:
        self._events = events
        self._hypervisor = hypervisor
        self._goal: Goal | None = None

    def set(self, goal: Goal | None) -> None:
        """Hold the machine at the next event of a kind, or (None) at none."""
        self._goal = goal
        self._events.watch = None if goal is None else self._seen

    def _seen(self, event: Event) -> None:
        if self._goal is not None and isinstance(event, _EVENTS[self._goal]):
            self._hypervisor.halt(f"{self._goal}: {_words(event)}")
            self.set(None)


def _words(event: Event) -> str:
    where = f"{event.vm}/{event.vcpu}"
    match event:
        case Trap():
            return f"{where} {event.what}"
        case FfaCall():
            return f"{where} {lines.describe_call(event.args, event.sent, event.version)}"
        case FfaAnswer():
            return f"{where} continues with {log.describe(event.result)}"
        case Interrupt():
            return f"{where} INTID {event.intid}, from {event.source}"
        case WorldSwitch():
            return f"core {event.core} enters the {'secure' if event.secure else 'normal'} world"
    return where
