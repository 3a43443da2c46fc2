"""Linux and its disks: an ext4 image that it reads and writes, with and without an overlay, or only reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.board.virtio.block import VirtioBlock
from tests.support.ext4 import make_image, needs_ext4
from tests.support.linux import Terminal, boot, linux_config, needs_linux

pytestmark = [*needs_linux, needs_ext4]
NUMBERS = hashlib.md5(b"".join(b"%d\n" % n for n in range(1, 5001))).hexdigest() + "  -"
FILES = {"hello.txt": b"hello from the host\n", "deep/er/zeroes": bytes(20_000)}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_image(tmp_path / "disk.img", FILES)


@contextmanager
def linux(directory: Path, *disks: dict[str, Any]) -> Iterator[Terminal]:
    """A VM with some disks, at its prompt; it lets go of the images at the end."""
    [terminal] = boot(linux_config(directory, {"disk": list(disks)}))
    terminal.command("stty columns 500")  # or the shell would break long lines
    yield terminal
    for slot in terminal.bench.vm.virtio:
        assert isinstance(slot.device, VirtioBlock)
        assert not slot.trouble
        slot.device.image.close()


def test_an_overlay_keeps_the_image_as_it_was(tmp_path: Path, image: Path) -> None:
    before = image.read_bytes()
    with linux(tmp_path, {"image": str(image), "serial": "first"}, {"size": "256K"}) as terminal:
        run = terminal.command
        assert run("cat /sys/block/vda/serial; echo; cat /sys/block/vda/size") == ["first", str(len(before) // 512)]
        assert run("mount -t ext4 /dev/vda /mnt && cat /mnt/hello.txt") == ["hello from the host"]
        assert run("wc -c < /mnt/deep/er/zeroes; tr -d '\\0' < /mnt/deep/er/zeroes | wc -c") == ["20000", "0"]
        assert run("echo changed > /mnt/hello.txt; seq 5000 > /mnt/new; sync; umount /mnt") == []
        assert run("echo 3 > /proc/sys/vm/drop_caches; mount -t ext4 /dev/vda /mnt; cat /mnt/hello.txt") == ["changed"]
        assert run("md5sum < /mnt/new") == [NUMBERS]
        # What is discarded reads as zeroes; the space of deleted files is given back.
        run("dd if=/bin/busybox of=/dev/vdb bs=64k count=4 2> /dev/null; sync")
        assert run("od -A n -t x1 -N 4 /dev/vdb") == [" 7f 45 4c 46"]
        assert run("blkdiscard /dev/vdb && tr -d '\\0' < /dev/vdb | wc -c") == ["0"]
        assert run("rm /mnt/new; sync; fstrim /mnt && echo trimmed; umount /mnt") == ["trimmed"]
    assert image.read_bytes() == before


def test_without_an_overlay_the_next_machine_sees_what_was_written(tmp_path: Path, image: Path) -> None:
    before = image.read_bytes()
    disk = {"image": str(image), "overlay": False}
    with linux(tmp_path, disk) as terminal:
        run = terminal.command
        assert run("mount -t ext4 /dev/vda /mnt && seq 5000 > /mnt/numbers && sync && echo written") == ["written"]
    assert image.read_bytes() != before
    with linux(tmp_path, disk, {"image": str(make_image(tmp_path / "b.img", FILES)), "read_only": True}) as terminal:
        run = terminal.command
        # The first machine ended without unmounting: the journal has what was synced.
        assert run("mount -t ext4 /dev/vda /mnt && md5sum < /mnt/numbers") == [NUMBERS]
        assert run("umount /mnt; cat /sys/block/vdb/ro") == ["1"]
        assert run("mount -t ext4 -o rw /dev/vdb /mnt; mount -t ext4 -o ro /dev/vdb /mnt; cat /mnt/hello.txt")[-1] == (
            "hello from the host"
        )
        refused = run("touch /mnt/new; umount /mnt; dd if=/dev/zero of=/dev/vdb count=1; blkdiscard /dev/vdb")
        touched, written, discarded = (line for line in refused if not line.endswith((" in", " out")))
        assert "Read-only file system" in touched
        assert "Operation not permitted" in written
        assert "Operation not supported" in discarded
