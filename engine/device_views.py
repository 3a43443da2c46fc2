"""Frozen pictures of virtio devices and interrupt controllers for front ends."""

from __future__ import annotations

import msgspec

from engine.board.network.views import SwitchView


class QueueView(msgspec.Struct, frozen=True):
    """One virtqueue."""

    index: int
    size: int
    """Entries; 0 while the driver has not enabled it."""
    next_available: int
    """Index of the next buffer that the device takes, running on (16 bits)."""
    next_used: int
    """Index of the next entry of the used ring, running on (16 bits)."""
    pending: int
    """Buffers that wait for the device; -1 where the ring is broken."""
    taken: int
    """Buffers taken since the queue was enabled."""
    last: tuple[tuple[str, int, int], ...]
    """The chain taken last: (`read` or `write` by the device, IPA, bytes)."""


class VirtioView(msgspec.Struct, frozen=True):
    """One virtio device in its slot."""

    vm: str
    slot: int
    name: str
    base: int
    intid: int
    status: str
    """What the driver has set, in the specification's words, e.g. `ACKNOWLEDGE|DRIVER`; "" after reset."""
    trouble: str
    """Why it needs a reset, or ""."""
    interrupts: int
    """InterruptStatus: 1 a used buffer, 2 a change of configuration."""
    features: int
    """Negotiated."""
    facts: tuple[tuple[str, str], ...]
    """What this kind of device counts and is configured with, in display order."""
    queues: tuple[QueueView, ...]


class DevicesView(msgspec.Struct, frozen=True):
    """All virtio devices, and the networks between them."""

    devices: tuple[VirtioView, ...]
    networks: tuple[SwitchView, ...]


class InterruptView(msgspec.Struct, frozen=True):
    """One interrupt that is enabled, pending or active."""

    intid: int
    vcpu: int
    """Whose it is, or where it is routed; -1 for an SPI that goes to no particular vCPU."""
    source: str
    """Device that it belongs to, or ""."""
    enabled: bool
    pending: bool
    active: bool
    line: bool
    """The input line is high."""
    edge: bool
    """Edge-triggered; else level-sensitive."""
    group1: bool
    priority: int


class ListRegisterView(msgspec.Struct, frozen=True):
    """One ICH_LR<n>_EL2."""

    intid: int
    state: str
    """`free`, `pending`, `active` or `active, pending`."""
    priority: int
    hw: bool
    """It stands for a physical interrupt."""


class CpuInterfaceView(msgspec.Struct, frozen=True):
    """The virtual CPU interface of one vCPU."""

    vcpu: int
    pmr: int
    running: int
    """Running priority; 255 while nothing is active."""
    virq: bool
    """The virtual IRQ is asserted."""
    list_registers: tuple[ListRegisterView, ...]


class VmInterruptsView(msgspec.Struct, frozen=True):
    """The interrupt controller of one VM."""

    vm: str
    interrupts: tuple[InterruptView, ...]
    interfaces: tuple[CpuInterfaceView, ...]
