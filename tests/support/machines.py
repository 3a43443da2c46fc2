"""Small machines for tests: raw guest code behind the whole engine, without a thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from engine import config
from engine.arch.psci import SMC64, Function
from engine.arch.sysreg import SysReg
from engine.board import memory_map
from engine.board.memory_map import RAM_BASE
from engine.build import System, build
from engine.control import Control
from engine.events import Event
from engine.hypervisor.vcpu import Vcpu
from engine.hypervisor.vm import Vm
from engine.machine_config import MachineConfig
from engine.paths import machines_dir
from tests.support import assembler as a
from tests.support.assembler import Program

GUESTS = machines_dir() / "guests"
RAM_SIZE = 4 << 20
"""Of each VM of `machine_config`, unless told otherwise."""
DATA = RAM_BASE + 0x30_0000
"""Where tiny guests keep their results: the device tree lies below."""


@dataclass(frozen=True)
class Guest:
    """One VM of a test machine: a program at the start of its RAM, or an image file."""

    program: Program | bytes | Path
    vcpus: int = 1
    affinity: Sequence[int] | None = None
    ram_size: int = RAM_SIZE
    bootargs: str = ""
    el: int = 1
    virtio: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the machine file for its virtio devices."""

    def image(self, directory: Path, name: str) -> Path:
        if isinstance(self.program, Path):
            return self.program
        path = directory / f"{name}.bin"
        path.write_bytes(self.program.code if isinstance(self.program, Program) else self.program)
        return path


def machine_config(
    directory: Path,
    *guests: Guest | Program | bytes,
    cores: int = 1,
    cycles_per_tick: int = 1,
    time_slice_ms: float = 10,
    devices: Sequence[dict[str, Any]] = (),
    networks: Sequence[dict[str, Any]] = (),
    vm: dict[str, Any] | None = None,
) -> MachineConfig:
    """A machine of VMs vm0, vm1, ... all of which see their RAM at RAM_BASE; `vm` adds to each."""
    vms: list[dict[str, Any]] = []
    base = RAM_BASE
    for index, guest in enumerate(guests):
        here = guest if isinstance(guest, Guest) else Guest(guest)
        name = f"vm{index}"
        table = {
            "name": name,
            "image": str(here.image(directory, name)),
            "vcpus": here.vcpus,
            "el": here.el,
            "ram_size": here.ram_size,
            "base_pa": base,
            "bootargs": here.bootargs,
            **here.virtio,
            **(vm or {}),
        }
        if not isinstance(here.program, Path):
            table |= {"format": "raw"}
        if here.affinity is not None:
            table |= {"affinity": list(here.affinity)}
        vms.append(table)
        base += here.ram_size
    raw: dict[str, Any] = {
        "machine": {"cycles_per_tick": cycles_per_tick},
        "board": {"cores": cores, "time_slice_ms": time_slice_ms},
        "vm": vms,
        "device": list(devices),
        "network": list(networks),
    }
    return config.from_tables(raw, directory / "machine.toml")


class Bench:
    """A built machine with the questions that tests ask."""

    def __init__(self, machine: MachineConfig, *, digest: bool = True) -> None:
        self.system: System = build(machine, digest=digest)
        self.control = Control(self.system)
        self.hypervisor = self.system.hypervisor
        self.vm: Vm = self.system.vms[0]
        self.vcpu: Vcpu = self.vm.vcpus[0]

    def run(self, instructions: int) -> Self:
        self.control.run_instructions(instructions)
        return self

    def run_ms(self, milliseconds: float) -> Self:
        """Up to an absolute virtual time."""
        self.control.advance(self.hypervisor.cycles_of_ns(int(milliseconds * 1_000_000)))
        return self

    def run_until_off(self, instructions: int) -> Self:
        """Until every VM is off, at most so many instructions."""
        self.control.run_instructions(instructions)
        assert self.hypervisor.finished, [(vm.name, vm.state, vm.console.since(0)[0][-300:]) for vm in self.system.vms]
        return self

    def console(self, vm: int = 0) -> str:
        return self.system.vms[vm].console.since(0)[0].decode("utf-8", "replace").replace("\r", "")

    def x(self, register: int, vm: int = 0, vcpu: int = 0) -> int:
        return self.system.vms[vm].vcpus[vcpu].registers.x[register]

    def word(self, ipa: int, vm: int = 0) -> int:
        """A 64-bit word of a VM's RAM."""
        machine = self.system.vms[vm]
        return machine.memory.read_u64(machine.physical(ipa))

    def words(self, ipa: int, count: int, vm: int = 0) -> list[int]:
        return [self.word(ipa + 8 * n, vm) for n in range(count)]

    def events(self) -> list[Event]:
        return list(self.system.events.since(0))

    def digest(self) -> str:
        return self.control.digest()


def tiny(directory: Path, *guests: Guest | Program | bytes, **options: Any) -> Bench:
    """A machine of tiny guests, powered on and standing still."""
    return Bench(machine_config(directory, *guests, **options))


GICR_SGI = memory_map.GICR_BASE + 0x1_0000
"""SGI and PPI registers of vCPU 0."""


def enable_interrupts(program: Program, *intids: int, vcpu: int = 0) -> Program:
    """Make PPIs and SGIs of one vCPU reach it as IRQs; clobbers x8 and x9."""
    frame = GICR_SGI + vcpu * memory_map.GICR_STRIDE
    mask = sum(1 << intid for intid in intids)
    for address, value in ((memory_map.GICD_BASE, 0x12), (frame + 0x80, 0xFFFF_FFFF), (frame + 0x100, mask)):
        program.constant(8, address).constant(9, value).emit(a.str32(9, 8))
    return program.set_register(SysReg.ICC_PMR_EL1, 0xFF).set_register(SysReg.ICC_IGRPEN1_EL1, 1)


def store_result(program: Program, register: int, slot: int) -> Program:
    """Keep a register in word `slot` of DATA; clobbers x10."""
    return program.constant(10, DATA + 8 * slot).emit(a.str_(register, 10))


def spin() -> Program:
    """Counts in x0 for ever."""
    return Program().label("again").emit(a.add(0, 0, 1)).b("again")


def start_vcpu(program: Program, vcpu: int, label_offset: int, context: int = 0) -> Program:
    """CPU_ON of a vCPU at an offset from the start of RAM."""
    return program.call(Function.CPU_ON | SMC64, vcpu, RAM_BASE + label_offset, context)
