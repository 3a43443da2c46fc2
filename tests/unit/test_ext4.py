"""The maker of ext4 images for the tests."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.support.ext4 import SIZE, UUID, make_image, needs_ext4

FILES = {"hello.txt": b"hello from the disk\n", "below/here.bin": bytes(range(256)) * 300}
SUPERBLOCK = 1024


@needs_ext4
def test_is_ext4_of_the_size_asked_for(tmp_path: Path) -> None:
    image = make_image(tmp_path / "disk.img", FILES).read_bytes()
    assert len(image) == SIZE
    (magic,) = struct.unpack_from("<H", image, SUPERBLOCK + 0x38)
    (compatible,) = struct.unpack_from("<I", image, SUPERBLOCK + 0x5C)
    (incompatible,) = struct.unpack_from("<I", image, SUPERBLOCK + 0x60)
    assert magic == 0xEF53
    assert (compatible & 0x4, incompatible & 0x40) == (0x4, 0x40), "has_journal, extents"
    assert image[SUPERBLOCK + 0x68 :][:16].hex() == UUID.replace("-", "")
    assert FILES["hello.txt"] in image
    assert [path.name for path in tmp_path.iterdir()] == ["disk.img"]


@needs_ext4
def test_same_files_same_bytes(tmp_path: Path) -> None:
    first = make_image(tmp_path / "first.img", FILES)
    again = make_image(tmp_path / "again.img", dict(reversed(FILES.items())))
    other = make_image(tmp_path / "other.img", {"hello.txt": b"something else\n"})
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
