"""Address translation through both stages, step by step, as the CPU does it (Arm ARM D8.2-D8.4).

Nothing is cached here and nothing is changed: tables are read where they are. As in the CPU model, a walk takes blocks
at every level but the last, ORs their addresses with the rest of the input, and checks no address sizes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.arch.controls import HCR_PTW
from engine.arch.esr import FaultStatus
from engine.arch.paging import ACCESS_FLAG, LEVELS, PXN, S2AP_SHIFT, TABLE_OR_PAGE, UXN, VALID, XN
from engine.arch.regime import ANY_ACCESS, NO_ACCESS, PHYSICAL_BITS, Access, Stage, Stage1

Read = Callable[[int], int]
"""The 64-bit entry at a physical address; IndexError where there is no memory."""
_KINDS = {
    FaultStatus.ADDRESS_SIZE_L0: "address size fault",
    FaultStatus.TRANSLATION_L0: "translation fault",
    FaultStatus.ACCESS_FLAG_L0: "access flag fault",
    FaultStatus.PERMISSION_L0: "permission fault",
    FaultStatus.EXTERNAL_ON_WALK_L0: "external abort on a walk",
}
_AP_EL0, _AP_READ_ONLY = 1 << 6, 1 << 7
_APTABLE_NO_EL0, _APTABLE_READ_ONLY, _XNTABLE, _PXNTABLE = 1 << 61, 1 << 62, 1 << 60, 1 << 59
_WNR, _S1PTW = 1 << 6, 1 << 7
_MEMATTR_OUTER = 0b1100 << 2


class EntryKind(enum.StrEnum):
    """What a descriptor is at its level (D8.3.1)."""

    TABLE = "table"
    BLOCK = "block"
    PAGE = "page"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Fault:
    """An MMU fault."""

    kind: FaultStatus
    """The code at level 0."""
    stage: int
    level: int
    on_walk: bool = False
    """S1PTW: stage 2 faulted on the access to a stage-1 table."""

    @property
    def status(self) -> int:
        """DFSC or IFSC (D17.2.37)."""
        return self.kind + self.level

    def iss(self, access: Access) -> int:
        """The syndrome that a data or instruction abort has of it, without that of the instruction."""
        write = access is Access.WRITE and not self.on_walk
        return self.status | (_WNR if write else 0) | (_S1PTW if self.on_walk else 0)

    def __str__(self) -> str:
        where = f"{_KINDS[self.kind]} level {self.level} of stage {self.stage}"
        return f"{where}, on the walk of stage 1" if self.on_walk else where


@dataclass(frozen=True, slots=True)
class Step:
    """One entry that a walk looks at."""

    level: int
    table: int
    """Address of its table; IPA for stage 1 that runs under stage 2, else PA."""
    address: int
    """Of the entry, likewise."""
    physical: int | None
    """Where the entry is on the board; None where stage 2 does not let the walk go there."""
    descriptor: int | None
    """None where it cannot be read."""
    kind: EntryKind


@dataclass(frozen=True, slots=True)
class Walk:
    """One stage's way of an address."""

    stage: Stage | None
    """None where none begins."""
    address: int
    steps: tuple[Step, ...]
    output: int | None
    """None where it faults."""
    allowed: Access
    """By its attributes; nothing where it faults before it has some."""
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Translation:
    """Both stages; `first` is None while stage 1 is off, `second` without a stage 2, or when stage 1 faults."""

    first: Walk | None
    ipa: int | None
    second: Walk | None
    physical: int | None
    allowed: Access
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Regime:
    """What translates the addresses of a vCPU."""

    el: int
    """Exception level that accesses are made at: 0, 1 or 2."""
    first: Stage1
    second: Stage | None
    """None also where `broken`."""
    has_second: bool
    """Stage 2 is on."""
    hcr: int

    def translate(self, read: Read, address: int, access: Access) -> Translation:
        """A virtual address (64 bits); `access` is one of the three."""
        if not self.first.enabled:
            return self._flat(read, address, access)
        first = self._first(read, address, access)
        if first.output is None or first.fault is not None:
            return Translation(first, None, None, None, first.allowed, first.fault)
        return self._beyond(read, first, first.output, first.allowed, access)

    def translate_ipa(self, read: Read, ipa: int, access: Access) -> Translation:
        """An intermediate physical address; without stage 2 it is physical."""
        return self._beyond(read, None, ipa, ANY_ACCESS, access)

    def _flat(self, read: Read, address: int, access: Access) -> Translation:
        """Stage 1 is off (D8.2.10)."""
        if (address & (1 << self.first.untagged_bits(address)) - 1) >> PHYSICAL_BITS:
            fault = Fault(FaultStatus.ADDRESS_SIZE_L0, 1, 0)
            return Translation(None, None, None, None, NO_ACCESS, fault)
        return self._beyond(read, None, address & (1 << PHYSICAL_BITS) - 1, ANY_ACCESS, access)

    def _beyond(self, read: Read, first: Walk | None, ipa: int, allowed: Access, access: Access) -> Translation:
        if not self.has_second:
            return Translation(first, ipa, None, ipa, allowed, None)
        second = walk_stage2(read, self.second, ipa, access)
        physical = second.output if second.fault is None else None
        return Translation(first, ipa, second, physical, allowed & second.allowed, second.fault)

    def _first(self, read: Read, address: int, access: Access) -> Walk:
        stage = self.first.stage(address)
        if stage is None:
            return Walk(None, address, (), None, NO_ACCESS, Fault(FaultStatus.TRANSLATION_L0, 1, 0))
        steps, fault = _walk(stage, address, lambda at, level: self._table_entry(read, at, level))
        if fault is not None:
            return Walk(stage, address, steps, None, NO_ACCESS, fault)
        leaf = effective(steps, stage.hierarchical)
        allowed = stage1_allowed(leaf, self.el, self.first.write_implies_xn)
        return _concluded(stage, address, steps, allowed, access)

    def _table_entry(self, read: Read, address: int, level: int) -> tuple[int | None, int | None, Fault | None]:
        """(where the entry is, what it holds, why it cannot be read)"""
        physical: int | None = address
        if self.has_second:
            second = walk_stage2(read, self.second, address, Access.READ)
            fault = second.fault or self._walk_refused(second)
            if fault is not None:
                return None, None, Fault(fault.kind, 2, fault.level, on_walk=True)
            physical = second.output
        return _entry(read, physical, 1, level)

    def _walk_refused(self, second: Walk) -> Fault | None:
        """HCR_EL2.PTW: no tables in Device memory."""
        leaf = second.steps[-1]
        device = not (leaf.descriptor or 0) & _MEMATTR_OUTER
        return Fault(FaultStatus.PERMISSION_L0, 2, leaf.level) if device and self.hcr & HCR_PTW else None


def walk_stage2(read: Read, stage: Stage | None, ipa: int, access: Access) -> Walk:
    """Stage 2's way of an IPA; `stage` None is a VTCR_EL2 that makes no sense."""
    if stage is None or ipa >> stage.input_bits:
        return Walk(stage, ipa, (), None, NO_ACCESS, Fault(FaultStatus.TRANSLATION_L0, 2, 0))
    steps, fault = _walk(stage, ipa, lambda at, level: _entry(read, at, 2, level))
    if fault is not None:
        return Walk(stage, ipa, steps, None, NO_ACCESS, fault)
    return _concluded(stage, ipa, steps, stage2_allowed(steps[-1].descriptor or 0), access)


def _entry(read: Read, physical: int | None, stage: int, level: int) -> tuple[int | None, int | None, Fault | None]:
    try:
        return physical, read(-1 if physical is None else physical), None
    except IndexError:
        return physical, None, Fault(FaultStatus.EXTERNAL_ON_WALK_L0, stage, level)


_Entry = Callable[[int, int], tuple[int | None, int | None, Fault | None]]


def _walk(stage: Stage, address: int, entry: _Entry) -> tuple[tuple[Step, ...], Fault | None]:
    """The entries down to the leaf, or to the fault."""
    steps: list[Step] = []
    table = stage.root
    for level in range(stage.start_level, LEVELS):
        here = stage.entry(table, address, level)
        physical, descriptor, fault = entry(here, level)
        kind = EntryKind.INVALID if descriptor is None else entry_kind(descriptor, level)
        steps.append(Step(level, table, here, physical, descriptor, kind))
        if fault is None and kind is EntryKind.INVALID:
            fault = Fault(FaultStatus.TRANSLATION_L0, stage.number, level)
        if fault is not None or kind is not EntryKind.TABLE:
            return tuple(steps), fault
        table = (descriptor or 0) & stage.output_mask
    raise AssertionError("level 3 has no tables")


def entry_kind(descriptor: int, level: int) -> EntryKind:
    """What a descriptor is."""
    last = level == LEVELS - 1
    if descriptor & (VALID | TABLE_OR_PAGE) == VALID | TABLE_OR_PAGE:
        return EntryKind.PAGE if last else EntryKind.TABLE
    return EntryKind.BLOCK if descriptor & VALID and not last else EntryKind.INVALID


def _concluded(stage: Stage, address: int, steps: tuple[Step, ...], allowed: Access, access: Access) -> Walk:
    """A walk that found a leaf: its output, and what the leaf forbids."""
    leaf = steps[-1]
    size = 1 << stage.shift(leaf.level)
    descriptor = leaf.descriptor or 0
    fault = None
    if not descriptor & ACCESS_FLAG:
        fault = Fault(FaultStatus.ACCESS_FLAG_L0, stage.number, leaf.level)
    elif access not in allowed:
        fault = Fault(FaultStatus.PERMISSION_L0, stage.number, leaf.level)
    output = descriptor & stage.output_mask | address & size - 1
    return Walk(stage, address, steps, output, allowed, fault)


def effective(steps: Iterable[Step], hierarchical: bool) -> int:
    """The leaf's descriptor with what the tables above it take away (D8.4.2)."""
    *tables, leaf = (step.descriptor or 0 for step in steps)
    for table in tables if hierarchical else ():
        leaf |= UXN if table & _XNTABLE else 0
        leaf |= PXN if table & _PXNTABLE else 0
        leaf |= _AP_READ_ONLY if table & _APTABLE_READ_ONLY else 0
        leaf &= ~_AP_EL0 if table & _APTABLE_NO_EL0 else -1
    return leaf


def stage1_allowed(leaf: int, el: int, write_implies_xn: bool) -> Access:
    """What stage 1 lets an exception level do (D8.4.1); 0 and 1 share a regime, 2 has its own."""
    write = NO_ACCESS if leaf & _AP_READ_ONLY else Access.WRITE
    for_el0 = Access.READ | write if leaf & _AP_EL0 else NO_ACCESS
    data = for_el0 if el == 0 else Access.READ | write
    never = leaf & (PXN if el == 1 else UXN) or (write_implies_xn and Access.WRITE in data)
    if el == 1 and Access.WRITE in for_el0:
        never = True  # what EL0 may write, EL1 never executes
    return data if never else data | Access.EXECUTE


def stage2_allowed(leaf: int) -> Access:
    """What stage 2 lets anybody do (D8.4.3, without FEAT_XNX)."""
    access = leaf >> S2AP_SHIFT & 3
    data = (Access.READ if access & 1 else NO_ACCESS) | (Access.WRITE if access & 2 else NO_ACCESS)
    return data if leaf & XN else data | Access.EXECUTE
