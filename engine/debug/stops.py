"""What may hold the machine, and when it does: conditions, hits that are ignored, and where a step ends."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from engine.debug.conditions import Expression, ExpressionError, Scope
from engine.hypervisor.partition import Partition
from engine.hypervisor.vcpu import Vcpu


class AccessKind(enum.StrEnum):
    """Accesses that a watchpoint minds."""

    READ = "r"
    WRITE = "w"
    ANY = "rw"


class Space(enum.StrEnum):
    """Whose addresses are meant."""

    VA = "va"
    """A partition's virtual ones, in whatever regime its vCPUs are in."""
    PA = "pa"
    """The board's."""


class Stop(msgspec.Struct):
    """What breakpoints and watchpoints have in common."""

    number: int
    """From 1, in one row for both; never given twice."""
    vm: str
    """Partition; "" for a watchpoint on physical memory, which minds all of them."""
    address: int
    condition: Expression | None = None
    """Hits count only where it is not 0."""
    ignore: int = 0
    """So many hits more do not stop."""
    enabled: bool = True
    temporary: bool = False
    """Gone once it stopped."""
    hits: int = 0
    """Times that a vCPU came here and the condition, if any, held."""

    def due(self, scope: Scope) -> str | None:
        """None: guests go on. Else they stop; a condition that cannot be worked out stops, too, and says why."""
        if not self.enabled:
            return None
        if self.condition is not None:
            try:
                holds = self.condition.evaluate(scope)
            except ExpressionError as error:
                return f", whose condition {self.condition.text!r} has no value: {error}"
            if not holds:
                return None
        self.hits += 1
        if self.ignore:
            self.ignore -= 1
            return None
        return ""


class Breakpoint(Stop):
    """An instruction at a virtual address of a partition: it stops before that is executed."""


class Watchpoint(Stop, kw_only=True):
    """A range of memory: it stops after the instruction that accessed it.

    Only guest instructions count. What firmware or a device stores (an RX buffer filled, virtio) is not seen, nor are
    device registers, which are not memory.
    """

    size: int
    """Bytes, 1 to 4096."""
    access: AccessKind = AccessKind.WRITE
    space: Space = Space.VA


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run of the debugger's ends: nobody's breakpoint, and gone as soon as anything stops."""

    partition: Partition
    address: int
    matches: Callable[[Vcpu], bool]
    """Whether it is the vCPU, and the stack frame, that is meant."""
    words: str
    """`stepped over`, `finished`, ..."""
