"""Device trees there and back, and hostile ones."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.images.dtb import DtbError, Node, Value, cells, node, pack, parse
from tests.support.fuzz import damaged
from tests.support.trees import tree

TREE = tree(
    {
        "compatible": ["arm,one", "arm,two"],
        "flag": None,
        "text": "hello",
        "raw": b"\x80\xff",
        "words": (1, 0xFFFF_FFFF),
    },
    node("cpus", {"#size-cells": (0,)}, node("cpu@0", {"reg": (0,)}), node("cpu@1", {"reg": (1,)})),
)
BEGIN, END, PROPERTY, NOP, FINISH = (struct.pack(">I", token) for token in (1, 2, 3, 4, 9))
ROOT = BEGIN + bytes(4)


def blob(body: bytes, names: bytes = b"name\0", **header: int) -> bytes:
    """A blob of hand-made blocks, structure and strings; `header` overrides fields."""
    fields = {
        "magic": 0xD00D_FEED,
        "total": 40 + len(body) + len(names),
        "structure": 40,
        "strings": 40 + len(body),
        "reserve": 40,
        "version": 17,
        "compatible": 16,
        "cpu": 0,
        "strings_size": len(names),
        "size": len(body),
    }
    return struct.pack(">10I", *(fields | header).values()) + body + names


def test_what_was_written_is_read() -> None:
    root = parse(TREE)
    assert root.properties == {
        "compatible": b"arm,one\0arm,two\0",
        "flag": b"",
        "text": b"hello\0",
        "raw": b"\x80\xff",
        "words": b"\0\0\0\1\xff\xff\xff\xff",
    }
    assert list(root.nodes["cpus"].nodes) == ["cpu@0", "cpu@1"]
    assert root.nodes["cpus"].nodes["cpu@1"].properties == {"reg": b"\0\0\0\1"}


def test_cells_have_the_high_half_first() -> None:
    assert cells(0x1_0000_0002, 3) == (1, 2, 0, 3)


def test_nops_and_trailing_bytes_are_skipped() -> None:
    structure = NOP + ROOT + NOP + PROPERTY + struct.pack(">2I", 2, 0) + b"ab\0\0" + NOP + END + FINISH
    assert parse(blob(structure) + b"more") == Node({"name": b"ab"})


def deep(levels: int) -> bytes:
    return blob(ROOT + (BEGIN + b"n\0\0\0") * levels + END * (levels + 1) + FINISH)


def long_name(size: int) -> bytes:
    return blob(BEGIN + (b"n" * size + b"\0").ljust(size + 4 & ~3, b"\0") + END + FINISH)


def test_limits_can_be_reached() -> None:
    parse(deep(16))
    parse(long_name(64))


PROPERTY_AT = PROPERTY + struct.pack(">2I", 0, 0)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "a device tree of 40 to 2097152 bytes (got 0)"),
        (bytes(40), "the magic number of a device tree (got 0x00000000)"),
        (blob(ROOT + END + FINISH, version=16), "a device tree of version 17 (got 16, compatible with 16)"),
        (blob(ROOT + END + FINISH, version=18, compatible=18), "a device tree of version 17 (got 18"),
        (TREE[:-1], "bytes (got"),
        (blob(ROOT + END + FINISH, strings_size=6), "62 bytes (got 61)"),
        (blob(ROOT + END + FINISH, structure=0xFFFF_FFFF), "4294967311 bytes (got"),
        (blob(FINISH), "a root node"),
        (blob(END), "a root node"),
        (blob(ROOT), "more of the structure block (truncated)"),
        (blob(ROOT + FINISH), "the end of a node"),
        (blob(ROOT + struct.pack(">I", 7)), "a token of a device tree (got 0x7)"),
        (blob(ROOT + PROPERTY + struct.pack(">2I", 99, 0) + END + FINISH), "more of the structure block (truncated)"),
        (blob(ROOT + PROPERTY + struct.pack(">2I", 0, 5) + END + FINISH), "a name of at most 64 characters"),
        (blob(ROOT + PROPERTY + struct.pack(">2I", 0, 0xFFFF_FFFF) + END + FINISH), "a name of at most 64 characters"),
        (blob(ROOT + PROPERTY_AT * 2 + END + FINISH), "name only once in a node"),
        (blob(ROOT + (BEGIN + b"n\0\0\0" + END) * 2 + END + FINISH), "n only once in a node"),
        (long_name(65), "a name of at most 64 characters"),
        (deep(17), "at most 4096 nodes, 16 deep"),
        (
            blob(ROOT + b"".join(BEGIN + b"%07d\0" % n + END for n in range(4096)) + END + FINISH),
            "at most 4096 nodes, 16 deep",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(data: bytes, problem: str) -> None:
    with pytest.raises(DtbError) as caught:
        parse(data)
    assert str(caught.value).startswith("expected ")
    assert problem in str(caught.value)


def test_size_is_limited() -> None:
    with pytest.raises(DtbError, match=r"40 to 2097152 bytes \(got 2097153\)"):
        parse(TREE.ljust((2 << 20) + 1, b"\0"))


def test_many_properties_cannot_share_a_long_name() -> None:
    """Or a small file would take gigabytes of copying."""
    with pytest.raises(DtbError, match="at most 64 characters"):
        parse(blob(ROOT + PROPERTY_AT * 40_000 + END + FINISH, b"n" * 500_000 + b"\0"))


names = st.text("abcdefgh,-@#0", min_size=1, max_size=31)
values: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.binary(min_size=1, max_size=9),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=9),
    st.lists(st.integers(0, 0xFFFF_FFFF), min_size=1, max_size=4).map(tuple),
)


@given(st.dictionaries(names, values, max_size=5), st.dictionaries(names, st.dictionaries(names, values), max_size=4))
def test_any_tree_comes_back(properties: dict[str, Value], below: dict[str, dict[str, Value]]) -> None:
    root = parse(pack(node("/", properties, *(node(f"{name}!", each) for name, each in below.items()))))
    assert list(root.properties) == list(properties)
    assert {name: list(each.properties) for name, each in root.nodes.items()} == {
        f"{name}!": list(each) for name, each in below.items()
    }
    for key, value in properties.items():
        match value:
            case None:
                raw = b""
            case str():
                raw = value.encode() + b"\0"
            case tuple():
                raw = struct.pack(f">{len(value)}I", *value)
            case _:
                raw = bytes(value)  # type: ignore[arg-type]
        assert root.properties[key] == raw


@given(damaged(TREE))
def test_any_bytes_are_a_tree_or_one_line(data: bytes) -> None:
    try:
        root = parse(data)
    except DtbError as error:
        assert str(error).isprintable()
        return
    assert isinstance(root, Node)
