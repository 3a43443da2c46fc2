"""Typed access to properties, and what is said of wrong ones."""

from __future__ import annotations

import enum
from collections.abc import Callable
from uuid import UUID

import pytest

from engine.errors import MachineError
from engine.images.dtb import cells, node
from engine.images.properties import Properties
from tests.support.trees import tree


class Level(enum.IntEnum):
    LOW = 0
    HIGH = 3


class Bits(enum.IntFlag):
    A = 1
    C = 4


class OwnError(MachineError):
    pass


UUID_TEXT = "b4b5671e-4a90-4fe1-b81f-fb13dae1dacb"
BLOB = tree(
    {
        "compatible": "a,b",
        "one": (5,),
        "wide": cells(0x1_0000_0000),
        "three": (1, 2, 3),
        "odd": b"abc",
        "bits": (5,),
        "level": (3,),
        "uuid": UUID_TEXT,
        "nil": str(UUID(int=0)),
        "text": "x" * 100,
        "flag": None,
    },
    node("kind-a", {"compatible": "kind"}, node("x/y", {}), node("z", {})),
    node("kind-b", {"compatible": "kind"}, node("w", {})),
)


@pytest.fixture
def root() -> Properties:
    return Properties.root(BLOB, OwnError)


def test_values(root: Properties) -> None:
    assert (root.number("one"), root.number("wide"), root.words("three")) == (5, 1 << 32, (1, 2, 3))
    assert (root.word("one", 7), root.word("gone", 7), root.optional("one"), root.optional("gone")) == (5, 7, 5, None)
    assert (root.text("compatible"), root.text("gone")) == ("a,b", "")
    assert root.uuid("uuid") == UUID(UUID_TEXT)
    assert root.choice("level", Level, Level.LOW) is Level.HIGH
    assert root.choice("gone", Level, Level.LOW) is Level.LOW
    assert root.flags("bits", Bits) == Bits.A | Bits.C
    assert root.flags("gone", Bits) == Bits(0)
    assert root.has("flag")


def test_nodes(root: Properties) -> None:
    assert [each.name for each in root.nodes] == ["kind-a", "kind-b"]
    assert [each.name for each in root.children("kind")] == ["x/y", "z", "w"]
    child, gone = root.child("kind"), root.child("other")
    assert child is not None
    assert (child.name, child.names, gone) == ("kind-a", ("compatible",), None)
    assert root.node("kind-b") is not None
    assert root.node("kind-c") is None


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (lambda root: root.number("gone"), "/: gone: expected 32-bit cells (got none)"),
        (lambda root: root.number("odd"), "/: odd: expected 32-bit cells (got 3 bytes)"),
        (lambda root: root.number("three"), "/: three: expected one number (got 3 cells)"),
        (lambda root: root.word("wide", 0), "/: wide: expected at most 0xffffffff (got 0x100000000)"),
        (lambda root: root.choice("one", Level, Level.LOW), "/: one: expected one of 0 (LOW), 3 (HIGH) (got 5)"),
        (lambda root: root.flags("level", Bits), "/: level: expected bits of 0x5 (got 0x3)"),
        (lambda root: root.compatible("c"), "/: compatible: expected c (got a,b)"),
        (lambda root: root.uuid("nil"), "not zero (got 00000000-0000-0000-0000-000000000000)"),
        (lambda root: root.uuid("gone"), "(got none)"),
        (lambda root: root.uuid("text"), f"(got {'x' * 60}...)"),
        (lambda root: root.node("kind-a").number("reg"), "/kind-a: reg: expected 32-bit cells (got none)"),
        (lambda root: Properties.root(b"", OwnError), "expected a device tree"),
    ],
)
def test_refusals(root: Properties, ask: Callable[[Properties], object], problem: str) -> None:
    with pytest.raises(OwnError) as caught:
        ask(root)
    assert problem in str(caught.value)
