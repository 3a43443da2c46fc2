"""One line for each event, as the log draws it: the engine's words with a glyph and a colour."""

from __future__ import annotations

from typing import NamedTuple

from rich.style import Style

from engine.debug import event_words
from engine.debug.event_words import printable
from engine.events import ConsoleOutput, Event, Trap, VmState
from hvtui.theme import Ink

__all__ = ["Line", "describe", "is_console_traffic", "printable"]

_LOOKS: dict[str, tuple[str, Style]] = {
    "trap": ("▸", Ink.MUTED),
    "psci": ("◆", Ink.VIOLET),
    "interrupt": ("↯", Ink.AMBER),
    "switch": ("⇄", Ink.BLUE),
    "blocked": ("◌", Ink.MUTED),
    "exception": ("!", Ink.RED),
    "console": ("»", Ink.TEXT),
    "host": ("«", Ink.GREEN),
    "state": ("●", Ink.GREEN),
    "ff-a": ("◇", Ink.VIOLET),
    "boot": ("▲", Ink.GREEN),
    "world": ("⇅", Ink.BLUE),
}
_CRASHED = ("✖", Ink.RED)


class Line(NamedTuple):
    """An event as people read it."""

    glyph: str
    kind: str
    """At most nine characters."""
    text: str
    style: Style


def describe(event: Event) -> Line:
    """What an event says."""
    kind = event_words.kind(event)
    crashed = isinstance(event, VmState) and event.state == "crashed"
    glyph, style = _CRASHED if crashed else _LOOKS[kind]
    return Line(glyph, kind, event_words.text(event), style)


def is_console_traffic(event: Event) -> bool:
    """The bytes of a console and the serial port's registers that carried them."""
    return isinstance(event, ConsoleOutput) or (isinstance(event, Trap) and "pl011 UART" in event.what)
