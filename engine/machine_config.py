"""A machine as it will be built, frozen: what `engine.config` makes of a machine file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.board.memory_map import FIRMWARE_SIZE
from engine.machine_file import DeviceSection, FfaSection, ImageFormat, SecureSection
from engine.virtio_config import NetworkConfig, VirtioConfig


class BoardConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The physical machine."""

    cores: int
    """Physical cores, 1 to 8."""
    time_slice_ms: float
    """Virtual milliseconds a vCPU runs before its core takes another one, 0.1 to 1000."""
    wall_time: int
    """What the PL031 shows at power-on, in seconds since 1970-01-01 UTC; 32 bits."""
    ram_end: int
    """First physical address above RAM, which begins at RAM_BASE."""

    @property
    def firmware_base(self) -> int:
        """Start of the FIRMWARE_SIZE bytes at the top of RAM that no VM may have."""
        return self.ram_end - FIRMWARE_SIZE


class VmConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One guest."""

    name: str
    el: int
    """1: a guest of the hypervisor. 2: it owns EL2, and is the only one in the normal world."""
    vcpus: int
    ram_base: int
    """IPA of its RAM, 2 MiB aligned."""
    ram_size: int
    """Bytes, a multiple of 2 MiB, at most 4 GiB."""
    base_pa: int
    """Physical address of its RAM, 2 MiB aligned."""
    image: Path
    bl33: bool
    """Whether `image` is a FIP, and its BL33 is what runs."""
    format: ImageFormat
    load: int | None
    """Offset of the image from `ram_base`, if the file gives one."""
    entry: int | None
    """Offset of the first instruction from `ram_base`, if the file gives one."""
    initrd: Path | None
    dtb: Path | None
    bootargs: str
    affinity: tuple[int, ...]
    """Physical core of each vCPU."""
    console: bool
    virtio: VirtioConfig = VirtioConfig()

    @property
    def ram_end(self) -> int:
        """First IPA above its RAM."""
        return self.ram_base + self.ram_size

    @property
    def end_pa(self) -> int:
        """First physical address above its RAM."""
        return self.base_pa + self.ram_size


class SpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One secure partition: a package, or an image with its manifest."""

    name: str
    package: Path | None
    image: Path | None
    manifest: Path | None
    load: int | None
    """Physical address, where the file gives one."""


class SecureConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The secure world."""

    options: SecureSection
    fip: Path | None
    """What it boots from; None where a FIP is made of `sps`."""
    sps: tuple[SpConfig, ...]
    names: tuple[str, ...]
    """Of the secure partitions, in the order of the FIP."""


class MachineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A whole machine."""

    file: Path
    name: str
    description: str
    cycles_per_tick: int
    """Instructions in one tick of the 62.5 MHz counter, 1 to 1024."""
    seed: int
    board: BoardConfig
    vms: tuple[VmConfig, ...]
    ffa: FfaSection | None = None
    """How the hypervisor relays FF-A; None when it does not."""
    devices: tuple[DeviceSection, ...] = ()
    secure: SecureConfig | None = None
    """None where the machine has no secure world."""
    networks: tuple[NetworkConfig, ...] = ()

    @property
    def partitions(self) -> tuple[str, ...]:
        """Names of all that run guest code: the VMs, then the secure partitions."""
        return (*(vm.name for vm in self.vms), *(() if self.secure is None else self.secure.names))

    def serves_ffa(self, vm: VmConfig) -> bool:
        """Whether a VM's FF-A calls are answered: by the relayer, or the secure world where the VM owns EL2."""
        return (self.ffa if vm.el == 1 else self.secure) is not None

    @property
    def consoles(self) -> tuple[str, ...]:
        """Names of all consoles: the partitions' own, by their names, then the second ones, `vm0.hvc0`."""
        second = (second_console(vm.name) for vm in self.vms if vm.virtio.console)
        return (*self.partitions, *second)

    @property
    def has_ffa(self) -> bool:
        """Whether somebody answers FF-A calls."""
        return self.ffa is not None or self.secure is not None


def second_console(vm: str) -> str:
    """Name of a VM's virtio console."""
    return f"{vm}.hvc0"
