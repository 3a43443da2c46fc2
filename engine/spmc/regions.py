"""Memory and device regions of a partition manifest, and the RX and TX buffers among them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.ffa.abi import PAGE_SIZE
from engine.images.properties import Properties

_MEMORY, _DEVICES = "arm,ffa-manifest-memory-regions", "arm,ffa-manifest-device-regions"
_RX_TX = "arm,ffa-manifest-rx_tx-buffer"
MOST_PAGES = 1 << 16
_MOST_REGIONS = 32
ADDRESS_BITS = 48
_SECURE_BIT = 1 << 8


class Attribute(enum.IntFlag):
    """Attributes of memory and device regions."""

    READ = 1 << 0
    WRITE = 1 << 1
    EXECUTE = 1 << 2
    NON_SECURE = 1 << 3


@dataclass(frozen=True, slots=True)
class MemoryRegionSpec:
    """Memory that a partition gets besides its image."""

    name: str
    base: int | None
    """Physical address, None where it is relative to the load address."""
    offset: int | None
    pages: int
    attributes: Attribute
    phandle: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceRegionSpec:
    """A device that a partition has for itself."""

    name: str
    base: int
    pages: int
    attributes: Attribute
    interrupts: tuple[tuple[int, int], ...]
    """(INTID, attributes): priority in [7:0], secure in bit 8, level in bit 9, kind in [11:10]."""


@dataclass(frozen=True, slots=True)
class RxTx:
    """Buffers that the manifest places."""

    rx: MemoryRegionSpec
    tx: MemoryRegionSpec


def memory_regions(root: Properties) -> tuple[MemoryRegionSpec, ...]:
    """Memory besides the image."""
    return tuple(_memory(each) for each in _few(root, _MEMORY))


def device_regions(root: Properties) -> tuple[DeviceRegionSpec, ...]:
    """Devices, with their interrupts."""
    return tuple(_device(each) for each in _few(root, _DEVICES))


def _few(root: Properties, kind: str) -> list[Properties]:
    """Each is compared with every other one, so their number is bounded."""
    found = list(root.children(kind))
    if len(found) > _MOST_REGIONS:
        root.refuse(kind, f"at most {_MOST_REGIONS} regions", len(found))
    return found


def _pages(region: Properties) -> int:
    pages = region.number("pages-count", MOST_PAGES)
    if not pages:
        region.refuse("pages-count", f"1 to {MOST_PAGES}", pages)
    return pages


def is_page_address(address: int) -> bool:
    """Whether a page may begin there."""
    return 0 <= address < 1 << ADDRESS_BITS and not address % PAGE_SIZE


def page_address(region: Properties, key: str) -> int:
    """A physical address, page aligned."""
    address = region.number(key)
    if not is_page_address(address):
        region.refuse(key, f"a page address of {ADDRESS_BITS} bits", f"{address:#x}")
    return address


def _attributes(region: Properties) -> Attribute:
    """What cannot be read cannot be had."""
    attributes = region.flags("attributes", Attribute)
    if not attributes & Attribute.READ:
        region.refuse("attributes", "READ (bit 0) at least", f"{attributes.value:#x}")
    return attributes


def _memory(region: Properties) -> MemoryRegionSpec:
    relative = region.has("load-address-relative-offset")
    if relative == region.has("base-address"):
        region.refuse("base-address", "it or load-address-relative-offset", "both" if relative else "neither")
    return MemoryRegionSpec(
        name=region.name,
        base=None if relative else page_address(region, "base-address"),
        offset=page_address(region, "load-address-relative-offset") if relative else None,
        pages=_pages(region),
        attributes=_attributes(region),
        phandle=region.optional("phandle"),
    )


def _device(region: Properties) -> DeviceRegionSpec:
    attributes = _attributes(region)
    if attributes & Attribute.EXECUTE:
        region.refuse("attributes", "a device that is not executable", f"{attributes.value:#x}")
    return DeviceRegionSpec(
        name=region.name,
        base=page_address(region, "base-address"),
        pages=_pages(region),
        attributes=attributes,
        interrupts=_interrupts(region),
    )


def _interrupts(region: Properties) -> tuple[tuple[int, int], ...]:
    words = region.words("interrupts") if region.has("interrupts") else ()
    if len(words) % 2:
        region.refuse("interrupts", "pairs of INTID and attributes", f"{len(words)} cells")
    pairs = tuple(zip(words[::2], words[1::2], strict=True))
    for intid, attributes in pairs:
        if not 16 <= intid < 1020:
            region.refuse("interrupts", "INTIDs from 16 to 1019", intid)
        if not attributes & _SECURE_BIT:
            region.refuse("interrupts", f"secure interrupts (bit 8 of the attributes of {intid})", f"{attributes:#x}")
    return pairs


def rx_tx_buffers(root: Properties, memory: tuple[MemoryRegionSpec, ...]) -> RxTx | None:
    """Buffers that the manifest places in two of its memory regions; None where it places none."""
    info = root.child(_RX_TX)
    if info is None:
        return None
    by_phandle = {region.phandle: region for region in memory if region.phandle is not None}

    def region(key: str) -> MemoryRegionSpec:
        wanted = info.number(key)
        if wanted not in by_phandle:
            info.refuse(key, "the phandle of a memory region", wanted)
        return by_phandle[wanted]

    found = RxTx(region("rx-buffer"), region("tx-buffer"))
    if found.rx is found.tx or found.rx.pages != found.tx.pages:
        info.refuse("tx-buffer", "another region than the RX buffer, of the same size", f"{found.tx.pages} pages")
    return found
