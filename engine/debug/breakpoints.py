"""Breakpoints and watchpoints of a machine in one list: they hold guests, and change nothing that those notice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from engine.cpu.accesses import Access
from engine.debug import watchpoints
from engine.debug.registers import VcpuScope
from engine.debug.stops import Breakpoint, Stop, Target, Watchpoint
from engine.hypervisor.hypervisor import Hypervisor
from engine.hypervisor.partition import Partition
from engine.hypervisor.vcpu import Vcpu
from engine.views import BreakpointView

AnyStop = TypeVar("AnyStop", bound=Stop)


class Breakpoints:
    """All of them; while there are none, guest code costs what it does without this."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._found: dict[int, Stop] = {}
        self._last = 0
        self._armed: dict[str, frozenset[int]] = {}
        """Addresses that each partition's engine watches for."""
        self._target: Target | None = None
        self._begun: frozenset[tuple[Vcpu, int]] = frozenset()
        """Where vCPUs stood when the target was set: they go on from there."""
        self._reported: tuple[Vcpu, int] | None = None
        """Who was stopped last, and how many instructions it had executed: it may go on from there."""
        self.muted = False
        """No vCPU stops now: it is stepped."""

    def __iter__(self) -> Iterator[Stop]:
        return iter(self._found.values())

    def __getitem__(self, number: int) -> Stop:
        """KeyError if there is none of this number."""
        return self._found[number]

    def next_number(self) -> int:
        """The number of the next one."""
        return self._last + 1

    def add(self, stop: AnyStop) -> AnyStop:
        """Take in one that has `next_number`."""
        self._last = stop.number
        self._found[stop.number] = stop
        self.arm(stop)
        return stop

    def remove(self, number: int) -> None:
        """Raises KeyError if there is none of this number."""
        self.arm(self._found.pop(number))

    def view(self) -> tuple[BreakpointView, ...]:
        """All of them, by number."""
        return tuple(self._view(stop) for stop in self)

    def _view(self, stop: Stop) -> BreakpointView:
        owner = next((each for each in self._hypervisor.partitions if each.name == stop.vm), None)
        watch = stop if isinstance(stop, Watchpoint) else None
        return BreakpointView(
            number=stop.number,
            vm=stop.vm,
            address=stop.address,
            symbol="" if owner is None else owner.symbols.lookup(stop.address),
            hits=stop.hits,
            kind="breakpoint" if watch is None else "watchpoint",
            size=0 if watch is None else watch.size,
            access="" if watch is None else watch.access.value,
            space="va" if watch is None else watch.space.value,
            condition="" if stop.condition is None else stop.condition.text,
            ignore=stop.ignore,
            enabled=stop.enabled,
            temporary=stop.temporary,
        )

    # --- what engines look for ---------------------------------------------------------------------

    def arm(self, stop: Stop) -> None:
        """It was added or removed, or is enabled or no longer."""
        for partition in self._hypervisor.partitions:
            if isinstance(stop, Watchpoint) and stop.vm in ("", partition.name):
                self._arm_watchpoints(partition)
            elif partition.name == stop.vm:
                self._arm_breakpoints(partition)

    def _arm_breakpoints(self, partition: Partition) -> None:
        mine = {
            stop.address for stop in self if isinstance(stop, Breakpoint) and stop.vm == partition.name and stop.enabled
        }
        if self._target is not None and self._target.partition is partition:
            mine.add(self._target.address)
        if self._armed.get(partition.name, frozenset()) != mine:
            self._armed[partition.name] = frozenset(mine)
            partition.core.watch_code(mine, lambda address: self._reached(partition, address))

    def _arm_watchpoints(self, partition: Partition) -> None:
        filters = tuple(one for watch in self._watching(partition) for one in watchpoints.filters(watch))
        partition.core.watch_accesses(filters, lambda accesses: self._accessed(partition, accesses))

    def _watching(self, partition: Partition) -> list[Watchpoint]:
        return [
            stop for stop in self if isinstance(stop, Watchpoint) and stop.vm in ("", partition.name) and stop.enabled
        ]

    def aim(self, target: Target | None) -> None:
        """Hold the machine where a step or a run of the debugger ends; None: nowhere any more."""
        old, self._target = self._target, target
        if target is not None:
            self._begun = frozenset((vcpu, vcpu.instructions + 1) for vcpu in target.partition.vcpus)
        for each in (old, target):
            if each is not None:
                self._arm_breakpoints(each.partition)

    # --- from the engines ----------------------------------------------------------------------------

    def _reached(self, partition: Partition, address: int) -> bool:
        """Whether the vCPU that is about to execute there must stop."""
        vcpu = partition.loaded
        if vcpu is None or self.muted:
            return False
        place = (vcpu, vcpu.instructions + partition.core.executed)
        if place == self._reported:
            return False  # it was held here, and goes on
        here = [stop for stop in self if isinstance(stop, Breakpoint) and self._at(stop, partition, address)]
        due = self._due(here, vcpu)
        if due:
            first, trouble = due[0]
            self._hypervisor.halt(f"breakpoint {first.number}: {partition.name}/{vcpu.index} at {address:#x}{trouble}")
        return self._ends(vcpu, place, address, bool(due))

    @staticmethod
    def _at(stop: Stop, partition: Partition, address: int) -> bool:
        return stop.vm == partition.name and stop.address == address

    def _ends(self, vcpu: Vcpu, place: tuple[Vcpu, int], address: int, held: bool) -> bool:
        """Whether it is held there, by a breakpoint or because this is what a run was for."""
        target = self._target
        mine = target is not None and target.partition is vcpu.vm and target.address == address
        if target is not None and mine and place not in self._begun and target.matches(vcpu):
            self._hypervisor.halt(f"{target.words}: {vcpu.vm.name}/{vcpu.index} at {address:#x}")
            held = True
        if held:
            self._reported = place
            self.aim(None)
        return held

    def _accessed(self, partition: Partition, accesses: Sequence[Access]) -> bool:
        """Whether the vCPU that made these accesses, all by its last instruction, must stop."""
        vcpu = partition.loaded
        if vcpu is None or self.muted:
            return False
        touched = watchpoints.touched(self._watching(partition), vcpu, accesses)
        due = self._due([watch for watch, _ in touched], vcpu)
        if due:
            first, trouble = due[0]
            words = next(words for watch, words in touched if watch is first)
            self._hypervisor.halt(f"watchpoint {first.number}: {partition.name}/{vcpu.index} {words}{trouble}")
            self.aim(None)
        return bool(due)

    def _due(self, here: Sequence[AnyStop], vcpu: Vcpu) -> list[tuple[AnyStop, str]]:
        """Those that stop, with what is wrong with their condition; temporary ones are gone then."""
        if not here:
            return []
        scope = VcpuScope(vcpu, self._hypervisor.cycles_per_tick)
        due = [(stop, trouble) for stop in here if (trouble := stop.due(scope)) is not None]
        for stop, _ in due:
            if stop.temporary:
                self.remove(stop.number)
        return due
