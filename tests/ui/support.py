"""Machines brought to exact states, and an app that is looked at only when it has come to rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from textual.pilot import Pilot

from engine import config, paths
from engine.machine import Machine
from hvtui.app import HvtuiApp
from hvtui.settings import Settings

SECOND = 500_000_000
"""Cycles of a virtual second with the default eight instructions a tick."""

Advance = Callable[[Machine], object]
Compare = Callable[..., bool]
"""Pytest-textual-snapshot's `snap_compare`."""


def booted(machine: Machine) -> None:
    """Both guests have said hello and wait for their first tick."""
    machine.control.advance(SECOND // 2)


def ticking(machine: Machine) -> None:
    """In the middle of vm0's second tick: its first vCPU runs."""
    machine.control.advance(2 * SECOND)
    machine.control.run_instructions(800)


def still(advance: Advance = booted, file: str = "two-vms.toml") -> Machine:
    """A machine that stands at an exact instruction; its thread runs."""
    machine = Machine(config.load(paths.machines_dir() / file))
    advance(machine)
    machine.start(running=False)
    return machine


def faulty(tmp_path: Path, image: str, beside: bool = True) -> Path:
    """A machine file whose first VM runs a guest that does wrong."""
    guests = paths.machines_dir() / "guests"
    file = tmp_path / "faulty.toml"
    text = f'[machine]\nname = "faulty"\n\n[[vm]]\nname = "bad"\nram_size = "16M"\nimage = "{guests / image}"\n'
    if beside:
        text += (
            f'\n[[vm]]\nname = "good"\nram_base = 0x60000000\nram_size = "16M"\nimage = "{guests / "demo.elf"}"\n'
            'bootargs = "name=good period_ms=1000"\n'
        )
    file.write_text(text)
    return file


async def settle(pilot: Pilot[None]) -> None:
    """Wait until the machine stands still and everything it said is on the screen."""
    app = pilot.app
    assert isinstance(app, HvtuiApp)
    bridge = app.board.bridge
    await pilot.pause()
    while not bridge.idle.is_set():
        await asyncio.wait_for(bridge.idle.wait(), 10)
        await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Keys, one after the other, each with all it leads to."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def keys(*names: str) -> Callable[[Pilot[None]], object]:
    """Press these once the app has come to rest: what a snapshot is taken after."""

    async def run(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *names)

    return run


async def until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await pilot.pause(0.02)


@contextlib.asynccontextmanager
async def running(
    machine: Machine,
    size: tuple[int, int] = (120, 40),
    settings: Settings | None = None,
    notifications: bool = False,
) -> AsyncIterator[tuple[HvtuiApp, Pilot[None]]]:
    """An app on a machine, at rest; closes both. Notices that cover others are shown where they are asked for."""
    app = HvtuiApp(machine, settings=settings)
    try:
        async with app.run_test(size=size, notifications=notifications) as pilot:
            await settle(pilot)
            yield app, pilot
    finally:
        machine.close()


def console_text(app: HvtuiApp, vm: str) -> str:
    """What is visible of a console."""
    terminal = app.board.consoles[vm].terminal
    return "\n".join(terminal.text(y).rstrip() for y in range(terminal.lines))
