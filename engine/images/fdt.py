"""The device tree a guest is started with, describing exactly what its VM has.

Bindings are those of the Linux kernel (Documentation/devicetree/bindings) and the Devicetree Specification 0.4.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from pyfdt.pyfdt import FdtNode

from engine.board import memory_map as mm
from engine.images.dtb import Value, cells, node, pack, set_property

_GIC_PHANDLE = 1
_CLOCK_PHANDLE = 2
_APB_HZ = 24_000_000

_SPI, _PPI = 0, 1
"""First cell of an arm,gic-v3 interrupt specifier."""
_LEVEL_HIGH = 4
"""Third cell: IRQ_TYPE_LEVEL_HIGH."""

_SEED_BYTES = 64


class Guest(NamedTuple):
    """What the device tree says about one VM."""

    name: str
    vcpus: int
    ram_base: int
    ram_size: int
    bootargs: str = ""
    initrd: tuple[int, int] | None = None
    """First IPA, and first IPA after it."""
    console: bool = True
    el: int = 1
    """Exception level it starts at: at EL2 power control is EL3's, by SMC."""
    ffa: bool = False
    """Whether FF-A calls are answered."""
    seed: int = 0
    """The machine's seed: where `rng-seed` derives from."""
    virtio: int = 0
    """Number of virtio-mmio slots that hold a device."""


def build(guest: Guest) -> bytes:
    """The flattened device tree (version 17) of a guest; the same guest gives the same bytes."""
    root = node("/", {"#address-cells": (2,), "#size-cells": (2,), "interrupt-parent": (_GIC_PHANDLE,)})
    set_property(root, "compatible", "linux,dummy-virt")
    set_property(root, "model", "hvtui")
    nodes = [_chosen(guest), _memory(guest), _cpus(guest), _psci(guest), _timer(), _gic(guest), _clock(), _rtc()]
    if guest.ffa:
        nodes.append(node("ffa", {"compatible": "arm,ffa", "method": "smc"}))
    if guest.console:
        nodes += [_uart(), node("aliases", {"serial0": _uart_path()})]
    nodes += [_virtio(slot) for slot in range(guest.virtio)]
    for each in nodes:
        root.append(each)
    return pack(root)


def _chosen(guest: Guest) -> FdtNode:
    properties: dict[str, Value] = {}
    if guest.bootargs:
        properties["bootargs"] = guest.bootargs
    if guest.console:
        properties["stdout-path"] = _uart_path()
    if guest.initrd:
        properties["linux,initrd-start"] = cells(guest.initrd[0])
        properties["linux,initrd-end"] = cells(guest.initrd[1])
    properties["rng-seed"] = hashlib.sha512(f"{guest.seed}/{guest.name}".encode()).digest()[:_SEED_BYTES]
    return node("chosen", properties)


def _memory(guest: Guest) -> FdtNode:
    return node(f"memory@{guest.ram_base:x}", {"device_type": "memory", "reg": cells(guest.ram_base, guest.ram_size)})


def _cpus(guest: Guest) -> FdtNode:
    cpus = node("cpus", {"#address-cells": (1,), "#size-cells": (0,)})
    for index in range(guest.vcpus):
        cpu: dict[str, Value] = {
            "device_type": "cpu",
            "compatible": "arm,cortex-a72",
            "enable-method": "psci",
            "reg": (index,),
        }
        cpus.append(node(f"cpu@{index:x}", cpu))
    return cpus


def _psci(guest: Guest) -> FdtNode:
    return node("psci", {"compatible": ["arm,psci-1.0", "arm,psci-0.2"], "method": "smc" if guest.el == 2 else "hvc"})


def _timer() -> FdtNode:
    ppis = (mm.TIMER_SECURE_PPI, mm.TIMER_PHYSICAL_PPI, mm.TIMER_VIRTUAL_PPI, mm.TIMER_HYPERVISOR_PPI)
    interrupts = tuple(cell for ppi in ppis for cell in (_PPI, ppi, _LEVEL_HIGH))
    return node("timer", {"compatible": "arm,armv8-timer", "interrupts": interrupts, "always-on": None})


def _gic(guest: Guest) -> FdtNode:
    properties: dict[str, Value] = {
        "compatible": "arm,gic-v3",
        "#interrupt-cells": (3,),
        "interrupt-controller": None,
        "#redistributor-regions": (1,),
        "reg": cells(mm.GICD_BASE, mm.GICD_SIZE, mm.GICR_BASE, mm.gicr_size(guest.vcpus)),
        "phandle": (_GIC_PHANDLE,),
    }
    if guest.el == 2:
        properties["interrupts"] = (_PPI, mm.MAINTENANCE_PPI, _LEVEL_HIGH)
    return node(f"interrupt-controller@{mm.GICD_BASE:x}", properties)


def _clock() -> FdtNode:
    return node(
        "apb-pclk",
        {
            "compatible": "fixed-clock",
            "#clock-cells": (0,),
            "clock-frequency": (_APB_HZ,),
            "clock-output-names": "clk24mhz",
            "phandle": (_CLOCK_PHANDLE,),
        },
    )


def _uart_path() -> str:
    return f"/pl011@{mm.UART_BASE:x}"


def _uart() -> FdtNode:
    return node(
        _uart_path().removeprefix("/"),
        {
            "compatible": ["arm,pl011", "arm,primecell"],
            "reg": cells(mm.UART_BASE, mm.UART_SIZE),
            "interrupts": (_SPI, mm.UART_SPI, _LEVEL_HIGH),
            "clocks": (_CLOCK_PHANDLE, _CLOCK_PHANDLE),
            "clock-names": ["uartclk", "apb_pclk"],
        },
    )


def _rtc() -> FdtNode:
    return node(
        f"pl031@{mm.RTC_BASE:x}",
        {
            "compatible": ["arm,pl031", "arm,primecell"],
            "reg": cells(mm.RTC_BASE, mm.RTC_SIZE),
            "interrupts": (_SPI, mm.RTC_SPI, _LEVEL_HIGH),
            "clocks": (_CLOCK_PHANDLE,),
            "clock-names": "apb_pclk",
        },
    )


def _virtio(slot: int) -> FdtNode:
    base = mm.virtio_base(slot)
    return node(
        f"virtio_mmio@{base:x}",
        {
            "compatible": "virtio,mmio",
            "reg": cells(base, mm.VIRTIO_STRIDE),
            "interrupts": (_SPI, mm.VIRTIO_SPI + slot, _LEVEL_HIGH),
            "dma-coherent": None,
        },
    )
