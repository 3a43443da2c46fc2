"""The board's memory map, that of QEMU's `virt` machine: every address is written here and nowhere else.

Addresses are both guest-physical (IPA) and physical (PA) unless said otherwise; sizes are bytes.
"""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

GICD_BASE = 0x0800_0000
GICD_SIZE = 64 * KIB
"""GICv3 distributor."""

GICR_BASE = 0x080A_0000
GICR_STRIDE = 0x2_0000
"""GICv3 redistributors, one per vCPU: the RD frame (64 KiB), then the SGI frame (64 KiB)."""

UART_BASE = 0x0900_0000
UART_SIZE = 4 * KIB
UART_SPI = 1
"""PL011; INTID 32 + SPI number."""

RTC_BASE = 0x0901_0000
RTC_SIZE = 4 * KIB
RTC_SPI = 2
"""PL031; INTID 32 + SPI number."""

VIRTIO_BASE = 0x0A00_0000
VIRTIO_STRIDE = 0x200
VIRTIO_SLOTS = 32
VIRTIO_SPI = 16
"""virtio-mmio slots, one behind the other; INTID 32 + SPI number + slot."""

TIMER_SECURE_PPI = 13
TIMER_PHYSICAL_PPI = 14
TIMER_VIRTUAL_PPI = 11
TIMER_HYPERVISOR_PPI = 10
"""Generic timer; INTID 16 + PPI number (29, 30, 27 and 26)."""
MAINTENANCE_PPI = 9
"""Of a virtual CPU interface, INTID 25; there where software owns EL2."""

COUNTER_HZ = 62_500_000
"""CNTFRQ_EL0: one tick is 16 ns."""

SECURE_BASE = 0x0E00_0000
SECURE_SIZE = 16 * MIB
"""Secure RAM: not there for anything in the normal world."""

SPMC_BASE = 0x0E10_0000
SPMC_SIZE = 2 * MIB
"""Where the chain of trust loads the SPMC (BL32)."""

SECURE_HEAP = 0x0E80_0000
"""Secure RAM from here on is the SPMC's own: translation tables and buffers."""

RAM_BASE = 0x4000_0000
RAM_LIMIT = 0x1_4000_0000
"""Guest RAM lies in [RAM_BASE, RAM_LIMIT), seen from a guest and on the board."""

BLOCK_SIZE = 2 * MIB
"""A stage-2 level 2 block: guest RAM begins and ends on this boundary."""

FIRMWARE_SIZE = 16 * MIB
"""Top of RAM, above every VM, where firmware keeps its own tables; may lie above RAM_LIMIT."""


def virtio_base(slot: int) -> int:
    """First address of a virtio-mmio slot."""
    return VIRTIO_BASE + slot * VIRTIO_STRIDE


def gicr_size(vcpus: int) -> int:
    """Bytes of redistributor frames of a VM with this many vCPUs."""
    return GICR_STRIDE * vcpus


def align_up(value: int, alignment: int) -> int:
    """`value` rounded up to a multiple of `alignment`, a power of two."""
    return (value + alignment - 1) & ~(alignment - 1)
