"""Machines with a secure world whose partitions are a few instructions long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import config
from engine.ffa.abi import Function
from engine.images.dtb import Value, cells, node, pack
from engine.machine_config import MachineConfig
from engine.spmc.call_chain import Context
from engine.spmc.partition import SecurePartition
from engine.spmc.spmc import Spmc
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import Bench, Guest

SP_BASE, SP_SIZE = 0x0E30_0000, 0x10_0000
IMAGE = 0x4000
SP_DATA = 0x8_0000
"""Where tiny partitions keep results, from their load address."""
MESSAGING = 0x607


@dataclass(frozen=True)
class Sp:
    """One partition: its program, and properties that differ from the usual."""

    program: Program
    properties: Mapping[str, Value] = field(default_factory=dict)
    interrupts: Sequence[int] = ()
    device: tuple[int, int] | None = None
    """Base and INTID of a device region of its own."""


def manifest(index: int, sp: Sp) -> bytes:
    """A partition manifest (DTB)."""
    base = SP_BASE + index * SP_SIZE
    properties: dict[str, Value] = {
        "compatible": "arm,ffa-manifest-1.0",
        "ffa-version": (0x0001_0002,),
        "uuid": (0x1111_1111 * (index + 1),) * 4,
        "id": (0x8001 + index,),
        "execution-ctx-count": (1,),
        "exception-level": (2,),
        "load-address": cells(base),
        "entrypoint-offset": (IMAGE,),
        "hvtui,memory-pages": (SP_SIZE // 4096,),
        "messaging-method": (MESSAGING,),
        "notification-support": None,
        "boot-order": (index,),
    }
    properties |= sp.properties
    uart: dict[str, Value] = {"base-address": cells(0x0900_0000), "pages-count": (1,), "attributes": (3,)}
    if sp.interrupts:
        uart["interrupts"] = tuple(cell for intid in sp.interrupts for cell in (intid, 0x500))
    present = {key: value for key, value in properties.items() if value != ()}
    regions = [node("uart", uart)]
    if sp.device is not None:
        base, intid = sp.device
        own: dict[str, Value] = {"base-address": cells(base), "pages-count": (1,), "attributes": (3,)}
        regions.append(node("device", own | {"interrupts": (intid, 0x900)}))
    devices = node("device-regions", {"compatible": "arm,ffa-manifest-device-regions"}, *regions)
    return pack(node("/", present, devices))


def secure_config(
    directory: Path, sps: Sequence[Sp], *guests: Guest | Program, el: int = 2, **options: Any
) -> MachineConfig:
    """A machine with partitions 0x8001, 0x8002, ... and guests in the normal world."""
    tables: list[dict[str, Any]] = []
    for index, sp in enumerate(sps):
        (directory / f"sp{index}.bin").write_bytes(sp.program.code)
        (directory / f"sp{index}.dtb").write_bytes(manifest(index, sp))
        tables.append({"name": f"sp{index + 1}", "image": f"sp{index}.bin", "manifest": f"sp{index}.dtb"})
    vms: list[dict[str, Any]] = []
    for index, guest in enumerate(guests):
        here = guest if isinstance(guest, Guest) else Guest(guest, el=el)
        image = here.image(directory, f"vm{index}")
        base = 0x4000_0000 + index * here.ram_size
        table: dict[str, Any] = {"name": f"vm{index}", "image": str(image), "el": here.el, "vcpus": here.vcpus}
        table |= {"ram_size": here.ram_size, "base_pa": base}
        vms.append(table | ({} if isinstance(here.program, Path) else {"format": "raw"}))
    raw: dict[str, Any] = {
        "machine": {"cycles_per_tick": 1},
        "board": {"cores": options.pop("cores", 1), "time_slice_ms": options.pop("time_slice_ms", 10)},
        "secure": options.pop("secure", {}),
        "vm": vms,
        "sp": tables,
        "device": options.pop("devices", []),
    }
    if el == 1:
        raw["ffa"] = options.pop("ffa", {"allow_donate": True})
    assert not options, options
    return config.from_tables(raw, directory / "machine.toml")


class SecureBench(Bench):
    """A built machine with a secure world."""

    @property
    def spmc(self) -> Spmc:
        assert self.system.secure is not None
        return self.system.secure.spmc

    def sp(self, number: int = 1) -> SecurePartition:
        """Partition 0x8000 + number."""
        return self.spmc.partitions[0x8000 + number]

    def context(self, number: int = 1, index: int = 0) -> Context:
        return self.sp(number).contexts[index]

    def sp_word(self, number: int, offset: int) -> int:
        return self.sp(number).memory.read_u64(self.sp(number).ram_base + offset)


def secure(directory: Path, sps: Sequence[Sp], *guests: Guest | Program, **options: Any) -> SecureBench:
    """A machine with a secure world, powered on and standing still."""
    return SecureBench(secure_config(directory, sps, *guests, **options))


def wait(program: Program, label: str = "wait") -> Program:
    """MSG_WAIT, at a label."""
    program.label(label).constant(0, Function.MSG_WAIT)
    return program.emit(*(a.movz(n, 0) for n in range(1, 8)), a.smc())


def echo() -> Program:
    """Adds 0x1000 to x4 of every direct request, for ever."""
    program = wait(Program()).label("serve").emit(a.movz(9, 0x1000), a.add_register(4, 4, 9))
    return respond(program).b("serve")


def respond(program: Program) -> Program:
    """MSG_SEND_DIRECT_RESP_32 to whoever asked; clobbers x8-x10. The next request is in the registers after it."""
    program.emit(a.mov(8, 1)).constant(0, Function.MSG_SEND_DIRECT_RESP_32)
    return program.emit(*swap(1, 8), a.movz(2, 0), a.smc())


def swap(rd: int, rn: int) -> list[int]:
    """rd = the halves of the word in rn exchanged: ROR Wd, Wn, #16 (EXTR)."""
    return [0x1380_0000 | rn << 16 | 16 << 10 | rn << 5 | rd]
