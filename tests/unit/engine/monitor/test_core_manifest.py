"""The SPMC's own manifest, TOS_FW_CONFIG."""

from __future__ import annotations

import pytest
from hypothesis import given

from engine.board.memory_map import SPMC_BASE, SPMC_SIZE
from engine.ffa.version import V1_0, V1_1, V1_2
from engine.images.dtb import Value, cells, node
from engine.monitor.core_manifest import CoreManifest, CoreManifestError, pack_core_manifest, parse_core_manifest
from tests.support.fuzz import damaged
from tests.support.trees import tree

USUAL: dict[str, Value] = {"spmc_id": (0x8000,), "maj_ver": (1,), "min_ver": (1,)}


def core(compatible: str = "arm,ffa-core-manifest-1.0", **properties: Value) -> bytes:
    present = {key: value for key, value in (USUAL | properties).items() if value != ()}
    return tree({"compatible": compatible}, node("attribute", present))


def test_what_was_packed_is_read() -> None:
    for manifest in (CoreManifest(), CoreManifest(0x8000, V1_0, 0x0E40_0000, 0x0E40_0100, 0x1000)):
        assert parse_core_manifest(pack_core_manifest(manifest)) == manifest


def test_the_default() -> None:
    assert CoreManifest() == CoreManifest(0x8000, V1_2, 0x0E10_0000, 0x0E10_0000, 0x20_0000)
    assert CoreManifest().end == 0x0E30_0000


def test_what_may_be_left_out() -> None:
    assert parse_core_manifest(core()) == CoreManifest(0x8000, V1_1, SPMC_BASE, SPMC_BASE, SPMC_SIZE)


def test_it_begins_where_it_is_loaded_unless_told() -> None:
    found = parse_core_manifest(core(load_address=cells(0x0E20_0000), entrypoint=cells(0)))
    assert (found.load_address, found.entry) == (0x0E20_0000, 0x0E20_0000)


def test_how_others_write_it() -> None:
    """One cell or two, and nodes that are none of ours."""
    attribute = node(
        "attribute", {**USUAL, "exec_state": (0,), "load_address": (0x0E10_0000,), "binary_size": (0x1000,)}
    )
    data = tree({"compatible": "arm,ffa-core-manifest-1.0"}, node("hypervisor", {}), attribute, node("cpus", {}))
    assert parse_core_manifest(data).size == 0x1000


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "TOS_FW_CONFIG: expected a device tree"),
        (core("arm,other"), "/: compatible: expected arm,ffa-core-manifest-1.0 (got arm,other)"),
        (tree({"compatible": "arm,ffa-core-manifest-1.0"}), "/attribute: expected this node (missing)"),
        (core(spmc_id=()), "/attribute: spmc_id: expected 32-bit cells (got none)"),
        (core(maj_ver=()), "/attribute: maj_ver: expected 32-bit cells (got none)"),
        (core(min_ver=()), "/attribute: min_ver: expected 32-bit cells (got none)"),
        (core(spmc_id=(0x8001,)), "/attribute: spmc_id: expected 0x8000 (got 0x8001)"),
        (core(maj_ver=(2,)), "/attribute: maj_ver: expected 1.0 to 1.2 (got 2.1)"),
        (core(min_ver=(3,)), "/attribute: min_ver: expected 1.0 to 1.2 (got 1.3)"),
        (core(exec_state=(1,)), "/attribute: exec_state: expected 0 (AArch64) (got 1)"),
        (core(load_address=(1,)), "/attribute: load_address: expected a page address (got 0x1)"),
        (core(binary_size=(0,)), "/attribute: binary_size: expected at least 1 (got 0)"),
        (core(binary_size=b"abc"), "/attribute: binary_size: expected 32-bit cells (got 3 bytes)"),
        (
            core(entrypoint=cells(0x0E30_0000)),
            "/attribute: entrypoint: expected an instruction from 0xe100000 to 0xe300000 (got 0xe300000)",
        ),
        (core(entrypoint=cells(0x0E10_0002)), "/attribute: entrypoint: expected an instruction"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(data: bytes, problem: str) -> None:
    with pytest.raises(CoreManifestError) as caught:
        parse_core_manifest(data)
    assert str(caught.value).startswith("TOS_FW_CONFIG: ")
    assert problem in str(caught.value)


@given(damaged(core(), pack_core_manifest(CoreManifest())))
def test_any_bytes_are_a_manifest_or_one_line(data: bytes) -> None:
    try:
        found = parse_core_manifest(data)
    except CoreManifestError as error:
        assert str(error).isprintable()
        return
    assert found.load_address <= found.entry < found.end
