"""BL2's list of secure partitions, TB_FW_CONFIG."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.images.dtb import Value, cells, node
from engine.monitor.fw_config import FwConfigError, SpEntry, pack_fw_config, parse_fw_config, swapped
from tests.support.fuzz import damaged
from tests.support.trees import tree

TEXT = "b4b5671e-4a90-4fe1-b81f-fb13dae1dacb"
ENTRIES = (
    SpEntry("one", UUID(TEXT), 0x0E30_0000),
    SpEntry("two", UUID("d1582309-f023-47b9-827c-4464f5578fc8"), 0x0E40_0000, "SiP"),
)
DATA = pack_fw_config(ENTRIES)


def config(*sps: dict[str, Value]) -> bytes:
    nodes = (node(f"sp{number}", each) for number, each in enumerate(sps, 1))
    return tree({}, node("tb_fw-config", {"compatible": "arm,tb_fw"}), node("sps", {"compatible": "arm,sp"}, *nodes))


def sp(**properties: Value) -> dict[str, Value]:
    usual: dict[str, Value] = {"uuid": TEXT, "load_address": (0x0E30_0000,)}
    return {key.replace("_", "-"): value for key, value in (usual | properties).items() if value != ()}


def test_what_was_packed_is_read() -> None:
    assert parse_fw_config(DATA) == ENTRIES
    assert parse_fw_config(pack_fw_config([])) == ()


def test_how_others_write_it() -> None:
    """The address in one cell or two, UUIDs in either case, no owner, other nodes beside."""
    two = sp(uuid=TEXT.upper().replace("B4", "00", 1), load_address=cells(0x0E40_0000), owner="SiP")
    first, second = parse_fw_config(config(sp(), two))
    assert first == SpEntry("sp1", UUID(TEXT), 0x0E30_0000, "Plat")
    assert second == SpEntry("sp2", UUID("00b5671e-4a90-4fe1-b81f-fb13dae1dacb"), 0x0E40_0000, "SiP")


def test_swapped() -> None:
    """What somebody has who wrote the words of a manifest, 0x1e67b5b4 0xe14f904a 0x13fb1fb8 0xcbdae1da, as they are."""
    wrong = UUID("1e67b5b4-e14f-904a-13fb-1fb8cbdae1da")
    assert swapped(wrong) == UUID("b4b5671e-4a90-4fe1-b81f-fb13dae1dacb")


@given(st.uuids())
def test_swapping_twice_changes_nothing(uuid: UUID) -> None:
    assert swapped(swapped(uuid)) == uuid


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "expected a device tree"),
        (tree({"compatible": "arm,sp"}), "/secure-partitions: expected a node compatible with arm,sp (missing)"),
        (config(sp(uuid=())), "/sps/sp1: uuid: expected a UUID, eight-four-four-four-twelve hexadecimal digits"),
        (config(sp(uuid=TEXT[:-1])), "/sps/sp1: uuid: expected a UUID"),
        (config(sp(uuid="{" + TEXT + "}")), "/sps/sp1: uuid: expected a UUID"),
        (config(sp(uuid=str(UUID(int=0)))), "not zero"),
        (config(sp(load_address=())), "/sps/sp1: load-address: expected 32-bit cells (got none)"),
        (config(sp(load_address=(0x0E30_0800,))), "load-address: expected a page address of 48 bits (got 0xe300800)"),
        (config(sp(load_address=cells(1 << 48))), "load-address: expected a page address of 48 bits"),
        (config(sp(), sp()), f"/sps/sp2: uuid: expected a UUID that no other partition has (got {TEXT})"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(data: bytes, problem: str) -> None:
    with pytest.raises(FwConfigError) as caught:
        parse_fw_config(data)
    assert str(caught.value).startswith("TB_FW_CONFIG: ")
    assert problem in str(caught.value)


@given(damaged(DATA, config(sp(owner="SiP"))))
def test_any_bytes_are_a_configuration_or_one_line(data: bytes) -> None:
    try:
        found = parse_fw_config(data)
    except FwConfigError as error:
        assert str(error).isprintable()
        return
    assert len({entry.uuid for entry in found}) == len(found)
