"""Breakpoints on virtual addresses of a partition: it stops before the instruction there is executed."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.hypervisor.hypervisor import Hypervisor
from engine.hypervisor.partition import Partition
from engine.hypervisor.vcpu import Vcpu
from engine.views import BreakpointView


class Breakpoint(msgspec.Struct):
    """One place where guests are held."""

    number: int
    """From 1; never given twice."""
    vm: str
    address: int
    """Virtual address, in whatever translation regime the partition is in."""
    hits: int = 0
    """Times that a vCPU came here."""


class Breakpoints:
    """All breakpoints of a machine. They change nothing that guests could notice, and cost nothing elsewhere."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._found: dict[int, tuple[Partition, Breakpoint]] = {}
        self._last = 0
        self._reported: tuple[Vcpu, int] | None = None
        """Who was stopped last, and how many instructions it had executed: it may go on from there."""
        self.muted = False
        """No vCPU stops now: it is stepped."""

    def __iter__(self) -> Iterator[Breakpoint]:
        return (found for _, found in self._found.values())

    def add(self, partition: Partition, address: int) -> Breakpoint:
        """Hold whoever of a partition comes to an address (64 bits, a multiple of 4); between slices."""
        self._last += 1
        made = Breakpoint(self._last, partition.name, address)
        self._found[made.number] = (partition, made)
        self._arm(partition)
        return made

    def view(self) -> tuple[BreakpointView, ...]:
        """All of them, by number."""
        return tuple(
            BreakpointView(found.number, found.vm, found.address, owner.symbols.lookup(found.address), found.hits)
            for owner, found in self._found.values()
        )

    def remove(self, number: int) -> None:
        """Raises KeyError if there is none of this number."""
        partition, _ = self._found.pop(number)
        self._arm(partition)

    def _arm(self, partition: Partition) -> None:
        mine = {found.address for owner, found in self._found.values() if owner is partition}
        partition.core.watch_code(mine, lambda address: self._reached(partition, address))

    def _reached(self, partition: Partition, address: int) -> bool:
        """Whether the vCPU that is about to execute there must stop."""
        vcpu = partition.loaded
        if vcpu is None or self.muted:
            return False
        place = (vcpu, vcpu.instructions + partition.core.executed)
        if place == self._reported:
            return False  # it was held here, and goes on
        self._reported = place
        first = 0
        for owner, found in self._found.values():
            if owner is partition and found.address == address:
                found.hits += 1
                first = first or found.number
        self._hypervisor.halt(f"breakpoint {first}: {partition.name}/{vcpu.index} at {address:#x}")
        return True
