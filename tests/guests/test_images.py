"""The committed guest images are what their sources and the pinned compiler make."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from engine.images.initramfs import recipe
from tests.support.machines import GUESTS

KINDS = {
    GUESTS: ("elf", "bin", "spkg"),
    recipe() / "programs": ("elf",),
}
"""Directories with a build.py, and what it makes."""
COMMITTED = sorted(path for place, kinds in KINDS.items() for kind in kinds for path in place.glob(f"*.{kind}"))


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """Where the files of each directory were made again."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("the compiler is not installed: make install")
    made = {place: tmp_path_factory.mktemp("made") for place in KINDS}
    for place, out in made.items():
        subprocess.run([sys.executable, place / "build.py", "--out", out], check=True, capture_output=True)
    return made


@pytest.mark.parametrize("place", KINDS, ids=lambda place: place.name)
def test_every_image_is_made(rebuilt: dict[Path, Path], place: Path) -> None:
    committed = [path.name for path in COMMITTED if path.parent == place]
    assert sorted(path.name for path in rebuilt[place].iterdir()) == committed


@pytest.mark.parametrize("image", COMMITTED, ids=lambda path: path.name)
def test_rebuilding_gives_the_same_bytes(rebuilt: dict[Path, Path], image: Path) -> None:
    same = (rebuilt[image.parent] / image.name).read_bytes() == image.read_bytes()
    assert same, f"{image.name} is not what its sources make: run make guests"
