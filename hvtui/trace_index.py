"""Which events are rows of the trace, found piece by piece so that neither guests nor people wait for it.

An index belongs to the machine's thread. It begins at the newest event and grows both ways: what is new comes
first, then what is old, so that the rows people look at are there at once however much there is.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import NamedTuple

from engine.events import Blocked, ConsoleOutput, Event, EventRing, Switch
from hvtui.describe import is_console_traffic
from hvtui.trace_filter import Filter
from hvtui.trace_printed import begins_line, words
from hvtui.trace_rows import Rows
from hvtui.trace_steps import row_count

MOST_EXAMINED = 20_000
"""Events that one look examines, however quickly."""
_PIECE = 256
_FAR = 100_000
"""Events behind the newest from which it is quicker to begin again there."""
_GENERATIONS = itertools.count(1)


_ALL = Filter()


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants to see."""

    filter: Filter = _ALL
    traffic: bool = False
    """Console bytes and the register accesses that carry them; in the lanes, traps."""
    lanes: bool = False


class Place(NamedTuple):
    """What a row shows."""

    sequence: int
    step: int
    """In the lanes, which of the event's arrows; else 0."""


class TraceIndex:
    """The rows of one choice."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self._begin(0)
        self._begun = False

    def _begin(self, sequence: int) -> None:
        self.generation = next(_GENERATIONS)
        """Another one when the rows have other numbers."""
        self.rows = Rows()
        self.turns = Rows()
        """Events at which a core takes or leaves a vCPU; kept for the lanes."""
        self.low = self.high = sequence
        """Events from `low` to before `high` have been examined."""
        self._begun = True

    def is_complete(self, ring: EventRing) -> bool:
        """Everything that is kept has been examined."""
        return self.low <= ring.first and self.high >= ring.total

    def catch_up(self, ring: EventRing, seconds: float, most: int = MOST_EXAMINED) -> None:
        """Examine some events for about so long: those that are new, then older ones."""
        if not self._begun or self.high < max(ring.first, ring.total - _FAR):
            self._begin(ring.total)
        until = time.perf_counter() + seconds
        while most > 0 and not self.is_complete(ring):
            most -= self._newer(ring) if self.high < ring.total else self._older(ring)
            if time.perf_counter() > until:
                break
        self.rows.drop_before(ring.first << 1)
        self.turns.drop_before(ring.first)

    def _newer(self, ring: EventRing) -> int:
        events = ring.between(self.high, self.high + _PIECE)
        for sequence, event in enumerate(events, self.high):
            for step in range(self._rows_of(ring, sequence, event)):
                self.rows.append(sequence << 1 | step)
            if self.choice.lanes and isinstance(event, Switch | Blocked):
                self.turns.append(sequence)
        self.high += len(events)
        return len(events)

    def _older(self, ring: EventRing) -> int:
        events = ring.between(self.low - _PIECE, self.low)
        for event in reversed(events):
            self.low -= 1
            for step in reversed(range(self._rows_of(ring, self.low, event))):
                self.rows.prepend(self.low << 1 | step)
            if self.choice.lanes and isinstance(event, Switch | Blocked):
                self.turns.prepend(self.low)
        return len(events)

    def _rows_of(self, ring: EventRing, sequence: int, event: Event) -> int:
        choice = self.choice
        if choice.lanes:
            count = row_count(ring, sequence, event, choice.traffic)
        else:
            count = int(choice.traffic or _is_seen(ring, sequence, event))
        if count and choice.filter.terms:
            count *= choice.filter.matches(event, lambda: words(ring, sequence, event, not choice.traffic))
        return count

    # --- rows --------------------------------------------------------------------------------------

    def places(self, start: int, end: int) -> list[Place]:
        """What rows from number `start` to before `end` show, as far as they are there."""
        return [Place(code >> 1, code & 1) for code in self.rows.between(start, end)]

    def row_of(self, sequence: int) -> int | None:
        """The row of an event, or the next one that has a row, else the last one; None while that is not known."""
        if self.low > sequence or self.rows.first == self.rows.end:
            return None
        return min(self.rows.find(sequence << 1), self.rows.end - 1)


def _is_seen(ring: EventRing, sequence: int, event: Event) -> bool:
    """Without console traffic: what is printed is one row a line."""
    if isinstance(event, ConsoleOutput):
        return begins_line(ring, sequence, event)
    return not is_console_traffic(event)


def sequence_at(ring: EventRing, cycle: int) -> int:
    """Number of the first event at or after an instruction count; that of the newest one if there is none.

    Counts belong to physical cores, which take turns: in the ring they ascend but for one core's turn before
    another's. So the place is searched by halves, and the best event is the one nearest in time around it.
    """
    low, high = ring.first, ring.total
    while low < high:
        middle = (low + high) // 2
        if ring.between(middle, middle + 1)[0].cycle < cycle:
            low = middle + 1
        else:
            high = middle
    start = max(ring.first, low - _AROUND)
    around = enumerate(ring.between(start, low + _AROUND), start)
    later = [(event.cycle, sequence) for sequence, event in around if event.cycle >= cycle]
    return min(later)[1] if later else max(ring.first, ring.total - 1)


_AROUND = 4096
"""Events of one core's turn at most that are looked through for the nearest."""
