"""Memory of a vCPU page by page: where each page is, in whatever space it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.arch.bits import MASK64
from engine.arch.paging import PAGE
from engine.errors import MachineError
from engine.hypervisor.vcpu import Vcpu


class Piece(NamedTuple):
    """The part of a range that is in one page."""

    address: int
    """In the space that was asked for; virtual ones go on at 0 after the last one."""
    size: int
    """Bytes."""
    physical: int | None
    """None where nothing is mapped, or what is mapped is no RAM that the partition sees."""


def pieces(vcpu: Vcpu, address: int, size: int, space: str = "va") -> Iterator[Piece]:
    """A range of a loaded vCPU's virtual "va", its partition's "ipa" or the board's "pa". MachineError for others."""
    done = 0
    while done < size:
        here = address + done & MASK64 if space == "va" else address + done
        length = min(size - done, PAGE - here % PAGE)
        physical = _physical(vcpu, here, space)
        in_ram = physical is not None and vcpu.vm.memory.contains(physical, length)
        yield Piece(here, length, physical if in_ram else None)
        done += length


def _physical(vcpu: Vcpu, address: int, space: str) -> int | None:
    if space == "va":
        return vcpu.vm.core.translate(address)
    if space == "ipa":
        return vcpu.vm.stage2.translate(address)
    if space == "pa":
        return address
    raise MachineError(f"expected the address space va, ipa or pa (got {space!r})")
