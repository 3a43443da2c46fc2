"""The boot information blob, read back as a partition would (DEN0077A v1.2, 5.4)."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest

from engine.images.dtb import node
from engine.spmc.boot_info import pack_boot_info
from engine.spmc.manifest import Manifest, parse_manifest
from engine.spmc.package import Package, PackageError
from tests.support.trees import manifest

BASE = 0x0E30_0000
PACKAGE = Package(2, 0x1000, 0x345, 0x4000, 0x6000)


class Descriptor(NamedTuple):
    name: bytes
    type: int
    flags: int
    size: int
    contents: int


def asking(*names: str, pages: int = 0) -> Manifest:
    info = node("boot-info", {"compatible": "arm,ffa-manifest-boot-info", **dict.fromkeys(names)})
    return parse_manifest(manifest({"hvtui,memory-pages": (pages,)}, info))


def read(blob: bytes) -> list[Descriptor]:
    signature, version, size, each, count, at, reserved = struct.unpack_from("<6IQ", blob)
    assert (signature, version, size, each, at, reserved) == (0xFFA, 0x0001_0002, len(blob), 32, 32, 0)
    found = []
    for number in range(count):
        name, kind, zero, flags, length, contents = struct.unpack_from("<16sBBHIQ", blob, at + each * number)
        assert zero == 0
        found.append(Descriptor(name.rstrip(b"\0"), kind, flags, length, contents))
    return found


def test_the_manifest() -> None:
    blob = pack_boot_info(asking("ffa_manifest"), BASE, PACKAGE)
    assert read(blob) == [Descriptor(b"ffa_manifest", 0, 0, 0x345, BASE + 0x1000)]
    assert len(blob) == 64


@pytest.mark.parametrize(("pages", "end"), [(0, 0xA000), (256, 0x10_0000)])
def test_a_hob_list(pages: int, end: int) -> None:
    """PI 1.7 III 5.3: where memory is, what of it is free, and the end of the list (5.13)."""
    blob = pack_boot_info(asking("hob_list", pages=pages), BASE, PACKAGE)
    assert read(blob) == [Descriptor(b"hob_list", 1, 0, 64, BASE + 64)]
    kind, length, zero, version, mode, top, bottom, free_top, free, last = struct.unpack_from("<HHIII5Q", blob, 64)
    assert (kind, length, zero, version, mode) == (1, 56, 0, 9, 0)
    assert (bottom, top, free, free_top) == (BASE, BASE + end, BASE + 0xA000, BASE + end)
    assert struct.unpack_from("<HHI", blob, last - BASE) == (0xFFFF, 8, 0)
    assert last - BASE + 8 == len(blob)


def test_both_in_a_fixed_order_and_nothing_that_is_unknown() -> None:
    blob = pack_boot_info(asking("other", "hob_list", "ffa_manifest"), BASE, PACKAGE)
    assert [each.name for each in read(blob)] == [b"ffa_manifest", b"hob_list"]
    assert read(blob)[1].contents == BASE + 96


def test_nothing_asked_for() -> None:
    assert read(pack_boot_info(asking(), BASE, PACKAGE)) == []


@pytest.mark.parametrize(("names", "needed"), [(["ffa_manifest"], 64), (["ffa_manifest", "hob_list"], 160)])
def test_it_ends_before_the_manifest(names: list[str], needed: int) -> None:
    pack_boot_info(asking(*names), BASE, Package(2, needed, 8, 0x4000, 8))
    with pytest.raises(PackageError, match=f"expected {needed} bytes for boot information before the manifest"):
        pack_boot_info(asking(*names), BASE, Package(2, needed - 1, 8, 0x4000, 8))
