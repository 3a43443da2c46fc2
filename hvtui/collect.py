"""What the bridge asks of the machine for one frame, and how the machine's thread answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.console import Console
from engine.control import Control
from engine.errors import MachineError
from engine.events import Event
from engine.views import RegistersView
from hvtui.ffa_calls import newest_calls
from hvtui.frame import FfaBatch, Looked, Printed

KEPT_EVENTS = 10_000
"""As many as the event log keeps."""
KEPT_CALLS = 500
"""As many FF-A calls as their pane keeps."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the next frame needs, besides what is new on the consoles."""

    positions: tuple[tuple[str, int], ...]
    typed: tuple[tuple[str, bytes], ...]
    events_from: int
    events_limit: int
    """0: none are wanted now."""
    ffa_from: int
    """FF-A calls from this event on; -1: none are wanted now."""
    ffa_endpoint: int | None
    """Only calls that may concern this endpoint; None: all."""
    registers_of: tuple[str, int] | None
    registers_at: int
    """Instructions that vCPU had executed when it was last looked at; -1 to look in any case."""
    look: tuple[str, Callable[[Control], object]] | None = None
    """A page, and what it wants to know besides."""

    @property
    def all_events(self) -> bool:
        return self.events_limit == KEPT_EVENTS


@dataclass(frozen=True, slots=True)
class Answer:
    consoles: tuple[tuple[str, Printed, int], ...]
    """(VM, what it printed, position after it), of those that printed."""
    taken: tuple[tuple[str, int], ...]
    """(VM, typed bytes its serial port took)."""
    events: tuple[int, list[Event]]
    ffa: FfaBatch | None
    registers: RegistersView | None
    registers_at: int
    looked: Looked | None


def answer(control: Control, question: Question) -> Answer:
    """On the machine's thread, between two slices."""
    taken = tuple((vm, control.type(vm, data)) for vm, data in question.typed)
    consoles = []
    for vm, position in question.positions:
        console = control.console(vm)
        if console.end != position:
            consoles.append((vm, *_printed(control, console, position)))
    events: tuple[int, list[Event]] = (question.events_from, [])
    if question.events_limit:
        events = control.system.events.window(question.events_from, question.events_limit)
    registers = _registers(control, question)
    return Answer(tuple(consoles), taken, events, _ffa(control, question), *registers, _looked(control, question))


def _looked(control: Control, question: Question) -> Looked | None:
    if question.look is None:
        return None
    page, look = question.look
    try:
        return Looked(page, look(control))
    except MachineError as error:
        return Looked(page, error)


def _printed(control: Control, console: Console, position: int) -> tuple[Printed, int]:
    """What a console has from a position on, with the times of its lines, and the position after it."""
    data, end = console.since(position)
    start, nanoseconds = end - len(data), control.system.hypervisor.ns_of_cycles
    begun = tuple((max(0, mark.position - start), nanoseconds(mark.at)) for mark in console.begun(start))
    return Printed(data, begun), end


def _ffa(control: Control, question: Question) -> FfaBatch | None:
    if question.ffa_from < 0:
        return None
    return newest_calls(control.system.events, question.ffa_from, question.ffa_endpoint, KEPT_CALLS)


def _registers(control: Control, question: Question) -> tuple[RegistersView | None, int]:
    """A vCPU's registers, unless it did not move, and how many instructions it has executed."""
    if question.registers_of is None:
        return None, question.registers_at
    executed = control.vcpu(*question.registers_of).instructions
    if executed == question.registers_at:
        return None, executed
    return control.registers(*question.registers_of), executed
