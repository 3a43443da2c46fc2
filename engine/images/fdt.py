"""The device tree a guest is started with, describing exactly what its VM has.

Bindings are those of the Linux kernel (Documentation/devicetree/bindings) and the Devicetree Specification 0.4.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from pyfdt.pyfdt import Fdt, FdtNode, FdtProperty, FdtPropertyBytes, FdtPropertyStrings, FdtPropertyWords

from engine.board import memory_map as mm

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
    seed: int = 0
    """The machine's seed: where `rng-seed` derives from."""


Value = str | list[str] | tuple[int, ...] | bytes | None
"""A property: strings, 32-bit cells, bytes, or nothing (a flag)."""


def build(guest: Guest) -> bytes:
    """The flattened device tree (version 17) of a guest; the same guest gives the same bytes."""
    root = _node("/", {"#address-cells": (2,), "#size-cells": (2,), "interrupt-parent": (_GIC_PHANDLE,)})
    _set(root, "compatible", "linux,dummy-virt")
    _set(root, "model", "hvtui")
    nodes = [_chosen(guest), _memory(guest), _cpus(guest), _psci(guest), _timer(), _gic(guest), _clock(), _rtc()]
    if guest.console:
        nodes += [_uart(), _node("aliases", {"serial0": _uart_path()})]
    for node in nodes:
        root.append(node)
    tree = Fdt()
    tree.add_rootnode(root)
    return bytes(tree.to_dtb())


def _node(name: str, properties: dict[str, Value]) -> FdtNode:
    node = FdtNode(name)
    for key, value in properties.items():
        _set(node, key, value)
    return node


def _set(node: FdtNode, key: str, value: Value) -> None:
    match value:
        case None:
            node.append(FdtProperty(key))
        case bytes():
            # pyfdt wants signed bytes.
            node.append(FdtPropertyBytes(key, [byte - 256 if byte > 127 else byte for byte in value]))
        case str():
            node.append(FdtPropertyStrings(key, [value]))
        case list():
            node.append(FdtPropertyStrings(key, value))
        case tuple():
            node.append(FdtPropertyWords(key, list(value)))


def _cells(*values: int) -> tuple[int, ...]:
    """64-bit numbers as pairs of cells, high half first."""
    return tuple(half for value in values for half in (value >> 32, value & 0xFFFF_FFFF))


def _chosen(guest: Guest) -> FdtNode:
    properties: dict[str, Value] = {}
    if guest.bootargs:
        properties["bootargs"] = guest.bootargs
    if guest.console:
        properties["stdout-path"] = _uart_path()
    if guest.initrd:
        properties["linux,initrd-start"] = _cells(guest.initrd[0])
        properties["linux,initrd-end"] = _cells(guest.initrd[1])
    properties["rng-seed"] = hashlib.sha512(f"{guest.seed}/{guest.name}".encode()).digest()[:_SEED_BYTES]
    return _node("chosen", properties)


def _memory(guest: Guest) -> FdtNode:
    return _node(f"memory@{guest.ram_base:x}", {"device_type": "memory", "reg": _cells(guest.ram_base, guest.ram_size)})


def _cpus(guest: Guest) -> FdtNode:
    cpus = _node("cpus", {"#address-cells": (1,), "#size-cells": (0,)})
    for index in range(guest.vcpus):
        cpu: dict[str, Value] = {
            "device_type": "cpu",
            "compatible": "arm,cortex-a72",
            "enable-method": "psci",
            "reg": (index,),
        }
        cpus.append(_node(f"cpu@{index:x}", cpu))
    return cpus


def _psci(guest: Guest) -> FdtNode:
    return _node("psci", {"compatible": ["arm,psci-1.0", "arm,psci-0.2"], "method": "smc" if guest.el == 2 else "hvc"})


def _timer() -> FdtNode:
    ppis = (mm.TIMER_SECURE_PPI, mm.TIMER_PHYSICAL_PPI, mm.TIMER_VIRTUAL_PPI, mm.TIMER_HYPERVISOR_PPI)
    interrupts = tuple(cell for ppi in ppis for cell in (_PPI, ppi, _LEVEL_HIGH))
    return _node("timer", {"compatible": "arm,armv8-timer", "interrupts": interrupts, "always-on": None})


def _gic(guest: Guest) -> FdtNode:
    return _node(
        f"interrupt-controller@{mm.GICD_BASE:x}",
        {
            "compatible": "arm,gic-v3",
            "#interrupt-cells": (3,),
            "interrupt-controller": None,
            "#redistributor-regions": (1,),
            "reg": _cells(mm.GICD_BASE, mm.GICD_SIZE, mm.GICR_BASE, mm.gicr_size(guest.vcpus)),
            "phandle": (_GIC_PHANDLE,),
        },
    )


def _clock() -> FdtNode:
    return _node(
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
    return _node(
        _uart_path().removeprefix("/"),
        {
            "compatible": ["arm,pl011", "arm,primecell"],
            "reg": _cells(mm.UART_BASE, mm.UART_SIZE),
            "interrupts": (_SPI, mm.UART_SPI, _LEVEL_HIGH),
            "clocks": (_CLOCK_PHANDLE, _CLOCK_PHANDLE),
            "clock-names": ["uartclk", "apb_pclk"],
        },
    )


def _rtc() -> FdtNode:
    return _node(
        f"pl031@{mm.RTC_BASE:x}",
        {
            "compatible": ["arm,pl031", "arm,primecell"],
            "reg": _cells(mm.RTC_BASE, mm.RTC_SIZE),
            "interrupts": (_SPI, mm.RTC_SPI, _LEVEL_HIGH),
            "clocks": (_CLOCK_PHANDLE,),
            "clock-names": "apb_pclk",
        },
    )
