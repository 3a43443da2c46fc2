"""VMs that only stand there: FF-A calls are put into their registers, and tables read out of RAM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import config
from engine.arch.paging import S2Leaf
from engine.arch.sysreg import SysReg
from engine.board.memory_map import GICR_STRIDE
from engine.build import System, build
from engine.ffa.abi import Function, handle_of
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.memory import NORMAL_WB_ISH, UNSPECIFIED, Data, Instruction, Permissions
from engine.ffa.ranges import Composite, Range
from engine.ffa.registers import WIDE, arguments
from engine.ffa.relinquish import Relinquish
from engine.ffa.transactions import Kind
from engine.ffa.version import Version
from engine.hypervisor.vcpu import Vcpu
from tests.support import assembler as a
from tests.support.assembler import Program

RAM_BASE, RAM_SIZE = 0x4800_0000, 4 << 20
STRIDE = 0x2000_0000
_SGI_FRAME = 0x1_0000
TX, RX, PAGES = 0x10_0000, 0x10_2000, 0x20_0000
"""Offsets into each VM's RAM."""
RW, RO, OPEN = Permissions(Data.RW), Permissions(Data.RO), Permissions(Data.UNSPECIFIED)
RW_NX, RW_X = Permissions(Data.RW, Instruction.NX), Permissions(Data.RW, Instruction.X)
SENDS = {Kind.SHARE: Function.MEM_SHARE_32, Kind.LEND: Function.MEM_LEND_32, Kind.DONATE: Function.MEM_DONATE_32}


class Relaying:
    """A machine of `count` VMs; VM n has id n from 1 and RAM at `ram(n)`, in another order on the board.

    `places` says otherwise: RAM's IPA and physical address of each VM. `vm` adds to each.
    """

    def __init__(
        self,
        directory: Path,
        count: int = 3,
        vcpus: int = 1,
        places: Sequence[tuple[int, int]] = (),
        digest: bool = True,
        vm: dict[str, Any] | None = None,
        **ffa: Any,
    ) -> None:
        apart = [(RAM_BASE + n * STRIDE, 0x4000_0000 + (count - 1 - n) * RAM_SIZE) for n in range(count)]
        self.places = places or apart
        image = directory / "still.bin"
        image.write_bytes(Program().emit(a.WFI).loop().code)
        vms = [
            {
                "name": f"vm{n}",
                "image": str(image),
                "format": "raw",
                "vcpus": vcpus,
                "ram_base": ram_base,
                "ram_size": RAM_SIZE,
                "base_pa": base_pa,
                **(vm or {}),
            }
            for n, (ram_base, base_pa) in enumerate(self.places)
        ]
        raw = {"vm": vms, "ffa": {"allow_donate": True, **ffa}}
        self.system: System = build(config.from_tables(raw, directory / "machine.toml"), digest=digest)
        proxy = self.system.ffa
        assert proxy is not None
        self.proxy = proxy
        self.relay = proxy.relay

    def ram(self, vm: int) -> int:
        return self.places[vm - 1][0]

    def page(self, vm: int, number: int = 0) -> int:
        return self.ram(vm) + PAGES + number * 4096

    def vcpu(self, vm: int, index: int = 0) -> Vcpu:
        return self.system.vms[vm - 1].vcpus[index]

    def call(self, vm: int, function: int, *values: int, vcpu: int = 0) -> tuple[int, ...]:
        """Make a call; x0-x17 afterwards."""
        caller = self.vcpu(vm, vcpu)
        x = caller.registers.x
        for number, value in enumerate((function, *values, *(0,) * (WIDE - 1 - len(values)))):
            x[number] = value
        assert self.proxy.call(caller)
        return tuple(x[n] for n in range(WIDE))

    def status(self, vm: int, function: int, *values: int, vcpu: int = 0) -> int:
        """0 or the error code of a call."""
        return status(self.call(vm, function, *values, vcpu=vcpu))

    def negotiate(self, vm: int, version: Version) -> None:
        self.call(vm, Function.VERSION, version.pack())

    def map_buffers(self, *vms: int) -> None:
        for vm in vms:
            assert self.status(vm, Function.RXTX_MAP_64, self.ram(vm) + TX, self.ram(vm) + RX, 1) == 0

    def registers(self, vm: int, count: int = WIDE, vcpu: int = 0) -> list[int]:
        """x0 and on of a vCPU, as it will find them when it runs on."""
        return [self.vcpu(vm, vcpu).registers.x[n] for n in range(count)]

    def open_to_interrupts(self, vm: int, vcpu: int = 0) -> None:
        """Have a guest set up its GIC for SGIs and PPIs."""
        vgic = self.system.vms[vm - 1].vgic
        vgic.gicd.write(0, 4, 0x12)
        vgic.gicr.write(vcpu * GICR_STRIDE + _SGI_FRAME + 0x80, 4, 0xFFFF_FFFF)
        vgic.gicr.write(vcpu * GICR_STRIDE + _SGI_FRAME + 0x100, 4, 0xFFFF_FFFF)
        for register, value in ((SysReg.ICC_PMR_EL1, 0xFF), (SysReg.ICC_IGRPEN1_EL1, 1)):
            assert vgic.sysreg_write(vcpu, register, value)

    def interrupt(self, vm: int, intid: int = 5, vcpu: int = 0) -> None:
        """Make an SGI or PPI pending."""
        self.system.vms[vm - 1].vgic.inject(intid, vcpu)

    def write(self, vm: int, ipa: int, data: bytes) -> None:
        self.system.memory.write(self.physical(vm, ipa), data)

    def read(self, vm: int, ipa: int, size: int) -> bytes:
        return self.system.memory.read(self.physical(vm, ipa), size)

    def physical(self, vm: int, ipa: int) -> int:
        return self.system.vms[vm - 1].physical(ipa)

    def send_bytes(self, vm: int, function: int, data: bytes) -> tuple[int, ...]:
        self.write(vm, self.ram(vm) + TX, data[:4096])
        return self.call(vm, function, len(data), min(len(data), 4096))

    def send(
        self,
        kind: Kind = Kind.SHARE,
        owner: int = 1,
        to: Sequence[int] = (2,),
        ranges: Sequence[Range] = (),
        permissions: Permissions | None = None,
        flags: int = 0,
    ) -> tuple[int, ...]:
        """Share, lend or donate; by default two pages of VM 1 to VM 2."""
        chosen = permissions or (OPEN if kind is Kind.DONATE else RW)
        composite = Composite(tuple(ranges) or (Range(self.page(owner), 2),))
        single = kind is not Kind.SHARE and len(to) == 1
        access = tuple(EndpointAccess(each, chosen, composite=composite) for each in to)
        region = MemoryRegion(owner, access, UNSPECIFIED if single else NORMAL_WB_ISH, flags)
        return self.send_bytes(owner, SENDS[kind], pack(region, self.relay.endpoints[owner].version))

    def retrieve(
        self,
        vm: int,
        handle: int,
        permissions: Permissions = RW,
        to: Sequence[int] = (2,),
        owner: int = 1,
        ranges: Sequence[Range] = (),
        flags: int = 0,
    ) -> int:
        composite = Composite(tuple(ranges)) if ranges else None
        access = tuple(EndpointAccess(each, permissions, composite=composite if each == vm else None) for each in to)
        region = MemoryRegion(owner, access, flags=flags, handle=handle)
        answer = self.send_bytes(vm, Function.MEM_RETRIEVE_REQ_32, pack(region, self.relay.endpoints[vm].version))
        if status(answer) == 0:
            self.call(vm, Function.RX_RELEASE)
        return status(answer)

    def relinquish(self, vm: int, handle: int, flags: int = 0) -> int:
        self.write(vm, self.ram(vm) + TX, Relinquish(handle, (vm,), flags).pack())
        return self.status(vm, Function.MEM_RELINQUISH)

    def reclaim(self, vm: int, handle: int, flags: int = 0) -> int:
        return self.status(vm, Function.MEM_RECLAIM, handle & 0xFFFF_FFFF, handle >> 32, flags)

    def descriptor(self, vm: int, ipa: int) -> int | None:
        """The page or block descriptor that maps an IPA, from a walk through RAM that starts at VTTBR_EL2."""
        memory = self.system.memory
        table = self.system.vms[vm - 1].stage2.vttbr & 0x0000_FFFF_FFFF_F000
        for level in (1, 2, 3):
            entry = memory.read_u64(table + 8 * (ipa >> 39 - 9 * level & 511))
            if not entry & 1:
                return None
            if level == 3 or not entry & 2:
                return entry
            table = entry & 0x0000_FFFF_FFFF_F000
        raise AssertionError

    def maps(self) -> dict[int, dict[int, S2Leaf]]:
        """What every VM's tables say of every page."""
        return {
            endpoint.id: {
                ipa + offset: S2Leaf(leaf.address + offset, leaf.access, leaf.execute, leaf.state, leaf.memory)
                for ipa, size, leaf in endpoint.vm.stage2.leaves()
                for offset in range(0, size, 4096)
            }
            for endpoint in self.relay.endpoints.values()
        }


def status(registers: Sequence[int]) -> int:
    """0, or the signed code of FFA_ERROR."""
    args = arguments(registers)
    if args[0] != Function.ERROR:
        return 0
    return args[2] - (1 << 32) if args[2] >> 31 else args[2]


def handle(registers: Sequence[int]) -> int:
    """The handle that a send returned."""
    assert status(registers) == 0, registers
    return handle_of(registers[2], registers[3])
