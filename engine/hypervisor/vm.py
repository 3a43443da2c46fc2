"""A virtual machine: RAM behind its own stage 2, vCPUs, interrupt controller and devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.arch.paging import PAGE, PageState, S2Leaf
from engine.arch.sysreg import SysReg
from engine.board import memory_map
from engine.board.bus import Bus
from engine.board.memory import PhysicalMemory
from engine.board.memory_map import COUNTER_HZ
from engine.board.pl011 import Pl011
from engine.board.pl031 import Pl031
from engine.config import VmConfig
from engine.console import Console
from engine.cpu.core import Core, CoreClient
from engine.hypervisor.hcr import HCR_GUEST
from engine.hypervisor.physical_core import PhysicalCore
from engine.hypervisor.stage2 import VTCR_EL2, Stage2
from engine.hypervisor.vcpu import Vcpu
from engine.hypervisor.vgic import VGic
from engine.images.placement import GuestImage
from engine.views import VcpuState, VmRunState

_MPIDR_RES1 = 1 << 31
_MDCR_TPM_TPMCR = 1 << 6 | 1 << 5
_CNTHCTL_EL1PCTEN_EL1PCEN = 3
SPI_BASE = 32


class Vm:
    """One VM of the machine. The hypervisor runs its vCPUs; nothing here runs guest code."""

    def __init__(
        self,
        config: VmConfig,
        memory: PhysicalMemory,
        stage2: Stage2,
        images: GuestImage,
        client: Callable[[Vm], CoreClient],
    ) -> None:
        self.config = config
        self.name = config.name
        self.memory = memory
        self.stage2 = stage2
        self.images = images
        self.state = VmRunState.OFF
        self.detail = "not started"
        self.core = Core(memory, client(self))
        stage2.invalidate = self.core.flush_tlb
        self.loaded: Vcpu | None = None
        self.hcr = 0
        """HCR_EL2 as the engine has it; 0 after another vCPU was loaded."""
        self.reset_requested = False
        self.vcpus: list[Vcpu] = []
        self.bus = Bus()
        self.gives_pages = False
        """Its pages may have become another VM's, by FF-A."""
        self.at_end: Callable[[], None] = lambda: None
        """Called when the VM ends: it stopped, or starts over."""
        stage2.map(config.ram_base, S2Leaf(config.base_pa), config.ram_size)

    def wire(self, vgic: VGic, uart: Pl011, rtc: Pl031) -> None:
        """Attach the devices, at the places where the device tree says they are."""
        self.vgic, self.uart, self.rtc = vgic, uart, rtc
        self.console = Console(self.name, uart.receive)
        self.bus.attach(memory_map.GICD_BASE, vgic.gicd)
        self.bus.attach(memory_map.GICR_BASE, vgic.gicr)
        self.bus.attach(memory_map.UART_BASE, uart)
        self.bus.attach(memory_map.RTC_BASE, rtc)

    def physical(self, ipa: int) -> int:
        """Physical address of a RAM address."""
        return ipa - self.config.ram_base + self.config.base_pa

    def in_ram(self, ipa: int) -> bool:
        return self.config.ram_base <= ipa < self.config.ram_end

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
            leaf, physical = self.stage2.lookup(ipa), self.stage2.translate(ipa)
            if leaf is not None and physical is not None and leaf.state is PageState.OWNED:
                yield ipa, physical, length
            ipa += length

    def add_vcpu(self, pcore: PhysicalCore) -> Vcpu:
        """Make the next vCPU, in reset state and off."""
        core = self.core
        vcpu = Vcpu(self, len(self.vcpus), pcore, core.new_context(), core.new_context())
        core.reset()
        core.write(SysReg.VTCR_EL2, VTCR_EL2)
        core.write(SysReg.VTTBR_EL2, self.stage2.vttbr)
        core.write(SysReg.VMPIDR_EL2, _MPIDR_RES1 | vcpu.index)
        core.write(SysReg.MDCR_EL2, _MDCR_TPM_TPMCR)
        core.write(SysReg.CNTHCTL_EL2, _CNTHCTL_EL1PCTEN_EL1PCEN)
        core.write(SysReg.CNTFRQ_EL0, COUNTER_HZ)
        core.write(SysReg.HCR_EL2, HCR_GUEST)
        core.save(vcpu.reset_context)
        self.vcpus.append(vcpu)
        return vcpu

    def reset_vcpu(self, vcpu: Vcpu, entry: int, argument: int) -> None:
        """Architectural reset state of a vCPU that is not loaded, at EL1h with x0 = argument."""
        vcpu.context.copy_from(vcpu.reset_context)
        vcpu.context.state.x[0] = argument
        vcpu.context.state.pc = entry
        for ppi in vcpu.asserted:
            self.vgic.set_line(ppi, False, vcpu.index)
        vcpu.reset_timers()
        self.vgic.reset_vcpu(vcpu.index)

    def unload(self) -> None:
        """Save the loaded vCPU, leaving the engine to whoever needs it."""
        if self.loaded is not None:
            self.core.save(self.loaded.context)
            self.loaded = None
            self.hcr = 0

    def load(self, vcpu: Vcpu) -> None:
        """Put a vCPU on the engine."""
        if self.loaded is vcpu:
            return
        self.unload()
        self.core.load(vcpu.context)
        self.loaded = vcpu
        vcpu.interrupts_changed = True

    def set_hcr(self, value: int) -> None:
        """Change HCR_EL2 of the loaded vCPU; never from an MSR or MRS hook."""
        self.hcr = value
        self.core.write(SysReg.HCR_EL2, value)

    def power_on(self) -> None:
        """Cold reset: devices and vCPUs in reset state, images in place, vCPU 0 at the entry point."""
        self.unload()
        self.at_end()
        self.load_images()
        self.core.drop_translations()
        self.vgic.reset()
        self.uart.reset()
        self.rtc.reset()
        for vcpu in self.vcpus:
            vcpu.state = VcpuState.OFF
            self.reset_vcpu(vcpu, 0, 0)
        self.reset_vcpu(self.vcpus[0], self.images.entry, self.images.dtb)
        self.vcpus[0].state = VcpuState.READY
        self.vcpus[0].started = True
        self.state, self.detail, self.reset_requested = VmRunState.RUNNING, "", False

    def stop(self, state: VmRunState, detail: str) -> None:
        """No vCPU of it runs again until the next power-on."""
        self.state, self.detail = state, detail
        for vcpu in self.vcpus:
            vcpu.state = VcpuState.OFF
        self.at_end()
