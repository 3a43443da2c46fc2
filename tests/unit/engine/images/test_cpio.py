"""The cpio writer, read back by an independent reader."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.images import cpio
from engine.images.cpio import Entry


def read(archive: bytes) -> list[Entry]:
    """Entries of a newc archive, checking alignment, numbering and the trailer."""
    entries: list[Entry] = []
    position = 0
    while True:
        assert position % 4 == 0
        assert archive[position : position + 6] == b"070701"
        fields = [int(archive[position + 6 + 8 * i : position + 14 + 8 * i], 16) for i in range(13)]
        size, name_size = fields[6], fields[11]
        name = archive[position + 110 : position + 110 + name_size - 1].decode()
        start = (position + 110 + name_size + 3) & ~3
        position = (start + size + 3) & ~3
        if name == "TRAILER!!!":
            assert position == len(archive)
            return entries
        entries.append(Entry(name, fields[1], archive[start : start + size], (fields[9], fields[10])))
        assert fields[0] == len(entries)
        assert (fields[2], fields[3], fields[5]) == (0, 0, 0)


def test_every_kind_of_entry() -> None:
    entries = [
        cpio.directory("dev"),
        cpio.character_device("dev/console", 5, 1),
        cpio.file("init", b"#!/bin/sh\n", executable=True),
        cpio.file("etc", b""),
        cpio.symlink("sh", "busybox"),
    ]
    assert read(cpio.write(entries)) == entries
    assert [stat.filemode(e.mode) for e in entries] == [
        "drwxr-xr-x",
        "crw-------",
        "-rwxr-xr-x",
        "-rw-r--r--",
        "lrwxrwxrwx",
    ]


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda name: name != "TRAILER!!!"
)


@given(st.lists(st.builds(cpio.file, names, st.binary(max_size=40), st.booleans()), max_size=8))
def test_what_is_written_can_be_read(entries: list[Entry]) -> None:
    assert read(cpio.write(entries)) == entries


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 4096])
def test_refuses_names_the_kernel_would_not_take(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name"):
        cpio.write([cpio.file(name, b"")])


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")
def test_cpio_itself_can_read_it(tmp_path: Path) -> None:
    archive = cpio.write([cpio.directory("d"), cpio.file("d/f", b"text")])
    subprocess.run(["cpio", "-id", "--quiet"], input=archive, cwd=tmp_path, check=True)
    assert (tmp_path / "d/f").read_bytes() == b"text"
