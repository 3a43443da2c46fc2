"""How fast guests run, by the wall clock."""

from __future__ import annotations

import time
from collections import deque

from engine.views import MachineView, RunState

_WINDOW_S = 1.0
_APART_S = 0.1


class Speedometer:
    """Guest instructions per wall-clock second over the last second of running."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def measure(self, view: MachineView) -> float | None:
        """Million instructions per second; None when the machine stands still or ran too shortly."""
        if view.state is not RunState.RUNNING:
            self._samples.clear()
            return None
        now = time.monotonic()
        if not self._samples or self._samples[-1][1] != view.instructions or now - self._samples[-1][0] > _APART_S:
            self._samples.append((now, view.instructions))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW_S:
            self._samples.popleft()
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - start) / 1e6 if end - start >= _WINDOW_S / 2 else None
