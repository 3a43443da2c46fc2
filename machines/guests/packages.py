"""Manifests of the secure partitions, and their packages (DEN0077A v1.2, 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.board.memory_map import UART_BASE
from engine.images.dtb import Value, cells, node, pack
from engine.spmc.package import IMAGE_OFFSET, pack_package

DIRECT_AND_INDIRECT = 0x607
"""messaging-method: direct requests of both kinds and indirect messages, both ways."""
S_EL1 = 2
SIGNALED = 2
"""ns-interrupts-action: Non-secure interrupts preempt."""
READ_WRITE = 3
SECURE_TIMER, SECURE_LEVEL_PPI = 29, 0x700
"""INTID, and interrupt attributes: PPI in [11:10], level in bit 9, secure in bit 8."""
PAGES = 256


@dataclass(frozen=True)
class Partition:
    """What differs from one manifest to the next."""

    id: int
    uuid: int
    """One word of it; all four are the same."""
    load_address: int
    description: str
    interrupts: tuple[int, ...] = ()
    """Pairs of INTID and attributes."""
    version: int = 1
    """Of the package format."""


PACKAGES = {
    "sp_hello": Partition(0x8001, 0x12345678, 0x0E30_0000, "answers, works, shares a page"),
    "sp_irq": Partition(
        *(0x8002, 0xAABBCCDD, 0x0E40_0000, "owns the secure timer"),
        interrupts=(SECURE_TIMER, SECURE_LEVEL_PPI),
        version=2,
    ),
    "sp_relay": Partition(0x8003, 0x33221100, 0x0E50_0000, "passes requests on"),
}


def package(name: str, image: bytes) -> bytes:
    """A package of a partition's raw image."""
    return pack_package(manifest(PACKAGES[name], list(PACKAGES).index(name)), image, PACKAGES[name].version)


def manifest(partition: Partition, boot_order: int) -> bytes:
    """The manifest as a device tree blob."""
    uart: dict[str, Value] = {
        "base-address": cells(UART_BASE),
        "pages-count": (1,),
        "attributes": (READ_WRITE,),
        "description": "pl011",
    }
    if partition.interrupts:
        uart["interrupts"] = partition.interrupts
    properties: dict[str, Value] = {
        "compatible": "arm,ffa-manifest-1.0",
        "description": partition.description,
        "ffa-version": (0x0001_0002,),
        "uuid": (partition.uuid,) * 4,
        "id": (partition.id,),
        "execution-ctx-count": (1,),
        "exception-level": (S_EL1,),
        "execution-state": (0,),
        "load-address": cells(partition.load_address),
        "entrypoint-offset": cells(IMAGE_OFFSET),
        "xlat-granule": (0,),
        "boot-order": (boot_order,),
        "messaging-method": (DIRECT_AND_INDIRECT,),
        "ns-interrupts-action": (SIGNALED,),
        "notification-support": None,
        "gp-register-num": (0,),
        "hvtui,memory-pages": (PAGES,),
    }
    info = node("boot-info", {"compatible": "arm,ffa-manifest-boot-info", "ffa_manifest": None})
    devices = node("device-regions", {"compatible": "arm,ffa-manifest-device-regions"}, node("pl011", uart))
    return pack(node("/", properties, info, devices))
