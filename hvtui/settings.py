"""What a person prefers on every machine: the file `config.toml` in the user's configuration folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import tomli

from engine.errors import MachineError
from hvtui.actions import ACTIONS
from hvtui.keymap import Keymap, KeymapError, keymap, label
from hvtui.palettes import PALETTES


class _File(msgspec.Struct, forbid_unknown_fields=True):
    theme: str = PALETTES[0].name
    keys: dict[str, str | list[str]] = {}


@dataclass(frozen=True)
class Settings:
    """Preferences; those of nobody in particular by default."""

    theme: str = PALETTES[0].name
    keymap: Keymap = field(default_factory=Keymap)


def path() -> Path:
    """Where the file is, if there is one (XDG Base Directory Specification)."""
    chosen = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(chosen) if Path(chosen).is_absolute() else Path.home() / ".config"
    return base / "hvtui" / "config.toml"


def load(file: Path) -> Settings:
    """The settings of a file; the usual ones where there is none. MachineError, in one line, for a bad one."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(f"{file}: expected a readable file: {error}") from None
    return _told(file, lambda: parse(text))


def parse(text: str) -> Settings:
    """The settings that a text in TOML says. ValueError, in one line, for a bad one."""
    found = msgspec.convert(tomli.loads(text), _File)
    names = [each.name for each in PALETTES]
    if found.theme not in names:
        raise ValueError(f"theme: expected {', '.join(names)} (got {found.theme!r})")
    try:
        return Settings(found.theme, keymap(found.keys))
    except KeymapError as error:
        raise ValueError(f"keys.{error}") from None


def _told(file: Path, made: Callable[[], Settings]) -> Settings:
    try:
        return made()
    except ValueError as error:
        raise MachineError(f"{file}: {error}") from None


def as_toml(settings: Settings) -> str:
    """A file that says the same, with every action."""
    lines = [f'theme = "{settings.theme}"', "", "[keys]"]
    for action in ACTIONS:
        keys = [label(key).replace("\\", "\\\\") for key in settings.keymap.keys(action)]
        if keys:
            words = ", ".join(f'"{key}"' for key in keys)
            lines.append(f"{action.name} = [{words}]  # {action.title}")
    return "\n".join(lines) + "\n"
