"""The image cache, with apt replaced by a package archive that lives in the test."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from engine.images import linux, modules
from engine.images.apt import FetchError, Package
from tests.unit.engine.images.test_cpio import read

META = {"linux-image-cloud-arm64": ["linux-image-6.1.0-9-cloud-arm64"]}


class FakeApt:
    """Stands in for Apt: a dictionary of packages."""

    def __init__(self, versions: dict[str, str]) -> None:
        self.versions = versions
        self.downloads: list[str] = []

    def update(self) -> str:
        return ""

    def candidate(self, name: str) -> Package | None:
        return Package(name, self.versions[name]) if name in self.versions else None

    def depends(self, name: str) -> list[str]:
        return META.get(name, [])

    def download(self, package: Package) -> Path:
        self.downloads.append(package.name)
        return Path(package.name)


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeApt:
    """An archive with everything in it, and an empty cache."""
    names = ("linux-image-cloud-arm64", "linux-image-6.1.0-9-cloud-arm64", "busybox-static")
    fake = FakeApt(dict.fromkeys(names, "1.0"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(linux, "Apt", lambda root, architecture: fake)
    monkeypatch.setattr(linux, "unpack", lambda deb, wanted: {key: deb.name.encode() for key in wanted})
    builtin = "".join(f"kernel/{name}.ko\n" for name in modules.WANTED)
    monkeypatch.setattr(linux, "unpack_all", lambda deb, wanted: {"lib/modules/6.1/modules.builtin": builtin.encode()})
    return fake


def test_fetch_fills_the_cache_and_records_versions(apt: FakeApt) -> None:
    messages: list[str] = []
    manifest = linux.fetch(messages.append)
    assert manifest.kernel == "6.1.0-9-cloud-arm64"
    assert (linux.cache() / "Image").read_bytes() == b"linux-image-6.1.0-9-cloud-arm64"
    assert [file.name for file in manifest.files] == ["Image", "busybox", "modules.cpio", "initramfs.cpio.gz"]
    assert manifest.files[0].origin == "linux-image-6.1.0-9-cloud-arm64 1.0"
    assert linux.installed() == manifest
    assert messages
    assert not list(linux.cache().glob(".partial*"))


def test_second_fetch_downloads_nothing_unless_forced(apt: FakeApt) -> None:
    first = linux.fetch()
    assert linux.fetch() == first
    assert len(apt.downloads) == 2
    linux.fetch(force=True)
    assert len(apt.downloads) == 4


def test_unsigned_kernel_will_do(apt: FakeApt) -> None:
    apt.versions["linux-image-6.1.0-9-cloud-arm64-unsigned"] = apt.versions.pop("linux-image-6.1.0-9-cloud-arm64")
    assert linux.fetch().kernel == "6.1.0-9-cloud-arm64"


@pytest.mark.parametrize("missing", ["linux-image-cloud-arm64", "linux-image-6.1.0-9-cloud-arm64", "busybox-static"])
def test_missing_package_is_one_line_and_leaves_no_cache(apt: FakeApt, missing: str) -> None:
    del apt.versions[missing]
    with pytest.raises(FetchError):
        linux.fetch()
    assert linux.installed() is None


def test_failure_leaves_a_good_cache_alone(apt: FakeApt) -> None:
    manifest = linux.fetch()
    apt.versions.clear()
    with pytest.raises(FetchError):
        linux.fetch(force=True)
    assert linux.installed() == manifest


def test_truncated_file_means_not_installed(apt: FakeApt) -> None:
    linux.fetch()
    (linux.cache() / "Image").write_bytes(b"")
    assert linux.installed() is None
    linux.fetch()
    assert linux.installed() is not None


def test_the_initial_ram_disk_carries_the_modules(apt: FakeApt) -> None:
    linux.fetch()
    drivers = (linux.cache() / "modules.cpio").read_bytes()
    assert "lib/modules/6.1/load-order" in {entry.name for entry in read(drivers)}
    assert gzip.decompress((linux.cache() / "initramfs.cpio.gz").read_bytes()).endswith(drivers)


def test_a_cache_without_todays_modules_is_fetched_again(apt: FakeApt, monkeypatch: pytest.MonkeyPatch) -> None:
    current = linux.fetch()
    assert not linux.outdated(current)
    monkeypatch.setattr(modules, "WANTED", ("virtio_mmio",))
    assert linux.outdated(current)
    old = msgspec.structs.replace(current, files=current.files[:2], recipe="")
    (linux.cache() / "manifest.json").write_bytes(msgspec.json.encode(old))
    assert linux.installed() == old
    assert linux.fetch() != old
    assert len(apt.downloads) == 4
    assert not linux.outdated(linux.fetch())


def test_an_old_cache_stays_where_it_cannot_be_fetched_again(apt: FakeApt, monkeypatch: pytest.MonkeyPatch) -> None:
    old = linux.fetch()
    monkeypatch.setattr(modules, "WANTED", ("virtio_mmio",))
    apt.versions.clear()
    with pytest.raises(FetchError):
        linux.fetch()
    assert linux.installed() == old


def test_a_kernel_without_a_wanted_driver_will_do(apt: FakeApt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "WANTED", ("virtio_mmio", "no_such_driver"))
    messages: list[str] = []
    linux.fetch(messages.append)
    assert [message for message in messages if "no_such_driver" in message]
    assert linux.installed() is not None


def test_changed_recipe_rebuilds_without_a_download(apt: FakeApt, monkeypatch: pytest.MonkeyPatch) -> None:
    linux.fetch()
    monkeypatch.setattr("engine.images.initramfs.build", lambda busybox, more: b"new recipe")
    assert linux.fetch().files[3].size == len(b"new recipe")
    assert (linux.cache() / "initramfs.cpio.gz").read_bytes() == b"new recipe"
    assert len(apt.downloads) == 2
    assert linux.installed() is not None


@pytest.mark.parametrize("text", [b"", b"{}", b"[1", b'{"kernel": 3, "files": []}', b"\xff\xfe"])
def test_damaged_manifest_means_not_installed(apt: FakeApt, text: bytes) -> None:
    linux.fetch()
    (linux.cache() / "manifest.json").write_bytes(text)
    assert linux.installed() is None


def test_cache_that_cannot_be_written(apt: FakeApt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(FetchError, match="Not a directory"):
        linux.fetch()
