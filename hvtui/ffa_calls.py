"""FF-A calls with their answers, and which endpoints a call or a share concerns."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

from engine.events import KEPT_EVENTS, EventRing, FfaAnswer, FfaCall
from engine.ffa import lines, named
from engine.ffa.log import describe
from engine.views import FfaTransactionView
from hvtui.frame import FfaBatch

_HANDLES = 64
"""Handles whose endpoints are remembered, so that a reclaim is found by those that it concerned."""


@dataclass(slots=True, eq=False)
class Call:
    """One call, and what became of it."""

    sequence: int
    event: FfaCall | FfaAnswer
    """An answer only where its call is not known any more."""
    answer: FfaAnswer | None = None
    abandoned: bool = False
    """Its vCPU went on without an answer: the VM started over."""
    endpoints: frozenset[int] = frozenset()
    """The caller, whom the call or its answer names, and whose memory it is about."""

    @property
    def text(self) -> str:
        """The call in one line."""
        event = self.event
        if isinstance(event, FfaAnswer):
            return "(an earlier call)"
        return lines.describe_call(event.args, event.sent, event.version)

    @property
    def registers(self) -> tuple[int, ...]:
        """The answer's; empty where there is none yet."""
        return self.answer.result if self.answer is not None else self.event.result

    @property
    def waits(self) -> bool:
        """It has no answer yet."""
        return not self.registers and not self.abandoned

    @property
    def result(self) -> str:
        """The answer in one line."""
        if not self.registers:
            return "never answered" if self.abandoned else "waits"
        if self.answer is None and isinstance(self.event, FfaCall):
            return lines.describe_answer(self.event.args[0], self.registers)
        return describe(self.registers)

    @property
    def failed(self) -> bool:
        """It was refused, at once or later."""
        asked = self.event.args[0] if isinstance(self.event, FfaCall) else 0
        return bool(self.registers) and lines.is_refused(asked, self.registers)

    @property
    def handle(self) -> int | None:
        """The memory that it shared or names."""
        event = self.event
        if isinstance(event, FfaAnswer):
            return None
        return named.handle(event.args, event.result, event.sent, event.version)

    def names(self) -> frozenset[int]:
        """The caller and whom registers and descriptors name."""
        event, found = self.event, {self.event.endpoint}
        if isinstance(event, FfaCall):
            found |= named.in_registers(event.args) | named.in_answer(event.args[0], event.result)
            found |= named.in_descriptor(event.args[0], event.sent, event.version)
        else:
            found |= named.in_registers(event.result)
        return frozenset(found | (named.in_registers(self.answer.result) if self.answer is not None else set()))


class CallList:
    """The newest calls, oldest first; answers find the calls that waited for them."""

    def __init__(self, keep: int) -> None:
        self.calls: deque[Call] = deque(maxlen=keep)
        self._waiting: dict[tuple[str, int], Call] = {}
        self._sharers: dict[int, frozenset[int]] = {}
        """Endpoints that named a handle or were named with it."""

    def add(self, batch: FfaBatch) -> None:
        """What is new. After a gap, only that is shown: between two calls in the list none is missing."""
        if batch.gap:
            self.calls.clear()
            self._waiting.clear()
        for sequence, event in batch.events:
            self._add(sequence, event, batch.endpoint)

    def _add(self, sequence: int, event: FfaCall | FfaAnswer, endpoint: int | None) -> None:
        caller = (event.vm, event.vcpu)
        waiting = self._waiting.pop(caller, None)
        if waiting is not None and isinstance(event, FfaAnswer):
            waiting.answer = event
            waiting.endpoints |= waiting.names()
            return
        if waiting is not None:
            waiting.abandoned = True
        if isinstance(event, FfaAnswer) and endpoint is not None:
            return  # to a call that was left out
        call = Call(sequence, event)
        call.endpoints = self._with_sharers(call)
        self.calls.append(call)
        if call.waits:
            self._waiting[caller] = call

    def _with_sharers(self, call: Call) -> frozenset[int]:
        handle, names = call.handle, call.names()
        if handle is None:
            return names
        together = names | self._sharers.get(handle, frozenset())
        if not call.failed:
            self._sharers.pop(handle, None)
            self._sharers[handle] = together
            if len(self._sharers) > _HANDLES:
                del self._sharers[next(iter(self._sharers))]
        return together


def newest_calls(ring: EventRing, start: int, endpoint: int | None, limit: int) -> FfaBatch:
    """The newest at most `limit` calls from event `start` on that may concern an endpoint, with their answers.

    Looks at the newest 65,536 events only: guests wait meanwhile.
    """
    answers: dict[tuple[str, int], tuple[int, FfaAnswer]] = {}
    found: list[tuple[int, FfaCall | FfaAnswer]] = []
    oldest = max(ring.first, ring.total - KEPT_EVENTS)
    room, gap = limit, oldest > start
    for number, event in zip(itertools.count(ring.total - 1, -1), ring.newest(max(start, oldest)), strict=False):
        if isinstance(event, FfaAnswer):
            answers[event.vm, event.vcpu] = (number, event)
        elif isinstance(event, FfaCall):
            # What a vCPU did before it was answered is the call that waited.
            answer = answers.pop((event.vm, event.vcpu), None)
            if endpoint is not None and not _may_concern(endpoint, event, answer):
                continue
            if not room:
                gap = True
                break
            room -= 1
            found += [(number, event)] if answer is None else [(number, event), answer]
    else:
        found += answers.values()
    return FfaBatch(tuple(sorted(found, key=_number)), gap, ring.total, endpoint)


def _number(entry: tuple[int, FfaCall | FfaAnswer]) -> int:
    return entry[0]


def _may_concern(endpoint: int, call: FfaCall, answer: tuple[int, FfaAnswer] | None) -> bool:
    if endpoint == call.endpoint or named.may_name(endpoint, call.args, call.sent, call.version):
        return True
    return answer is not None and endpoint in named.in_registers(answer[1].result)


def concerns(share: FfaTransactionView, endpoint: int) -> bool:
    """The endpoint owns or borrows it."""
    return endpoint == share.owner or any(borrower.endpoint == endpoint for borrower in share.borrowers)
