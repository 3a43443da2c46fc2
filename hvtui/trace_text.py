"""Everything there is to say about an event, and its line in the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from engine.arch import esr
from engine.board import intids
from engine.debug.event_words import kind, place, printable
from engine.events import (
    Blocked,
    BootStage,
    ConsoleOutput,
    Event,
    ExceptionInjected,
    FfaAnswer,
    FfaCall,
    HostInput,
    Interrupt,
    PsciCall,
    Switch,
    Trap,
    VmState,
    WorldSwitch,
)
from engine.views import FfaView
from hvtui import text
from hvtui.describe import describe
from hvtui.ffa_calls import Call
from hvtui.ffa_text import call_page
from hvtui.items import Item, Items, Line, Page
from hvtui.theme import Ink
from hvtui.trace_look import Chosen, TraceRow

_WHO = 10
_ROOMY = 100
"""Columns from which the kind has a word besides its glyph."""
_BYTES = 16
"""Bytes in a line of a dump."""
_MOST_BYTES = 256


# --- the log -----------------------------------------------------------------------------------------


def log_heading(width: int) -> str:
    """What stands over the lines."""
    words = f"{'INSTRUCTION':>13} {'TIME':>14}  " if width >= _ROOMY else f"{'INSTRUCTION':>12} {'TIME':>10}  "
    return f"{words}{'WHO':{_WHO}} " + (f"{'KIND':11} WHAT" if width >= _ROOMY else "  WHAT")


def log_line(row: TraceRow, nanoseconds: int, width: int) -> Line:
    """Instruction count, time, who, kind and words, in `width` columns."""
    event, line = row.event, describe(row.event)
    if width >= _ROOMY:
        when = [(f"{event.cycle:13} ", Ink.TEXT), (f"{text.seconds(nanoseconds)[1:]}  ", Ink.MUTED)]
        what = [(f"{line.glyph} {line.kind:9} ", line.style)]
    else:
        when = [(f"{event.cycle:12} ", Ink.TEXT), (f"{short_seconds(nanoseconds)}  ", Ink.MUTED)]
        what = [(f"{line.glyph} ", line.style)]
    parts = [*when, (f"{text.fit(place(event) or '-', _WHO)} ", Ink.BLUE), *what]
    room = max(0, width - sum(len(part) for part, _ in parts))
    style = Ink.MUTED if line.style is Ink.MUTED else Ink.TEXT
    return [*parts, (text.shorten(row.printed or line.text, room), style)]


def short_seconds(nanoseconds: int) -> str:
    """Virtual time to the microsecond in 10 columns: `  1.234567`."""
    whole, rest = divmod(nanoseconds // 1000, 1_000_000)
    return f"{whole:3d}.{rest:06d}"


# --- details -----------------------------------------------------------------------------------------


def event_page(chosen: Chosen, view: FfaView, nanoseconds: Callable[[int], int]) -> Page:
    """All about the event under the cursor; FF-A calls with registers, descriptors and answers."""
    row = chosen.row
    event = row.event
    when = nanoseconds(event.cycle)
    if isinstance(event, FfaCall | FfaAnswer):
        page = call_page(_call(chosen, event), view, when)
        return Page([Item("event", f"{row.sequence}"), *page.main], page.aside)
    line = describe(event)
    items: Items = [
        Item("event", f"{row.sequence}, {kind(event)}", line.style),
        Item("who", place(event) or "the board"),
        Item("time", f"{text.seconds(when).strip()} s, cycle {event.cycle}"),
        *_ABOUT[type(event)](event, chosen),
    ]
    return Page(items, [])


def _call(chosen: Chosen, event: FfaCall | FfaAnswer) -> Call:
    if isinstance(event, FfaCall):
        return Call(chosen.row.sequence, event, chosen.answer)
    if chosen.call is not None:
        return Call(chosen.row.sequence, chosen.call, event)
    return Call(chosen.row.sequence, event)


def _pc(pc: int, symbol: str) -> Item:
    return Item("PC", f"{pc:#x} {symbol}".rstrip())


def _trap(event: Trap, chosen: Chosen) -> Items:
    return [
        Item("class", f"{esr.class_name(event.ec)} (EC {event.ec:#04x})"),
        Item("what", event.what),
        Item("value", f"{event.value:#x}"),
        _pc(event.pc, chosen.symbol),
    ]


def _exception(event: ExceptionInjected, chosen: Chosen) -> Items:
    ec = esr.exception_class(event.esr)
    return [
        Item("taken to", f"EL{event.target_el}", Ink.RED),
        Item("class", f"{esr.class_name(ec)} (EC {ec:#04x})"),
        Item("ESR", f"{event.esr:#010x}, ISS {event.esr & _ISS:#x}"),
        Item("FAR", f"{event.far:#x}"),
        _pc(event.pc, chosen.symbol),
    ]


_ISS: Final = 0x1FF_FFFF
"""ESR_ELx.ISS, Arm ARM D17.2.37."""


def _psci(event: PsciCall, _: Chosen) -> Items:
    name = getattr(event.result, "name", "")
    arguments = [Item(f"x{number}", f"{argument:#x}") for number, argument in enumerate(event.args, start=1)]
    style = Ink.RED if event.result < 0 else Ink.GREEN
    return [Item("function", event.function), *arguments, Item("result", f"{int(event.result)} {name}".rstrip(), style)]


def _interrupt(event: Interrupt, _: Chosen) -> Items:
    return [
        Item("INTID", f"{event.intid}, {intids.kind(event.intid)}"),
        Item("name", intids.name(event.intid) or "-"),
        Item("from", event.source),
    ]


def _console(event: ConsoleOutput, chosen: Chosen) -> Items:
    return [Item("printed", chosen.row.printed or printable(event.data)), Item("first byte", f"{event.data[:1].hex()}")]


def _host(event: HostInput, _: Chosen) -> Items:
    items: Items = [
        Item("input", event.kind),
        Item("says", describe(event).text),
        Item("number", f"{event.number} ({event.number:#x})"),
        Item("progress", f"{event.progress} instructions of all cores"),
    ]
    data = event.data[:_MOST_BYTES]
    dump = (data[start : start + _BYTES].hex(" ") for start in range(0, len(data), _BYTES))
    items += [Item(f"+{number * _BYTES:#x}", line) for number, line in enumerate(dump)]
    return items


def _boot(event: BootStage, _: Chosen) -> Items:
    where = [Item("loaded at", f"{event.address:#x}"), Item("entry", f"{event.entry:#x}")] if event.address else []
    return [Item("stage", event.stage), Item("detail", event.detail), *where]


def _world(event: WorldSwitch, _: Chosen) -> Items:
    return [Item("core", str(event.core)), Item("is now in", f"the {'secure' if event.secure else 'normal'} world")]


_ABOUT: dict[type[Event], Callable[[Any, Chosen], Items]] = {
    Trap: _trap,
    ExceptionInjected: _exception,
    PsciCall: _psci,
    Interrupt: _interrupt,
    ConsoleOutput: _console,
    HostInput: _host,
    BootStage: _boot,
    WorldSwitch: _world,
    Switch: lambda event, _: [Item("core", f"{event.core} runs it from now on")],
    Blocked: lambda event, _: [Item("gave away", f"its core: {event.why}")],
    VmState: lambda event, _: [Item("state", event.state), Item("because", event.detail or "-")],
}
