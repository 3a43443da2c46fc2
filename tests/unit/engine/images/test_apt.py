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


NEWER = ("bookworm-backports", "trixie")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deb URI bookworm main\n", "deb URI bookworm-backports main\ndeb URI trixie main\n"),
        (
            "deb [signed-by=/bookworm.gpg] U/bookworm bookworm main x\n",
            "".join(f"deb [signed-by=/bookworm.gpg] U/bookworm {suite} main x\n" for suite in NEWER),
        ),
        ("deb URI bookworm-security main\ndeb URI other bookworm\n", ""),
    ],
)
def test_newer_suites_of_one_line_sources(text: str, expected: str) -> None:
    assert apt._newer_list(text, "bookworm", NEWER) == expected
    assert apt._newer_list(text, "bookworm", ()) == ""


def test_newer_suites_of_deb822_sources() -> None:
    own = "Types: deb\nURIs: URI\nSuites: bookworm bookworm-updates\nSigned-By: /k.gpg\n"
    text = f"{own}\nTypes: deb\nURIs: OTHER\nSuites: bookworm-security\n"
    expected = "Types: deb\nURIs: URI\nSuites: bookworm-backports trixie\nSigned-By: /k.gpg\n"
    assert apt._newer_sources(text, "bookworm", NEWER) == expected
    assert apt._newer_sources(text, "bookworm", ()) == ""
    assert apt._newer_sources(text, "trixie", NEWER) == ""


@needs_dpkg
@pytest.mark.parametrize(("release", "added"), [("bookworm", True), ("sid", False)])
def test_newer_suites_are_added_where_they_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, added: bool
) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"VERSION_CODENAME": release})
    made = Apt(tmp_path, "arm64")
    for file in (tmp_path / "sources").iterdir():
        file.unlink()
    (tmp_path / "sources/system.list").write_text("deb URI bookworm main\n")
    assert made.add_newer_suites() is added
    assert (tmp_path / "sources/newer-system.list").exists() is added


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
def test_extract_writes_one_file(package: Path, tmp_path: Path) -> None:
    apt.extract(package, re.compile("boot/vmlinuz.*"), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"KERNEL"
    with pytest.raises(FetchError, match=r"k\.deb: expected a package with bin/busybox"):
        apt.extract(package, re.compile("bin/busybox"), tmp_path / "none")


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
