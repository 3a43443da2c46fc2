"""Where files that belong to the program live: shipped machines, and the user's image cache."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_PREFIX = "cache:"
"""A path that starts with this is relative to `image_cache()`."""

_PACKAGE = Path(__file__).resolve().parent


def machines_dir() -> Path:
    """Directory of the shipped machine files: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "machines"
    return installed if installed.is_dir() else _PACKAGE.parent / "machines"


def default_machine() -> Path:
    """The machine that opens when none is named."""
    return machines_dir() / "ffa.toml"


def image_cache() -> Path:
    """Directory of fetched images, by the XDG base directory rules; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "hvtui" / "images"


def remedy(text: str) -> str:
    """What to do about a file of the cache that is missing; `text` names it as `resolve` takes it."""
    kind = text.removeprefix(CACHE_PREFIX).partition("/")[0]
    return "build it with: hvtui images build linux-ffa" if kind == "linux-ffa" else "fetch it with: hvtui images fetch"


def resolve(text: str, base: Path) -> Path:
    """The file that `text` names: in the cache, absolute, or relative to `base`."""
    if text.startswith(CACHE_PREFIX):
        return image_cache() / text.removeprefix(CACHE_PREFIX)
    return base / text
