"""The app's screens, in the order of their keys."""

from __future__ import annotations

from typing import NamedTuple


class Mode(NamedTuple):
    """One screen."""

    name: str
    title: str
    missing: str = ""
    """Why a machine may not have it."""


MODES: tuple[Mode, ...] = (
    Mode("board", "board"),
    Mode("cpu", "CPU"),
    Mode("memory", "memory"),
    Mode("ffa", "FF-A", "this machine has no FF-A"),
    Mode("trace", "trace"),
    Mode("interrupts", "interrupts"),
    Mode("devices", "devices", "this machine has no virtio devices"),
)
BOARD = MODES[0]
