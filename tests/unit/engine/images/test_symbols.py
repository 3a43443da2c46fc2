"""Symbol lookup in both directions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.images.symbols import Symbol, SymbolTable, parse_system_map

TABLE = SymbolTable([Symbol(0x200, 0, "label"), Symbol(0x100, 0x10, "sized"), Symbol(0x100, 4, "alias")], end=0x300)


def test_lookup_inside_at_and_outside() -> None:
    assert TABLE.lookup(0x100) == "sized"
    assert TABLE.lookup(0x10F) == "sized+0xf"
    assert TABLE.lookup(0x110) == ""
    assert TABLE.lookup(0x2FF) == "label+0xff"
    assert TABLE.lookup(0x300) == ""
    assert TABLE.lookup(0xFF) == ""


def test_address_of_a_name() -> None:
    assert TABLE.address("label") == 0x200
    assert TABLE.address("alias") is None
    assert [symbol.name for symbol in TABLE] == ["sized", "label"]


def test_name_in_several_places_means_the_lowest() -> None:
    assert SymbolTable([Symbol(8, 0, "x"), Symbol(4, 0, "x")]).address("x") == 4


def test_empty_table_knows_nothing() -> None:
    assert SymbolTable().lookup(0) == ""
    assert len(SymbolTable()) == 0


def test_system_map_keeps_code_and_skips_the_rest() -> None:
    table = parse_system_map("ffff800008000000 T _text\nffff800009000000 D data\nnonsense\nxyz T bad\n")
    assert len(table) == 1
    assert table.lookup(0xFFFF_8000_0800_0010) == "_text+0x10"


def test_debian_stub_has_no_symbols() -> None:
    assert len(parse_system_map("ffffffffffffffff B The real System.map is in the linux-image-x-dbg package\n")) == 0


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)), max_size=20), st.integers(-1, 130))
def test_lookup_agrees_with_a_search(places: list[tuple[int, int]], address: int) -> None:
    table = SymbolTable(Symbol(start, size, f"s{start}") for start, size in places)
    below = [symbol for symbol in table if symbol.address <= address]
    found = table.lookup(address)
    if not below or 0 < below[-1].size <= address - below[-1].address:
        assert found == ""
    else:
        assert found.partition("+")[0] == below[-1].name


def test_where_a_symbol_begins() -> None:
    table = SymbolTable([Symbol(0x1000, 8, "sized"), Symbol(0x2000, 0, "label")], end=0x3000)
    assert [table.at(address) for address in (0x1000, 0x1004, 0x2000, 0)] == ["sized", "", "label", ""]
    starts = [table.start(address) for address in (0x1000, 0x1007, 0x1008, 0x2FFF, 0x3000, 0)]
    assert starts == [0x1000, 0x1000, None, 0x2000, None, None]
