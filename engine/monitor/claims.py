"""Who has which memory, devices and interrupts of the secure world: nothing is anybody's twice."""

from __future__ import annotations

from dataclasses import dataclass

from engine.board.memory_map import RAM_BASE, RAM_LIMIT, SECURE_BASE, SECURE_HEAP, SECURE_SIZE, SPMC_BASE, UART_BASE
from engine.errors import MachineError
from engine.ffa.abi import PAGE_SIZE
from engine.monitor.core_manifest import CoreManifest
from engine.spmc.loaded import LoadedPackage
from engine.spmc.manifest import Attribute, DeviceRegionSpec, MemoryRegionSpec


class ClaimError(MachineError):
    """Memory, a device or an interrupt that cannot be had; the text names whoever wanted it."""


@dataclass(frozen=True, slots=True)
class _Claim:
    owner: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.start:#x} to {self.end:#x}"


class Claims:
    """What is taken already: by EL3, the SPMC, and the partitions so far."""

    def __init__(self, core: CoreManifest) -> None:
        self._taken = [
            _Claim("EL3", SECURE_BASE, SPMC_BASE),
            _Claim("the SPMC's tables and buffers", SECURE_HEAP, SECURE_BASE + SECURE_SIZE),
        ]
        self._devices: list[_Claim] = []
        self._intids: dict[int, str] = {}
        self._secure("TOS_FW_CONFIG", _Claim("the SPMC", core.load_address, core.end))

    def add(self, loaded: LoadedPackage) -> None:
        """Everything that a partition's manifest wants. Raises ClaimError."""
        self._secure(loaded.name, _Claim(loaded.name, loaded.address, loaded.end))
        for region in loaded.manifest.memory:
            self._memory(loaded, region)
        for device in loaded.manifest.devices:
            self._device(loaded.name, device)
        for intid in loaded.manifest.interrupts:
            owner = self._intids.setdefault(intid, loaded.name)
            if owner != loaded.name:
                raise ClaimError(
                    f"{loaded.name}: expected interrupts that no other partition has ({intid} is {owner}'s)"
                )

    def _secure(self, name: str, wanted: _Claim) -> None:
        if wanted.start < SECURE_BASE or wanted.end > SECURE_BASE + SECURE_SIZE:
            inside = f"{SECURE_BASE:#x} to {SECURE_BASE + SECURE_SIZE:#x}"
            raise ClaimError(f"{name}: expected secure RAM, {inside} (got {wanted})")
        _check_apart(name, "secure RAM", wanted, self._taken)
        self._taken.append(wanted)

    def _memory(self, loaded: LoadedPackage, region: MemoryRegionSpec) -> None:
        """Memory besides the partition's own RAM is like RAM; Non-secure memory may be anybody's."""
        start = loaded.address + (region.offset or 0) if region.base is None else region.base
        end = start + region.pages * PAGE_SIZE
        owner = f"{loaded.name}: /{region.name}"
        if region.attributes & Attribute.NON_SECURE:
            if start < RAM_BASE or end > RAM_LIMIT:
                inside = f"{RAM_BASE:#x} to {RAM_LIMIT:#x}"
                raise ClaimError(f"{owner}: expected Non-secure RAM, {inside} (got {start:#x} to {end:#x})")
        elif start < loaded.address or end > loaded.end:
            self._secure(owner, _Claim(owner, start, end))

    def _device(self, name: str, device: DeviceRegionSpec) -> None:
        """Of the PL011 each partition has its own; any other device is one partition's."""
        if device.base == UART_BASE:
            return
        wanted = _Claim(f"{name}: /{device.name}", device.base, device.base + device.pages * PAGE_SIZE)
        _check_apart(wanted.owner, "a device", wanted, self._devices)
        self._devices.append(wanted)


def _check_apart(name: str, what: str, wanted: _Claim, taken: list[_Claim]) -> None:
    for other in taken:
        if wanted.start < other.end and other.start < wanted.end:
            raise ClaimError(f"{name}: expected {what} apart from {other.owner}, {other} (got {wanted})")
