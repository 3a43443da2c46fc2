"""From a machine file's configuration to a wired board with its firmware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.board.gic.interrupts import FIRST_SPI
from engine.board.memory import PhysicalMemory
from engine.board.memory_map import FIRMWARE_SIZE, RAM_BASE, RTC_SPI, UART_SPI
from engine.board.network.cable import Cable
from engine.board.network.host_link import HostLink
from engine.board.network.port import Port
from engine.board.network.switch import Switch
from engine.board.pl011 import Pl011
from engine.board.pl031 import Pl031
from engine.board.virtio.net import VirtioNet
from engine.build_devices import Line, attach_devices, printing
from engine.build_networks import build_host_links, build_networks
from engine.build_secure import SecureWorld
from engine.build_virtio import VirtioBuilder
from engine.config import FfaSection
from engine.console import Console
from engine.cpu.core import CoreClient
from engine.debug.breakpoints import Breakpoints
from engine.debug.goals import Goals
from engine.events import KEPT_EVENTS, BootStage, EventRing
from engine.hypervisor.ffa_proxy import FfaProxy
from engine.hypervisor.ffa_secure import SecureClient
from engine.hypervisor.hypervisor import Hypervisor
from engine.hypervisor.mmio import Mmio
from engine.hypervisor.partition import Partition
from engine.hypervisor.psci import Psci, VcpuPower
from engine.hypervisor.stage2 import Stage2
from engine.hypervisor.stage2_tables import TableAllocator
from engine.hypervisor.traps import GuestTraps
from engine.hypervisor.vcpu import Vcpu
from engine.hypervisor.vgic import VGic
from engine.hypervisor.vm import Vm
from engine.images.placement import load_guest
from engine.machine_config import MachineConfig, VmConfig
from engine.monitor.core_power import CorePower
from engine.monitor.payload import Payload
from engine.monitor.payload_gic import PayloadGic
from engine.monitor.payload_traps import PayloadTraps
from engine.views import VcpuState


@dataclass(frozen=True)
class System:
    """A powered-on machine without a thread: `hypervisor.advance` runs it."""

    config: MachineConfig
    memory: PhysicalMemory
    hypervisor: Hypervisor
    events: EventRing
    vms: Sequence[Vm]
    breakpoints: Breakpoints
    goals: Goals
    ffa: FfaProxy | None = None
    """The FF-A relayer, where the machine has one."""
    secure: SecureWorld | None = None
    networks: Sequence[Switch] = ()
    host_links: Sequence[HostLink] = ()
    """Ways out of the machine; none is open by itself."""

    @property
    def ports(self) -> list[Port]:
        """The ports of all networks; no two have the same name."""
        return [port for network in self.networks for port in network.ports]

    @property
    def cables(self) -> list[Cable]:
        """One for each port."""
        devices = [slot.device for vm in self.vms for slot in vm.virtio]
        return [*(device for device in devices if isinstance(device, VirtioNet)), *self.host_links]

    @property
    def partitions(self) -> list[Partition]:
        """All that run guest code: the VMs, then the secure partitions."""
        return _partitions(self.vms, self.hypervisor)

    @property
    def consoles(self) -> list[Console]:
        """The partitions' own, then the second ones of VMs."""
        return _consoles(self.partitions)

    def partition(self, name: str) -> Partition:
        """The partition with this name; KeyError if there is none."""
        for partition in self.partitions:
            if partition.name == name:
                return partition
        raise KeyError(name)


def _partitions(vms: Sequence[Vm], hypervisor: Hypervisor) -> list[Partition]:
    return [*vms, *(each for each in hypervisor.partitions if each.secure)]


def _consoles(partitions: Sequence[Partition]) -> list[Console]:
    second = [partition.hvc for partition in partitions if partition.hvc is not None]
    return [*(partition.console for partition in partitions), *second]


class _Builder:
    """The one place that knows every part."""

    def __init__(self, config: MachineConfig, events: EventRing) -> None:
        self.config = config
        self.events = events
        board = config.board
        self.memory = PhysicalMemory(RAM_BASE, board.ram_end - RAM_BASE)
        self._tables = TableAllocator(self.memory, board.firmware_base, board.firmware_base + FIRMWARE_SIZE)
        self.hypervisor = Hypervisor(config, events)
        self.vms: list[Vm] = []
        self._mmio = Mmio(self.hypervisor)
        self.secure: SecureWorld | None = None
        if config.secure is not None:
            self.secure = SecureWorld(self.hypervisor, self.memory, config.secure, self._mmio)
            self.secure.raise_sri = self._raise_sri
        self._psci = Psci(self.hypervisor, self._power())
        self.ffa = self._relayer(config.ffa) if config.ffa is not None else None
        self.networks = build_networks(config, self.hypervisor)
        self._virtio = VirtioBuilder(self.hypervisor, self.networks, config.seed)

    def _power(self) -> VcpuPower:
        """The cores are on from the start under the hypervisor; a payload that owns EL2 turns them on by itself."""
        if self.secure is None or all(vm.el != 2 for vm in self.config.vms):
            return VcpuPower(self.hypervisor)
        spmc = self.secure.spmc
        power = CorePower(self.hypervisor, spmc)
        self.hypervisor.reset_vm = self._reset_board
        spmc.boot.by_psci = True
        spmc.switching.is_on = power.is_on
        spmc.power.gone = power.gone
        return power

    def attach_devices(self) -> None:
        sps = () if self.secure is None else tuple(self.secure.spmc.partitions.values())
        attach_devices(self.config, self.hypervisor, self.vms, sps)

    def _relayer(self, section: FfaSection) -> FfaProxy:
        if self.secure is None:
            return FfaProxy(self.hypervisor, self.memory, section)
        client = SecureClient(self.secure.spmd, self.memory, self._tables.take(), self._tables.take())
        relayer = FfaProxy(self.hypervisor, self.memory, section, client)
        self.secure.raise_sri = relayer.on_schedule_receiver
        self.secure.spmc.manager.serve_relayer()
        return relayer

    def _raise_sri(self) -> None:
        """A payload that owns EL2 hears of the secure world's schedule receiver interrupt itself."""
        for vm in self.vms:
            if isinstance(vm, Payload) and self.config.secure is not None:
                vm.vgic.inject(self.config.secure.options.sri)

    def power_on(self) -> None:
        """The chain of trust first, where there is one; then the VMs."""
        if self.secure is None:
            self.hypervisor.power_on()
        else:
            self.secure.power_on(self._enter_normal_world)

    def _reset_board(self, payload: Partition, _why: str) -> None:
        """SYSTEM_RESET by whoever owns EL2 is the board's: the secure world starts over, too (DEN0022 5.1.9)."""
        for vcpu in payload.vcpus:
            vcpu.state = VcpuState.OFF
        self.hypervisor.catch_up(self.hypervisor.now)
        self.power_on()

    def _enter_normal_world(self) -> None:
        self.events.emit(self._bl33())
        if self.ffa is not None:
            self.ffa.meet_secure_world()
        self.hypervisor.power_on()
        self._boot_core()

    def _boot_core(self) -> None:
        """The core that a payload begins on is turned on by nobody."""
        for vm in self.vms:
            if isinstance(vm, Payload) and self.secure is not None:
                self.secure.spmc.core_on(vm.vcpus[0].pcore)

    def _bl33(self) -> BootStage:
        """What the chain of trust hands the normal world to."""
        now = self.hypervisor.now
        for vm in self.vms:
            if isinstance(vm, Payload):
                load = min(segment.ipa for segment in vm.images.segments)
                return BootStage(now, vm.name, -1, "BL33", load, vm.images.entry, "payload at NS-EL2")
        return BootStage(now, "", -1, "BL33", 0, 0, "hypervisor at NS-EL2")

    def add_vm(self, config: VmConfig, vmid: int) -> None:
        images = load_guest(config, self.config.seed, ffa=self.config.serves_ffa(config))
        stage2 = Stage2(self.memory, self._tables, vmid)
        made = Payload if config.el == 2 else Vm
        vm = made(config, self.memory, stage2, images, self._traps)
        for core in config.affinity:
            vm.add_vcpu(self.hypervisor.cores[core])
        vm.wire(self._gic(vm), self._uart(vm), self._rtc(vm))
        self._virtio.add_vm(vm)
        self.hypervisor.add_vm(vm)
        self.vms.append(vm)
        if self.ffa is not None:
            self.ffa.add_vm(vm)
            if self.secure is not None:
                self.secure.spmd.endpoint_of[vm.name] = self.ffa.relay.of(vm).id

    def _gic(self, vm: Vm) -> VGic:
        def on_change(vcpu: int) -> None:
            self.hypervisor.interrupts_changed(vm.vcpus[vcpu])

        if isinstance(vm, Payload):
            vm.gic = PayloadGic(len(vm.vcpus), on_change)
            return vm.gic
        return VGic(len(vm.vcpus), on_change=on_change)

    def _traps(self, vm: Partition) -> CoreClient:
        if isinstance(vm, Payload):
            return PayloadTraps(vm, self.hypervisor, self._mmio, self._payload_call)
        return GuestTraps(vm, self.hypervisor, self._mmio, self._vm_call)

    def _payload_call(self, vcpu: Vcpu, _hvc: bool) -> bool:
        """EL3 serves power control, and FF-A where there is a secure world."""
        return self._psci.call(vcpu) or (self.secure is not None and self.secure.spmd.serve(vcpu))

    def _vm_call(self, vcpu: Vcpu, _hvc: bool) -> bool:
        return self._psci.call(vcpu) or (self.ffa is not None and self.ffa.call(vcpu))

    def _uart(self, vm: Vm) -> Pl011:
        printed = printing(self.hypervisor, lambda: vm.console)
        return Pl011("pl011", printed, Line(self.hypervisor, vm, FIRST_SPI + UART_SPI, "pl011"))

    def _rtc(self, vm: Vm) -> Pl031:
        hypervisor = self.hypervisor
        return Pl031(
            self.config.board.wall_time,
            lambda: hypervisor.ns_of_cycles(hypervisor.now),
            Line(self.hypervisor, vm, FIRST_SPI + RTC_SPI, "pl031"),
        )


def build(config: MachineConfig, *, digest: bool = False, events: int = KEPT_EVENTS) -> System:
    """Build and power on a machine that keeps its newest `events` events.

    Raises ImageError or UnsupportedUnicornError.
    """
    builder = _Builder(config, EventRing(events, digest))
    for vmid, vm in enumerate(config.vms, start=1):
        builder.add_vm(vm, vmid)
    builder.attach_devices()
    consoles = _consoles(_partitions(builder.vms, builder.hypervisor))
    system = System(
        config=config,
        memory=builder.memory,
        hypervisor=builder.hypervisor,
        events=builder.events,
        vms=builder.vms,
        breakpoints=Breakpoints(builder.hypervisor),
        goals=Goals(builder.events, builder.hypervisor, consoles),
        ffa=builder.ffa,
        secure=builder.secure,
        networks=tuple(builder.networks.values()),
        host_links=build_host_links(config, builder.networks),
    )
    builder.power_on()
    return system
