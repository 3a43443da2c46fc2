"""A virtual machine: RAM behind its own stage 2, vCPUs, interrupt controller and devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.arch.paging import PAGE, PageState, S2Leaf
from engine.board import memory_map
from engine.board.memory import Memory
from engine.board.pl011 import Pl011
from engine.board.pl031 import Pl031
from engine.console import Console
from engine.cpu.core import CoreClient
from engine.hypervisor.partition import Partition
from engine.hypervisor.stage2 import Stage2
from engine.hypervisor.vgic import VGic
from engine.images.placement import GuestImage
from engine.machine_config import VmConfig
from engine.views import VcpuState


class Vm(Partition):
    """One VM of the machine, in the normal world at EL1."""

    def __init__(
        self,
        config: VmConfig,
        memory: Memory,
        stage2: Stage2,
        images: GuestImage,
        client: Callable[[Partition], CoreClient],
    ) -> None:
        super().__init__(config.name, memory, stage2, client, images.symbols)
        self.config = config
        self.images = images
        self.ram_base, self.ram_size = config.ram_base, config.ram_size
        self.gives_pages = False
        """Its pages may have become another VM's, by FF-A."""
        stage2.map(config.ram_base, S2Leaf(config.base_pa), config.ram_size)

    def wire(self, vgic: VGic, uart: Pl011, rtc: Pl031) -> None:
        """Attach the devices, at the places where the device tree says they are."""
        self.interrupts = self.vgic = vgic
        self.uart, self.rtc = uart, rtc
        self.alarms = (rtc,)
        self.console = Console(self.name, uart)
        self.bus.attach(memory_map.GICD_BASE, vgic.gicd)
        self.bus.attach(memory_map.GICR_BASE, vgic.gicr)
        self.bus.attach(memory_map.UART_BASE, uart)
        self.bus.attach(memory_map.RTC_BASE, rtc)

    def physical(self, ipa: int) -> int:
        """Physical address of a RAM address."""
        return ipa - self.config.ram_base + self.config.base_pa

    def load_images(self) -> None:
        """Put the guest's program, device tree and initial RAM disk into RAM, as after power-on."""
        for ipa, data, size in self.images.segments:
            for start, physical, length in self._own_parts(ipa, size):
                part = data[start - ipa : start - ipa + length]
                self.memory.write(physical, part)
                self.memory.fill_zero(physical + len(part), length - len(part))

    def _own_parts(self, ipa: int, size: int) -> Iterator[tuple[int, int, int]]:
        """(IPA, physical address, bytes) of RAM to load into: not what other VMs have by now."""
        if not self.gives_pages:
            yield ipa, self.physical(ipa), size
            return
        end = ipa + size
        while ipa < end:
            length = min(PAGE - ipa % PAGE, end - ipa)
            found = self.stage2.resolve(ipa)
            if found is not None and found[0].state is PageState.OWNED:
                yield ipa, found[1], length
            ipa += length

    def power_on(self) -> None:
        self.cold_reset()
        self.load_images()
        self.reset_vcpu(self.vcpus[0], self.images.entry, self.images.dtb)
        self.vcpus[0].state = VcpuState.READY
        self.vcpus[0].started = True
