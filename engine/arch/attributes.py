"""The attributes in translation descriptors, in words (Arm ARM D8.3.2, D8.5, D17.2.97)."""

from __future__ import annotations

from engine.arch.paging import ACCESS_FLAG, PXN, S2AP, S2AP_SHIFT, SHAREABILITY_SHIFT, STATE_SHIFT, UXN, XN, PageState

Pairs = tuple[tuple[str, str], ...]
"""(field, value), in display order."""
_DEVICES = ("Device-nGnRnE", "Device-nGnRE", "Device-nGRE", "Device-GRE")
_SHAREABILITY = ("non-shareable", "reserved", "outer", "inner")
_AP = ("RW, none at EL0", "RW", "RO, none at EL0", "RO")
_AP_EL2 = ("RW", "RW", "RO", "RO")
_CACHED = ("reserved", "non-cacheable", "write-through", "write-back")
_ALLOCATION = (", no allocation", ", write-allocate", ", read-allocate", "")
_STATES = {
    PageState.OWNED: "owned",
    PageState.SHARED_OWNED: "given to others",
    PageState.SHARED_BORROWED: "borrowed",
    PageState.DONATED: "donated",
}
_SW_MASK = 0xF
_CONTIGUOUS = 1 << 52


def mair_word(attribute: int) -> str:
    """What a byte of MAIR_ELx means, for example `Normal write-back`."""
    outer, inner = attribute >> 4 & 0xF, attribute & 0xF
    if outer == 0:
        return _DEVICES[inner >> 2] if inner & 3 == 0 else "reserved"
    outside, inside = _cacheability(outer), _cacheability(inner)
    return f"Normal {outside}" if outside == inside else f"Normal outer {outside}, inner {inside}"


def _cacheability(nibble: int) -> str:
    if nibble == 0b0100:
        return "non-cacheable"
    if nibble == 0:
        return "reserved"
    policy = "write-back" if nibble & 0b0100 else "write-through"
    transient = "" if nibble & 0b1000 else " transient"
    return policy + transient + _ALLOCATION[nibble & 3]


def stage1_leaf(descriptor: int, mair: int, el: int) -> Pairs:
    """A block or page of stage 1; `el` is 1 for EL1&0, 2 for EL2."""
    index = descriptor >> 2 & 7
    access = (_AP_EL2 if el == 2 else _AP)[descriptor >> 6 & 3]
    uxn, pxn = _flag(descriptor, UXN), _flag(descriptor, PXN)
    never = (("XN", uxn),) if el == 2 else (("UXN", uxn), ("PXN", pxn))
    not_global = () if el == 2 else (("nG", _flag(descriptor, 1 << 11)),)
    return (
        ("AP", access),
        *never,
        (f"Attr{index}", mair_word(mair >> 8 * index & 0xFF)),
        ("SH", _SHAREABILITY[descriptor >> SHAREABILITY_SHIFT & 3]),
        ("AF", _flag(descriptor, ACCESS_FLAG)),
        *not_global,
        ("NS", _flag(descriptor, 1 << 5)),
        ("Contiguous", _flag(descriptor, _CONTIGUOUS)),
        ("SW", f"{descriptor >> STATE_SHIFT & _SW_MASK:#x}"),
    )


def stage1_table(descriptor: int) -> Pairs:
    """What a table entry takes away from all below it."""
    return (
        ("APTable", f"{descriptor >> 61 & 3}"),
        ("UXNTable", _flag(descriptor, 1 << 60)),
        ("PXNTable", _flag(descriptor, 1 << 59)),
        ("NSTable", _flag(descriptor, 1 << 63)),
    )


def stage2_memory(descriptor: int) -> str:
    """MemAttr[3:0] of a stage-2 leaf (without FEAT_S2FWB)."""
    outer, inner = descriptor >> 4 & 3, descriptor >> 2 & 3
    if outer == 0:
        return _DEVICES[inner]
    outside, inside = _CACHED[outer], _CACHED[inner]
    return f"Normal {outside}" if outer == inner else f"Normal outer {outside}, inner {inside}"


def page_state(state: PageState) -> str:
    """What the software bits of our stage-2 leaves say of a page."""
    return _STATES[state]


def stage2_leaf(descriptor: int, ours: bool) -> Pairs:
    """A block or page of stage 2; where the tables are `ours`, with the ownership kept in software bits [56:55]."""
    software = f"{descriptor >> STATE_SHIFT & _SW_MASK:#x}"
    if ours:
        software = f"{software} ({page_state(PageState(descriptor >> STATE_SHIFT & 3))})"
    return (
        ("S2AP", S2AP(descriptor >> S2AP_SHIFT & 3).name.replace("_", "/").lower()),
        ("XN", _flag(descriptor, XN)),
        ("MemAttr", stage2_memory(descriptor)),
        ("SH", _SHAREABILITY[descriptor >> SHAREABILITY_SHIFT & 3]),
        ("AF", _flag(descriptor, ACCESS_FLAG)),
        ("Contiguous", _flag(descriptor, _CONTIGUOUS)),
        ("SW", software),
    )


def _flag(descriptor: int, bit: int) -> str:
    return "1" if descriptor & bit else "0"
