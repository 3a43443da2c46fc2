"""Indirect message headers and partition information."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ffa.errors import Code, DescriptorError, FfaError
from engine.ffa.flags import PartitionProperty
from engine.ffa.message import Message, pack_message, parse_message
from engine.ffa.partition_info import (
    PartitionInfo,
    descriptor_size,
    matching,
    pack_infos,
    parse_infos,
    regs_page,
    seen_by,
    uuid_from_registers,
    uuid_from_words,
    uuid_registers,
    uuid_words,
)
from engine.ffa.version import V1_0, V1_1, V1_2, Version

UUID1 = UUID("12345678-9abc-def0-1111-222233334444")
NIL = UUID(int=0)


def test_message_header_of_v1_1() -> None:
    """DEN0077A v1.1 table 6.2: 20 bytes. A header of sender, receiver and size alone is not one."""
    golden = bytes.fromhex("00000000 00000000 14000000 02000100 04000000 bebafeca")
    message = Message(1, 2, bytes.fromhex("bebafeca"))
    assert pack_message(message, V1_1) == golden
    assert parse_message(golden + bytes(8), V1_1) == message
    assert message.size(V1_1) == 24


def test_message_header_of_v1_2_has_a_uuid() -> None:
    golden = bytes.fromhex("00000000 00000000 28000000 02000100 02000000 00000000") + UUID1.bytes + b"hi"
    message = Message(1, 2, b"hi", UUID1)
    assert pack_message(message, V1_2) == golden
    assert parse_message(golden, V1_2) == message


def test_payload_offset_is_honoured() -> None:
    data = bytearray(pack_message(Message(1, 2, b"hi"), V1_1) + b"yo")
    data[8] = 22
    assert parse_message(bytes(data), V1_1).payload == b"yo"


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, 1), (8, 19), (8, 23), (8, 0xFFFF_FFFF), (16, 0), (16, 5), (16, 0xFFFF_FFFF)],
    ids=["flags", "in header", "shifted out", "far offset", "empty", "too long", "far size"],
)
def test_hostile_headers(offset: int, value: int) -> None:
    data = bytearray(pack_message(Message(1, 2, b"four"), V1_1))
    data[offset : offset + 4] = value.to_bytes(4, "little")
    with pytest.raises(DescriptorError) as refused:
        parse_message(bytes(data), V1_1)
    assert refused.value.code is Code.INVALID_PARAMETERS


def test_v1_0_has_no_indirect_messages() -> None:
    with pytest.raises(DescriptorError) as refused:
        parse_message(bytes(64), V1_0)
    assert refused.value.code is Code.NOT_SUPPORTED


@given(st.binary(max_size=80), st.sampled_from([V1_1, V1_2]))
def test_message_parser_on_random_bytes(data: bytes, version: Version) -> None:
    try:
        assert parse_message(data, version).payload in data
    except DescriptorError as error:
        assert error.code is Code.INVALID_PARAMETERS


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=64), st.uuids())
def test_message_round_trip(sender: int, receiver: int, payload: bytes, uuid: UUID) -> None:
    for version, sent in ((V1_1, Message(sender, receiver, payload)), (V1_2, Message(sender, receiver, payload, uuid))):
        assert parse_message(pack_message(sent, version), version) == sent


INFO = PartitionInfo(0x8001, 1, PartitionProperty.RECEIVE_DIRECT | PartitionProperty.AARCH64, UUID1)


def test_partition_info_layouts() -> None:
    """DEN0077A v1.2 table Partition information descriptor: 24 bytes, 8 in v1.0; properties 0x101."""
    assert pack_infos([INFO], V1_0) == bytes.fromhex("0180 0100 01010000")
    assert pack_infos([INFO], V1_1) == bytes.fromhex("0180 0100 01010000") + UUID1.bytes
    assert (descriptor_size(V1_0), descriptor_size(V1_1), descriptor_size(V1_2)) == (8, 24, 24)
    for version in (V1_1, V1_2):
        assert parse_infos(pack_infos([INFO, INFO], version), 2, version) == (INFO, INFO)
    assert parse_infos(pack_infos([INFO], V1_0), 1, V1_0)[0].uuid == NIL
    for count in (-1, 2, 1 << 32):
        with pytest.raises(DescriptorError):
            parse_infos(pack_infos([INFO], V1_1), count, V1_1)


def test_what_a_caller_is_told() -> None:
    full = PartitionInfo(1, 2, PartitionProperty(0x7FF), UUID1)
    assert seen_by(full, V1_2, True, NIL) == full
    assert seen_by(full, V1_2, False, NIL).properties == PartitionProperty(0x3FD)
    assert seen_by(full, V1_2, True, UUID1).uuid == NIL
    assert seen_by(full, V1_1, True, NIL).properties == PartitionProperty(0x1FF)
    assert seen_by(full, V1_0, True, NIL).properties == PartitionProperty(0x7)


def test_uuid_filter() -> None:
    other = PartitionInfo(2, 1, PartitionProperty(1))
    assert matching([INFO, other], NIL) == (INFO, other)
    assert matching([INFO, other], UUID1) == (INFO,)
    assert matching([], NIL) == ()
    with pytest.raises(FfaError) as refused:
        matching([other], UUID1)
    assert refused.value.code is Code.INVALID_PARAMETERS


@given(st.uuids())
def test_uuid_registers(uuid: UUID) -> None:
    """DEN0077A v1.2, 13.8: byte 0 of the UUID is the lowest byte of w1."""
    assert uuid_words(uuid)[0] & 0xFF == uuid.bytes[0]
    assert uuid_from_words(uuid_words(uuid)) == uuid
    assert uuid_from_registers(*uuid_registers(uuid)) == uuid


def test_info_in_registers() -> None:
    """DEN0077A v1.2, 13.9: five descriptors of three registers, then the rest."""
    infos = [PartitionInfo(0x8001 + n, 1, PartitionProperty(1), UUID1) for n in range(7)]
    first = regs_page(infos, 0, 0, 0x55)
    assert first[0] == 6 | 4 << 16 | 0x55 << 32 | 24 << 48
    assert len(first) == 16
    assert first[1] == 0x8001 | 1 << 16 | 1 << 32
    assert first[2:4] == uuid_registers(UUID1)
    second = regs_page(infos, 5, 0x55, 0x55)
    assert (second[0], len(second)) == (6 | 6 << 16 | 0x55 << 32 | 24 << 48, 7)
    for index, tag, code in ((7, 0x55, Code.INVALID_PARAMETERS), (5, 0x54, Code.RETRY)):
        with pytest.raises(FfaError) as refused:
            regs_page(infos, index, tag, 0x55)
        assert refused.value.code is code
