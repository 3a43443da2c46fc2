"""Which watchpoints an instruction touched, and what it did there."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.arch.addressing import LONGEST_ACCESS, first_address, status_register, stores_exclusive, zeroes_block
from engine.arch.bits import MASK64
from engine.arch.paging import PAGE
from engine.cpu.accesses import Access, Filter
from engine.debug.stops import AccessKind, Space, Watchpoint
from engine.hypervisor.vcpu import Vcpu

_REGISTERS = struct.Struct("<32Q")
_SHOWN = 16
"""Bytes of a value that are told."""
_NO_REGISTER = 31


@dataclass(frozen=True, slots=True)
class _Placed:
    """An access with both of its addresses."""

    access: Access
    virtual: int
    pieces: tuple[tuple[int, int], ...]
    """(physical address, bytes): two where it crosses into a page."""


def filters(watch: Watchpoint) -> tuple[Filter, ...]:
    """Where an access may begin that touches it."""
    make = Filter.virtual if watch.space is Space.VA else Filter.physical
    return make(watch.address, watch.size)


def touched(watches: Sequence[Watchpoint], vcpu: Vcpu, accesses: Sequence[Access]) -> list[tuple[Watchpoint, str]]:
    """Those that the vCPU's last instruction touched, each with the first access that did, in words."""
    placed = list(_placed(vcpu, accesses))
    found = ((watch, next((each for each in placed if _touches(watch, each)), None)) for watch in watches)
    return [(watch, _words(vcpu, each)) for watch, each in found if each is not None]


def _placed(vcpu: Vcpu, accesses: Sequence[Access]) -> Iterator[_Placed]:
    """The accesses that the architecture knows of: a store exclusive reads nothing, and one that failed stored nothing.

    The registers are those before the instruction, memory and translations those after it.
    """
    core = vcpu.vm.core
    first = accesses[0]
    word = core.instruction(first.pc) or 0
    base = first_address(word, first.pc, _REGISTERS.unpack(first.registers))
    if base is None:
        return
    if zeroes_block(word):
        accesses = (replace(first, physical=first.physical & -LONGEST_ACCESS, size=LONGEST_ACCESS),)
    if stores_exclusive(word):
        status = status_register(word)
        failed = status != _NO_REGISTER and core.state.x[status] & 1
        accesses = () if failed else [access for access in accesses if access.write]
    for access in accesses:
        virtual = base + (access.physical - base) % PAGE & MASK64
        yield _Placed(access, virtual, tuple(_pieces(vcpu, access, virtual)))


def _pieces(vcpu: Vcpu, access: Access, virtual: int) -> Iterator[tuple[int, int]]:
    length = min(access.size, PAGE - access.physical % PAGE)
    yield access.physical, length
    if length < access.size:
        beyond = vcpu.vm.core.translate(virtual + length & MASK64, write=access.write)
        if beyond is not None:
            yield beyond, access.size - length


def _touches(watch: Watchpoint, placed: _Placed) -> bool:
    kind = AccessKind.WRITE if placed.access.write else AccessKind.READ
    if watch.access not in (AccessKind.ANY, kind):
        return False
    parts = ((placed.virtual, placed.access.size),) if watch.space is Space.VA else placed.pieces
    return any(start < watch.address + watch.size and watch.address < start + size for start, size in parts)


def _words(vcpu: Vcpu, placed: _Placed) -> str:
    """`writes 8 bytes at 0x40201000, 0x5 -> 0x6, at 0x40000123`."""
    access = placed.access
    size = f"{access.size} byte{'' if access.size == 1 else 's'}"
    verb = "writes" if access.write else "reads"
    return f"{verb} {size} at {placed.virtual:#x}{_values(vcpu, placed)}, at {access.pc:#x}"


def _values(vcpu: Vcpu, placed: _Placed) -> str:
    access = placed.access
    memory = vcpu.vm.memory
    if access.size > _SHOWN or not all(memory.contains(*piece) for piece in placed.pieces):
        return ""
    after = int.from_bytes(b"".join(memory.read(*piece) for piece in placed.pieces), "little")
    if not access.write:
        return f", {after:#x}"
    whole = len(access.before) == access.size
    return f", {int.from_bytes(access.before, 'little'):#x} -> {after:#x}" if whole else f", -> {after:#x}"
