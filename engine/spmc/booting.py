"""The boot of partitions: the contexts of each core initialize one after the other (DEN0077A v1.2, 5.5 and 18.2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from engine.events import BootStage
from engine.spmc.call_chain import Context

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.physical_core import PhysicalCore
    from engine.spmc.partition import SecurePartition
    from engine.spmc.switching import Switching


class Booting:
    """Who has yet to initialize. The primary core begins; the normal world starts when that one is done."""

    def __init__(self, hypervisor: Hypervisor, partitions: dict[int, SecurePartition], switching: Switching) -> None:
        self._hypervisor = hypervisor
        self._partitions = partitions
        self._switching = switching
        self._waiting: list[Context] = []
        """Those of each core in order."""
        self._cores: set[int] = set()
        """Indices of the cores on which one initializes now."""
        self.by_psci = False
        """The other cores are off until the normal world turns them on; else they are on from the start."""
        self.booted: Callable[[], None] = lambda: None
        """Called when the partitions of the primary core have initialized."""

    def start(self, ordered: Iterable[Context]) -> None:
        """Power-on: these contexts are to initialize, on each core in this order."""
        self._waiting = list(ordered)
        self._cores.clear()
        self.initialized(self._hypervisor.cores[0])

    def withdraw(self, endpoint: int) -> None:
        """A partition failed: none of its contexts begins any more."""
        self._waiting = [context for context in self._waiting if context.endpoint != endpoint]

    def core_on(self, pcore: PhysicalCore) -> None:
        """The normal world turned a core on: contexts that were never on go first, then what waited for the core.

        Where the secure world still has the core, it goes on with what it does there.
        """
        if pcore.held is None and not self._next(pcore):
            self._switching.signal_queued(pcore)

    def settle(self, pcore: PhysicalCore) -> bool:
        """A partition is done with a core. True if who initialized there failed while it waited for that."""
        if pcore.index not in self._cores:
            return False
        self.initialized(pcore)
        return True

    def initialized(self, pcore: PhysicalCore) -> None:
        """A core has no context that initializes: the next one of it begins, or its boot is over."""
        if self._next(pcore):
            return
        self._cores.discard(pcore.index)
        self._hypervisor.release(pcore)
        if pcore is self._hypervisor.cores[0]:
            self._primary_done()
        else:
            self._switching.signal_queued(pcore)

    def _primary_done(self) -> None:
        if not self.by_psci:
            for other in self._hypervisor.cores[1:]:
                self._next(other)
        self.booted()

    def _next(self, pcore: PhysicalCore) -> bool:
        """Let the next context of a core initialize; False when there is none left."""
        for context in self._waiting:
            if context.core is pcore:
                self._waiting.remove(context)
                self._cores.add(pcore.index)
                self._partitions[context.endpoint].prepare(context)
                self._tell(context)
                self._switching.enter(context, pcore, None)
                return True
        return False

    def _tell(self, context: Context) -> None:
        """A partition begins to initialize; its other contexts are no stages of their own."""
        if context.index == 0:
            loaded = self._partitions[context.endpoint].loaded_package
            stage, manifest = f"SP 0x{loaded.id:04x}", loaded.manifest
            detail = f"{manifest.level.name.replace('_', '-')} partition, FF-A {manifest.version}"
            event = BootStage(context.core.now, loaded.name, -1, stage, loaded.address, loaded.entry, detail)
            self._hypervisor.events.emit(event)
