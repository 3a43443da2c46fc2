"""The narrated demos that come with the program: session scripts that name their machine."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from engine import paths
from engine.errors import MachineError


class Demo(NamedTuple):
    """One script."""

    name: str
    title: str
    machine: Path
    script: Path


def all_demos() -> list[Demo]:
    """By name."""
    return [_read(script) for script in sorted((paths.machines_dir() / "demos").glob("*.hvt"))]


def find(name: str) -> Demo:
    """MachineError, in one line that lists all, if there is none of this name."""
    demos = all_demos()
    for demo in demos:
        if demo.name == name.replace("-", "_"):
            return demo
    raise MachineError(f"expected a demo, one of {', '.join(demo.name for demo in demos)} (got {name!r})")


def _read(script: Path) -> Demo:
    head = dict(_said(line) for line in script.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    return Demo(script.stem, head["title"], paths.machines_dir() / head["machine"], script)


def _said(line: str) -> tuple[str, str]:
    """`# title: words` of a script's head."""
    key, _, value = line.removeprefix("# ").partition(": ")
    return key, value
