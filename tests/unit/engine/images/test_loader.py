"""Raw and Linux images, gzip, and telling formats apart."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.images.image import ImageError, Ram, Segment
from engine.images.loader import detect, load_image, read, sibling_symbols

RAM = Ram(0x4000_0000, 0x40_0000)


def linux(text_offset: int = 0, size: int = 0x1_0000, flags: int = 0xA, body: bytes = b"kernel") -> bytes:
    """An arm64 Image: header, then some text."""
    return struct.pack("<IIQQQQQQII", 0, 0, text_offset, size, flags, 0, 0, 0, 0x644D5241, 0) + body


def test_formats_are_told_apart_by_magic() -> None:
    assert detect(b"\x7fELF....") == "elf"
    assert detect(linux()) == "linux"
    assert detect(b"anything") == "raw"
    assert detect(linux()[:63]) == "raw"


def test_linux_image_goes_to_text_offset_and_includes_bss() -> None:
    data = linux(text_offset=0x8_0000)
    image = load_image("Image", data, RAM)
    assert image.segments == (Segment(0x4008_0000, data, 0x1_0000),)
    assert (image.entry, image.end) == (0x4008_0000, 0x4009_0000)


def test_linux_image_may_lie_at_another_2m_boundary() -> None:
    assert load_image("Image", linux(), RAM, load=0x20_0000).entry == 0x4020_0000


def test_old_kernels_without_a_size() -> None:
    assert load_image("Image", linux(size=0), RAM).entry == 0x4008_0000


def test_gzip_is_unpacked() -> None:
    assert load_image("Image.gz", gzip.compress(linux(), mtime=0), RAM) is not None
    assert load_image("Image.gz", gzip.compress(linux(), mtime=0), RAM, "linux").segments[0].data == linux()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (linux(size=0x40_0001), "fits RAM"),
        (linux(text_offset=1 << 63), "fits RAM"),
        (linux(flags=1), "little-endian"),
        (b"no kernel at all", "arm64 Linux Image"),
        (gzip.compress(linux(), mtime=0)[:-9], "truncated gzip"),
        (gzip.compress(linux(), mtime=0)[:20] + b"\xff" * 20, "gzip data"),
        (gzip.compress(bytes(0x40_0001), mtime=0), "at most 4194304 bytes"),
    ],
)
def test_refuses_bad_linux_images(data: bytes, problem: str) -> None:
    with pytest.raises(ImageError, match=problem):
        load_image("Image", data, RAM, "linux")


def test_refuses_linux_image_off_a_2m_boundary() -> None:
    with pytest.raises(ImageError, match="multiple of 2M"):
        load_image("Image", linux(), RAM, load=0x1000)


def test_raw_image_goes_to_load_offset_and_starts_there() -> None:
    image = load_image("a.bin", b"code", RAM, load=0x100)
    assert (image.segments, image.entry) == ((Segment(0x4000_0100, b"code", 4),), 0x4000_0100)
    assert load_image("a.bin", b"code", RAM, "raw", 0x100, 0x104).entry == 0x4000_0104


@pytest.mark.parametrize(("data", "load"), [(b"", 0), (bytes(8), 0x3F_FFFC)])
def test_refuses_raw_image_that_is_empty_or_too_big(data: bytes, load: int) -> None:
    with pytest.raises(ImageError, match=r"^a\.bin: expected an image"):
        load_image("a.bin", data, RAM, load=load)


def test_format_must_be_what_was_said() -> None:
    with pytest.raises(ImageError, match="no magic number"):
        load_image("a.bin", b"code", RAM, "elf")


def test_read_bounds_what_it_takes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(9))
    assert read(tmp_path / "a", 9) == bytes(9)
    with pytest.raises(ImageError, match="at most 8 bytes"):
        read(tmp_path / "a", 8)
    with pytest.raises(ImageError, match="readable file"):
        read(tmp_path / "missing", 8)


def test_system_map_beside_a_kernel(tmp_path: Path) -> None:
    assert len(sibling_symbols(tmp_path / "Image")) == 0
    (tmp_path / "System.map").write_text("ffff800008000000 T _text\nffff800008000040 t primary_entry\n")
    assert sibling_symbols(tmp_path / "Image").lookup(0xFFFF_8000_0800_0044) == "primary_entry+0x4"


@given(
    text_offset=st.integers(0, 2**64 - 1),
    size=st.integers(0, 2**64 - 1),
    flags=st.integers(0, 2**64 - 1),
    cut=st.integers(0, 70),
    load=st.integers(0, 0x3F_FFFF),
)
def test_any_header_is_refused_or_inside_ram(text_offset: int, size: int, flags: int, cut: int, load: int) -> None:
    try:
        image = load_image("Image", linux(text_offset, size, flags)[:cut], RAM, "linux", load)
    except ImageError:
        return
    assert RAM.holds(image.segments[0].ipa, image.segments[0].memsz)


@given(st.binary(max_size=200))
def test_any_gzip_stream_is_refused_or_loads(tail: bytes) -> None:
    with pytest.raises(ImageError):
        load_image("Image", b"\x1f\x8b\x08" + tail, RAM, "linux")
