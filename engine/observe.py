"""Frozen views of a system that stands still; building one changes nothing a guest could notice."""

from __future__ import annotations

import struct

from engine.build import System
from engine.debug.pages import pieces
from engine.debug.registers import GIC_REGISTERS, SYSTEM_GROUPS, TIMER_NAMES, stack_pointers
from engine.errors import MachineError
from engine.hypervisor.partition import Partition
from engine.hypervisor.physical_core import PhysicalCore
from engine.hypervisor.vcpu import Vcpu
from engine.observe_devices import devices_view, interrupts_view
from engine.observe_ffa import ffa_view
from engine.spmc.partition import SecurePartition
from engine.views import (
    EVERYTHING,
    CoreView,
    MachineView,
    Part,
    RegisterGroup,
    RegistersView,
    RunState,
    VcpuView,
    VmView,
)

LONGEST_READ = 64 << 10


def machine_view(system: System, state: RunState, detail: str, parts: Part = EVERYTHING) -> MachineView:
    """The machine with some of its parts."""
    hypervisor = system.hypervisor
    return MachineView(
        name=system.config.name,
        state=state,
        detail=detail,
        cycles=hypervisor.now,
        nanoseconds=hypervisor.ns_of_cycles(hypervisor.now),
        instructions=hypervisor.progress,
        events=system.events.total,
        vms=tuple(_vm_view(vm) for vm in system.partitions),
        cores=tuple(_core_view(system, core) for core in hypervisor.cores),
        ffa=ffa_view(system) if Part.FFA in parts else None,
        breakpoints=system.breakpoints.view(),
        devices=devices_view(system) if Part.DEVICES in parts else None,
        interrupts=interrupts_view(system) if Part.INTERRUPTS in parts else None,
    )


def _core_view(system: System, core: PhysicalCore) -> CoreView:
    chain = _call_chain(system, core)
    running = core.held or core.current
    return CoreView(core.index, core.cycles, core.busy, _running_name(running), core.held is not None, chain)


def _call_chain(system: System, core: PhysicalCore) -> tuple[str, ...]:
    context = None if system.secure is None else system.secure.spmc.switching.held(core)
    if context is None:
        return ()
    names = [context.vcpu.vm.name, *(caller.vcpu.vm.name for caller in context.callers())]
    first = [] if core.caller is None else [core.caller.vm.name]
    return (*first, *reversed(names))


def _running_name(vcpu: Vcpu | None) -> str:
    return f"{vcpu.vm.name}/{vcpu.index}" if vcpu is not None and vcpu.runnable else ""


def _vm_view(vm: Partition) -> VmView:
    return VmView(
        name=vm.name,
        state=vm.state,
        detail=vm.detail,
        vmid=vm.stage2.vmid,
        ram_base=vm.ram_base,
        ram_size=vm.ram_size,
        console=vm.console.name,
        vcpus=tuple(_vcpu_view(vcpu) for vcpu in vm.vcpus),
        secure=vm.secure,
    )


def _vcpu_view(vcpu: Vcpu) -> VcpuView:
    registers = vcpu.registers
    return VcpuView(
        index=vcpu.index,
        state=vcpu.state,
        core=vcpu.pcore.index,
        el=registers.el,
        pc=registers.pc,
        symbol=vcpu.vm.symbols.lookup(registers.pc),
        exits=vcpu.exits,
        instructions=vcpu.instructions,
        pending=vcpu.vm.interrupts.pending(vcpu.index),
        context=vcpu.vm.contexts[vcpu.index].state.value if isinstance(vcpu.vm, SecurePartition) else "",
    )


def registers_view(vcpu: Vcpu, cycles_per_tick: int) -> RegistersView:
    """All registers worth showing; counter readings take cycles_per_tick cycles a tick."""
    core = vcpu.vm.core
    groups = [RegisterGroup("General", _general(vcpu))]
    for name, keys in SYSTEM_GROUPS.items():
        groups.append(RegisterGroup(name, tuple((key.name, core.read(key), 64) for key in keys)))
    groups += [_stack_pointers(vcpu), _timers(vcpu, cycles_per_tick), _interrupts(vcpu)]
    return RegistersView(vcpu.vm.name, vcpu.index, tuple(groups))


def _general(vcpu: Vcpu) -> tuple[tuple[str, int, int], ...]:
    """X0-X30, SP, PC and PSTATE; puts the vCPU on its engine, which no guest can tell."""
    vcpu.vm.load(vcpu)
    state = vcpu.registers
    rows = [(f"X{n}", state.x[n], 64) for n in range(31)]
    return (*rows, ("SP", state.x[31], 64), ("PC", state.pc, 64), ("PSTATE", vcpu.vm.core.pstate, 32))


def _stack_pointers(vcpu: Vcpu) -> RegisterGroup:
    low, high = stack_pointers(vcpu)
    return RegisterGroup("Stack pointers", (("SP_EL0", low, 64), ("SP_EL1", high, 64)))


def _timers(vcpu: Vcpu, cycles_per_tick: int) -> RegisterGroup:
    counter = vcpu.pcore.cycles // cycles_per_tick
    rows = [("CNTVCT_EL0", counter, 64)]
    for ppi, timer in vcpu.timers.items():
        control, compare = TIMER_NAMES[ppi]
        rows += [(control, timer.read_ctl(counter), 3), (compare, timer.cval, 64)]
    return RegisterGroup("Timers", tuple(rows))


def _interrupts(vcpu: Vcpu) -> RegisterGroup:
    gic = vcpu.vm.interrupts
    values = ((key.name, gic.sysreg_read(vcpu.index, key)) for key in GIC_REGISTERS)
    return RegisterGroup("Interrupts", tuple((name, value, 32) for name, value in values if value is not None))


def register_bytes(vcpu: Vcpu) -> bytes:
    """General registers, PC and PSTATE of a vCPU, packed, for digests."""
    values = [value for _, value, _ in _general(vcpu)]
    return struct.pack(f"<{len(values)}Q", *values)


def read_memory(vcpu: Vcpu, address: int, size: int, space: str) -> bytes:
    """Bytes at a virtual, intermediate physical or physical address. MachineError where nothing is mapped."""
    if not 0 <= size <= LONGEST_READ:
        raise MachineError(f"expected a size up to {LONGEST_READ} bytes (got {size})")
    vcpu.vm.load(vcpu)
    data = bytearray()
    for piece in pieces(vcpu, address, size, space):
        if piece.physical is None:
            raise MachineError(f"nothing is mapped at {space} {piece.address:#x}")
        data += vcpu.vm.memory.read(piece.physical, piece.size)
    return bytes(data)
