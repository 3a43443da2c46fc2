"""Device trees of the secure world's boot chain, for tests."""

from __future__ import annotations

from collections.abc import Mapping

from pyfdt.pyfdt import FdtNode

from engine.images.dtb import Value, node, pack

MANIFEST: Mapping[str, Value] = {
    "compatible": "arm,ffa-manifest-1.0",
    "ffa-version": (0x0001_0002,),
    "uuid": (0x1234_5678,) * 4,
}
"""The properties that every partition manifest has."""


def tree(properties: Mapping[str, Value], *nodes: FdtNode) -> bytes:
    """A device tree with these properties at its root."""
    return pack(node("/", properties, *nodes))


def manifest(properties: Mapping[str, Value] | None = None, *nodes: FdtNode) -> bytes:
    """A partition manifest; a property that is `()` is left out."""
    merged = {**MANIFEST, **(properties or {})}
    return tree({key: value for key, value in merged.items() if value != ()}, *nodes)


def regions(kind: str, *nodes: FdtNode) -> FdtNode:
    """The node of `memory` or `device` regions."""
    return node(f"{kind}-regions", {"compatible": f"arm,ffa-manifest-{kind}-regions"}, *nodes)
