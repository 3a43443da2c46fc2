"""What events mean between partitions: who calls, answers or interrupts whom, for the lanes of the trace."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from engine.arch.esr import EC
from engine.board import intids
from engine.debug.event_words import text
from engine.events import (
    Event,
    EventRing,
    ExceptionInjected,
    FfaAnswer,
    FfaCall,
    Interrupt,
    PsciCall,
    Trap,
    VmState,
    WorldSwitch,
)
from engine.ffa import lines, log
from engine.ffa.abi import Function, function, receiver_of, sender_of

REQUESTS = frozenset({Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_REQ_64, Function.MSG_SEND_DIRECT_REQ2})
RESPONSES = frozenset(
    {Function.MSG_SEND_DIRECT_RESP_32, Function.MSG_SEND_DIRECT_RESP_64, Function.MSG_SEND_DIRECT_RESP2}
)
_MESSAGES = REQUESTS | RESPONSES
_NEARBY = 8
"""Events between the delivery of a message and the call that sent it, at most."""


@dataclass(frozen=True, slots=True)
class Above:
    """Whoever a partition's calls go to."""

    vm: str


class World(enum.Enum):
    """Firmware of a world."""

    NORMAL = "normal"
    SECURE = "secure"


End: TypeAlias = str | int | Above | World
"""A partition by its name or FF-A id, or what is above one."""


class Look(enum.Enum):
    """How an arrow is drawn."""

    CALL = enum.auto()
    ANSWER = enum.auto()
    REFUSAL = enum.auto()
    INTERRUPT = enum.auto()
    WORLD = enum.auto()
    MARK = enum.auto()
    """No arrow: something happened in one lane."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the lanes."""

    source: End
    target: End
    name: str
    """`MSG_SEND_DIRECT_REQ_32`, `SUCCESS_32`, `INTID 27`."""
    words: str
    """The name with what it says."""
    look: Look


def steps(event: Event) -> tuple[Step, ...]:
    """What is seen of an event in the lanes: nothing, an arrow, or a call and its answer."""
    if isinstance(event, FfaCall):
        return _call(event)
    if isinstance(event, FfaAnswer):
        return (_answer(event),)
    if isinstance(event, PsciCall):
        return _psci(event)
    if isinstance(event, Interrupt):
        name = f"INTID {event.intid}"
        return (Step(Above(event.vm), event.vm, name, f"{name} {intids.name(event.intid)}", Look.INTERRUPT),)
    if isinstance(event, WorldSwitch):
        ends = (World.NORMAL, World.SECURE) if event.secure else (World.SECURE, World.NORMAL)
        return (Step(*ends, f"core {event.core}", f"core {event.core} switches worlds", Look.WORLD),)
    if isinstance(event, VmState):
        return (Step(event.vm, event.vm, event.state, text(event), Look.MARK),)
    if isinstance(event, ExceptionInjected):
        return (Step(Above(event.vm), event.vm, "exception", f"exception {text(event)}", Look.INTERRUPT),)
    if isinstance(event, Trap):
        return (Step(event.vm, Above(event.vm), event.what, text(event), Look.CALL),)
    return ()


_SHOWN = (FfaCall, FfaAnswer, PsciCall, Interrupt, WorldSwitch, VmState, ExceptionInjected)
_CALLS = (EC.HVC64, EC.SMC64)


def row_count(ring: EventRing, sequence: int, event: Event, traps: bool) -> int:
    """Rows that an event has in the lanes, 0 to 2.

    A message is one arrow, although it is seen twice: as it reaches the receiver, then as a call that waits.
    Traps that are calls stand there as such.
    """
    if isinstance(event, FfaCall):
        return 2 if event.result else not _delivered(ring, sequence, event)
    if isinstance(event, PsciCall):
        return 2 if _returns(event) else 1
    if isinstance(event, Trap):
        return traps and event.ec not in _CALLS
    return isinstance(event, _SHOWN)


def _delivered(ring: EventRing, sequence: int, call: FfaCall) -> bool:
    """The receiver of a message has been seen to go on with it, just now."""
    if function(call.args[0]) not in _MESSAGES:
        return False
    sent = _key(call.args)
    nearby = ring.between(sequence - _NEARBY, sequence)
    return any(isinstance(each, FfaAnswer) and _key(each.result) == sent for each in nearby)


def _key(registers: tuple[int, ...]) -> tuple[int, ...]:
    return registers[0], *(word & 0xFFFF_FFFF for word in registers[1:5])


def _call(event: FfaCall) -> tuple[Step, ...]:
    known, fid = function(event.args[0]), event.args[0]
    receiver: End = Above(event.vm)
    if known in _MESSAGES:
        receiver = receiver_of(event.args[1])
    elif known is Function.RUN:
        receiver = sender_of(event.args[1])
    asked = lines.describe_call(event.args, event.sent, event.version)
    call = Step(event.vm, receiver, _first(asked), asked, Look.CALL)
    if not event.result:
        return (call,)
    answer = lines.describe_answer(fid, event.result)
    refused = lines.is_refused(fid, event.result)
    # Who refuses is above the caller: nothing reached the receiver.
    source = Above(event.vm) if refused else receiver
    name = answer if refused else _first(answer)
    return call, Step(source, event.vm, name, answer, Look.REFUSAL if refused else Look.ANSWER)


def _answer(event: FfaAnswer) -> Step:
    known, words = function(event.result[0]), log.describe(event.result)
    if known in _MESSAGES:
        look = Look.ANSWER if known in RESPONSES else Look.CALL
        return Step(sender_of(event.result[1]), event.vm, _first(words), words, look)
    refused = known is Function.ERROR
    name = words if refused else _first(words)
    return Step(Above(event.vm), event.vm, name, words, Look.REFUSAL if refused else Look.ANSWER)


def _psci(event: PsciCall) -> tuple[Step, ...]:
    arguments = ", ".join(f"{argument:#x}" for argument in event.args)
    call = Step(event.vm, Above(event.vm), event.function, f"{event.function}({arguments})", Look.CALL)
    if not _returns(event):
        return (call,)
    look = Look.REFUSAL if event.result < 0 else Look.ANSWER
    number, name = str(int(event.result)), getattr(event.result, "name", "")
    return call, Step(Above(event.vm), event.vm, name or number, f"{name} ({number})" if name else number, look)


def _returns(event: PsciCall) -> bool:
    """Whoever turns itself off hears no answer."""
    return event.result < 0 or event.function not in ("CPU_OFF", "SYSTEM_OFF", "SYSTEM_RESET", "SYSTEM_RESET2")


def _first(words: str) -> str:
    return words.split(" ", 1)[0]
