"""Views of virtio devices, networks and interrupt controllers; building one changes nothing a guest could notice."""

from __future__ import annotations

from collections.abc import Iterator

from engine.arch.sysreg import SysReg
from engine.board.gic import list_register as lr
from engine.board.gic.interrupts import FIRST_SPI, G1NS, InterruptBank, members_of
from engine.board.memory_map import VIRTIO_SPI, virtio_base
from engine.board.virtio.guest_memory import DmaError, Segment
from engine.board.virtio.mmio import QueueSetup, VirtioMmio
from engine.board.virtio.queue import Queue, RingError
from engine.build import System
from engine.device_views import (
    CpuInterfaceView,
    DevicesView,
    InterruptView,
    ListRegisterView,
    QueueView,
    VirtioView,
    VmInterruptsView,
)
from engine.hypervisor.vgic import VGic
from engine.hypervisor.vm import Vm

_STATES = ("free", "pending", "active", "active, pending")


def devices_view(system: System) -> DevicesView:
    """Every virtio device, and every switch."""
    devices = [_device(vm.name, slot, each) for vm in system.vms for slot, each in enumerate(vm.virtio)]
    return DevicesView(tuple(devices), tuple(network.view() for network in system.networks))


def _device(vm: str, slot: int, mmio: VirtioMmio) -> VirtioView:
    return VirtioView(
        vm=vm,
        slot=slot,
        name=mmio.name,
        base=virtio_base(slot),
        intid=FIRST_SPI + VIRTIO_SPI + slot,
        status=(mmio.status.name or "") if mmio.status else "",
        trouble=mmio.trouble,
        interrupts=mmio.interrupts,
        features=mmio.device.negotiated,
        facts=tuple((key, str(value)) for key, value in mmio.device.facts().items()),
        queues=tuple(_queue(index, setup) for index, setup in enumerate(mmio.queues)),
    )


def _queue(index: int, setup: QueueSetup) -> QueueView:
    queue = setup.queue
    if queue is None:
        return QueueView(index, 0, 0, 0, 0, 0, ())
    return QueueView(
        index, queue.size, queue.next_available, queue.next_used, _pending(queue), queue.taken, tuple(_last(queue))
    )


def _pending(queue: Queue) -> int:
    try:
        return queue.pending
    except (RingError, DmaError):
        return -1


def _last(queue: Queue) -> Iterator[tuple[str, int, int]]:
    if queue.last is not None:
        yield from (("read", *_place(segment)) for segment in queue.last.readable)
        yield from (("write", *_place(segment)) for segment in queue.last.writable)


def _place(segment: Segment) -> tuple[int, int]:
    return segment.address, segment.size


def interrupts_view(system: System) -> tuple[VmInterruptsView, ...]:
    """The interrupt controller of every VM."""
    return tuple(_vm(vm) for vm in system.vms)


def _vm(vm: Vm) -> VmInterruptsView:
    interfaces = tuple(_interface(vm.vgic, n) for n in range(len(vm.vcpus)))
    return VmInterruptsView(vm.name, tuple(_interrupts(vm)), interfaces)


def _interrupts(vm: Vm) -> Iterator[InterruptView]:
    distributor = vm.vgic.distributor
    sources = {FIRST_SPI + VIRTIO_SPI + slot: device.name for slot, device in enumerate(vm.virtio)}
    for number, redistributor in enumerate(distributor.redistributors):
        yield from (_interrupt(redistributor.bank, intid, number, "") for intid in _members(redistributor.bank))
    for intid in _members(distributor.spi):
        target = distributor.routing.target(intid)
        routed = -1 if target is None or distributor.routing.any_pe >> intid & 1 else target
        yield _interrupt(distributor.spi, intid, routed, sources.get(intid, ""))


def _members(bank: InterruptBank) -> list[int]:
    return members_of((bank.enabled | bank.pending | bank.active) & bank.mask)


def _interrupt(bank: InterruptBank, intid: int, vcpu: int, source: str) -> InterruptView:
    def has(bitmap: int) -> bool:
        return bool(bitmap >> intid & 1)

    return InterruptView(
        intid=intid,
        vcpu=vcpu,
        source=source,
        enabled=has(bank.enabled),
        pending=has(bank.pending),
        active=has(bank.active),
        line=has(bank.level),
        edge=has(bank.edge),
        group1=bank.group_of(intid) == G1NS,
        priority=bank.priority[intid],
    )


def _interface(vgic: VGic, vcpu: int) -> CpuInterfaceView:
    return CpuInterfaceView(
        vcpu=vcpu,
        pmr=vgic.interfaces[vcpu].pmr,
        running=vgic.interfaces[vcpu].read(SysReg.ICC_RPR_EL1) or 0,
        virq=vgic.virq(vcpu),
        list_registers=tuple(
            ListRegisterView(lr.vintid(entry), _STATES[lr.state(entry)], lr.priority(entry), bool(entry & lr.HW))
            for entry in vgic.interfaces[vcpu].entries
        ),
    )
