"""The secure half of a machine: EL3, the SPMC, and its partitions, from what the boot chain loaded."""

from __future__ import annotations

from collections.abc import Callable

from engine.board import memory_map
from engine.board.memory import PhysicalMemory, SecureView
from engine.board.memory_map import FIRMWARE_SIZE, SECURE_BASE, SECURE_HEAP, SECURE_SIZE
from engine.board.pl011 import Pl011
from engine.build_devices import printing
from engine.console import Console
from engine.cpu.core import CoreClient
from engine.events import BootStage
from engine.ffa.abi import PAGE_SIZE
from engine.ffa.mailbox import Mailbox
from engine.hypervisor.hypervisor import Hypervisor
from engine.hypervisor.mmio import Mmio
from engine.hypervisor.partition import Partition
from engine.hypervisor.stage2 import Stage2
from engine.hypervisor.stage2_tables import TableAllocator
from engine.hypervisor.traps import GuestTraps
from engine.images.image import ImageError
from engine.machine_config import SecureConfig
from engine.monitor.boot import boot_parts
from engine.monitor.spmd import Spmd
from engine.spmc.loaded import LoadedPackage
from engine.spmc.manifest import Attribute
from engine.spmc.partition import SecurePartition
from engine.spmc.spmc import Spmc
from engine.spmc.virtual_interrupts import VirtualInterrupts

_FIRST_VMID = 0x80
"""VMIDs of secure partitions, apart from those of VMs so that nobody mixes them up."""


class SecureWorld:
    """Everything above and beside the normal world."""

    def __init__(self, hypervisor: Hypervisor, normal: PhysicalMemory, config: SecureConfig, mmio: Mmio) -> None:
        self._hypervisor = hypervisor
        self._mmio = mmio
        self._options = config.options
        self.memory = SecureView(PhysicalMemory(SECURE_BASE, SECURE_SIZE), normal)
        self._tables = TableAllocator(self.memory, SECURE_HEAP, SECURE_BASE + SECURE_SIZE)
        self.spmd = Spmd(hypervisor)
        self.raise_sri: Callable[[], None] = lambda: None
        self.spmc = Spmc(hypervisor, self.memory, config.options, self.spmd, lambda: self.raise_sri())
        self.spmd.spmc = self.spmc
        hypervisor.secure = self.spmc
        self._normal_end = normal.base + normal.size - FIRMWARE_SIZE
        self.parts = boot_parts(config)
        for number, loaded in enumerate(self.parts.packages):
            self._add(loaded, number)

    def _add(self, loaded: LoadedPackage, number: int) -> None:
        manifest, cores = loaded.manifest, len(self._hypervisor.cores)
        if manifest.contexts not in (1, cores):
            problem = f"expected execution-ctx-count 1, or {cores} as the board has cores (got {manifest.contexts})"
            raise ImageError(loaded.name, problem)
        for region in manifest.memory:
            end = (region.base or 0) + region.pages * PAGE_SIZE
            if region.attributes & Attribute.NON_SECURE and end > self._normal_end:
                problem = f"/{region.name}: expected RAM of the board below {self._normal_end:#x} (got up to {end:#x})"
                raise ImageError(loaded.name, problem)
        stage2 = Stage2(self.memory, self._tables, _FIRST_VMID + number)
        mailbox = Mailbox(max_pages=self._options.max_buffer_pages)
        made = SecurePartition(loaded, mailbox, self.memory, stage2, self._traps, self._hypervisor.cores)
        software = (self._options.npi, self._options.managed_exit)
        made.interrupts = VirtualInterrupts(
            manifest.contexts,
            manifest.interrupts,
            software,
            {self._options.managed_exit: not manifest.managed_exit_virq},
            lambda context: self._hypervisor.interrupts_changed(made.vcpus[context]),
            lambda context, _intid: self.spmc.switching.signal(made.contexts[context]),
        )
        self._devices(made)
        self.spmc.add(made)
        self._hypervisor.add_vm(made)

    def _traps(self, partition: Partition) -> CoreClient:
        return GuestTraps(partition, self._hypervisor, self._mmio, self.spmc.call)

    def _devices(self, partition: SecurePartition) -> None:
        """The devices that its manifest gives it: a UART of its own at the board's place."""
        for region in partition.manifest.devices:
            if region.base == memory_map.UART_BASE:
                uart = Pl011("pl011", printing(self._hypervisor, lambda: partition.console), lambda _level: None)
                partition.uart = uart
                partition.console = Console(partition.name, uart)
                partition.bus.attach(region.base, uart)

    def _stage(self, stage: str, detail: str, address: int = 0, entry: int = 0) -> None:
        self._hypervisor.events.emit(BootStage(self._hypervisor.now, "", -1, stage, address, entry, detail))

    def power_on(self, booted: Callable[[], None]) -> None:
        """The chain of trust up to the SPMC, which boots the partitions; `booted` starts the normal world."""
        core, listing = self.parts.core, self.parts.listing
        self._stage("BL1", "reset")
        self._stage("BL2", f"FIP with {len(listing)} parts: {', '.join(listing)}")
        self._stage("BL31", "EL3 monitor with PSCI and SPMD")
        self._stage("BL32", f"SPMC 0x{core.id:04x}, FF-A {core.version}", core.load_address, core.entry)
        self.spmc.boot.booted = booted
        self.spmc.power_on()
