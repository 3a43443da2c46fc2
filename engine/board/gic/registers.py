"""Register windows onto an interrupt bank: the arrays that GICD and GICR SGI_base have at the same offsets.

GICD_ISENABLER<n> and GICR_ISENABLER0 differ only in which INTIDs exist, and the bank knows that. Arrays are
addressed by byte, so every access size works; a byte that belongs to no interrupt reads zero.
"""

from __future__ import annotations

from engine.board.gic.interrupts import PRIORITY_MASK, SGI_MASK, InterruptBank

ARRAYS_BEGIN = 0x080
PRIORITIES = 0x400
PRIORITIES_END = 0x800
CONFIGURATION = 0xC00
CONFIGURATION_END = 0xD00
MODIFIERS = 0xD00
ARRAYS_END = 0xD80

_GROUP, _SET_ENABLE, _CLEAR_ENABLE, _SET_PENDING, _CLEAR_PENDING, _SET_ACTIVE, _CLEAR_ACTIVE = range(1, 8)
"""Numbers of the 128-byte bitmap arrays: offset divided by 128."""
_MODIFIER = MODIFIERS >> 7
_NAMES = {
    _GROUP: "IGROUPR",
    _SET_ENABLE: "ISENABLER",
    _CLEAR_ENABLE: "ICENABLER",
    _SET_PENDING: "ISPENDR",
    _CLEAR_PENDING: "ICPENDR",
    _SET_ACTIVE: "ISACTIVER",
    _CLEAR_ACTIVE: "ICACTIVER",
    _MODIFIER: "IGRPMODR",
}


def lanes(value: int, offset: int, size: int) -> int:
    """What a load of `size` bytes at byte `offset` inside a register sees of its value."""
    return value >> 8 * offset & (1 << 8 * size) - 1


def merge(old: int, offset: int, size: int, value: int) -> int:
    """A register's value after a store of `size` bytes at byte `offset` inside it."""
    window = (1 << 8 * size) - 1
    return old & ~(window << 8 * offset) | (value & window) << 8 * offset


def array_name(offset: int) -> str | None:
    """`ISENABLER1` for an offset inside one of the arrays, None elsewhere."""
    if PRIORITIES <= offset < PRIORITIES_END:
        return f"IPRIORITYR{(offset - PRIORITIES) >> 2}"
    if CONFIGURATION <= offset < CONFIGURATION_END:
        return f"ICFGR{(offset - CONFIGURATION) >> 2}"
    name = _NAMES.get(offset >> 7)
    return f"{name}{(offset & 0x7F) >> 2}" if name else None


def read_array(bank: InterruptBank, offset: int, size: int, nonsecure: bool) -> int:
    """Read inside [ARRAYS_BEGIN, ARRAYS_END); reserved holes read zero (IHI0069 12.9)."""
    kind = offset >> 7
    if kind < 8 or kind == _MODIFIER:
        return lanes(_bitmap(bank, kind, nonsecure), offset & 0x7F, size)
    if offset < PRIORITIES_END:
        return _read_priorities(bank, offset - PRIORITIES, size, nonsecure)
    if CONFIGURATION <= offset < CONFIGURATION_END:
        return _read_configuration(bank, offset - CONFIGURATION, size, nonsecure)
    return 0


def write_array(bank: InterruptBank, offset: int, size: int, value: int, nonsecure: bool) -> None:
    """Write inside [ARRAYS_BEGIN, ARRAYS_END); reserved holes ignore it."""
    kind = offset >> 7
    if kind < 8 or kind == _MODIFIER:
        window = (1 << 8 * size) - 1
        shift = 8 * (offset & 0x7F)
        _write_bitmap(bank, kind, window << shift, (value & window) << shift, nonsecure)
    elif offset < PRIORITIES_END:
        _write_priorities(bank, offset - PRIORITIES, size, value, nonsecure)
    elif CONFIGURATION <= offset < CONFIGURATION_END:
        _write_configuration(bank, offset - CONFIGURATION, size, value, nonsecure)


def _bitmap(bank: InterruptBank, kind: int, nonsecure: bool) -> int:
    if kind in (_GROUP, _MODIFIER):
        # Groups are a Secure matter: with two security states a Non-secure read gives zero.
        hidden = bank.security and nonsecure
        return 0 if hidden else bank.group if kind == _GROUP else bank.modifier
    if kind <= _CLEAR_ENABLE:
        bitmap = bank.enabled
    elif kind <= _CLEAR_PENDING:
        bitmap = bank.pending
    else:
        bitmap = bank.active
    return bitmap & bank.visible(nonsecure)


def _write_bitmap(bank: InterruptBank, kind: int, window: int, bits: int, nonsecure: bool) -> None:
    touched = bits & bank.visible(nonsecure)
    if kind == _SET_ENABLE:
        bank.enabled |= touched
    elif kind == _CLEAR_ENABLE:
        bank.enabled &= ~touched
    elif kind == _SET_PENDING:
        bank.latch |= touched
    elif kind == _CLEAR_PENDING:
        bank.latch &= ~touched
    elif kind == _SET_ACTIVE:
        bank.active |= touched
    elif kind == _CLEAR_ACTIVE:
        bank.active &= ~touched
    elif not (bank.security and nonsecure):
        _write_groups(bank, kind, window & bank.mask, touched)


def _write_groups(bank: InterruptBank, kind: int, window: int, bits: int) -> None:
    if kind == _GROUP:
        bank.group = bank.group & ~window | bits
    elif kind == _MODIFIER and bank.security:
        bank.modifier = bank.modifier & ~window | bits


def _read_priorities(bank: InterruptBank, first: int, size: int, nonsecure: bool) -> int:
    value = 0
    visible = bank.visible(nonsecure)
    for lane in range(size):
        intid = first + lane
        if visible >> intid & 1:
            value |= nonsecure_view(bank, bank.priority[intid], nonsecure) << 8 * lane
    return value


def nonsecure_view(bank: InterruptBank, priority: int, nonsecure: bool) -> int:
    """A priority as an access sees it: the Non-secure view spreads the lower half over 0-255 (IHI0069 4.8)."""
    return priority << 1 & 0xFF if nonsecure and bank.security else priority


def _write_priorities(bank: InterruptBank, first: int, size: int, value: int, nonsecure: bool) -> None:
    visible = bank.visible(nonsecure)
    for lane in range(size):
        intid = first + lane
        if visible >> intid & 1:
            priority = value >> 8 * lane & 0xFF
            if nonsecure and bank.security:
                priority = priority >> 1 | 0x80
            bank.priority[intid] = priority & PRIORITY_MASK


def _read_configuration(bank: InterruptBank, offset: int, size: int, nonsecure: bool) -> int:
    edges = (bank.edge & bank.visible(nonsecure)) >> 4 * offset
    value = 0
    for lane in range(4 * size):
        value |= (edges >> lane & 1) << 2 * lane + 1
    return value


def _write_configuration(bank: InterruptBank, offset: int, size: int, value: int, nonsecure: bool) -> None:
    """Two bits an interrupt, of which the upper one chooses edge; SGIs are always edge-triggered (GICD_ICFGR)."""
    visible = bank.visible(nonsecure) & ~SGI_MASK
    for lane in range(4 * size):
        bit = 1 << 4 * offset + lane
        if visible & bit:
            bank.edge = bank.edge | bit if value >> 2 * lane + 1 & 1 else bank.edge & ~bit
