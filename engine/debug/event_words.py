"""Every event in one line, in the field's words: what logs show, and what a wait for an event is matched with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from engine.board import intids
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

KINDS: Final[dict[type[Event], str]] = {
    Trap: "trap",
    PsciCall: "psci",
    Interrupt: "interrupt",
    Switch: "switch",
    Blocked: "blocked",
    ExceptionInjected: "exception",
    ConsoleOutput: "console",
    HostInput: "host",
    VmState: "state",
    FfaCall: "ff-a",
    FfaAnswer: "ff-a",
    BootStage: "boot",
    WorldSwitch: "world",
}
"""At most nine characters each."""


def kind(event: Event) -> str:
    """Its class in a word."""
    return KINDS[type(event)]


def text(event: Event) -> str:
    """What it says, without kind and place."""
    return _TEXTS[type(event)](event)


def place(event: Event) -> str:
    """`vm0/1`, `vm0` where it concerns all of it, "" for the board itself."""
    return f"{event.vm}/{event.vcpu}" if event.vcpu >= 0 else event.vm


def line(event: Event) -> str:
    """`trap vm0/0 HVC PSCI_VERSION  at 0x40001000`."""
    return " ".join(part for part in (kind(event), place(event), text(event)) if part)


def printable(data: bytes) -> str:
    """Bytes between quotes, with escapes for what cannot be shown."""
    return '"' + data.decode("latin-1").encode("unicode_escape").decode().replace('"', '\\"') + '"'


def _trap(event: Trap) -> str:
    value = f" = {event.value:#x}" if event.what.startswith(("read ", "write ")) else ""
    return f"{event.what}{value}  at {event.pc:#x}"


def _psci(event: PsciCall) -> str:
    arguments = ", ".join(f"{argument:#x}" for argument in event.args)
    name = getattr(event.result, "name", "")
    result = f"{name} ({int(event.result)})" if name else str(event.result)
    return f"{event.function}({arguments}) = {result}"


def _interrupt(event: Interrupt) -> str:
    return f"INTID {event.intid} {intids.name(event.intid)}, from {event.source}"


def _exception(event: ExceptionInjected) -> str:
    return f"to EL{event.target_el}  ESR {event.esr:#010x}  FAR {event.far:#x}  PC {event.pc:#x}"


def _boot(event: BootStage) -> str:
    where = f" at {event.address:#x}, entry {event.entry:#x}" if event.address else ""
    return f"{event.stage}: {event.detail}{where}"


def _ffa(event: FfaCall) -> str:
    call = lines.describe_call(event.args, event.sent, event.version)
    if not event.result:
        return f"{call} waits"
    reason = f": {event.reason}" if event.reason else ""
    return f"{call} = {lines.describe_answer(event.args[0], event.result)}{reason}"


def _world(event: WorldSwitch) -> str:
    return f"core {event.core} enters the {'secure' if event.secure else 'normal'} world"


def _host(event: HostInput) -> str:
    words = _HOST.get(event.kind)
    return event.kind if words is None else words(event)


def _cable(event: HostInput) -> str:
    reason = f": {event.data.decode('utf-8', 'replace')}" if event.data else ""
    return f"{event.kind}ged {event.vm}{reason}"


def _resized(event: HostInput) -> str:
    columns, rows = screen_size(event.number)
    return f"resized to {columns}x{rows}"


def _written(event: HostInput) -> str:
    size = len(event.data)
    space = event.kind.partition(" ")[2]
    return f"wrote {size} byte{'' if size == 1 else 's'} at {space} {event.number:#x}"


_HOST: dict[str, Callable[[HostInput], str]] = {
    "type": lambda event: f"typed {printable(event.data)}",
    "inject": lambda event: f"injected INTID {event.number} {intids.name(event.number)}",
    "frame": lambda event: f"{len(event.data)} bytes from the host into {event.vm}",
    "plug": _cable,
    "unplug": _cable,
    "resize": _resized,
    "register": lambda event: f"set {event.data.decode('utf-8', 'replace')} to {event.number:#x}",
    "write va": _written,
    "write ipa": _written,
    "write pa": _written,
    "off": lambda event: f"powered {event.vm} off",
}
_TEXTS: dict[type[Event], Callable[[Any], str]] = {
    Trap: _trap,
    PsciCall: _psci,
    Interrupt: _interrupt,
    Switch: lambda event: f"core {event.core} runs it",
    Blocked: lambda event: f"gave its core away: {event.why}",
    ExceptionInjected: _exception,
    ConsoleOutput: lambda event: printable(event.data),
    HostInput: _host,
    VmState: lambda event: f"{event.state}: {event.detail}" if event.detail else event.state,
    FfaCall: _ffa,
    FfaAnswer: lambda event: f"continues with {log.describe(event.result)}",
    BootStage: _boot,
    WorldSwitch: _world,
}
