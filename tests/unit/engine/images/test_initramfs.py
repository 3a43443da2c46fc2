"""The initial RAM disk of the Linux guests."""

from __future__ import annotations

import gzip
from pathlib import Path

from engine.images import cpio, initramfs
from tests.unit.engine.images.test_cpio import read


def test_holds_what_the_kernel_and_init_need() -> None:
    entries = {entry.name: entry for entry in read(gzip.decompress(initramfs.build(b"BUSYBOX")))}
    assert entries["init"].data.startswith(b"#!/bin/sh\n")
    assert entries["init"].mode & 0o111
    assert entries["bin/busybox"].data == b"BUSYBOX"
    assert entries["bin/sh"].data == b"busybox"
    assert entries["sbin/poweroff"].data == b"/bin/busybox"
    assert entries["dev/console"].device == (5, 1)
    assert b"ttyAMA0::respawn:-/bin/sh" in entries["etc/inittab"].data
    assert {"proc", "sys", "dev"} <= entries.keys()


def test_carries_the_programs_for_linux_guests() -> None:
    entries = {entry.name: entry for entry in read(gzip.decompress(initramfs.build(b"BUSYBOX")))}
    assert entries["bin/vsock"].data == (initramfs.recipe() / "programs/vsock.elf").read_bytes()
    assert entries["bin/vsock"].mode & 0o111


def test_same_input_same_bytes() -> None:
    assert initramfs.build(b"BUSYBOX") == initramfs.build(b"BUSYBOX")


def test_another_archive_may_follow() -> None:
    more = cpio.write([cpio.directory("lib")])
    assert gzip.decompress(initramfs.build(b"", more=more)) == gzip.decompress(initramfs.build(b"")) + more


def test_parents_come_first() -> None:
    seen = {""}
    for entry in read(gzip.decompress(initramfs.build(b""))):
        assert entry.name.rpartition("/")[0] in seen
        seen.add(entry.name)


def test_commands_are_named_once() -> None:
    names = [*initramfs.applets(initramfs.recipe()), *(Path(entry.name).name for entry in initramfs.programs())]
    assert len(names) == len(set(names))
    assert {"sh", "ls", "nproc", "uname", "sleep"} <= set(names)
