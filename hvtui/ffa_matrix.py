"""The 64 notifications of a bitmap as a matrix: four rows of sixteen bits, each with a glyph of its own."""

from __future__ import annotations

from engine.views import FfaBitmapView
from hvtui.items import Items, Line
from hvtui.theme import Ink

_BITS, _ROW = 64, 16
_UNBOUND, _GLOBAL, _PER_VCPU, _PENDING = "·", "○", "◇", "●"
_SOURCES = {"sp": "from SPs", "vm": "from VMs"}


def matrix(bitmap: FfaBitmapView) -> Items:
    """A head, four rows and what the glyphs mean."""
    head = "  ".join(("", " ".join(f"{bit:x}" for bit in range(_ROW))))
    lines: Items = [[(f"{_SOURCES[bitmap.source]:9}", Ink.HEADING), (head, Ink.MUTED)]]
    lines += [_row(bitmap, first) for first in range(0, _BITS, _ROW)]
    return lines


def legend() -> Line:
    """Of every matrix."""
    words = ((_PENDING, "pending"), (_GLOBAL, "global"), (_PER_VCPU, "per vCPU"), (_UNBOUND, "unbound"))
    return [part for glyph, word in words for part in ((f"{glyph} ", _STYLES[glyph]), (f"{word}  ", Ink.MUTED))]


_STYLES = {_PENDING: Ink.AMBER, _GLOBAL: Ink.TEXT, _PER_VCPU: Ink.CYAN, _UNBOUND: Ink.FAINT}


def _row(bitmap: FfaBitmapView, first: int) -> Line:
    cells = [_glyph(bitmap, bit) for bit in range(first, first + _ROW)]
    return [(f"{first:9d}  ", Ink.MUTED), *((f"{cell} ", _STYLES[cell]) for cell in cells)]


def _glyph(bitmap: FfaBitmapView, bit: int) -> str:
    mask = 1 << bit
    if any(pending & mask for pending in (bitmap.pending, *bitmap.vcpu_pending)):
        return _PENDING
    if not any(bound & mask for _, bound in bitmap.senders):
        return _UNBOUND
    return _PER_VCPU if bitmap.per_vcpu & mask else _GLOBAL
