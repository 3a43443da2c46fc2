"""Bits of ICH_HCR_EL2, ICH_VMCR_EL2, ICH_VTR_EL2 and the status registers computed from list registers."""

from __future__ import annotations

import enum

from engine.board.gic import list_register as lr


class Hcr(enum.IntFlag):
    """ICH_HCR_EL2. The trap bits are kept for whoever decides on traps."""

    EN = 1 << 0
    UIE = 1 << 1
    LRENPIE = 1 << 2
    NPIE = 1 << 3
    VGRP0EIE = 1 << 4
    VGRP0DIE = 1 << 5
    VGRP1EIE = 1 << 6
    VGRP1DIE = 1 << 7
    TC = 1 << 10
    TALL0 = 1 << 11
    TALL1 = 1 << 12
    TSEI = 1 << 13
    TDIR = 1 << 14


class Misr(enum.IntFlag):
    """ICH_MISR_EL2: why the maintenance interrupt is raised."""

    EOI = 1 << 0
    U = 1 << 1
    LRENP = 1 << 2
    NP = 1 << 3
    VGRP0E = 1 << 4
    VGRP0D = 1 << 5
    VGRP1E = 1 << 6
    VGRP1D = 1 << 7


EOI_COUNT_SHIFT = 27
EOI_COUNT = 0x1F << EOI_COUNT_SHIFT
EN = int(Hcr.EN)
HCR_WRITABLE = EOI_COUNT | 0x7CFF
_VTR = 4 << 29 | 4 << 26 | 1 << 21 | 1 << 20 | 1 << 19
"""Five priority and five preemption bits, A3V, no direct injection (nV4), TDIR supported (TDS)."""


def vtr(list_registers: int) -> int:
    """ICH_VTR_EL2; INTIDs have 16 bits (IDbits 0)."""
    return _VTR | list_registers - 1


def ended(entries: list[int]) -> int:
    """ICH_EISR_EL2: the list registers whose interrupt ended and asked for a maintenance interrupt."""
    return sum(
        1 << index
        for index, entry in enumerate(entries)
        if lr.state(entry) == 0 and not entry & lr.HW and entry & lr.EOI_MAINTENANCE
    )


def empty(entries: list[int]) -> int:
    """ICH_ELRSR_EL2: the list registers that may be filled without losing anything."""
    return sum(
        1 << index
        for index, entry in enumerate(entries)
        if lr.state(entry) == 0 and (entry & lr.HW or not entry & lr.EOI_MAINTENANCE)
    )


def maintenance_status(hcr: int, entries: list[int], group_enables: int) -> int:
    """ICH_MISR_EL2; `group_enables` is VMCR.VENG0 in bit 0 and VENG1 in bit 1."""
    states = [lr.state(entry) for entry in entries]
    group0, group1 = group_enables & 1, group_enables & 2
    status = Misr(0)
    status |= Misr.EOI if ended(entries) else status
    status |= Misr.U if hcr & Hcr.UIE and sum(map(bool, states)) <= 1 else status
    status |= Misr.LRENP if hcr & Hcr.LRENPIE and hcr & EOI_COUNT else status
    status |= Misr.NP if hcr & Hcr.NPIE and lr.PENDING not in states else status
    status |= Misr.VGRP0E if hcr & Hcr.VGRP0EIE and group0 else status
    status |= Misr.VGRP0D if hcr & Hcr.VGRP0DIE and not group0 else status
    status |= Misr.VGRP1E if hcr & Hcr.VGRP1EIE and group1 else status
    status |= Misr.VGRP1D if hcr & Hcr.VGRP1DIE and not group1 else status
    return int(status)
