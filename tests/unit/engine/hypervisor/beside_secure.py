"""Standing VMs and a relayer beside standing secure partitions: calls are put into everybody's registers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.arch.sysreg import SysReg
from engine.ffa.abi import Function, id_pair
from engine.ffa.message import Message, pack_message, parse_message
from engine.ffa.registers import WIDE
from engine.ffa.version import V1_2
from engine.hypervisor.vcpu import Vcpu
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import Guest
from tests.support.secure import SP_BASE, SP_SIZE, SecureBench, Sp, secure, wait
from tests.unit.engine.hypervisor.relaying import status

TX, RX, PAGES = 0x9_0000, 0x9_2000, 0xA_0000
"""Offsets into everybody's RAM."""
SP1, VM1, VM2 = 0x8001, 1, 2
_SGI_FRAME = 0x1_0000


class BesideSecure:
    """VMs 1 to `vms`, partitions 0x8001 to 0x8000 + `sps`, all on one core."""

    def __init__(self, directory: Path, vms: int = 2, sps: int = 2, **options: Any) -> None:
        still = Program().label("still").emit(a.NOP).b("still")
        partitions = [Sp(wait(Program()).b("wait")) for _ in range(sps)]
        self.bench: SecureBench = secure(directory, partitions, *[Guest(still)] * vms, el=1, **options)
        self.bench.run(4000)
        proxy = self.bench.system.ffa
        assert proxy is not None
        self.proxy = proxy
        self.manager = self.bench.spmc.manager

    def vcpu(self, vm: int) -> Vcpu:
        return self.bench.system.vms[vm - 1].vcpus[0]

    def ram(self, endpoint: int) -> int:
        """Where an endpoint sees its RAM."""
        return SP_BASE + (endpoint - SP1) * SP_SIZE if endpoint >= SP1 else self.bench.system.vms[endpoint - 1].ram_base

    def physical(self, endpoint: int, offset: int) -> int:
        address = self.ram(endpoint) + offset
        return address if endpoint >= SP1 else self.bench.system.vms[endpoint - 1].physical(address)

    def call(self, vm: int, function: int, *values: int) -> Sequence[int]:
        """x0-x17 after a call of a VM."""
        vcpu = self.vcpu(vm)
        _put(vcpu, function, *values)
        assert self.proxy.call(vcpu)
        return _registers(vcpu)

    def status(self, vm: int, function: int, *values: int) -> int:
        return status(self.call(vm, function, *values))

    def sp_status(self, sp: int, function: int, *values: int) -> int:
        """0 or the error code of a call that a partition makes while it serves VM 1."""
        self.call(VM1, Function.MSG_SEND_DIRECT_REQ_32, id_pair(VM1, sp))
        vcpu = self.bench.spmc.partitions[sp].vcpus[0]
        assert self.bench.hypervisor.cores[0].held is vcpu
        _put(vcpu, function, *values)
        assert self.bench.spmc.call(vcpu, hvc=False)
        found = status(_registers(vcpu))
        _put(vcpu, Function.MSG_SEND_DIRECT_RESP_32, id_pair(sp, VM1))
        assert self.bench.spmc.call(vcpu, hvc=False)
        return found

    def map_buffers(self, *endpoints: int) -> None:
        for each in endpoints:
            assert self.map(each) == 0

    def map(self, endpoint: int, pages: int = 1) -> int:
        make = self.sp_status if endpoint >= SP1 else self.status
        return make(endpoint, Function.RXTX_MAP_64, self.ram(endpoint) + TX, self.ram(endpoint) + RX, pages)

    def send(self, sender: int, receiver: int, payload: bytes = b"four") -> int:
        """MSG_SEND2: 0 or the error code."""
        message = pack_message(Message(sender, receiver, payload), V1_2)
        self.manager.memory.write(self.physical(sender, TX), message)
        return (self.sp_status if sender >= SP1 else self.status)(sender, Function.MSG_SEND2)

    def received(self, endpoint: int) -> Message:
        return parse_message(self.manager.memory.read(self.physical(endpoint, RX), 4096), V1_2)

    def open_to_interrupts(self, vm: int) -> None:
        """Have a guest set up its GIC for SGIs and PPIs."""
        vgic = self.bench.system.vms[vm - 1].vgic
        vgic.gicd.write(0, 4, 0x12)
        vgic.gicr.write(_SGI_FRAME + 0x80, 4, 0xFFFF_FFFF)
        vgic.gicr.write(_SGI_FRAME + 0x100, 4, 0xFFFF_FFFF)
        for register, value in ((SysReg.ICC_PMR_EL1, 0xFF), (SysReg.ICC_IGRPEN1_EL1, 1)):
            assert vgic.sysreg_write(0, register, value)


def _put(vcpu: Vcpu, function: int, *values: int) -> None:
    for number, value in enumerate((function, *values, *(0,) * (WIDE - 1 - len(values)))):
        vcpu.registers.x[number] = value


def _registers(vcpu: Vcpu) -> Sequence[int]:
    return [vcpu.registers.x[number] for number in range(WIDE)]
