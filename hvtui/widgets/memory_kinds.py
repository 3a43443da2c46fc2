"""How the kinds of memory look: a glyph, a colour and a name, the same in the strip, the map and the list of owners."""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.style import Style

from engine.debug_views import IpaKind
from hvtui.theme import Ink


class Look(NamedTuple):
    """One kind."""

    glyph: str
    style: Style


LOOKS: Final = {
    IpaKind.OWN: Look("█", Ink.BLUE),
    IpaKind.SHARED: Look("▒", Ink.AMBER),
    IpaKind.LENT: Look("░", Ink.VIOLET),
    IpaKind.DONATED: Look("✕", Ink.RED),
    IpaKind.BORROWED: Look("◆", Ink.CYAN),
    IpaKind.DEVICE: Look("D", Ink.TEXT),
    IpaKind.VIRTIO: Look("V", Ink.GREEN),
    IpaKind.NOTHING: Look("·", Ink.FAINT),
}


def relation(kind: IpaKind, peers: tuple[str, ...], handles: tuple[int, ...]) -> str:
    """`to vm1, vm2 (handle 0x8000000000000001)`; "" where there is nobody else."""
    if not peers:
        return ""
    word = "from" if kind is IpaKind.BORROWED else "to"
    if not handles:
        return f"{word} {', '.join(peers)}"
    numbers = ", ".join(f"{handle:#x}" for handle in handles)
    return f"{word} {', '.join(peers)} ({'handle' if len(handles) == 1 else 'handles'} {numbers})"
