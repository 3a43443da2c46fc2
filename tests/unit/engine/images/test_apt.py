"""apt as a downloader: rewritten sources, and packages taken apart."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.images import apt
from engine.images.apt import Apt, FetchError, unpack, unpack_all

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deb URI stable main", "deb URI stable main\n"),
        ("# note\ndeb-src URI stable main\n", ""),
        ("deb [arch=amd64] URI stable main", "deb  URI stable main\n"),
        ("deb [ arch=amd64,i386 signed-by=/k.gpg ] URI s main", "deb [  signed-by=/k.gpg ] URI s main\n"),
        ("deb [signed-by=/arch=k.gpg arch-=i386] URI s main", "deb [signed-by=/arch=k.gpg ] URI s main\n"),
    ],
)
def test_one_line_sources_lose_their_architectures(text: str, expected: str) -> None:
    assert apt._rewrite_list(text) == expected


def test_deb822_sources_lose_their_architectures() -> None:
    text = (
        "# system\nTypes: deb deb-src\nURIs: URI\nSuites: stable\n"
        "Architectures: amd64\n i386\nSigned-By:\n KEY\n .\n KEY\n"
        "\n\nTypes: deb-src\nURIs: URI\nSuites: stable\n"
    )
    expected = "# system\nTypes: deb\nURIs: URI\nSuites: stable\nSigned-By:\n KEY\n .\n KEY\n"
    assert apt._rewrite_sources(text) == expected


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small .deb with a kernel in it."""
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "boot").mkdir()
    control = (
        "Package: kernel\nVersion: 1\nArchitecture: arm64\nMaintainer: nobody <nobody@example.org>\nDescription: x\n"
    )
    (tree / "DEBIAN/control").write_text(control)
    (tree / "boot/vmlinuz-6.1").write_bytes(b"KERNEL")
    (tree / "boot/vmlinuz").symlink_to("vmlinuz-6.1")
    subprocess.run(
        ["dpkg-deb", "--build", "-Zgzip", str(tree), str(tmp_path / "k.deb")], check=True, capture_output=True
    )
    return tmp_path / "k.deb"


@needs_dpkg
def test_unpack_finds_files_by_pattern(package: Path) -> None:
    assert unpack(package, {"Image": re.compile("boot/vmlinuz.*")}) == {"Image": b"KERNEL"}
    with pytest.raises(FetchError, match=r"k\.deb: expected a package with bin/busybox"):
        unpack(package, {"x": re.compile("bin/busybox")})


@needs_dpkg
def test_unpack_all_takes_every_regular_file_that_matches(package: Path) -> None:
    assert unpack_all(package, re.compile("boot/vmlinuz.*")) == {"boot/vmlinuz-6.1": b"KERNEL"}
    assert unpack_all(package, re.compile("lib/.*")) == {}


@needs_dpkg
@pytest.mark.parametrize("keep", [0, 10, 100, 250])
def test_damaged_package_is_refused(package: Path, keep: int) -> None:
    package.write_bytes(package.read_bytes()[:keep])
    with pytest.raises(FetchError, match=r"k\.deb: expected"):
        unpack(package, {"Image": re.compile("boot/vmlinuz.*")})


def test_a_system_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="apt-get: not found"):
        Apt(tmp_path, "arm64")
