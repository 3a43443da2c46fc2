"""Who maps a page of the board: the same memory from every partition's side."""

from __future__ import annotations

from engine.debug_views import Mapping, PageOwnersView
from hvtui import places, text
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.memory_kinds import LOOKS, relation
from hvtui.widgets.table import Row, Table


class OwnersTable(Table[Mapping]):
    """One row a mapping; Enter goes to that partition's side."""

    def __init__(self, page: str) -> None:
        super().__init__(page, "owners", "no partition maps it")
        self.active = True
        self._column = 8

    def show(self, view: PageOwnersView | None) -> None:
        """The mappings of another page."""
        mappings = view.mappings if view is not None else ()
        self._column = places.digits(max((each.ipa for each in mappings), default=0))
        self.set_rows([Row((each.partition, each.ipa), each) for each in mappings])

    def heading(self, width: int) -> str:
        return text.shorten(f"PARTITION  {'IPA':{self._column}} RWX STATE", width)

    def parts(self, item: Mapping, _width: int) -> Line:
        look = LOOKS[item.kind]
        return [
            (f" {text.fit(item.partition, 10)} ", Ink.BLUE),
            (f"{item.ipa:0{self._column}x} ", Ink.STRONG),
            (f"{item.permissions} ", Ink.TEXT),
            (f"{look.glyph} {item.kind.value}", look.style),
            (f"  {relation(item.kind, item.peers, item.handles)}", Ink.MUTED),
        ]
