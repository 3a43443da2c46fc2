"""Attribute words, from descriptors as the architecture spells them."""

from __future__ import annotations

import pytest

from engine.arch.attributes import mair_word, page_state, stage1_leaf, stage1_table, stage2_leaf, stage2_memory
from engine.arch.paging import S2AP, PageState, S2Leaf, S2Memory


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        (0x00, "Device-nGnRnE"),
        (0x04, "Device-nGnRE"),
        (0x08, "Device-nGRE"),
        (0x0C, "Device-GRE"),
        (0x01, "reserved"),
        (0x44, "Normal non-cacheable"),
        (0xFF, "Normal write-back"),
        (0xBB, "Normal write-through"),
        (0xEE, "Normal write-back, read-allocate"),
        (0x77, "Normal write-back transient"),
        (0x4F, "Normal outer non-cacheable, inner write-back"),
        (0xF0, "Normal outer write-back, inner reserved"),
    ],
)
def test_mair(attribute: int, words: str) -> None:
    assert mair_word(attribute) == words


def test_a_user_page_of_stage_1() -> None:
    """Page, nG, AF, outer shareable, RW at EL0, attribute 3, PXN, contiguous."""
    descriptor = 1 << 53 | 1 << 52 | 1 << 11 | 1 << 10 | 2 << 8 | 1 << 6 | 3 << 2 | 3
    assert dict(stage1_leaf(descriptor, 0xFF << 24, 1)) == {
        "AP": "RW",
        "UXN": "0",
        "PXN": "1",
        "Attr3": "Normal write-back",
        "SH": "outer",
        "AF": "1",
        "nG": "1",
        "NS": "0",
        "Contiguous": "1",
        "SW": "0x0",
    }


def test_el2_has_neither_el0_nor_asids() -> None:
    found = dict(stage1_leaf(3 << 6 | 1 << 54 | 3, 0, 2))
    assert (found["AP"], found["XN"]) == ("RO", "1")
    assert found.keys().isdisjoint({"UXN", "PXN", "nG"})


@pytest.mark.parametrize(
    ("bit", "field", "value"),
    [(63, "NSTable", "1"), (62, "APTable", "2"), (60, "UXNTable", "1"), (59, "PXNTable", "1")],
)
def test_what_a_table_takes_away(bit: int, field: str, value: str) -> None:
    assert dict(stage1_table(1 << bit | 3))[field] == value
    assert dict(stage1_table(3))[field] == "0"


@pytest.mark.parametrize(
    ("access", "words"),
    [(S2AP.NONE, "none"), (S2AP.READ, "read"), (S2AP.WRITE, "write"), (S2AP.READ_WRITE, "read/write")],
)
def test_leaves_of_our_stage_2(access: S2AP, words: str) -> None:
    leaf = S2Leaf(0x4000_0000, access, execute=False, state=PageState.SHARED_BORROWED)
    found = dict(stage2_leaf(leaf.encode(3), ours=True))
    assert (found["S2AP"], found["XN"], found["AF"], found["SH"]) == (words, "1", "1", "inner")
    assert (found["MemAttr"], found["SW"]) == ("Normal write-back", "0x2 (borrowed)")
    assert dict(stage2_leaf(leaf.encode(3), ours=False))["SW"] == "0x2"


def test_every_state_has_a_word_of_its_own() -> None:
    assert len({page_state(state) for state in PageState}) == len(PageState)


def test_memory_types_of_stage_2() -> None:
    device = S2Leaf(0, memory=S2Memory.DEVICE_nGnRE).encode(3)
    assert [stage2_memory(bits) for bits in (device, 0b0101 << 2, 0b1110 << 2)] == [
        "Device-nGnRE",
        "Normal non-cacheable",
        "Normal outer write-back, inner write-through",
    ]
