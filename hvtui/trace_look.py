"""One look at the trace: the rows in view with a little around them, made on the machine's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.control import Control
from engine.errors import MachineError
from engine.events import (
    Blocked,
    ConsoleOutput,
    Event,
    EventRing,
    ExceptionInjected,
    FfaAnswer,
    FfaCall,
    Switch,
    Trap,
)
from hvtui.trace_filter import Filter
from hvtui.trace_index import Choice, TraceIndex, sequence_at
from hvtui.trace_printed import printed, words

_TURNS = 64
"""Events back from a row that tell which vCPUs run there."""
_FAR = 10_000
"""Events after a call among which its answer is looked for."""
_PIECE = 64


@dataclass(frozen=True, slots=True)
class Search:
    """Where the next older match is looked for."""

    filter: Filter
    generation: int
    below: int
    """Rows before this one."""


@dataclass(frozen=True, slots=True)
class Goal:
    """An event that somebody wants to be at, by its instruction count or else its number."""

    cycle: int | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page asks for."""

    choice: Choice
    generation: int
    """What `top` and `cursor` are numbers of."""
    top: int | None
    """Row that the view begins with; None: it ends with the newest."""
    visible: int
    """Rows of the view."""
    seconds: float
    """How long events and rows may be examined; guests that run wait meanwhile. What is found never depends on it."""
    cursor: int | None
    """None: the newest row."""
    search: Search | None = None
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One row."""

    sequence: int
    step: int
    """In the lanes, which of the event's arrows."""
    event: Event
    printed: str = ""
    """The line of a console that begins here."""
    running: tuple[str, ...] = ()
    """In the lanes, the partitions that cores run there."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The row under the cursor, with what is known besides."""

    row: TraceRow
    symbol: str = ""
    """Where its PC is."""
    call: FfaCall | None = None
    """What an answer answers."""
    answer: FfaAnswer | None = None
    """How a call that waited was answered."""


@dataclass(frozen=True, slots=True)
class TraceLook:
    """The answer."""

    wanted: Wanted
    generation: int
    first: int
    """Number of the oldest row."""
    end: int
    """One more than the number of the newest."""
    start: int
    """Number of the first one of `rows`."""
    rows: tuple[TraceRow, ...]
    examined: int
    kept: int
    """Events: those that were examined so far, and all."""
    chosen: Chosen | None = None
    found: int | None = None
    """A row that a search came to."""
    searched: Search | None = None
    """How a search goes on; None: it is over."""
    reached: int | None = None
    """The row of the goal; None: not yet known."""

    @property
    def complete(self) -> bool:
        return self.examined >= self.kept

    def row(self, number: int) -> TraceRow | None:
        """A row by its number, if it is among those looked at."""
        place = number - self.start
        return self.rows[place] if 0 <= place < len(self.rows) else None


def look(control: Control, index: TraceIndex, wanted: Wanted) -> TraceLook:
    """On the machine's thread, between two slices."""
    ring = control.system.events
    index.catch_up(ring, seconds=wanted.seconds)
    known = index.generation == wanted.generation
    reached = _reach(ring, index, wanted.goal)
    found, searched = _search(ring, index, wanted) if known else (None, None)
    target = reached if reached is not None else found
    start, rows = _rows(ring, index, wanted, target, known)
    cursor = target if target is not None else wanted.cursor if known else None
    return TraceLook(
        wanted,
        index.generation,
        index.rows.first,
        index.rows.end,
        start,
        rows,
        max(0, index.high - max(index.low, ring.first)),
        ring.total - ring.first,
        _chosen(control, index, cursor),
        found,
        searched,
        reached,
    )


def _rows(
    ring: EventRing, index: TraceIndex, wanted: Wanted, target: int | None, known: bool
) -> tuple[int, tuple[TraceRow, ...]]:
    """The view, and two more of its kind before and after it."""
    rows, visible = index.rows, wanted.visible
    top = wanted.top if known else None
    if target is not None:
        top = target - visible // 2
    if top is None:
        top = rows.end - visible
    start = max(rows.first, top - 2 * visible)
    return start, tuple(_row_range(ring, index, start, top + 3 * visible))


def _row_range(ring: EventRing, index: TraceIndex, start: int, end: int) -> list[TraceRow]:
    places = index.places(start, end)
    runs = _Running(ring, index, places[0].sequence) if index.choice.lanes and places else None
    rows = []
    for place in places:
        (event,) = ring.between(place.sequence, place.sequence + 1)
        text = ""
        if isinstance(event, ConsoleOutput) and not index.choice.traffic:
            text = printed(ring, place.sequence, event)
        rows.append(TraceRow(*place, event, text, runs.at(place.sequence) if runs is not None else ()))
    return rows


class _Running:
    """Which partitions run, from one row to the next."""

    def __init__(self, ring: EventRing, index: TraceIndex, sequence: int) -> None:
        self._ring, self._turns = ring, index.turns
        self._next = index.turns.find(sequence)
        self._on: dict[int, Switch] = {}
        for number in index.turns.between(self._next - _TURNS, self._next):
            self._turn(*ring.between(number, number + 1))

    def _turn(self, event: Event) -> None:
        if isinstance(event, Switch):
            self._on[event.core] = event
        elif isinstance(event, Blocked):
            left = [core for core, on in self._on.items() if (on.vm, on.vcpu) == (event.vm, event.vcpu)]
            for core in left:
                del self._on[core]

    def at(self, sequence: int) -> tuple[str, ...]:
        """Those that run just before an event; events may only come in their order."""
        while (numbers := self._turns.between(self._next, self._next + 1)) and numbers[0] < sequence:
            self._turn(*self._ring.between(numbers[0], numbers[0] + 1))
            self._next += 1
        return tuple(sorted({on.vm for on in self._on.values()}))


def _reach(ring: EventRing, index: TraceIndex, goal: Goal | None) -> int | None:
    if goal is None or not ring.total:
        return None
    sequence = sequence_at(ring, goal.cycle) if goal.cycle is not None else max(goal.sequence, ring.first)
    return index.row_of(sequence)


def _search(ring: EventRing, index: TraceIndex, wanted: Wanted) -> tuple[int | None, Search | None]:
    """(the row found, how it goes on)."""
    search = wanted.search
    if search is None or search.generation != index.generation:
        return None, None
    until = time.perf_counter() + wanted.seconds
    below, together = min(search.below, index.rows.end), not index.choice.traffic
    while below > index.rows.first:
        start = max(index.rows.first, below - _PIECE)
        for number, place in reversed(list(enumerate(index.places(start, below), start))):
            (event,) = ring.between(place.sequence, place.sequence + 1)
            sequence = place.sequence

            def line(sequence: int = sequence, event: Event = event) -> str:
                return words(ring, sequence, event, together)

            if search.filter.matches(event, line):
                return number, None
        below = start
        if time.perf_counter() > until:
            break
    over = below <= index.rows.first and index.is_complete(ring)
    return None, None if over else Search(search.filter, search.generation, below)


# --- the chosen row ----------------------------------------------------------------------------------


def _chosen(control: Control, index: TraceIndex, cursor: int | None) -> Chosen | None:
    """What is known of the row under the cursor; of the newest one without a cursor, or where it is gone."""
    rows = index.rows
    if rows.first == rows.end:
        return None
    number = rows.end - 1 if cursor is None else max(rows.first, min(cursor, rows.end - 1))
    ring = control.system.events
    (row,) = _row_range(ring, index, number, number + 1)
    event = row.event
    if isinstance(event, Trap | ExceptionInjected):
        return Chosen(row, _symbol(control, event))
    if isinstance(event, FfaCall) and not event.result:
        return Chosen(row, answer=_answer_to(ring, row.sequence, event))
    if isinstance(event, FfaAnswer):
        return Chosen(row, call=_answered_by(ring, row.sequence, event))
    return Chosen(row)


def _symbol(control: Control, event: Trap | ExceptionInjected) -> str:
    try:
        return control.vm(event.vm).symbols.lookup(event.pc)
    except MachineError:
        return ""


def _answer_to(ring: EventRing, sequence: int, call: FfaCall) -> FfaAnswer | None:
    """What a vCPU's call was answered with: the first thing that it hears."""
    for event in ring.between(sequence + 1, sequence + _FAR):
        if isinstance(event, FfaAnswer | FfaCall) and (event.vm, event.vcpu) == (call.vm, call.vcpu):
            return event if isinstance(event, FfaAnswer) else None
    return None


def _answered_by(ring: EventRing, sequence: int, answer: FfaAnswer) -> FfaCall | None:
    """The call that a vCPU waited in."""
    for event in reversed(ring.between(sequence - _FAR, sequence)):
        if isinstance(event, FfaAnswer | FfaCall) and (event.vm, event.vcpu) == (answer.vm, answer.vcpu):
            return event if isinstance(event, FfaCall) and not event.result else None
    return None
