"""The Endpoint RX/TX descriptor (DEN0077A v1.2, 13.4)."""

from __future__ import annotations

import pytest

from engine.ffa.endpoint_buffers import EndpointBuffers, parse_endpoint_buffers
from engine.ffa.errors import Code, DescriptorError
from engine.ffa.ranges import Composite, Range

RX, TX = Range(0x4000_1000, 1), Range(0x4000_0000, 1)
PLAIN = EndpointBuffers(2, Composite((RX,)), Composite((TX,)))
SPREAD = EndpointBuffers(0x7FFF, Composite((RX, Range(0x5000_0000, 1))), Composite((Range(0x6000_0000, 2),)))


def composite(*ranges: Range) -> Composite:
    return Composite(ranges)


@pytest.mark.parametrize("found", [PLAIN, SPREAD])
def test_what_is_packed_is_parsed(found: EndpointBuffers) -> None:
    assert parse_endpoint_buffers(found.pack()) == found
    assert parse_endpoint_buffers(found.pack() + b"\xff" * 64) == found


def test_the_layout() -> None:
    """Id, reserved and both offsets; RX first; each region counts its pages and ranges."""
    data = PLAIN.pack()
    assert data[:12] == bytes.fromhex("0200 0000 10000000 30000000")
    assert data[0x10:0x30] == bytes.fromhex("01000000 01000000 0000000000000000 0010004000000000 01000000 00000000")
    assert data[0x30:0x50] == bytes.fromhex("01000000 01000000 0000000000000000 0000004000000000 01000000 00000000")
    assert len(data) == 0x50


def test_regions_may_begin_right_after_the_header() -> None:
    """12 bytes of header, and what aligns a region to 8 bytes."""
    regions = PLAIN.tx.pack() + PLAIN.rx.pack()
    data = bytes.fromhex("0200 0000 30000000 10000000 00000000") + regions
    assert parse_endpoint_buffers(data) == PLAIN


@pytest.mark.parametrize(
    ("at", "value"),
    [(2, 1), (4, 8), (8, 0), (4, 0x14), (4, 0x48), (8, 0xFFFF_FFF8), (0x10, 2), (0x14, 2), (0x14, 0), (0x18, 1)],
    ids=["reserved", "rx in head", "tx in head", "odd", "late", "far", "pages", "ranges", "none", "region's reserved"],
)
def test_malformed(at: int, value: int) -> None:
    data = bytearray(PLAIN.pack())
    size = 2 if at == 2 else 4
    data[at : at + size] = value.to_bytes(size, "little")
    with pytest.raises(DescriptorError) as refused:
        parse_endpoint_buffers(bytes(data))
    assert refused.value.code is Code.INVALID_PARAMETERS


@pytest.mark.parametrize("size", [0, 11, 12, 0x2F, 0x4F])
def test_cut_short(size: int) -> None:
    with pytest.raises(DescriptorError):
        parse_endpoint_buffers(PLAIN.pack()[:size])


@pytest.mark.parametrize(
    "found",
    [
        EndpointBuffers(2, composite(RX), composite(RX)),
        EndpointBuffers(2, composite(RX, TX), composite(Range(0x5000_0000, 1), TX)),
        EndpointBuffers(2, composite(RX), composite(Range(0x5000_0000, 2))),
    ],
    ids=["the same", "one page in both", "sizes"],
)
def test_pairs_that_cannot_be(found: EndpointBuffers) -> None:
    with pytest.raises(DescriptorError) as refused:
        parse_endpoint_buffers(found.pack())
    assert refused.value.code is Code.INVALID_PARAMETERS
