"""Names for addresses, and addresses for names."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Symbol(NamedTuple):
    """A named place in an image."""

    address: int
    """Virtual address as the running guest sees it."""
    size: int
    """Bytes; 0 if unknown, as for assembly labels and in System.map: up to the next symbol then."""
    name: str


class SymbolTable:
    """Symbols sorted by address; the first given at an address wins."""

    def __init__(self, symbols: Iterable[Symbol] = (), end: int = 1 << 64) -> None:
        """`end` is the first address after the image, where the last symbol of unknown size ends."""
        unique: dict[int, Symbol] = {}
        for symbol in symbols:
            unique.setdefault(symbol.address, symbol)
        self._symbols = sorted(unique.values())
        self._addresses = [symbol.address for symbol in self._symbols]
        self._by_name = {symbol.name: symbol.address for symbol in reversed(self._symbols)}
        self._end = end

    def __len__(self) -> int:
        return len(self._symbols)

    def __iter__(self) -> Iterator[Symbol]:
        return iter(self._symbols)

    def lookup(self, address: int) -> str:
        """`name`, or `name+0x10` inside it; "" where nothing is known."""
        symbol = self._around(address)
        if symbol is None:
            return ""
        offset = address - symbol.address
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    def at(self, address: int) -> str:
        """The symbol that begins at an address, "" if none does."""
        index = bisect_left(self._addresses, address)
        found = index < len(self._symbols) and self._addresses[index] == address
        return self._symbols[index].name if found else ""

    def start(self, address: int) -> int | None:
        """Where the symbol that an address is in begins; None where nothing is known."""
        symbol = self._around(address)
        return None if symbol is None else symbol.address

    def _around(self, address: int) -> Symbol | None:
        index = bisect_right(self._addresses, address) - 1
        if index < 0:
            return None
        symbol = self._symbols[index]
        outside = address - symbol.address >= symbol.size > 0 or address >= self._end
        return None if outside else symbol

    def address(self, name: str) -> int | None:
        """Address of a name (the lowest, if several places share it); None if there is none."""
        return self._by_name.get(name)


def parse_system_map(text: str) -> SymbolTable:
    """Code symbols of a Linux System.map (`ffff800010080000 T _text`); lines of any other form are left out."""
    symbols = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) != 3 or fields[1] not in ("T", "t", "W", "w"):
            continue
        try:
            symbols.append(Symbol(int(fields[0], 16) & (1 << 64) - 1, 0, fields[2]))
        except ValueError:
            continue
    return SymbolTable(symbols)
