"""Firmware image packages: a table of contents and the images of a boot chain, as TF-A's fiptool makes them.

A header, one entry a part, an entry with a nil UUID that says where everything ends, then the parts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

from engine.errors import MachineError

MAGIC = 0xAA64_0001
_SERIAL = 0x1234_5678
"""What fiptool writes; the boot loader wants it not to be zero."""
_HEADER = struct.Struct("<IIQ")
"""Name (the magic number), serial number, flags."""
_ENTRY = struct.Struct("<16sQQQ")
"""UUID, offset from the start of the package, size, flags."""
_NIL = UUID(int=0)
MOST_PARTS = 128
LARGEST = 64 << 20
"""Bytes of a package: the flash of the board it is in."""

KNOWN: Final = {
    "BL2": UUID("5ff9ec0b-4d22-3e4d-a544-c39d81c73f0a"),
    "SCP_BL2": UUID("9766fd3d-89be-e849-ae5d-78a140608213"),
    "BL31": UUID("47d4086d-4cfe-9846-9b95-2950cbbd5a00"),
    "BL32": UUID("05d0e189-53dc-1347-8d2b-500a4b7a3e38"),
    "BL32_EXTRA1": UUID("0b70c29b-2a5a-7840-9f65-0a5682738288"),
    "BL32_EXTRA2": UUID("8ea87bb1-cfa2-3f4d-85fd-e7bba50220d9"),
    "BL33": UUID("d6d0eea7-fcea-d54b-9782-9934f234b6e4"),
    "FW_CONFIG": UUID("5807e16a-8459-47be-8ed5-648e8dddab0e"),
    "HW_CONFIG": UUID("08b8f1d9-c9cf-9349-a962-6fbc6b7265cc"),
    "TB_FW_CONFIG": UUID("6c0458ff-af6b-7d4f-82ed-aa27bc69bfd2"),
    "SOC_FW_CONFIG": UUID("9979814b-0376-fb46-8c8e-8d267f7859e0"),
    "TOS_FW_CONFIG": UUID("26257c1a-dbc6-7f47-8d96-c4c4b0248021"),
    "NT_FW_CONFIG": UUID("28da9815-93e8-7e44-ac66-1aaf801550f9"),
    "ROT_KEY_CERT": UUID("862d1d72-f860-e411-920b-8be762160f24"),
    "TRUSTED_KEY_CERT": UUID("827ee890-f860-e411-a1b4-777a21b4f94c"),
    "SCP_FW_KEY_CERT": UUID("024221a1-f860-e411-8d9b-f33c0e15a014"),
    "SOC_FW_KEY_CERT": UUID("8ab8becc-f960-e411-9ad0-eb4822d8dcf8"),
    "TOS_FW_KEY_CERT": UUID("9477d603-fb60-e411-85dd-b7105b8cee04"),
    "NT_FW_KEY_CERT": UUID("8ad5832a-fb60-e411-8aaf-df30bbc49859"),
    "TB_FW_CERT": UUID("d6e269ea-5d63-e411-8d8c-9fbabe9956a5"),
    "SCP_FW_CONTENT_CERT": UUID("44be6f04-5e63-e411-b28b-73d8eaae9656"),
    "SOC_FW_CONTENT_CERT": UUID("e2b20c20-5e63-e411-9ce8-abccf92bb666"),
    "TOS_FW_CONTENT_CERT": UUID("a49f4411-5e63-e411-8728-3f05722af33d"),
    "NT_FW_CONTENT_CERT": UUID("8ec4c1f3-5d63-e411-a7a9-87ee40b23fa7"),
    "SIP_SP_CONTENT_CERT": UUID("776dfd44-8697-4c3b-91eb-c13e025a2a6f"),
    "PLAT_SP_CONTENT_CERT": UUID("ddcbbf4a-cad6-11ea-87d0-0242ac130003"),
}
"""Parts with UUIDs that TF-A gave them, bytes in the order of the table. Packages of partitions have their own."""
_NAMES: Final = {uuid: name for name, uuid in KNOWN.items()}


class FipError(MachineError):
    """Bytes that are no FIP; the text names the part that is wrong."""


class Part(NamedTuple):
    """One entry of the table of contents; its bytes lie inside the package."""

    uuid: UUID
    offset: int
    size: int
    flags: int = 0

    @property
    def name(self) -> str:
        """What TF-A calls it, or its UUID."""
        return name_of(self.uuid)

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Fip:
    """A package whose parts lie apart and inside it."""

    data: bytes
    parts: tuple[Part, ...]
    """In the order of the table."""
    serial: int = _SERIAL
    flags: int = 0

    def find(self, uuid: UUID) -> Part | None:
        """The part with a UUID."""
        return next((part for part in self.parts if part.uuid == uuid), None)

    def contents(self, part: Part) -> bytes:
        """The bytes of one of its parts."""
        return self.data[part.offset : part.end]

    def get(self, name: str) -> bytes | None:
        """The bytes of a part that TF-A has a name for."""
        part = self.find(KNOWN[name])
        return None if part is None else self.contents(part)


def name_of(uuid: UUID) -> str:
    """What TF-A calls a part, or its UUID."""
    return _NAMES.get(uuid, str(uuid))


def pack(parts: Iterable[tuple[UUID, bytes]]) -> bytes:
    """A package of these parts, one behind the other. Raises FipError."""
    listed = list(parts)
    _check_uuids([uuid for uuid, _ in listed])
    at = _HEADER.size + _ENTRY.size * (len(listed) + 1)
    table = _HEADER.pack(MAGIC, _SERIAL, 0)
    for uuid, data in listed:
        table += _ENTRY.pack(uuid.bytes, at, len(data), 0)
        at += len(data)
    if at > LARGEST:
        raise FipError(f"expected parts of at most {LARGEST} bytes together (got {at})")
    return b"".join((table, _ENTRY.pack(_NIL.bytes, at, 0, 0), *(data for _, data in listed)))


def parse(data: bytes) -> Fip:
    """The package at the start of `data`; bytes behind its end, as flash has them, are left alone. Raises FipError."""
    if len(data) < _HEADER.size:
        raise FipError(f"expected a FIP (got {len(data)} bytes)")
    magic, serial, flags = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise FipError(f"expected the magic number of a FIP, {MAGIC:#x} (got {magic:#x})")
    if not serial:
        raise FipError("expected a serial number that is not zero")
    parts, end = _table(data)
    if end > len(data):
        raise FipError(f"expected {end} bytes, as the end of the table of contents says (got {len(data)})")
    _check_uuids([part.uuid for part in parts])
    _check_places(parts, end)
    return Fip(data, tuple(parts), serial, flags)


def _table(data: bytes) -> tuple[list[Part], int]:
    """The entries, and the end of the package."""
    parts: list[Part] = []
    for at in range(_HEADER.size, _HEADER.size + (MOST_PARTS + 1) * _ENTRY.size, _ENTRY.size):
        if at + _ENTRY.size > len(data):
            raise FipError(f"expected the end of the table of contents (truncated after {len(parts)} parts)")
        uuid, *places = _ENTRY.unpack_from(data, at)
        part = Part(UUID(bytes=uuid), *places)
        if part.uuid == _NIL:
            return parts, part.offset
        parts.append(part)
    raise FipError(f"expected at most {MOST_PARTS} parts, and the end of the table of contents")


def _check_uuids(uuids: list[UUID]) -> None:
    if len(uuids) > MOST_PARTS:
        raise FipError(f"expected at most {MOST_PARTS} parts (got {len(uuids)})")
    for index, uuid in enumerate(uuids):
        if uuid == _NIL or uuid in uuids[:index]:
            raise FipError(f"{name_of(uuid)}: expected a UUID that no other part has, and that is not nil")


def _check_places(parts: list[Part], end: int) -> None:
    start = _HEADER.size + _ENTRY.size * (len(parts) + 1)
    if end < start:
        raise FipError(f"expected an end behind the table of contents, {start:#x} (got {end:#x})")
    for part in parts:
        if part.offset < start or part.end > end:
            raise FipError(f"{part.name}: expected it from {start:#x} to {end:#x} (got {_span(part)})")
    filled = sorted((part for part in parts if part.size), key=lambda part: part.offset)
    for part, following in pairwise(filled):
        if part.end > following.offset:
            raise FipError(
                f"{following.name}: expected it apart from {part.name}, {_span(part)} (got {_span(following)})"
            )


def _span(part: Part) -> str:
    return f"{part.offset:#x} to {part.end:#x}"
