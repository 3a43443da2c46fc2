"""FF-A calls with their answers, and which endpoints a call or a share concerns."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from engine.events import FfaAnswer, FfaCall
from engine.views import FfaTransactionView
from hvtui.frame import FfaBatch

_WAITS = "waits"
_PAIR = re.compile(r"(\w+) -> (\w+)")
_TARGET = re.compile(r"^(?:RUN|INTERRUPT) (\w+) vCPU|^NOTIFICATION_(?:GET|BITMAP_CREATE|BITMAP_DESTROY) (\w+)")
_HANDLE = re.compile(r"\bhandle (0x[0-9a-f]+)")
_SENT = re.compile(r"^SUCCESS_(?:32|64) (0x[0-9a-f]+)(?: (0x[0-9a-f]+))?")
_SENDS = ("MEM_SHARE", "MEM_LEND", "MEM_DONATE")


@dataclass(slots=True)
class Call:
    """One call, and what became of it."""

    sequence: int
    event: FfaCall | FfaAnswer
    """An answer only where its call is not known any more."""
    answer: FfaAnswer | None = None

    @property
    def text(self) -> str:
        return self.event.call if isinstance(self.event, FfaCall) else "(an earlier call)"

    @property
    def waits(self) -> bool:
        """It has no answer yet."""
        return isinstance(self.event, FfaCall) and self.event.result == _WAITS and self.answer is None

    @property
    def result(self) -> str:
        return self.answer.result if self.answer is not None else self.event.result

    @property
    def failed(self) -> bool:
        return self.result.startswith("ERROR ")

    @property
    def endpoints(self) -> frozenset[int]:
        """The caller, and whom the call or its answer names."""
        texts = (self.text, self.result)
        names = [name for text in texts for match in _PAIR.findall(text) for name in match]
        names += [name for text in texts for match in _TARGET.findall(text) for name in match if name]
        return frozenset((self.event.endpoint, *(int(name, 0) for name in names if name[0].isdigit())))

    @property
    def handle(self) -> int | None:
        """The share it made or names, where its line tells."""
        named = _HANDLE.search(self.text)
        if named is not None:
            return int(named[1], 0)
        sent = _SENT.match(self.result) if self.text.startswith(_SENDS) else None
        return int(sent[1], 0) | int(sent[2] or "0", 0) << 32 if sent is not None else None


class CallList:
    """The newest calls, oldest first; answers find the calls that waited for them."""

    def __init__(self, keep: int) -> None:
        self.calls: deque[Call] = deque(maxlen=keep)
        self._waiting: dict[tuple[str, int], Call] = {}

    def add(self, batch: FfaBatch) -> None:
        """What is new. After a gap, only that is shown: between two calls in the list none is missing."""
        if batch.gap:
            self.calls.clear()
            self._waiting.clear()
        for sequence, event in batch.events:
            self._add(sequence, event)

    def _add(self, sequence: int, event: FfaCall | FfaAnswer) -> None:
        caller = (event.vm, event.vcpu)
        waiting = self._waiting.pop(caller, None)
        if isinstance(event, FfaAnswer) and waiting is not None:
            waiting.answer = event
            return
        call = Call(sequence, event)
        self.calls.append(call)
        if call.waits:
            self._waiting[caller] = call


def concerns(share: FfaTransactionView, endpoint: int) -> bool:
    """The endpoint owns or borrows it."""
    return endpoint == share.owner or any(borrower.endpoint == endpoint for borrower in share.borrowers)
