"""The committed guest images are what their sources and the pinned compiler make."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.machines import GUESTS

COMMITTED = sorted(path for kind in ("elf", "bin", "spkg") for path in GUESTS.glob(f"*.{kind}"))


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("the compiler is not installed: make install")
    out = tmp_path_factory.mktemp("guests")
    subprocess.run([sys.executable, GUESTS / "build.py", "--out", out], check=True, capture_output=True)
    return out


def test_every_image_is_made(rebuilt: Path) -> None:
    assert sorted(path.name for path in rebuilt.iterdir()) == [path.name for path in COMMITTED]


@pytest.mark.parametrize("image", COMMITTED, ids=lambda path: path.name)
def test_rebuilding_gives_the_same_bytes(rebuilt: Path, image: Path) -> None:
    same = (rebuilt / image.name).read_bytes() == image.read_bytes()
    assert same, f"{image.name} is not what its sources make: run make guests"
