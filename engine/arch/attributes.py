"""The attributes in translation descriptors, in words (Arm ARM D8.3.2, D8.5, D17.2.97)."""

from __future__ import annotations

from engine.arch.paging import ACCESS_FLAG, S2AP, S2AP_SHIFT, SHAREABILITY_SHIFT, STATE_SHIFT, XN, PageState

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
    never = (
        (("XN", _bit(descriptor, 54)),) if el == 2 else (("UXN", _bit(descriptor, 54)), ("PXN", _bit(descriptor, 53)))
    )
    not_global = () if el == 2 else (("nG", _bit(descriptor, 11)),)
    return (
        ("AP", access),
        *never,
        (f"Attr{index}", mair_word(mair >> 8 * index & 0xFF)),
        ("SH", _SHAREABILITY[descriptor >> SHAREABILITY_SHIFT & 3]),
        ("AF", "1" if descriptor & ACCESS_FLAG else "0"),
        *not_global,
        ("NS", _bit(descriptor, 5)),
        ("Contiguous", _bit(descriptor, 52)),
        ("SW", f"{descriptor >> STATE_SHIFT & _SW_MASK:#x}"),
    )


def stage1_table(descriptor: int) -> Pairs:
    """What a table entry takes away from all below it."""
    return (
        ("APTable", f"{descriptor >> 61 & 3}"),
        ("UXNTable", _bit(descriptor, 60)),
        ("PXNTable", _bit(descriptor, 59)),
        ("NSTable", _bit(descriptor, 63)),
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
        ("XN", "1" if descriptor & XN else "0"),
        ("MemAttr", stage2_memory(descriptor)),
        ("SH", _SHAREABILITY[descriptor >> SHAREABILITY_SHIFT & 3]),
        ("AF", "1" if descriptor & ACCESS_FLAG else "0"),
        ("Contiguous", "1" if descriptor & _CONTIGUOUS else "0"),
        ("SW", software),
    )


def _bit(descriptor: int, bit: int) -> str:
    return str(descriptor >> bit & 1)
