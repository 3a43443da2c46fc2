"""What VMs and secure partitions are alike in: an engine, a stage 2 and the vCPUs that take turns on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, Protocol

from engine.arch.controls import (
    HCR_AMO,
    HCR_FMO,
    HCR_IMO,
    HCR_RW,
    HCR_SWIO,
    HCR_TDZ,
    HCR_TGE,
    HCR_TSC,
    HCR_TWI,
    HCR_VF,
    HCR_VI,
    HCR_VM,
    MDCR_TPM,
    MDCR_TPMCR,
    MPIDR_RES1,
    PSTATE_EL0T,
    PSTATE_EL1H,
)
from engine.arch.sysreg import SysReg
from engine.board.bus import Bus
from engine.board.memory import Memory
from engine.board.memory_map import COUNTER_HZ
from engine.board.pl011 import Pl011
from engine.board.virtio.mmio import VirtioMmio
from engine.console import Console
from engine.cpu.core import Core, CoreClient
from engine.cpu.timer import TimerPpi
from engine.hypervisor.physical_core import PhysicalCore
from engine.hypervisor.stage2 import VTCR_EL2, Stage2
from engine.hypervisor.vcpu import Vcpu
from engine.images.symbols import SymbolTable
from engine.views import VcpuState, VmRunState

HCR_GUEST: Final = HCR_VM | HCR_SWIO | HCR_FMO | HCR_IMO | HCR_AMO | HCR_TWI | HCR_TSC | HCR_TDZ | HCR_RW
"""TWI but not TWE: the engine executes WFE as a hint and never traps it.
TDZ because DC ZVA would reach the SYS hook 64 times a page; guests then clear memory with stores."""
_CNTHCTL_EL1PCTEN_EL1PCEN = 3
_CNTKCTL_EL0VCTEN_EL0PCTEN = 3


class InterruptController(Protocol):
    """The virtual interrupts of a partition, by vCPU."""

    def reset(self) -> None: ...

    def reset_vcpu(self, vcpu: int) -> None: ...

    def set_line(self, intid: int, level: bool, vcpu: int = 0) -> None: ...

    def inject(self, intid: int, vcpu: int = 0) -> None: ...

    def sysreg_read(self, vcpu: int, key: int, /) -> int | None: ...

    def sysreg_write(self, vcpu: int, key: int, value: int, /) -> bool: ...

    def virq(self, vcpu: int) -> bool: ...

    def vfiq(self, vcpu: int) -> bool: ...

    def wakes(self, vcpu: int) -> bool: ...

    def pending(self, vcpu: int) -> tuple[int, ...]: ...


class Alarm(Protocol):
    """A device that will interrupt at a known time."""

    def next_match_ns(self) -> int | None:
        """Virtual time of the next interrupt in nanoseconds, None while there will be none."""

    def reset(self) -> None:
        """Registers as after a cold reset."""

    def poll(self) -> None:
        """That time may have come."""


class Partition(ABC):
    """Guest code behind its own stage 2. Whoever schedules runs its vCPUs; nothing here does."""

    secure: ClassVar[bool] = False
    """Whether it lives in the secure world, which a physical core enters and leaves as a whole."""
    user = False
    """It runs at EL0 with nothing at EL1: its exceptions are EL2's (HCR_EL2.TGE)."""
    timers: tuple[TimerPpi, ...] = (TimerPpi.VIRTUAL, TimerPpi.PHYSICAL)
    """Of each vCPU."""
    interrupts: InterruptController
    console: Console
    uart: Pl011 | None = None
    hvc: Console | None = None
    """Its second console, if it has one."""

    def __init__(
        self,
        name: str,
        memory: Memory,
        stage2: Stage2,
        client: Callable[[Partition], CoreClient],
        symbols: SymbolTable,
    ) -> None:
        self.name = name
        self.memory = memory
        self.stage2 = stage2
        self.symbols = symbols
        self.ram_base = self.ram_size = 0
        """Its own RAM, by the addresses it uses."""
        self.state = VmRunState.OFF
        self.detail = "not started"
        self.core = Core(memory, client(self))
        stage2.invalidate = self.flush_tlb
        self.loaded: Vcpu | None = None
        self.hcr = 0
        """HCR_EL2 as the engine has it; 0 after another vCPU was loaded."""
        self.reset_requested = False
        self.vcpus: list[Vcpu] = []
        self.bus = Bus()
        self.alarms: Sequence[Alarm] = ()
        """Devices of it that interrupt at a time."""
        self.virtio: tuple[VirtioMmio, ...] = ()
        """By slot."""
        self.at_end: Callable[[], None] = lambda: None
        """Called when it ends: it stopped, or starts over."""
        self.at_interrupted_wait: Callable[[Vcpu], None] = lambda _vcpu: None
        """Called when an interrupt, and not a message, ended a vCPU's wait."""
        self.tlb_flushes = 0
        """Invalidations that changes of the stage-2 tables made necessary."""

    def add_vcpu(self, pcore: PhysicalCore) -> Vcpu:
        """Make the next vCPU, in reset state and off."""
        core = self.core
        vcpu = Vcpu(self, len(self.vcpus), pcore, core.new_context(), core.new_context(), self.timers)
        core.reset()
        core.write(SysReg.VTCR_EL2, VTCR_EL2)
        core.write(SysReg.VTTBR_EL2, self.stage2.vttbr)
        core.write(SysReg.VMPIDR_EL2, MPIDR_RES1 | vcpu.index)
        core.write(SysReg.MDCR_EL2, MDCR_TPM | MDCR_TPMCR)
        core.write(SysReg.CNTHCTL_EL2, _CNTHCTL_EL1PCTEN_EL1PCEN)
        core.write(SysReg.CNTFRQ_EL0, COUNTER_HZ)
        core.write(SysReg.CNTKCTL_EL1, _CNTKCTL_EL0VCTEN_EL0PCTEN if self.user else 0)
        core.write(SysReg.HCR_EL2, self._hcr_base)
        core.pstate = PSTATE_EL0T if self.user else PSTATE_EL1H
        core.save(vcpu.reset_context)
        self.vcpus.append(vcpu)
        return vcpu

    def reset_vcpu(self, vcpu: Vcpu, entry: int, argument: int) -> None:
        """Architectural reset state of a vCPU that is not loaded, at EL1h with x0 = argument."""
        vcpu.context.copy_from(vcpu.reset_context)
        vcpu.context.state.x[0] = argument
        vcpu.context.state.pc = entry
        for ppi in vcpu.asserted:
            self.interrupts.set_line(ppi, False, vcpu.index)
        vcpu.reset_timers()
        self.interrupts.reset_vcpu(vcpu.index)

    @property
    def _hcr_base(self) -> int:
        return HCR_GUEST | HCR_TGE if self.user else HCR_GUEST

    def in_ram(self, ipa: int) -> bool:
        return self.ram_base <= ipa < self.ram_base + self.ram_size

    def unload(self) -> None:
        """Save the loaded vCPU, leaving the engine to whoever needs it."""
        if self.loaded is not None:
            self.core.save(self.loaded.context)
            self.loaded = None
            self.hcr = 0

    def flush_tlb(self) -> None:
        """Have changed stage-2 tables take effect."""
        self.core.flush_tlb()
        self.tlb_flushes += 1

    def present_interrupts(self, vcpu: Vcpu) -> None:
        """Bring HCR_EL2 of the loaded vCPU in line with its virtual IRQ and FIQ; the engine does the rest."""
        hcr = self._hcr_base
        if self.interrupts.virq(vcpu.index):
            hcr |= HCR_VI
        if self.interrupts.vfiq(vcpu.index):
            hcr |= HCR_VF
        if hcr != self.hcr:
            self.set_hcr(hcr)

    def next_look(self, _vcpu: Vcpu, _now: int) -> int | None:
        """Cycle at which interrupts must be presented again although nothing changed; None: never."""
        return None

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

    @abstractmethod
    def power_on(self) -> None:
        """Cold reset: devices and vCPUs in reset state, images in place, vCPU 0 at the entry point."""

    def cold_reset(self) -> None:
        """Interrupts and vCPUs in reset state and off; what ran before is over."""
        self.unload()
        self.at_end()
        self.core.drop_translations()
        self.interrupts.reset()
        if self.uart is not None:
            self.uart.reset()
        for alarm in self.alarms:
            alarm.reset()
        for slot in self.virtio:
            slot.reset()
        for vcpu in self.vcpus:
            vcpu.state = VcpuState.OFF
            self.reset_vcpu(vcpu, 0, 0)
        self.state, self.detail, self.reset_requested = VmRunState.RUNNING, "", False

    def stop(self, state: VmRunState, detail: str) -> None:
        """No vCPU of it runs again until the next power-on."""
        self.state, self.detail = state, detail
        for vcpu in self.vcpus:
            vcpu.state = VcpuState.OFF
        for slot in self.virtio:
            slot.stopped()
        self.at_end()
