"""The virtio devices of a machine: made of its configuration, plugged into slots, and wired to each other."""

from __future__ import annotations

from collections.abc import Mapping

from engine.board.gic.interrupts import FIRST_SPI
from engine.board.memory_map import VIRTIO_SPI, virtio_base
from engine.board.network.switch import Switch
from engine.board.virtio.block import VirtioBlock
from engine.board.virtio.console import VirtioConsole
from engine.board.virtio.device import VirtioDevice
from engine.board.virtio.disk_file import RawFile
from engine.board.virtio.disk_image import DiskImage
from engine.board.virtio.disk_memory import Overlay, RamDisk
from engine.board.virtio.mmio import VirtioMmio
from engine.board.virtio.net import VirtioNet
from engine.board.virtio.rng import VirtioRng
from engine.board.virtio.vsock import VirtioVsock
from engine.board.virtio.vsock_hub import VsockHub
from engine.build_devices import Line, printing
from engine.console import Console
from engine.hypervisor.dma import Dma
from engine.hypervisor.hypervisor import Hypervisor
from engine.hypervisor.vm import Vm
from engine.machine_config import second_console
from engine.views import VmRunState
from engine.virtio_config import DiskConfig


class VirtioBuilder:
    """Makes the devices of one VM after the other."""

    def __init__(self, hypervisor: Hypervisor, networks: Mapping[str, Switch], seed: int) -> None:
        """`networks` by name: all that NICs are plugged into."""
        self._hypervisor = hypervisor
        self._networks = networks
        self._seed = seed
        self._sockets = VsockHub()

    def add_vm(self, vm: Vm) -> None:
        """Fill the slots of a VM. MachineError where an image cannot be had."""
        memory = Dma(vm, self._hypervisor.partitions)
        slots = []
        for slot, device in enumerate(self._devices(vm)):
            line = Line(self._hypervisor, vm, FIRST_SPI + VIRTIO_SPI + slot, device.name)
            made = VirtioMmio(device, memory, line, lambda: vm.state is VmRunState.RUNNING)
            vm.bus.attach(virtio_base(slot), made)
            slots.append(made)
        vm.virtio = tuple(slots)

    def _devices(self, vm: Vm) -> list[VirtioDevice]:
        """In the order of the slots (`VirtioConfig`)."""
        config = vm.config.virtio
        devices: list[VirtioDevice] = [
            VirtioBlock(f"virtio-blk{n}", disk_image(disk), disk.serial) for n, disk in enumerate(config.disks)
        ]
        for n, nic in enumerate(config.nics):
            network = self._networks[nic.network]
            devices.append(VirtioNet(f"virtio-net{n}", nic.mac, network, _port_name(vm, n)))
        if config.console:
            devices.append(self._console(vm))
        if config.rng:
            devices.append(VirtioRng(f"{self._seed}/{vm.name}/rng"))
        if config.cid is not None:
            devices.append(VirtioVsock(config.cid, self._sockets))
        return devices

    def _console(self, vm: Vm) -> VirtioConsole:
        device = VirtioConsole(printing(self._hypervisor, lambda: console))
        vm.hvc = console = Console(second_console(vm.name), device)
        return device


def _port_name(vm: Vm, nic: int) -> str:
    """Unique on the whole board: `vm0`, then `vm0.1` for its second NIC."""
    return f"{vm.name}.{nic}" if nic else vm.name


def disk_image(config: DiskConfig) -> DiskImage:
    """What holds a disk. An image that is only read, or only through an overlay, is opened read-only."""
    if config.image is None:
        return RamDisk(config.size)
    image = RawFile(config.image, read_only=config.read_only or config.overlay)
    return Overlay(image) if config.overlay and not config.read_only else image
