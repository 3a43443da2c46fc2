"""Descriptors field by field: whole ones, cut ones, and bytes that nobody meant."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ffa import dissect
from engine.ffa.abi import Function
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.dissect import Field
from engine.ffa.flags import PartitionProperty
from engine.ffa.memory import NORMAL_WB_ISH, Data, Instruction, Permissions
from engine.ffa.message import SHOWN, Message, pack_message
from engine.ffa.outline import outline
from engine.ffa.partition_info import PartitionInfo, pack_infos
from engine.ffa.ranges import Composite, Range
from engine.ffa.relinquish import Relinquish
from engine.ffa.version import V1_0, V1_1, V1_2, Version

VERSIONS = (V1_0, V1_1, V1_2)
COMPOSITE = Composite((Range(0x4900_0000, 2), Range(0x4901_0000, 1)))
REGION = MemoryRegion(
    sender=1,
    access=(
        EndpointAccess(2, Permissions(Data.RO), composite=COMPOSITE),
        EndpointAccess(0x8001, Permissions(Data.RW, Instruction.NX), 1, composite=COMPOSITE),
    ),
    attributes=NORMAL_WB_ISH,
    flags=0b1001,
    handle=0x8000_0000_0000_0002,
    tag=0x7A6,
)


def values(fields: list[Field], name: str) -> list[str]:
    return [field.value for field in fields if field.name == name]


@pytest.mark.parametrize(("version", "size", "at"), [(V1_0, 16, 32), (V1_1, 16, 48), (V1_2, 32, 48)])
def test_every_field_of_a_memory_region(version: Version, size: int, at: int) -> None:
    end = at + 2 * size
    assert dissect.sent(Function.MEM_SHARE_32, pack(REGION, version), version) == [
        Field("sender", "1"),
        Field("attributes", "0x2f normal WB ISH"),
        Field("flags", "0x9 zero, share"),
        Field("handle", "0x8000000000000002"),
        Field("tag", "0x7a6"),
        Field("receivers", f"2, each {size} bytes, at {at}"),
        Field("receiver", "2"),
        Field("permissions", "0x1 RO UNSPECIFIED", 1),
        Field("flags", "0x0", 1),
        Field("composite", f"at {end}", 1),
        Field("receiver", "0x8001"),
        Field("permissions", "0x6 RW NX", 1),
        Field("flags", "0x1 another borrower", 1),
        Field("composite", f"at {end}", 1),
        Field("composite", f"at {end}, pages 3, ranges 2"),
        Field("range", "0x49000000-0x49001fff pages 2", 1),
        Field("range", "0x49010000-0x49010fff pages 1", 1),
    ]


def test_endpoints_are_called_what_the_reader_wants() -> None:
    fields = dissect.received(Function.MEM_RETRIEVE_REQ_32, pack(REGION, V1_2), V1_2, lambda id_: f"<{id_}>")
    assert values(fields, "sender") + values(fields, "receiver") == ["<1>", "<2>", "<32769>"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (0, "0x0"),
        (1 << 2 | 2 << 3, "0x14 zero after relinquish, lend"),
        (1 << 10, "0x400 caller alone"),
        (1 << 9 | 3 << 5, "0x260 aligned to 8 pages"),
        (1 << 1 | 3 << 3, "0x1a time slice, donate"),
        (1 << 11, "0x800 reserved bits"),
    ],
)
def test_flags_in_words(flags: int, words: str) -> None:
    region = MemoryRegion(1, REGION.access, flags=flags)
    assert values(dissect.sent(Function.MEM_LEND_32, pack(region, V1_2), V1_2), "flags")[0] == words


def test_a_first_fragment_says_what_is_missing() -> None:
    whole = pack(REGION, V1_2)
    fields = dissect.sent(Function.MEM_SHARE_32, whole[:-16], V1_2)
    assert values(fields, "range") == ["0x49000000-0x49001fff pages 2"]
    assert fields[-1] == Field("", "1 more ranges are not in these bytes", 1)
    fields = dissect.sent(Function.MEM_SHARE_32, whole[:96], V1_2)
    assert values(fields, "receiver") == ["2"]
    assert fields[-2:] == [
        Field("", "1 more receivers are not in these bytes", 1),
        Field("composite", "at 112: past the end"),
    ]
    assert dissect.sent(Function.MEM_SHARE_32, whole[:47], V1_2) == [Field("", "47 bytes are too short for the header")]


def test_page_counts_that_disagree_are_told() -> None:
    data = bytearray(pack(REGION, V1_2))
    data[112] = 9
    assert dissect.sent(Function.MEM_SHARE_32, bytes(data), V1_2)[-1] == Field("", "the ranges have 3 pages", 1)


def test_implementation_defined_bytes_are_shown_where_there_are_some() -> None:
    access = EndpointAccess(2, Permissions(Data.RW), impdef=bytes(range(16)))
    fields = dissect.sent(Function.MEM_RETRIEVE_REQ_32, pack(MemoryRegion(1, (access,)), V1_2), V1_2)
    assert values(fields, "impdef") == ["0001020304050607 08090a0b0c0d0e0f"]
    assert fields[-2] == Field("composite", "none", 1)


def test_relinquish() -> None:
    data = Relinquish(0x8000_0000_0000_0002, (2, 3), 1).pack()
    assert dissect.sent(Function.MEM_RELINQUISH, data, V1_2) == [
        Field("handle", "0x8000000000000002"),
        Field("flags", "0x1 zero"),
        Field("endpoints", "2"),
        Field("endpoint", "2", 1),
        Field("endpoint", "3", 1),
    ]
    assert dissect.sent(Function.MEM_RELINQUISH, data[:-2], V1_2)[-1].value == "1 more endpoints are not in these bytes"


@pytest.mark.parametrize(("version", "offset"), [(V1_1, 20), (V1_2, 40)])
def test_the_header_of_a_message(version: Version, offset: int) -> None:
    uuid = UUID(int=0x1234)
    data = pack_message(Message(1, 2, b"hello world, this is long", uuid), version)
    fields = dissect.sent(Function.MSG_SEND2, data[:SHOWN], version)
    assert fields == [
        Field("flags", "0x0"),
        Field("sender", "1"),
        Field("receiver", "2"),
        *([Field("uuid", str(uuid))] if version == V1_2 else []),
        Field("payload", f"25 bytes at {offset}"),
        Field("+0", b"hello world, thi".hex(" ", 4), 1),
        Field("+16", b"s is long".hex(" ", 4), 1),
    ]


def test_a_long_message_is_kept_in_part() -> None:
    data = pack_message(Message(1, 2, bytes(500)), V1_2)[:SHOWN]
    assert dissect.sent(Function.MSG_SEND2, data, V1_2)[-1] == Field("", "the rest is not kept", 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_partition_information(version: Version) -> None:
    uuid = UUID(int=7)
    infos = [
        PartitionInfo(1, 2, PartitionProperty.RECEIVE_DIRECT | PartitionProperty.INDIRECT, uuid),
        PartitionInfo(0x8001, 1, PartitionProperty(0)),
    ]
    fields = dissect.received(Function.PARTITION_INFO_GET, pack_infos(infos, version), version)
    assert values(fields, "partition") == ["1", "0x8001"]
    assert values(fields, "contexts") == ["2", "1"]
    assert values(fields, "properties") == ["0x5 receive direct, indirect", "0x0"]
    assert values(fields, "uuid") == ([] if version == V1_0 else [str(uuid), str(UUID(int=0))])


def test_nothing_says_nothing() -> None:
    assert dissect.sent(Function.ID_GET, b"", V1_2) == dissect.received(Function.ID_GET, b"", V1_2) == []


@given(st.sampled_from(Function), st.binary(max_size=300), st.sampled_from(VERSIONS))
def test_any_bytes_give_printable_fields(fid: Function, data: bytes, version: Version) -> None:
    for field in [*dissect.sent(fid, data, version), *dissect.received(fid, data, version)]:
        assert field.value.isprintable()


@pytest.mark.parametrize("version", VERSIONS)
def test_composites_over_each_other_list_no_more_than_the_bytes_hold(version: Version) -> None:
    """Every entry names a composite of its own, each as long as what is left: as many ranges as bytes allow once."""
    header = bytearray(pack(MemoryRegion(1, (EndpointAccess(2, Permissions(Data.RW)),)), version))
    start, size = (32, 16) if version == V1_0 else (48, 16 if version == V1_1 else 32)
    count = 1000
    header[28:32] = count.to_bytes(4, "little")
    entries = b"".join(
        (2).to_bytes(4, "little") + (start + 8 * n).to_bytes(4, "little") + bytes(size - 8) for n in range(1, count + 1)
    )
    data = bytes(header[:start]) + entries + b"\xff" * 8192
    found = outline(data, version)
    assert found is not None
    assert len(found.receivers) == count
    assert sum(len(region.ranges) for region in found.regions) <= len(data) // 16
