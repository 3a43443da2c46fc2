"""What guests print, as lines: a guest stores every byte by itself, and nobody wants to read them one by one."""

from __future__ import annotations

from collections.abc import Iterator

from engine.debug.event_words import line, printable
from engine.events import ConsoleOutput, Event, EventRing
from hvtui.describe import is_console_traffic

_LONGEST = 1000
"""Events that one line is made of, at most."""
_PIECE = 32


def begins_line(ring: EventRing, sequence: int, event: ConsoleOutput) -> bool:
    """Whether a partition printed anything else before this, or ended its line there."""
    start = max(ring.first, sequence - _LONGEST)
    for end in range(sequence, start, -_PIECE):
        for before in reversed(ring.between(max(start, end - _PIECE), end)):
            if isinstance(before, ConsoleOutput) and before.vm == event.vm:
                return before.data.endswith(b"\n")
            if not is_console_traffic(before):
                return True
    return True


def printed(ring: EventRing, sequence: int, event: ConsoleOutput) -> str:
    """The line that begins with an event, between quotes."""
    return printable(b"".join(_bytes(ring, sequence, event.vm)))


def _bytes(ring: EventRing, sequence: int, vm: str) -> Iterator[bytes]:
    for start in range(sequence, sequence + _LONGEST, _PIECE):
        for event in ring.between(start, start + _PIECE):
            if isinstance(event, ConsoleOutput) and event.vm == vm:
                yield event.data
                if event.data.endswith(b"\n"):
                    return
            elif not is_console_traffic(event):
                return


def words(ring: EventRing, sequence: int, event: Event, together: bool) -> str:
    """The line of an event; of console output the whole line that was printed, where bytes are put together."""
    if together and isinstance(event, ConsoleOutput):
        return f"console {event.vm} {printed(ring, sequence, event)}"
    return line(event)
