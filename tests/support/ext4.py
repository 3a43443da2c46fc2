"""Disk images with an ext4 file system for Linux guests, made without root by mke2fs (package e2fsprogs)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SIZE = 8 << 20
UUID = "68767475-6900-4000-8000-000000000001"
FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
    "large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)
"""Those of ext4, whatever the host's mke2fs.conf says."""
EPOCH = 1_700_000_000
"""Every time in the file system, in seconds since 1970."""

_TOOLS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Where e2fsprogs may be: not every user has it on the PATH."""
_ENVIRONMENT = {**os.environ, "E2FSPROGS_FAKE_TIME": str(EPOCH), "MKE2FS_CONFIG": os.devnull}

MISSING = [tool for tool in ("mke2fs", "debugfs") if shutil.which(tool, path=_TOOLS) is None]
REASON = f"{', '.join(MISSING)} not installed (package e2fsprogs)"
needs_ext4 = pytest.mark.skipif(bool(MISSING), reason=REASON)


def make_image(path: Path, files: Mapping[str, bytes], size: int = SIZE) -> Path:
    """Make an image of `size` bytes with files by relative path; the same arguments give the same bytes.

    Skips the test that asks for it where the tools are missing.
    """
    if MISSING:
        pytest.skip(REASON)
    tree = path.with_name(f"{path.name}.files")
    for name, data in files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    places = [tree, *sorted(tree.rglob("*"))]
    for place in places:
        place.chmod(0o755 if place.is_dir() else 0o644)
        os.utime(place, (EPOCH, EPOCH))
    with path.open("wb") as image:
        image.truncate(size)
    options = f"hash_seed={UUID},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
    layout = ["-O", FEATURES, "-b", "1024", "-I", "256", "-i", "4096", "-m", "0", "-U", UUID, "-E", options]
    _run("mke2fs", "-q", "-F", *layout, "-d", str(tree), str(path))
    # mke2fs copies the time of the last change of an inode, which nobody can choose.
    changes = [f'set_inode_field "/{place.relative_to(tree)}" ctime @{EPOCH}\n' for place in places]
    _run("debugfs", "-w", "-f", "-", str(path), text="".join(changes))
    shutil.rmtree(tree)
    return path


def _run(tool: str, *arguments: str, text: str = "") -> None:
    program = shutil.which(tool, path=_TOOLS)
    assert program is not None
    subprocess.run([program, *arguments], env=_ENVIRONMENT, input=text, check=True, capture_output=True, text=True)
