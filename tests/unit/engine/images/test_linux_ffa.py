"""The cache of the kernel that is built, with apt and the build replaced."""

from __future__ import annotations

import fcntl
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest

from engine.images import initramfs, kernel_build, linux_ffa
from engine.images.apt import FetchError, Package
from engine.images.kernel_build import BuildError, Kernel
from tests.unit.engine.images.test_cpio import read

EVERYTHING = {"linux-source-6.12": "6.12.1", "linux-source-6.1": "6.1.9", "busybox-static": "1.35"}


class Builder:
    """Stands in for apt and for the build, and remembers what was asked of it."""

    def __init__(self) -> None:
        self.packages = dict(EVERYTHING)
        self.newer: dict[str, str] = {}
        self.downloads: list[str] = []
        self.builds = 0
        self.failure: BaseException | None = None
        self.made: tuple[str, ...] = linux_ffa.MODULES

    def update(self) -> str:
        return ""

    def candidate(self, name: str) -> Package | None:
        return Package(name, self.packages[name]) if name in self.packages else None

    def names(self, prefix: str) -> list[str]:
        return [name for name in self.packages if name.startswith(prefix)]

    def add_newer_suites(self) -> bool:
        self.packages |= self.newer
        return bool(self.newer)

    def download(self, package: Package) -> Path:
        self.downloads.append(package.name)
        return Path(package.name)

    def build(
        self, archive: Path, config: bytes, module: Mapping[str, bytes], name: str, work: Path, log: IO[bytes]
    ) -> Kernel:
        assert archive.read_bytes() == self.downloads[-1].encode()
        assert list(work.iterdir()) == [archive]
        self.builds += 1
        if self.failure is not None:
            raise self.failure
        made = {file: file.encode() for file in self.made}
        made["ffa_test.ko"] += module[f"{name}/ffa_test.c"]
        return Kernel("6.12.1", b"IMAGE %d" % self.builds, b"ffffffc080000000 T _text\n", made)


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Builder:
    """An archive with everything in it, all tools, and an empty cache."""
    fake = Builder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(linux_ffa, "Apt", lambda root, architecture: fake)
    monkeypatch.setattr(linux_ffa, "extract", lambda deb, wanted, target: target.write_bytes(deb.name.encode()))
    monkeypatch.setattr("engine.images.linux.unpack", lambda deb, wanted: {key: deb.name.encode() for key in wanted})
    monkeypatch.setattr(kernel_build, "missing_packages", list)
    monkeypatch.setattr(kernel_build, "build", fake.build)
    return fake


def test_a_build_fills_the_cache(builder: Builder) -> None:
    manifest = linux_ffa.build()
    names = [file.name for file in manifest.files]
    assert names == ["Image", "System.map", *linux_ffa.MODULES, "busybox", "initramfs.cpio.gz"]
    assert sorted(path.name for path in linux_ffa.cache().iterdir()) == sorted([*names, "manifest.json"])
    assert (linux_ffa.cache() / "Image").read_bytes() == b"IMAGE 1"
    assert (manifest.kernel, manifest.origin("Image")) == ("6.12.1", "linux-source-6.12 6.12.1")
    assert linux_ffa.installed() == linux_ffa.current() == manifest
    assert sorted(path.name for path in linux_ffa.cache().parent.iterdir()) == ["linux-ffa", "linux-ffa.log"]


def test_the_initial_ram_disk_has_the_module_and_its_scripts(builder: Builder) -> None:
    linux_ffa.build()
    data = gzip.decompress((linux_ffa.cache() / "initramfs.cpio.gz").read_bytes())
    common = gzip.decompress(initramfs.build(b"busybox-static"))
    assert data.startswith(common)
    found = {entry.name: entry for entry in read(data[len(common) :])}
    assert all(found[f"lib/{name}"].data.startswith(name.encode()) for name in linux_ffa.MODULES)
    assert all(found[name].mode & 0o111 for name in ("etc/rc", "init.android"))


def test_a_second_build_does_nothing_unless_forced(builder: Builder) -> None:
    first = linux_ffa.build()
    assert linux_ffa.build() == first
    assert (builder.builds, len(builder.downloads)) == (1, 2)
    linux_ffa.build(force=True)
    assert (builder.builds, len(builder.downloads)) == (2, 4)


def test_another_recipe_is_built(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    linux_ffa.build()
    today = linux_ffa.recipe()
    monkeypatch.setattr(linux_ffa, "recipe", lambda: today._replace(config=b"CONFIG_SMP=y\n"))
    assert linux_ffa.installed() is not None
    assert linux_ffa.current() is None
    linux_ffa.build()
    assert (builder.builds, linux_ffa.current() is not None) == (2, True)


def test_the_digest_tells_every_part_of_a_recipe() -> None:
    today = linux_ffa.recipe()
    changed = [today._replace(config=b"")]
    for name in today.module:
        changed += [
            today._replace(module=today.module | {name: b""}),
            today._replace(module={key: value for key, value in today.module.items() if key != name}),
        ]
    assert len({each.digest for each in (today, *changed)}) == len(changed) + 1
    assert linux_ffa.recipe().digest == today.digest


def test_another_script_makes_the_initial_ram_disk_again(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = linux_ffa.build()
    monkeypatch.setattr("engine.images.initramfs.applets", lambda source: ["sh"])
    messages: list[str] = []
    after = linux_ffa.build(messages.append)
    assert builder.builds == 1
    assert messages == ["made the initial RAM disk again"]
    assert [old.name for old, new in zip(before.files, after.files, strict=True) if old != new] == ["initramfs.cpio.gz"]
    assert linux_ffa.current() == after


@pytest.mark.parametrize("failure", [BuildError("make failed"), KeyboardInterrupt(), OSError(28, "No space left")])
def test_a_build_that_ends_early_leaves_what_was_there(builder: Builder, failure: BaseException) -> None:
    manifest = linux_ffa.build()
    builder.failure = failure
    with pytest.raises(KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else FetchError):
        linux_ffa.build(force=True)
    assert linux_ffa.installed() == manifest
    assert (linux_ffa.cache() / "Image").read_bytes() == b"IMAGE 1"
    assert sorted(path.name for path in linux_ffa.cache().parent.iterdir()) == ["linux-ffa", "linux-ffa.log"]


def test_what_a_killed_build_left_is_no_trouble(builder: Builder) -> None:
    left = linux_ffa.cache().parent / ".linux-ffa" / "output"
    left.mkdir(parents=True)
    linux_ffa.build()
    assert not left.exists()


def test_two_builds_at_once_are_one_too_many(builder: Builder) -> None:
    linux_ffa.log().parent.mkdir(parents=True)
    with linux_ffa.log().open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(FetchError, match=r"being built already; see .*linux-ffa\.log"):
            linux_ffa.build()
    linux_ffa.build()


def test_a_kernel_without_the_driver_is_refused(builder: Builder) -> None:
    builder.made = ("ffa_test.ko",)
    with pytest.raises(FetchError, match=r"linux-source-6.12 6.12.1: expected it to have ffa-core.ko, ffa-module.ko"):
        linux_ffa.build()
    assert linux_ffa.installed() is None


def test_missing_tools_are_told_before_anything_is_downloaded(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_build, "missing_packages", lambda: ["flex", "bc"])
    with pytest.raises(FetchError, match="install these packages: flex bc"):
        linux_ffa.build()
    assert not builder.downloads


def test_the_next_release_may_have_the_source(builder: Builder) -> None:
    del builder.packages["linux-source-6.12"]
    builder.newer = {"linux-source-6.12": "6.12.3", "linux-source-6.16": "6.16.1"}
    assert linux_ffa.build().origin("Image") == "linux-source-6.12 6.12.3"


def test_the_newest_source_will_do(builder: Builder) -> None:
    builder.packages = {f"linux-source-6.{minor}": "1" for minor in (9, 16, 1)} | {"busybox-static": "1"}
    builder.packages["linux-source-6.1-rt"] = "1"
    assert linux_ffa.build().origin("Image") == "linux-source-6.16 1"


@pytest.mark.parametrize("gone", ["linux-source", "busybox-static"])
def test_a_missing_package_is_one_line(builder: Builder, gone: str) -> None:
    builder.packages = {name: version for name, version in builder.packages.items() if not name.startswith(gone)}
    with pytest.raises(FetchError, match=f"{gone}.*: no apt source of this system has it"):
        linux_ffa.build()
    assert linux_ffa.installed() is None
