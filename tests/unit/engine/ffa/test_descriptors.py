"""Memory transaction descriptors: layouts, round trips, and what hostile bytes get."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ffa.descriptors import (
    ACCESS,
    EndpointAccess,
    MemoryRegion,
    pack,
    parse_retrieve,
    parse_send,
)
from engine.ffa.errors import Code, DescriptorError
from engine.ffa.memory import NORMAL_WB_ISH, Data, Permissions
from engine.ffa.ranges import Composite, Range, check_ranges, overlap
from engine.ffa.relinquish import Relinquish, parse_relinquish
from engine.ffa.version import V1_0, V1_1, V1_2, Version

VERSIONS = (V1_0, V1_1, V1_2)
ONE_PAGE = Composite((Range(0x5000_0000, 1),))
SHARE = MemoryRegion(
    sender=1,
    access=(EndpointAccess(0x8001, Permissions(Data.RW), composite=ONE_PAGE),),
    attributes=NORMAL_WB_ISH,
    tag=0x1122_3344_5566_7788,
)

GOLDEN_1_1 = bytes.fromhex(
    "0100 2f00 00000000 0000000000000000 8877665544332211"
    "10000000 01000000 30000000 000000000000000000000000"
    "0180 02 00 40000000 0000000000000000"
    "01000000 01000000 0000000000000000"
    "0000005000000000 01000000 00000000"
)
"""DEN0077A v1.1 table 10.20 (48-byte header), 10.16 (16-byte entry), 10.13, 10.14: 96 bytes."""
GOLDEN_1_0 = bytes.fromhex(
    "0100 2f 00 00000000 0000000000000000 8877665544332211 00000000 01000000"
    "0180 02 00 30000000 0000000000000000"
    "01000000 01000000 0000000000000000"
    "0000005000000000 01000000 00000000"
)
"""DEN0077A v1.0: 32-byte header."""
GOLDEN_1_2 = bytes.fromhex(
    "0100 2f00 00000000 0000000000000000 8877665544332211"
    "20000000 01000000 30000000 000000000000000000000000"
    "0180 02 00 50000000 00000000000000000000000000000000 0000000000000000"
    "01000000 01000000 0000000000000000"
    "0000005000000000 01000000 00000000"
)
"""DEN0077A v1.2 table 11.16: entries of 32 bytes, 16 of them implementation defined."""


@pytest.mark.parametrize(("version", "golden"), zip(VERSIONS, (GOLDEN_1_0, GOLDEN_1_1, GOLDEN_1_2), strict=True))
def test_layouts(version: Version, golden: bytes) -> None:
    assert pack(SHARE, version).hex() == golden.hex()
    assert parse_send(golden, version) == SHARE


def test_a_v1_2_endpoint_may_use_short_entries() -> None:
    assert parse_send(GOLDEN_1_1, V1_2) == SHARE
    assert pack(SHARE, V1_2, ACCESS) == GOLDEN_1_1
    with pytest.raises(DescriptorError):
        parse_send(GOLDEN_1_2, V1_1)


def test_receivers_offset_is_honoured() -> None:
    moved = bytearray(GOLDEN_1_1[:48] + bytes(16) + GOLDEN_1_1[48:])
    struct.pack_into("<I", moved, 32, 64)
    struct.pack_into("<I", moved, 64 + 4, 80)
    assert parse_send(bytes(moved), V1_1) == SHARE


def test_two_ranges_total_four_pages() -> None:
    region = MemoryRegion(
        1,
        (EndpointAccess(0x8001, Permissions(Data.RW), composite=Composite((Range(0x1000, 1), Range(0x3000, 3)))),),
    )
    parsed = parse_send(pack(region, V1_1), V1_1)
    assert parsed.composite is not None
    assert parsed.composite.pages == 4


def test_receivers_are_16_byte_aligned() -> None:
    moved = bytearray(GOLDEN_1_1[:48] + bytes(8) + GOLDEN_1_1[48:])
    struct.pack_into("<I", moved, 32, 56)
    struct.pack_into("<I", moved, 56 + 4, 72)
    with pytest.raises(DescriptorError):
        parse_send(bytes(moved), V1_1)


def _edit(offset: int, layout: str, value: int) -> bytes:
    data = bytearray(GOLDEN_1_1)
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


HOSTILE = {
    "16 bytes": GOLDEN_1_1[:16],
    "header reserved": _edit(40, "<I", 1),
    "entry size 0": _edit(24, "<I", 0),
    "entry size 24": _edit(24, "<I", 24),
    "no receivers": _edit(28, "<I", 0),
    "too many receivers": _edit(28, "<I", 9),
    "receiver count 2^32-1": _edit(28, "<I", 0xFFFF_FFFF),
    "receivers inside header": _edit(32, "<I", 32),
    "receivers unaligned": _edit(32, "<I", 56),
    "receivers past the end": _edit(32, "<I", 0xFFFF_FFF0),
    "entry reserved": _edit(56, "<Q", 1),
    "composite in header": _edit(52, "<I", 8),
    "composite in entries": _edit(52, "<I", 56),
    "composite unaligned": _edit(52, "<I", 68),
    "composite past the end": _edit(52, "<I", 0xFFFF_FFF8),
    "no composite": _edit(52, "<I", 0),
    "page total differs": _edit(64, "<I", 2),
    "no ranges": _edit(68, "<I", 0),
    "range count 2^32-1": _edit(68, "<I", 0xFFFF_FFFF),
    "composite reserved": _edit(72, "<Q", 1),
    "address unaligned": _edit(80, "<Q", 0x5000_0001),
    "no pages in range": _edit(88, "<I", 0),
    "range wraps": _edit(80, "<Q", (1 << 64) - 4096 + 0)[:88] + struct.pack("<I", 2) + GOLDEN_1_1[92:],
    "constituent reserved": _edit(92, "<I", 1),
    "trailing bytes": GOLDEN_1_1 + bytes(16),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused(name: str) -> None:
    with pytest.raises(DescriptorError) as refused:
        parse_send(HOSTILE[name], V1_1)
    assert refused.value.code is Code.INVALID_PARAMETERS


def test_ranges_of_one_descriptor_may_not_overlap_or_wrap() -> None:
    check_ranges([Range(0x3000, 1), Range(0x1000, 2)])
    check_ranges([Range((1 << 64) - 4096, 1)])
    for bad in ([Range(0x1000, 2), Range(0x2000, 1)], [Range((1 << 64) - 4096, 2)], [Range(0x800, 1)]):
        with pytest.raises(DescriptorError):
            check_ranges(bad)


def test_entries_of_a_send_share_one_composite() -> None:
    other = EndpointAccess(2, Permissions(Data.RO), composite=Composite((Range(0x9000, 1),)))
    two = MemoryRegion(1, (SHARE.access[0], other))
    with pytest.raises(DescriptorError):
        parse_send(pack(two, V1_1), V1_1)
    assert parse_retrieve(pack(two, V1_1), V1_1) == two


def test_composites_may_not_overlap() -> None:
    two = MemoryRegion(1, (SHARE.access[0], EndpointAccess(2, Permissions(Data.RO), composite=ONE_PAGE)))
    data = bytearray(pack(two, V1_1))
    struct.pack_into("<I", data, 64 + 4, 88)
    with pytest.raises(DescriptorError):
        parse_retrieve(bytes(data), V1_1)


def test_overlap_between_lists() -> None:
    assert overlap([Range(0x1000, 1)], [Range(0x2000, 1)]) is None
    assert overlap([Range(0x9000, 1), Range(0x1000, 2)], [Range(0x2000, 1)]) == Range(0x1000, 2)


page_lists = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), min_size=1, max_size=6)


@given(page_lists, page_lists)
def test_overlap_agrees_with_sets_of_pages(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    def disjoint(pairs: list[tuple[int, int]]) -> list[Range]:
        kept: list[Range] = []
        for start, pages in pairs:
            piece = Range(start * 4096, pages)
            if not any(piece.overlaps(other) for other in kept):
                kept.append(piece)
        return kept

    def pages(ranges: list[Range]) -> set[int]:
        return {page for piece in ranges for page in range(piece.address, piece.end, 4096)}

    one, other = disjoint(first), disjoint(second)
    assert (overlap(one, other) is not None) == bool(pages(one) & pages(other))


def test_relinquish_layout() -> None:
    """DEN0077A v1.1 table 16.25: handle, flags, count, then 16-bit endpoint ids."""
    golden = bytes.fromhex("efcdab9078563412 01000000 02000000 0100 0280")
    request = Relinquish(0x1234_5678_90AB_CDEF, (1, 0x8002), 1)
    assert request.pack() == golden
    assert parse_relinquish(golden + b"rest of the buffer") == request
