"""SP packages there and back, and hostile ones."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spmc.package import Package, PackageError, pack_package, parse_package
from tests.support.fuzz import damaged

PACKAGE = pack_package(b"manifest", b"image" * 100)


def header(**fields: int) -> bytes:
    """A package of 0x5000 bytes; `fields` overrides its header's."""
    usual = {"magic": 0x474B_5053, "version": 1, "pm": 0x1000, "pm_size": 8, "img": 0x4000, "img_size": 0x1000}
    return struct.pack("<6I", *(usual | fields).values()).ljust(0x5000, b"\0")


@pytest.mark.parametrize("version", [1, 2])
def test_layout(version: int) -> None:
    data = pack_package(b"manifest", b"image", version)
    assert data[:24] == b"SPKG" + struct.pack("<5I", version, 0x1000, 8, 0x4000, 5)
    assert (data[0x1000:0x1008], data[0x4000:]) == (b"manifest", b"image")
    assert parse_package(data) == Package(version, 0x1000, 8, 0x4000, 5)


def test_version_2_is_what_is_made() -> None:
    assert parse_package(PACKAGE).version == 2


def test_a_package_may_be_followed_by_anything() -> None:
    assert parse_package(PACKAGE + b"more").end == len(PACKAGE)


def test_an_image_may_come_before_the_manifest() -> None:
    assert parse_package(header(img=0x1000, pm=0x2000)).end == 0x2008


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"SPKG", "expected an SP package (got 4 bytes)"),
        (header(magic=0x464C_457F), r"expected the magic number SPKG (got b'\x7fELF')"),
        (header(version=0), "expected an SP package of version 1 or 2 (got 0)"),
        (header(version=3), "expected an SP package of version 1 or 2 (got 3)"),
        (header(pm=20), "expected the manifest in 20480 bytes (got 0x8 at 0x14)"),
        (header(pm_size=0), "expected the manifest in 20480 bytes (got 0x0 at 0x1000)"),
        (header(pm=0xFFFF_F000), "expected the manifest in 20480 bytes (got 0x8 at 0xfffff000)"),
        (header(img_size=0x1001), "expected the image in 20480 bytes (got 0x1001 at 0x4000)"),
        (header(img_size=0), "expected the image in 20480 bytes (got 0x0 at 0x4000)"),
        (header(img_size=0xFFFF_FFFF), "expected the image in 20480 bytes (got 0xffffffff at 0x4000)"),
        (header(img=0x4004, img_size=4), "expected the image on a page boundary (got 0x4004)"),
        (header(pm=0x3FF9), "expected manifest and image apart (they overlap)"),
        (header(img=0x1000, img_size=0x4000), "expected manifest and image apart (they overlap)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(data: bytes, problem: str) -> None:
    with pytest.raises(PackageError) as caught:
        parse_package(data)
    assert str(caught.value) == str(PackageError(problem))


@pytest.mark.parametrize(
    ("manifest", "image", "version"), [(b"", b"i", 2), (b"m", b"", 2), (b"m" * 0x3001, b"i", 2), (b"m", b"i", 3)]
)
def test_what_cannot_be_packed(manifest: bytes, image: bytes, version: int) -> None:
    with pytest.raises(PackageError, match="expected "):
        pack_package(manifest, image, version)


@given(st.binary(min_size=1, max_size=0x3000), st.binary(min_size=1, max_size=200), st.sampled_from([1, 2]))
def test_any_package_comes_back(manifest: bytes, image: bytes, version: int) -> None:
    data = pack_package(manifest, image, version)
    found = parse_package(data)
    assert data[found.manifest_offset :][: found.manifest_size] == manifest
    assert data[found.image_offset :][: found.image_size] == image
    assert (found.version, found.end) == (version, len(data))


@given(damaged(header()[:24] + bytes(200), header(pm=0x18, img=0x1000, img_size=1)[:0x1001], PACKAGE))
def test_any_bytes_are_a_package_or_one_line(data: bytes) -> None:
    try:
        found = parse_package(data)
    except PackageError as error:
        assert str(error).isprintable()
        return
    assert 24 <= found.manifest_offset < found.end <= len(data)
    assert found.image_offset + found.image_size <= len(data)
