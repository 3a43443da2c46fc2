"""How busy vCPUs were lately: a few moments of guest instructions, as bars."""

from __future__ import annotations

from collections import deque

from engine.views import MachineView

MOMENTS = 8
"""Looks at the machine that are remembered."""
_BARS = " ▁▂▃▄▅▆▇█"


class Activity:
    """Instructions of every vCPU between looks, against the busiest one of all of them."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], int] = {}
        self._steps: dict[tuple[str, int], deque[int]] = {}
        self._at = -1

    def look(self, view: MachineView) -> None:
        """Another look; one at the same instant tells nothing."""
        if view.cycles == self._at:
            return
        first, self._at = self._at < 0, view.cycles
        for vm in view.vms:
            for vcpu in vm.vcpus:
                key = (vm.name, vcpu.index)
                step = vcpu.instructions - self._seen.get(key, vcpu.instructions)
                self._seen[key] = vcpu.instructions
                if not first:
                    self._steps.setdefault(key, deque(maxlen=MOMENTS)).append(max(0, step))

    def bars(self, vm: str, vcpu: int) -> str:
        """One column a moment, the newest at the right; a blank for none at all, the lowest bar for a little."""
        highest = max((max(steps) for steps in self._steps.values()), default=0)
        steps = self._steps.get((vm, vcpu), ())
        return "".join(_bar(step, highest) for step in steps).rjust(MOMENTS)


def _bar(step: int, highest: int) -> str:
    if not step:
        return _BARS[0]
    return _BARS[max(1, round(step * (len(_BARS) - 1) / highest))]
