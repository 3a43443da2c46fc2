"""Descriptors there and back, and parsers on bytes that nobody meant."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack, parse_retrieve, parse_send
from engine.ffa.errors import Code, DescriptorError
from engine.ffa.memory import Attributes, parse_permissions
from engine.ffa.ranges import Composite, Range, check_ranges, parse_composite
from engine.ffa.relinquish import parse_relinquish
from engine.ffa.version import V1_0, V1_1, V1_2, Version

VERSIONS = (V1_0, V1_1, V1_2)
u16, u32, u64 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF), st.integers(0, (1 << 64) - 1)


@st.composite
def composites(draw: st.DrawFn) -> Composite:
    pieces, page = [], draw(st.integers(0, 1 << 40))
    for _ in range(draw(st.integers(1, 5))):
        pages = draw(st.integers(1, 600))
        pieces.append(Range(page * 4096, pages))
        page += pages + draw(st.integers(0, 9))
    return Composite(tuple(draw(st.permutations(pieces))))


@st.composite
def regions(draw: st.DrawFn, version: Version, send: bool) -> MemoryRegion:
    shared = draw(composites())
    impdefs = st.binary(min_size=16, max_size=16) if version >= V1_2 else st.just(bytes(16))
    entries = tuple(
        EndpointAccess(
            draw(u16),
            parse_permissions(draw(st.integers(0, 255))),
            draw(st.integers(0, 255)),
            draw(impdefs),
            shared if send else draw(st.sampled_from([None, shared, draw(composites())])),
        )
        for _ in range(draw(st.integers(1, 4)))
    )
    attributes = Attributes(draw(st.integers(0, 255) if version < V1_1 else u16))
    return MemoryRegion(draw(u16), entries, attributes, draw(u32), draw(u64), draw(u64))


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=40)
@given(st.data())
def test_round_trips(version: Version, data: st.DataObject) -> None:
    sent = data.draw(regions(version, send=True))
    assert parse_send(pack(sent, version), version) == sent
    asked = data.draw(regions(version, send=False))
    assert parse_retrieve(pack(asked, version), version) == asked


def _only_descriptor_errors(data: bytes, version: Version) -> None:
    for parser in (parse_send, parse_retrieve):
        try:
            region = parser(data, version)
        except DescriptorError:
            continue
        composites_found = {entry.composite for entry in region.access if entry.composite is not None}
        for composite in composites_found:
            check_ranges(composite.ranges)
            assert composite.size <= len(data)


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=80)
@given(st.binary(max_size=300))
def test_random_bytes(version: Version, data: bytes) -> None:
    _only_descriptor_errors(data, version)


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=100)
@given(st.data())
def test_mutated_bytes(version: Version, data: st.DataObject) -> None:
    image = bytearray(pack(data.draw(regions(version, send=data.draw(st.booleans()))), version))
    for _ in range(data.draw(st.integers(1, 4))):
        layout = data.draw(st.sampled_from(["<B", "<I", "<Q"]))
        offset = data.draw(st.integers(0, len(image) - struct.calcsize(layout)))
        values = st.sampled_from([0, 1, 8, 16, 48, 0xFF, 0xFFFF_FFF0, 0xFFFF_FFFF, (1 << 64) - 4096, (1 << 64) - 1])
        struct.pack_into(layout, image, offset, data.draw(values) & ((1 << 8 * struct.calcsize(layout)) - 1))
    cut = data.draw(st.integers(0, len(image)))
    _only_descriptor_errors(bytes(image), version)
    _only_descriptor_errors(bytes(image[:cut]), version)


@given(st.binary(max_size=64), st.integers(0, 80))
def test_composite_parser_on_random_bytes(data: bytes, offset: int) -> None:
    try:
        parse_composite(data, offset)
    except DescriptorError as error:
        assert error.code is Code.INVALID_PARAMETERS


@given(st.binary(max_size=40))
def test_relinquish_parser_on_random_bytes(data: bytes) -> None:
    try:
        assert len(parse_relinquish(data).endpoints) <= 8
    except DescriptorError as error:
        assert error.code is Code.INVALID_PARAMETERS
