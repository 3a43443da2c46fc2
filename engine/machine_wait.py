"""What somebody on another thread waits for, while the machine runs, is paused and goes on."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from engine.debug.goals import AnyGoal
from engine.errors import MachineError
from engine.hypervisor.virtual_time import NO_LIMIT


@dataclass(slots=True)
class Waiting:
    """One wait, on the machine's thread."""

    goal: AnyGoal
    limit_ns: int
    """Virtual time that it may take."""
    future: Future[str]
    until: int = NO_LIMIT
    """When it is over, in cycles."""
    words: str = ""
    """What came; "" until then."""

    def come(self, words: str) -> None:
        """The goal was reached; guests are about to be held."""
        self.words = words

    def done(self) -> None:
        """Guests are held there."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(self.words)

    def fail(self, error: MachineError) -> None:
        """It will not come."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)
