"""FIPs there and back, and hostile ones."""

from __future__ import annotations

import struct
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.monitor.fip import KNOWN, Fip, FipError, name_of, pack, parse
from tests.support.fuzz import damaged

OTHER = UUID("b4b5671e-4a90-4fe1-b81f-fb13dae1dacb")
BL2, BL33 = KNOWN["BL2"], KNOWN["BL33"]
TWO = pack([(BL33, b"normal world"), (OTHER, b"package")])


def fip(*entries: tuple[UUID, int, int], end: int = 0x200, size: int = 0x200, magic: int = 0xAA64_0001) -> bytes:
    """A hand-made table of contents in a file of `size` bytes, ending with the nil entry."""
    table = struct.pack("<IIQ", magic, 0x1234_5678, 0)
    for uuid, offset, length in (*entries, (UUID(int=0), end, 0)):
        table += uuid.bytes + struct.pack("<QQQ", offset, length, 0)
    return table.ljust(size, b"\0")


def test_layout() -> None:
    """Header of 16 bytes, entries of 40, the nil entry with the end, the parts; BL33's UUID as in TF-A's list."""
    data = pack([(BL33, b"normal")])
    assert data[:16] == struct.pack("<IIQ", 0xAA64_0001, 0x1234_5678, 0)
    assert data[16:32] == bytes.fromhex("d6d0eea7fcead54b97829934f234b6e4")
    assert data[32:56] == struct.pack("<3Q", 96, 6, 0)
    assert data[56:96] == bytes(16) + struct.pack("<3Q", 102, 0, 0)
    assert data[96:] == b"normal"


def test_what_was_packed_is_found() -> None:
    found = parse(TWO)
    assert [(part.name, found.contents(part)) for part in found.parts] == [
        ("BL33", b"normal world"),
        (str(OTHER), b"package"),
    ]
    assert (found.get("BL33"), found.get("BL2"), found.find(BL2)) == (b"normal world", None, None)


def test_bytes_behind_the_end_are_left_alone() -> None:
    assert parse(TWO + b"\xff" * 99).parts == parse(TWO).parts


def test_gaps_and_empty_parts() -> None:
    """fiptool aligns parts where asked, and packs empty files."""
    found = parse(fip((BL2, 0x1C0, 0), (BL33, 0x180, 0x40)))
    assert [(part.offset, part.size) for part in found.parts] == [(0x1C0, 0), (0x180, 0x40)]
    assert parse(pack([])).parts == ()


def test_names() -> None:
    assert name_of(KNOWN["TOS_FW_CONFIG"]) == "TOS_FW_CONFIG"
    assert name_of(OTHER) == str(OTHER)
    assert len(set(KNOWN.values())) == len(KNOWN)


HIGH = (1 << 64) - 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x01\x00\x64\xaa", "expected a FIP (got 4 bytes)"),
        (fip(magic=0x464C_457F), "expected the magic number of a FIP, 0xaa640001 (got 0x464c457f)"),
        (struct.pack("<IIQ", 0xAA64_0001, 0, 0) + bytes(100), "expected a serial number that is not zero"),
        (TWO[:16], "expected the end of the table of contents (truncated after 0 parts)"),
        (TWO[:60], "expected the end of the table of contents (truncated after 1 parts)"),
        (TWO[:96], "expected the end of the table of contents (truncated after 2 parts)"),
        (TWO[:-1], "expected 155 bytes, as the end of the table of contents says (got 154)"),
        (fip((BL33, 0x100, 0x101)), "BL33: expected it from 0x60 to 0x200 (got 0x100 to 0x201)"),
        (fip((BL33, 0x5F, 1)), "BL33: expected it from 0x60 to 0x200 (got 0x5f to 0x60)"),
        (fip((BL33, 0x201, 0)), "BL33: expected it from 0x60 to 0x200 (got 0x201 to 0x201)"),
        (fip((BL33, HIGH, HIGH)), f"BL33: expected it from 0x60 to 0x200 (got {HIGH:#x} to {2 * HIGH:#x})"),
        (fip((BL33, 0x100, 0x80), (BL2, 0x17F, 1)), "BL2: expected it apart from BL33, 0x100 to 0x180"),
        (fip((BL33, 0x100, 0x80), (OTHER, 0x100, 0x10)), "expected it apart from"),
        (fip((BL33, 0x100, 1), (BL33, 0x110, 1)), "BL33: expected a UUID that no other part has"),
        (fip((BL33, 0x100, 1), end=0x5F), "expected an end behind the table of contents, 0x60 (got 0x5f)"),
        (fip(end=0x201), "expected 513 bytes, as the end of the table of contents says (got 512)"),
        (fip(end=HIGH), f"expected {HIGH} bytes, as the end of the table of contents says (got 512)"),
        (
            fip(*((UUID(int=n), 0x2000, 0) for n in range(1, 130)), end=0x2000, size=0x2000),
            "expected at most 128 parts, and the end of the table of contents",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(data: bytes, problem: str) -> None:
    with pytest.raises(FipError) as caught:
        parse(data)
    assert problem in str(caught.value)


def test_as_many_parts_as_there_may_be() -> None:
    uuids = [UUID(int=number) for number in range(1, 129)]
    assert [part.uuid for part in parse(pack((uuid, b"x") for uuid in uuids)).parts] == uuids
    with pytest.raises(FipError, match=r"at most 128 parts \(got 129\)"):
        pack((UUID(int=number), b"") for number in range(1, 130))


@pytest.mark.parametrize("uuids", [(BL33, BL33), (UUID(int=0),)])
def test_what_cannot_be_packed(uuids: tuple[UUID, ...]) -> None:
    with pytest.raises(FipError, match="expected a UUID that no other part has, and that is not nil"):
        pack((uuid, b"") for uuid in uuids)


@given(st.dictionaries(st.uuids(), st.binary(max_size=50), max_size=20))
def test_any_package_comes_back(parts: dict[UUID, bytes]) -> None:
    found = parse(pack(parts.items()))
    assert {part.uuid: found.contents(part) for part in found.parts} == parts


@given(damaged(TWO, pack([]), pack((UUID(int=number), b"abcd") for number in range(1, 30))))
def test_any_bytes_are_a_package_or_one_line(data: bytes) -> None:
    try:
        found = parse(data)
    except FipError as error:
        assert str(error).isprintable()
        return
    assert isinstance(found, Fip)
    spans = sorted((part.offset, part.end) for part in found.parts if part.size)
    assert all(part.end <= len(data) for part in found.parts)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
