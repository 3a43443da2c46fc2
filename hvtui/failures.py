"""Where the traceback of an engine that failed is kept: the user's state folder."""

from __future__ import annotations

import datetime
import os
import platform
import re
from importlib import metadata
from pathlib import Path

from engine.machine_config import MachineConfig

_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 80
"""Characters of a machine's name in the file's."""


def folder() -> Path:
    """`hvtui` in the user's state folder (XDG Base Directory Specification)."""
    chosen = os.environ.get("XDG_STATE_HOME", "")
    base = Path(chosen) if Path(chosen).is_absolute() else Path.home() / ".local" / "state"
    return base / "hvtui"


def save(config: MachineConfig, traceback: str, nanoseconds: int, when: datetime.datetime) -> Path:
    """Write down what ended an engine at a virtual time; the file, which is a new one. OSError where it cannot be."""
    directory = folder()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = _NO_NAME.sub("-", config.name)[:_LONGEST]
    file = directory / f"{name}-{when:%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    with file.open("x", encoding="utf-8") as stream:
        stream.write(f"hvtui {_version()}, Python {platform.python_version()}, {platform.platform()}\n")
        stream.write(f"{config.file.absolute()}, at {nanoseconds} ns of virtual time, {when.isoformat()}\n\n")
        stream.write(traceback)
    return file


def _version() -> str:
    try:
        return metadata.version("hvtui")
    except metadata.PackageNotFoundError:
        return "from its sources"
