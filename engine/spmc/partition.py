"""A secure partition: a package in secure RAM, run at S-EL1 behind its own secure stage 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from engine.arch.paging import PAGE, S2AP, S2Leaf, S2Memory
from engine.board.memory import Memory
from engine.console import Console
from engine.cpu.core import CoreClient
from engine.cpu.timer import TimerPpi
from engine.ffa.flags import PartitionProperty
from engine.ffa.mailbox import Mailbox
from engine.ffa.version import Negotiation
from engine.hypervisor.partition import Partition
from engine.hypervisor.physical_core import PhysicalCore
from engine.hypervisor.stage2 import Stage2
from engine.manager.endpoint import Endpoint
from engine.manager.space import Stage2Space
from engine.spmc.boot_info import pack_boot_info
from engine.spmc.call_chain import Context
from engine.spmc.loaded import LoadedPackage
from engine.spmc.manifest import Attribute, ExceptionLevel, Manifest, Messaging
from engine.spmc.states import RuntimeModel
from engine.spmc.virtual_interrupts import VirtualInterrupts
from engine.views import VcpuState, VmRunState

_MESSAGING = {
    Messaging.RECEIVE_DIRECT: PartitionProperty.RECEIVE_DIRECT,
    Messaging.SEND_DIRECT: PartitionProperty.SEND_DIRECT,
    Messaging.INDIRECT: PartitionProperty.INDIRECT,
    Messaging.RECEIVE_DIRECT2: PartitionProperty.RECEIVE_DIRECT2,
    Messaging.SEND_DIRECT2: PartitionProperty.SEND_DIRECT2,
}
_CORE_INDEX_REGISTER = 4


def properties(manifest: Manifest) -> PartitionProperty:
    """What partition information says of a partition with this manifest."""
    found = PartitionProperty.AARCH64
    for method, has in _MESSAGING.items():
        if manifest.messaging & method:
            found |= has
    return found | PartitionProperty.NOTIFICATIONS if manifest.notifications else found


class SecurePartition(Partition):
    """One partition of the SPMC."""

    secure: ClassVar[bool] = True
    interrupts: VirtualInterrupts

    def __init__(
        self,
        loaded: LoadedPackage,
        mailbox: Mailbox,
        memory: Memory,
        stage2: Stage2,
        client: Callable[[Partition], CoreClient],
        cores: Sequence[PhysicalCore],
    ) -> None:
        super().__init__(loaded.name, memory, stage2, client, loaded.symbols)
        self.user = loaded.manifest.level is ExceptionLevel.S_EL0
        self.loaded_package = loaded
        self.manifest = loaded.manifest
        self.endpoint = Endpoint(
            id=loaded.id,
            name=loaded.name,
            space=Stage2Space(self),
            contexts=loaded.manifest.contexts,
            uuids=loaded.manifest.uuids,
            properties=properties(loaded.manifest),
            mailbox=mailbox,
            negotiation=self.fresh_negotiation(),
        )
        self.ram_base, self.ram_size = loaded.address, loaded.size
        self.secondary_entry: int | None = None
        """Where its other contexts begin, by SECONDARY_EP_REGISTER; where the first one did, without."""
        self.console = Console(self.name)
        if TimerPpi.SECURE_PHYSICAL in self.manifest.interrupts:
            self.timers = (*self.timers, TimerPpi.SECURE_PHYSICAL)
        self.contexts = tuple(
            Context(loaded.id, index, self.add_vcpu(cores[index % len(cores)]))
            for index in range(self.manifest.contexts)
        )

    def fresh_negotiation(self) -> Negotiation:
        """Until it asks by FFA_VERSION, it speaks the version that its manifest says (DEN0077A v1.2, 5.2)."""
        return Negotiation(agreed=self.manifest.version)

    def _map(self) -> None:
        """Its own memory, and what the manifest gives it besides; IPA is PA (VSTTBR_EL2 form: one secure stage 2)."""
        self.stage2.map(self.ram_base, S2Leaf(self.ram_base), self.ram_size)
        for region in self.manifest.memory:
            base = self.ram_base + (region.offset or 0) if region.base is None else region.base
            if not (self.in_ram(base) and self.in_ram(base + region.pages * PAGE - 1)):
                self.stage2.map(base, _leaf(base, region.attributes), region.pages * PAGE)

    def load_images(self) -> None:
        """The package as the firmware left it, with boot information in the place of its header."""
        loaded = self.loaded_package
        self.memory.fill_zero(self.ram_base, self.ram_size)
        self.memory.write(self.ram_base, loaded.data)
        if self.manifest.boot_info:
            blob = pack_boot_info(self.manifest, self.ram_base, loaded.package)
            self.memory.write(self.ram_base, blob)

    def power_on(self) -> None:
        self.cold_reset()
        self.stage2.clear()
        self._map()
        self.load_images()
        self.secondary_entry = None
        for context in self.contexts:
            context.forget()
            context.restart()
            self.prepare(context)

    def prepare(self, context: Context) -> None:
        """A context that will begin at its entry point, with the boot information in the register it asked for."""
        secondary = context.index > 0 and self.secondary_entry is not None
        entry = self.secondary_entry if secondary and self.secondary_entry is not None else self.loaded_package.entry
        self.reset_vcpu(context.vcpu, entry, 0)
        x = context.vcpu.context.state.x
        x[_CORE_INDEX_REGISTER] = context.vcpu.pcore.index
        if self.manifest.boot_info and self.manifest.gp_register is not None and not secondary:
            x[self.manifest.gp_register] = self.ram_base
        context.vcpu.state = VcpuState.WAITING
        context.vcpu.started = True
        context.model = RuntimeModel.INIT

    def context_for(self, pcore: PhysicalCore) -> Context:
        """The context that serves calls on a core: the only one, or the one that is pinned there."""
        return self.contexts[pcore.index if len(self.contexts) > 1 else 0]

    def fail(self, detail: str) -> None:
        """It is aborted."""
        self.state, self.detail = VmRunState.CRASHED, detail


def _leaf(address: int, attributes: Attribute) -> S2Leaf:
    access = S2AP.READ_WRITE if attributes & Attribute.WRITE else S2AP.READ
    return S2Leaf(address, access, bool(attributes & Attribute.EXECUTE), memory=S2Memory.NORMAL_WRITE_BACK)
