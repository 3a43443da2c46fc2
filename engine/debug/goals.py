"""What a run may stop at: an event of a kind, or text on a console, seen as it comes and noticed by no guest."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.console import Console
from engine.debug import event_words
from engine.debug.screens import Screens
from engine.events import Event, EventRing, FfaAnswer, FfaCall, Interrupt, Trap, WorldSwitch
from engine.ffa import lines, log
from engine.hypervisor.hypervisor import Hypervisor

_LONGEST_TEXT = 60
"""Characters of what a console showed that are told."""
LONGEST_LINE: Final = 1 << 13
"""Characters of an event's line that are searched: a guest may print a lot in one piece."""


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


@dataclass(frozen=True, slots=True)
class ConsoleText:
    """A console shows text that matches, after what an earlier wait has used up; maybe it does so already."""

    console: str | None
    """None: any of them."""
    pattern: re.Pattern[str]

    def __str__(self) -> str:
        return f"{self.pattern.pattern!r} on {self.console or 'any console'}"


@dataclass(frozen=True, slots=True)
class EventMatch:
    """The next event of a kind whose line matches."""

    kind: str
    """As `event_words.KINDS` has it; "" for any."""
    pattern: re.Pattern[str]
    """Searched for in the first LONGEST_LINE characters of `event_words.line`: kind, place, text."""

    def __str__(self) -> str:
        return f"an event {self.kind} {self.pattern.pattern!r}".replace("  ", " ")

    def takes(self, event: Event) -> bool:
        return self.kind in ("", event_words.kind(event)) and bool(
            self.pattern.search(event_words.line(event), 0, LONGEST_LINE)
        )


AnyGoal: TypeAlias = Goal | ConsoleText | EventMatch

_EVENTS: dict[Goal, type[Event] | tuple[type[Event], ...]] = {
    Goal.TRAP: Trap,
    Goal.FFA: (FfaCall, FfaAnswer),
    Goal.INTERRUPT: Interrupt,
    Goal.WORLD: WorldSwitch,
}


@dataclass(frozen=True, slots=True)
class _Wait:
    """One that looks out for a goal."""

    goal: AnyGoal
    reached: Callable[[str], object]
    """Called inside the trap that reached it, with its words."""


class Goals:
    """At most two at a time: where a run ends, and what somebody waits for over any number of runs and pauses.

    Reaching either holds the machine, and ends that goal.
    """

    def __init__(self, events: EventRing, hypervisor: Hypervisor, consoles: Sequence[Console]) -> None:
        self.screens = Screens(consoles)
        self._events = events
        self._hypervisor = hypervisor
        self._consoles = consoles
        self._run: _Wait | None = None
        self._wait: _Wait | None = None

    def set(self, goal: AnyGoal | None) -> None:
        """Where the run at hand ends: it is held at once where a console shows the text already."""
        self._run = None if goal is None else _Wait(goal, lambda _words: None)
        self._look_out()

    def wait(self, goal: AnyGoal, reached: Callable[[str], object]) -> None:
        """Wait for a goal, instead of what was waited for, until it comes; `reached` gets its words."""
        self._wait = _Wait(goal, reached)
        self._look_out()

    def give_up(self) -> None:
        """Wait for nothing any more."""
        self._wait = None
        self._look_out()

    def _look_out(self) -> None:
        """Events and consoles are looked at only while there is something to see."""
        goals = [each.goal for each in (self._run, self._wait) if each is not None]
        texts = any(isinstance(goal, ConsoleText) for goal in goals)
        for console in self._consoles:
            if self._printed in console.listeners:
                console.listeners.remove(self._printed)
            if texts:
                console.listeners.append(self._printed)
        self._events.watch = self._seen if any(not isinstance(goal, ConsoleText) for goal in goals) else None
        if texts:
            self._printed(b"")

    def _seen(self, event: Event) -> None:
        for each in (self._wait, self._run):
            if each is not None and self._active(each) and _takes(each.goal, event):
                self._reach(each, _words(each.goal, event))

    def _printed(self, _data: bytes) -> None:
        for each in (self._wait, self._run):
            if each is not None and self._active(each) and isinstance(each.goal, ConsoleText):
                found = self.screens.take(each.goal.console, each.goal.pattern)
                if found is not None:
                    self._reach(each, f"{found[0]} shows {_short(found[1])}")

    def _active(self, wait: _Wait) -> bool:
        """It was not reached just now, by the same event."""
        return wait is self._wait or wait is self._run

    def _reach(self, wait: _Wait, words: str) -> None:
        """Goes on without it first: whoever hears of it may wait for something else."""
        if wait is self._wait:
            self._wait = None
        else:
            self._run = None
        self._hypervisor.halt(words)
        self._look_out()
        wait.reached(words)


def _takes(goal: AnyGoal, event: Event) -> bool:
    if isinstance(goal, EventMatch):
        return goal.takes(event)
    return isinstance(goal, Goal) and isinstance(event, _EVENTS[goal])


def _short(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…")


def _words(goal: AnyGoal, event: Event) -> str:
    if not isinstance(goal, Goal):
        return event_words.line(event)
    where = event_words.place(event)
    match event:
        case Trap():
            what = f"{where} {event.what}"
        case FfaCall():
            what = f"{where} {lines.describe_call(event.args, event.sent, event.version)}"
        case FfaAnswer():
            what = f"{where} continues with {log.describe(event.result)}"
        case Interrupt():
            what = f"{where} INTID {event.intid}, from {event.source}"
        case _:
            what = event_words.text(event)
    return f"{goal}: {what}"
