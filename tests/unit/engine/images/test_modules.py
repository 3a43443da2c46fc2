"""Which kernel modules go into the initial RAM disk, and in which order."""

from __future__ import annotations

import lzma
import re

import pytest

from engine.images import modules
from engine.images.apt import FetchError
from engine.images.initramfs import recipe
from tests.unit.engine.images.elf_files import kernel_module
from tests.unit.engine.images.test_cpio import read

PLACE = "lib/modules/6.1.0-9-cloud-arm64"


def package(builtin: str = "", **depends: str) -> dict[str, bytes]:
    """Files of a kernel package: modules with what they need, and the list of those that are built in."""
    files = {
        f"{PLACE}/kernel/drivers/some/{name}.ko": kernel_module(license="GPL", depends=needed, name=name)
        for name, needed in depends.items()
    }
    return files | {f"{PLACE}/modules.builtin": "".join(f"kernel/fs/{name}.ko\n" for name in builtin.split()).encode()}


def test_what_a_module_needs_comes_first_and_only_once() -> None:
    files = package(
        "ext4 bus",
        virtio_mmio="virtio,virtio_ring",
        virtio_blk="virtio",
        virtio_net="net_failover,virtio,bus",
        virtio="virtio_ring,bus",
        virtio_ring="",
        net_failover="failover",
        failover="",
        unwanted="virtio",
    )
    selection = modules.select(files)
    order = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "failover", "net_failover", "virtio_net"]
    assert list(selection.names) == order
    assert selection.missing == ("virtio_console", "virtio_rng", "vmw_vsock_virtio_transport")
    entries = {entry.name: entry.data for entry in read(selection.archive)}
    assert entries.pop(f"{PLACE}/load-order").decode().split("\n") == [*order, ""]
    assert [name for name in entries if name.endswith(".ko")] == [f"{PLACE}/{name}.ko" for name in order]
    assert entries[f"{PLACE}/virtio.ko"] == files[f"{PLACE}/kernel/drivers/some/virtio.ko"]
    assert list(entries)[:3] == ["lib", "lib/modules", PLACE]


def test_dashes_in_file_names_are_underscores_in_names() -> None:
    files = package("", virtio_rng="rng_core,other-one", other_one="")
    files[f"{PLACE}/kernel/drivers/char/virtio-rng.ko"] = files.pop(f"{PLACE}/kernel/drivers/some/virtio_rng.ko")
    files[f"{PLACE}/modules.builtin"] = b"kernel/drivers/char/rng-core.ko\n"
    selection = modules.select(files)
    assert selection.names == ("other_one", "virtio_rng")
    assert f"{PLACE}/virtio_rng.ko" in {entry.name for entry in read(selection.archive)}


def test_everything_built_in_leaves_an_empty_order() -> None:
    selection = modules.select(package(" ".join(modules.WANTED)))
    assert (selection.names, selection.missing) == ((), ())
    assert {entry.name: entry.data for entry in read(selection.archive)}[f"{PLACE}/load-order"] == b""


def test_packed_modules_are_unpacked() -> None:
    files = package("", ext4="")
    data = files.pop(f"{PLACE}/kernel/drivers/some/ext4.ko")
    files[f"{PLACE}/kernel/fs/ext4.ko.xz"] = lzma.compress(data)
    selection = modules.select(files)
    assert {entry.name: entry.data for entry in read(selection.archive)}[f"{PLACE}/ext4.ko"] == data


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("ext4.ko.zst", b"\x28\xb5\x2f\xfd", r"ext4\.ko\.zst: expected a module that is not packed, or packed with xz"),
        ("ext4.ko.xz", lzma.compress(b"x" * 99)[:-9], r"ext4\.ko\.xz: expected intact xz data"),
        ("ext4.ko.xz", b"no xz at all", r"ext4\.ko\.xz: expected intact xz data"),
        ("ext4.ko", b"", r"ext4\.ko: expected a kernel module"),
        ("ext4.ko", kernel_module()[:70], r"ext4\.ko: expected a kernel module"),
        ("ext4.ko", kernel_module(depends="jbd2"), "ext4: expected the package to have jbd2"),
        ("ext4.ko", kernel_module(depends="ext4"), "ext4: expected the package to have ext4"),
    ],
)
def test_a_module_that_cannot_be_used_is_told_in_one_line(name: str, data: bytes, complaint: str) -> None:
    with pytest.raises(FetchError, match=complaint):
        modules.select(package() | {f"{PLACE}/kernel/fs/{name}": data})


def test_xz_data_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "_LARGEST", 1000)
    with pytest.raises(FetchError, match="at most 1000 bytes"):
        modules.select(package() | {f"{PLACE}/kernel/fs/ext4.ko.xz": lzma.compress(bytes(1001))})


@pytest.mark.parametrize(("releases", "complaint"), [((), "got none"), (("6.1", "6.2"), "got 6.1, 6.2")])
def test_a_package_is_of_one_kernel(releases: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(FetchError, match=re.escape(complaint)):
        modules.select({f"lib/modules/{release}/modules.builtin": b"" for release in releases})


@pytest.mark.parametrize(
    ("path", "is_wanted"),
    [
        (f"{PLACE}/kernel/drivers/virtio/virtio.ko", True),
        (f"usr/{PLACE}/kernel/fs/ext4/ext4.ko.xz", True),
        (f"{PLACE}/modules.builtin", True),
        (f"{PLACE}/modules.builtin.modinfo", False),
        (f"{PLACE}/kernel/fs/ext4/ext4.ko/x", False),
        ("boot/vmlinuz-6.1.0-9-cloud-arm64", False),
    ],
)
def test_files_of_the_package_that_matter(path: str, is_wanted: bool) -> None:
    assert bool(modules.FILES.fullmatch(path)) is is_wanted


def test_recipe_follows_the_wanted_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    before = modules.recipe()
    assert before == modules.recipe()
    monkeypatch.setattr(modules, "WANTED", (*modules.WANTED, "another"))
    assert modules.recipe() != before


def test_init_reads_the_order_from_where_it_is() -> None:
    assert f'"$drivers/{modules.ORDER}"' in (recipe() / "init").read_text()
