"""Flattened device trees (Devicetree Specification 0.4, 5): nodes to bytes, and hostile bytes to nodes.

Writing is pyfdt's. Reading is not: pyfdt guesses the type of every property from its bytes, prints what it does not
know, and does not bound what it reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pyfdt.pyfdt import Fdt, FdtNode, FdtProperty, FdtPropertyBytes, FdtPropertyStrings, FdtPropertyWords

from engine.errors import MachineError

Value = str | list[str] | tuple[int, ...] | bytes | None
"""A property to write: strings, 32-bit cells, bytes, or nothing (a flag)."""

_HEADER = struct.Struct(">10I")
_MAGIC = 0xD00D_FEED
_BEGIN, _END, _PROPERTY, _NOP, _FINISH = 1, 2, 3, 4, 9
_LARGEST = 2 << 20
"""Bytes of a tree that is read."""
_DEEPEST = 16
_MOST_NODES = 4096
_LONGEST = 64
"""Characters of a name; the specification has 31 for properties, and 31 before a node's unit address."""


class DtbError(MachineError):
    """Bytes that are no device tree; the text says what is wrong with them."""


@dataclass(slots=True)
class Node:
    """A node as it was read: raw property values, and subnodes by name."""

    properties: dict[str, bytes] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)


# --- writing ------------------------------------------------------------------------------------


def node(name: str, properties: Mapping[str, Value], *nodes: FdtNode) -> FdtNode:
    """A node to write."""
    made = FdtNode(name)
    for key, value in properties.items():
        set_property(made, key, value)
    for each in nodes:
        made.append(each)
    return made


def set_property(parent: FdtNode, key: str, value: Value) -> None:
    """Add a property to a node."""
    match value:
        case None:
            parent.append(FdtProperty(key))
        case bytes():
            # pyfdt wants signed bytes.
            parent.append(FdtPropertyBytes(key, [byte - 256 if byte > 127 else byte for byte in value]))
        case str():
            parent.append(FdtPropertyStrings(key, [value]))
        case list():
            parent.append(FdtPropertyStrings(key, value))
        case tuple():
            parent.append(FdtPropertyWords(key, list(value)))


def cells(*values: int) -> tuple[int, ...]:
    """64-bit numbers as pairs of cells, high half first."""
    return tuple(half for value in values for half in (value >> 32, value & 0xFFFF_FFFF))


def pack(root: FdtNode) -> bytes:
    """A tree as a blob of version 17."""
    tree = Fdt()
    tree.add_rootnode(root)
    return bytes(tree.to_dtb())


# --- reading ------------------------------------------------------------------------------------


def parse(data: bytes) -> Node:
    """The root of a tree. Raises DtbError."""
    if not _HEADER.size <= len(data) <= _LARGEST:
        raise DtbError(f"expected a device tree of {_HEADER.size} to {_LARGEST} bytes (got {len(data)})")
    magic, total, structure, strings, _, version, compatible, _, strings_size, size = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise DtbError(f"expected the magic number of a device tree (got {magic:#010x})")
    if version < 17 or compatible > 17:
        raise DtbError(f"expected a device tree of version 17 (got {version}, compatible with {compatible})")
    if max(total, structure + size, strings + strings_size) > len(data):
        raise DtbError(f"expected {max(total, structure + size, strings + strings_size)} bytes (got {len(data)})")
    return _Reader(data[structure : structure + size], data[strings : strings + strings_size]).root()


class _Reader:
    def __init__(self, structure: bytes, strings: bytes) -> None:
        self._structure = structure
        self._strings = strings
        self._at = 0
        self._count = 0

    def root(self) -> Node:
        for token in self._tokens():
            if token != _BEGIN:
                break
            self._name()
            return self._node(0)
        raise DtbError("expected a root node")

    def _tokens(self) -> Iterator[int]:
        """Tokens other than NOP, up to the end of the structure block."""
        while True:
            token = self._word()
            if token == _FINISH:
                return
            if token != _NOP:
                yield token

    def _word(self) -> int:
        return int.from_bytes(self._bytes(4), "big")

    def _bytes(self, size: int) -> bytes:
        value = self._structure[self._at : self._at + size]
        if len(value) != size:
            raise DtbError("expected more of the structure block (truncated)")
        self._at += (size + 3) & ~3
        return value

    def _name(self) -> str:
        name = _string(self._structure, self._at)
        self._bytes(len(name) + 1)
        return name.decode("ascii", "backslashreplace")

    def _node(self, depth: int) -> Node:
        found = Node()
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST_NODES:
            raise DtbError(f"expected at most {_MOST_NODES} nodes, {_DEEPEST} deep")
        for token in self._tokens():
            if token == _END:
                return found
            if token == _BEGIN:
                name = self._name()
                _once(name, found.nodes)
                found.nodes[name] = self._node(depth + 1)
            elif token == _PROPERTY:
                size, offset = self._word(), self._word()
                key = _string(self._strings, offset).decode("ascii", "backslashreplace")
                _once(key, found.properties)
                found.properties[key] = self._bytes(size)
            else:
                raise DtbError(f"expected a token of a device tree (got {token:#x})")
        raise DtbError("expected the end of a node")


def _string(block: bytes, at: int) -> bytes:
    """A name that ends in NUL. Its length is bounded, or many properties could share one very long name."""
    end = block.find(b"\0", at, at + _LONGEST + 1)
    if end < 0:
        raise DtbError(f"expected a name of at most {_LONGEST} characters that ends in NUL")
    return block[at:end]


def _once(name: str, found: Mapping[str, object]) -> None:
    if name in found:
        raise DtbError(f"expected {name} only once in a node")
