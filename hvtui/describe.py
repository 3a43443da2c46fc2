"""One line for each event, in the field's words."""

from __future__ import annotations

from typing import NamedTuple

from rich.style import Style

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
    screen_size,
)
from engine.ffa import lines, log
from hvtui import intids
from hvtui.theme import Ink


class Line(NamedTuple):
    """An event as people read it."""

    glyph: str
    kind: str
    """At most nine characters."""
    text: str
    style: Style


def describe(event: Event) -> Line:
    """What an event says."""
    match event:
        case Trap():
            return Line("▸", "trap", _trap(event), Ink.MUTED)
        case PsciCall():
            arguments = ", ".join(f"{argument:#x}" for argument in event.args)
            return Line("◆", "psci", f"{event.function}({arguments}) = {_result(event.result)}", Ink.VIOLET)
        case Interrupt():
            what = f"INTID {event.intid} {intids.name(event.intid)}"
            return Line("↯", "interrupt", f"{what}, from {event.source}", Ink.AMBER)
        case Switch():
            return Line("⇄", "switch", f"core {event.core} runs it", Ink.BLUE)
        case Blocked():
            return Line("◌", "blocked", f"gave its core away: {event.why}", Ink.MUTED)
        case ExceptionInjected():
            detail = f"to EL{event.target_el}  ESR {event.esr:#010x}  FAR {event.far:#x}  PC {event.pc:#x}"
            return Line("!", "exception", detail, Ink.RED)
        case ConsoleOutput():
            return Line("»", "console", printable(event.data), Ink.TEXT)
        case HostInput():
            return Line("«", "host", _host(event), Ink.GREEN)
        case VmState():
            style = Ink.RED if event.state == "crashed" else Ink.GREEN
            return Line("✖" if event.state == "crashed" else "●", "state", _state(event), style)
    return _other(event)


def printable(data: bytes) -> str:
    """Bytes between quotes, with escapes for what cannot be shown."""
    return '"' + data.decode("latin-1").encode("unicode_escape").decode().replace('"', '\\"') + '"'


def is_console_traffic(event: Event) -> bool:
    """The bytes of a console and the serial port's registers that carried them."""
    return isinstance(event, ConsoleOutput) or (isinstance(event, Trap) and "pl011 UART" in event.what)


def _trap(event: Trap) -> str:
    value = f" = {event.value:#x}" if event.what.startswith(("read ", "write ")) else ""
    return f"{event.what}{value}  at {event.pc:#x}"


def _result(result: int) -> str:
    name = getattr(result, "name", "")
    return f"{name} ({int(result)})" if name else str(result)


def _other(event: Event) -> Line:
    if isinstance(event, FfaCall):
        return Line("◇", "ff-a", _ffa(event), Ink.VIOLET)
    if isinstance(event, BootStage):
        return Line("▲", "boot", _boot(event), Ink.GREEN)
    if isinstance(event, FfaAnswer):
        return Line("◇", "ff-a", f"continues with {log.describe(event.result)}", Ink.VIOLET)
    if isinstance(event, WorldSwitch):
        where = "secure" if event.secure else "normal"
        return Line("⇅", "world", f"core {event.core} enters the {where} world", Ink.BLUE)
    return Line("·", type(event).__name__.lower()[:9], str(event), Ink.TEXT)


def _boot(event: BootStage) -> str:
    place = f" at {event.address:#x}, entry {event.entry:#x}" if event.address else ""
    return f"{event.stage}: {event.detail}{place}"


def _ffa(event: FfaCall) -> str:
    call = lines.describe_call(event.args, event.sent, event.version)
    if not event.result:
        return f"{call} waits"
    reason = f": {event.reason}" if event.reason else ""
    return f"{call} = {lines.describe_answer(event.args[0], event.result)}{reason}"


def _host(event: HostInput) -> str:
    if event.kind == "type":
        return f"typed {printable(event.data)}"
    if event.kind == "inject":
        return f"injected INTID {event.number} {intids.name(event.number)}"
    if event.kind == "frame":
        return f"{len(event.data)} bytes from the host into {event.vm}"
    if event.kind in ("plug", "unplug"):
        reason = f": {event.data.decode('utf-8', 'replace')}" if event.data else ""
        return f"{event.kind}ged {event.vm}{reason}"
    if event.kind == "resize":
        columns, rows = screen_size(event.number)
        return f"resized to {columns}x{rows}"
    return event.kind


def _state(event: VmState) -> str:
    return f"{event.state}: {event.detail}" if event.detail else event.state
