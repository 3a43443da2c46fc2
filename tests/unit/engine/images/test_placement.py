"""Kernel, device tree and initial RAM disk find their places in guest RAM."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyfdt.pyfdt import FdtBlobParse

from engine import config
from engine.build import build as build_machine
from engine.images.fdt import Guest, build
from engine.images.image import ImageError
from engine.images.placement import GuestImage, load_guest
from engine.machine_config import VmConfig

MIB = 1 << 20


def vm(directory: Path, image: bytes = b"code", ram: str = "8M", **keys: Any) -> VmConfig:
    """A VM whose image (and initrd) are files in `directory`."""
    (directory / "image").write_bytes(image)
    (directory / "initrd").write_bytes(b"R" * 5000)
    table = {"name": "vm0", "image": "image", "ram_size": ram, **keys}
    return config.from_tables({"vm": [table]}, directory / "m.toml").vms[0]


def device_tree(guest: GuestImage) -> Any:
    data = next(segment.data for segment in guest.segments if segment.ipa == guest.dtb)
    return FdtBlobParse(io.BytesIO(data)).to_fdt()


def test_order_and_alignment(tmp_path: Path) -> None:
    guest = load_guest(vm(tmp_path, initrd="initrd", bootargs="x=1"))
    assert guest.entry == 0x4000_0000
    assert guest.dtb == 0x4020_0000
    assert guest.initrd == (0x4040_0000, 0x4040_0000 + 5000)
    ends = sorted((segment.ipa, segment.end) for segment in guest.segments)
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))


def test_device_tree_names_the_initrd(tmp_path: Path) -> None:
    tree = device_tree(load_guest(vm(tmp_path, initrd="initrd")))
    assert list(tree.resolve_path("/chosen/linux,initrd-start").words) == [0, 0x4040_0000]
    assert list(tree.resolve_path("/chosen/linux,initrd-end").words) == [0, 0x4040_0000 + 5000]


@pytest.mark.parametrize(
    ("sections", "el", "told"),
    [
        ({"ffa": {}}, 1, True),
        ({"ffa": {}, "secure": {}}, 1, True),
        ({"secure": {}}, 1, False),
        ({"secure": {}}, 2, True),
        ({}, 1, False),
        ({}, 2, False),
    ],
)
def test_device_tree_tells_of_ffa_where_calls_are_answered(
    tmp_path: Path, sections: dict[str, Any], el: int, told: bool
) -> None:
    (tmp_path / "image").write_bytes(b"code")
    table = {"name": "vm0", "image": "image", "ram_size": "8M", "el": el}
    machine = config.from_tables({"vm": [table], **sections}, tmp_path / "m.toml")
    assert machine.serves_ffa(machine.vms[0]) is told
    tree = device_tree(build_machine(machine).vms[0].images)
    assert (tree.resolve_path("/ffa/compatible") is not None) is told


def test_small_ram_keeps_the_device_tree_at_its_end(tmp_path: Path) -> None:
    guest = load_guest(vm(tmp_path, ram="2M"))
    assert guest.dtb == 0x4020_0000 - 4096
    assert device_tree(guest).resolve_path("/cpus/cpu@0") is not None


def test_everything_moves_with_ram_base(tmp_path: Path) -> None:
    guest = load_guest(vm(tmp_path, ram_base=0x4800_0000, initrd="initrd", base_pa=0x6000_0000))
    assert (guest.entry, guest.dtb) == (0x4800_0000, 0x4820_0000)


def test_given_device_tree_is_taken_as_it_is(tmp_path: Path) -> None:
    blob = build(Guest("other", 1, 0x4000_0000, 2 * MIB))
    (tmp_path / "my.dtb").write_bytes(blob)
    guest = load_guest(vm(tmp_path, dtb="my.dtb"))
    assert guest.segments[-1].data == blob
    (tmp_path / "my.dtb").write_bytes(blob[:-1])
    with pytest.raises(ImageError, match="flattened device tree"):
        load_guest(vm(tmp_path, dtb="my.dtb"))


@pytest.mark.parametrize(
    ("ram", "image", "keys", "problem"),
    [
        ("2M", bytes(2 * MIB - 100), {}, "RAM for the device tree"),
        ("4M", b"code", {"initrd": "initrd"}, "RAM for the initial RAM disk"),
        ("2M", bytes(3 * MIB), {}, "fits RAM"),
    ],
)
def test_refuses_what_does_not_fit(tmp_path: Path, ram: str, image: bytes, keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ImageError, match=problem):
        load_guest(vm(tmp_path, image, ram, **keys))


def test_image_that_vanished_after_the_check(tmp_path: Path) -> None:
    machine = vm(tmp_path)
    with pytest.raises(ImageError, match="readable file"):
        load_guest(msgspec.structs.replace(machine, image=tmp_path / "gone"))
