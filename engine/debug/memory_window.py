"""Bytes of memory with holes where nothing is mapped."""

from __future__ import annotations

from typing import Final

from engine.arch.paging import PAGE
from engine.arch.translation import Translation
from engine.debug.translating import Translator, onlooker
from engine.debug_views import MemoryView, PageBytes
from engine.errors import MachineError
from engine.hypervisor.vcpu import Vcpu

LARGEST: Final = 4096
"""Bytes of one view."""


def memory_view(vcpu: Vcpu, address: int, size: int, space: str = "va") -> MemoryView:
    """Up to LARGEST bytes of a space: "va", "ipa" or "pa"; what lies beyond 64 bits is left out.

    MachineError for another space, size or address.
    """
    if not 0 <= size <= LARGEST:
        raise MachineError(f"expected a size up to {LARGEST} bytes (got {size})")
    if not 0 <= address < 1 << 64:
        raise MachineError(f"expected an address of 64 bits (got {address:#x})")
    translator = onlooker(vcpu)
    pages: list[PageBytes] = []
    data = bytearray()
    end = min(address + size, 1 << 64)
    while address + len(data) < end:
        here = address + len(data)
        length = min(end - here, PAGE - here % PAGE)
        page, content = _page(vcpu, translator, here, length, space)
        pages.append(page)
        data += content
    return MemoryView(vcpu.vm.name, vcpu.index, space, address, bytes(data), tuple(pages))


def _page(vcpu: Vcpu, translator: Translator, address: int, size: int, space: str) -> tuple[PageBytes, bytes]:
    found = translator.readable(address, space)
    memory, physical = vcpu.vm.memory, found.physical
    if physical is not None and memory.contains(physical, size):
        return PageBytes(address, size, physical, ""), memory.read(physical, size)
    return PageBytes(address, size, None, _problem(vcpu, found)), bytes(size)


def _problem(vcpu: Vcpu, found: Translation) -> str:
    """A device is not memory: to look would be to touch it."""
    where = found.physical if found.ipa is None else found.ipa
    device = None if where is None else vcpu.vm.bus.find(where, 1)
    if device is not None:
        return f"device {device[0].name}"
    return str(found.fault) if found.fault is not None else "no memory there"
