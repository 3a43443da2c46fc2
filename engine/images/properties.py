"""Typed access to the properties of a device tree node; every complaint names node and property."""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar
from uuid import UUID

from engine.errors import MachineError
from engine.images.dtb import DtbError, Node, parse

_E = TypeVar("_E", bound=enum.IntEnum)
_F = TypeVar("_F", bound=enum.IntFlag)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SHOWN = 60
"""Characters of a hostile string that an error repeats."""


class Properties:
    """One node of a tree that somebody else wrote. `refuse` makes the error that the tree's reader is known for."""

    def __init__(self, found: Node, path: str, error: Callable[[str], MachineError], name: str = "") -> None:
        self._node = found
        self._path = path
        self._error = error
        self.name = name
        """Of the node, without the path to it."""

    @classmethod
    def root(cls, data: bytes, error: Callable[[str], MachineError]) -> Properties:
        """The root of a blob; the reader's own error where it is no device tree."""
        try:
            return cls(parse(data), "/", error)
        except DtbError as problem:
            raise error(str(problem)) from None

    def refuse(self, key: str, expected: str, got: object) -> NoReturn:
        """Complain about a property."""
        text = str(got)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise self._error(f"{self._path}: {key}: expected {expected} (got {shown})")

    # --- properties ----------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        return key in self._node.properties

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the properties."""
        return tuple(self._node.properties)

    def words(self, key: str) -> tuple[int, ...]:
        """32-bit cells, at least one."""
        value = self._node.properties.get(key, b"")
        if len(value) % 4 or not value:
            self.refuse(key, "32-bit cells", f"{len(value)} bytes" if self.has(key) else "none")
        return struct.unpack(f">{len(value) // 4}I", value)

    def number(self, key: str, most: int = (1 << 64) - 1) -> int:
        """One cell, or two that make 64 bits; it must be there."""
        words = self.words(key)
        if len(words) > 2:
            self.refuse(key, "one number", f"{len(words)} cells")
        number = words[0] if len(words) == 1 else words[0] << 32 | words[1]
        if number > most:
            self.refuse(key, f"at most {most:#x}", f"{number:#x}")
        return number

    def word(self, key: str, default: int, most: int = 0xFFFF_FFFF) -> int:
        """A number, `default` where the property is missing."""
        return self.number(key, most) if self.has(key) else default

    def optional(self, key: str, most: int = (1 << 64) - 1) -> int | None:
        """A number, None where the property is missing."""
        return self.number(key, most) if self.has(key) else None

    def text(self, key: str) -> str:
        """A string, empty where the property is missing."""
        return self._node.properties.get(key, b"").rstrip(b"\0").decode("ascii", "backslashreplace")

    def uuid(self, key: str) -> UUID:
        """A UUID in its usual text form."""
        text = self.text(key)
        if _UUID.fullmatch(text) is None or not UUID(text).int:
            self.refuse(key, "a UUID, eight-four-four-four-twelve hexadecimal digits, not zero", text or "none")
        return UUID(text)

    def choice(self, key: str, kind: type[_E], default: _E) -> _E:
        """A member of an enumeration."""
        number = self.word(key, default)
        try:
            return kind(number)
        except ValueError:
            names = ", ".join(f"{each.value} ({each.name})" for each in kind)
            self.refuse(key, f"one of {names}", number)

    def flags(self, key: str, kind: type[_F]) -> _F:
        """A set of flags, none where the property is missing."""
        number = self.word(key, 0)
        known = sum(kind)
        if number & ~known:
            self.refuse(key, f"bits of {known:#x}", f"{number:#x}")
        return kind(number)

    def compatible(self, expected: str) -> None:
        """Complain unless the node is of a kind."""
        if self.text("compatible") != expected:
            self.refuse("compatible", expected, self.text("compatible") or "none")

    # --- nodes ---------------------------------------------------------------------------------

    @property
    def nodes(self) -> Iterator[Properties]:
        """Its subnodes."""
        for name, below in self._node.nodes.items():
            yield Properties(below, f"{self._path.rstrip('/')}/{name}", self._error, name)

    def node(self, name: str) -> Properties | None:
        """The subnode with a name."""
        return next((each for each in self.nodes if each.name == name), None)

    def child(self, compatible: str) -> Properties | None:
        """The first subnode that is of a kind."""
        return next((each for each in self.nodes if each.text("compatible") == compatible), None)

    def children(self, compatible: str) -> Iterator[Properties]:
        """The nodes below every subnode that is of a kind."""
        for each in self.nodes:
            if each.text("compatible") == compatible:
                yield from each.nodes
