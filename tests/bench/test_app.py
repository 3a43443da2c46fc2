"""What the app costs its engine, and how quickly it answers."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from engine import config, paths
from engine.debug.goals import ConsoleText, Goal
from engine.events import EventRing, Trap
from engine.machine import Machine, Pace
from engine.machine_config import MachineConfig
from hvtui.app import HvtuiApp
from tests.bench.processes import respond
from tests.bench.table import Table

pytestmark = pytest.mark.bench
SPEED = "Engine under the app"
ANSWERS = "Answers of the app while Linux boots"
ROUNDS = 5
PATIENCE_S = 120
KEYS = 60
EVENTS = 200_000


Work = Callable[[Machine], Future[Any]]
"""Begins what is timed; done when the machine is held there."""


def test_busy_guests(table: Table) -> None:
    """Two VMs that print all the time."""
    busy = [f"{vm}.bootargs=name={vm} period_ms=1" for vm in ("vm0", "vm1")]
    machine = config.load(paths.machines_dir() / "two-vms.toml", busy)
    _compare(table, "guests that print", machine, _two_seconds)


def _two_seconds(machine: Machine) -> Future[Any]:
    machine.run_to_time(2_000_000_000)
    return machine.held()


@pytest.mark.linux
@pytest.mark.usefixtures("linux_images")
def test_a_booting_kernel(table: Table) -> None:
    _compare(table, "Linux boots", config.load(paths.machines_dir() / "linux-up.toml"), _prompt)


def _prompt(machine: Machine) -> Future[Any]:
    return machine.wait_for(ConsoleText(None, re.compile("/ # ")), 60_000_000_000)


def _compare(table: Table, what: str, config: MachineConfig, work: Work) -> None:
    """In turns, so that a noisy host is noisy to both; the medians."""
    figures: dict[Callable[[Machine, Work], float], list[float]] = {_alone: [], _shown: []}
    for _ in range(ROUNDS):
        for measure, found in figures.items():
            machine = Machine(config, pace=Pace.MAX)
            machine.start(running=False)
            found.append(measure(machine, work))
            machine.close()
    alone, shown = (statistics.median(found) for found in figures.values())
    table.cost(SPEED, f"{what}, no app", "s", alone)
    table.cost(SPEED, f"{what}, in the app", "s", shown)
    table.cost(SPEED, f"{what}, lost to the app", "%", 100 * (1 - alone / shown))


def _alone(machine: Machine, work: Work) -> float:
    started = time.perf_counter()
    machine.resume()
    work(machine).result(PATIENCE_S)
    return time.perf_counter() - started


def _shown(machine: Machine, work: Work) -> float:
    return asyncio.run(_under(HvtuiApp(machine), machine, work))


async def _under(app: HvtuiApp, machine: Machine, work: Work) -> float:
    async with app.run_test(size=(120, 40)):
        await asyncio.sleep(0.5)
        started = time.perf_counter()
        machine.resume()
        await asyncio.wrap_future(work(machine))
        return time.perf_counter() - started


@pytest.mark.linux
@pytest.mark.usefixtures("linux_images")
def test_keys_are_answered(table: Table) -> None:
    keys = [(b":", b" command; tab"), (b"\x03", b"\x1b[")] * KEYS
    response = respond(paths.machines_dir() / "linux-up.toml", keys, b"board", 0.05)
    opened = sorted(response.keys_s[::2])
    table.cost(ANSWERS, "start to first paint", "s", response.first_paint_s)
    table.cost(ANSWERS, "key to paint, p50", "ms", 1e3 * statistics.median(opened))
    table.cost(ANSWERS, "key to paint, p95", "ms", 1e3 * opened[int(len(opened) * 0.95)])
    table.cost(ANSWERS, "quit", "ms", 1e3 * response.quit_s)


@pytest.mark.parametrize(("what", "watch"), [("", None), (", with a goal set", Goal.WORLD)])
def test_rows_into_the_trace(table: Table, what: str, watch: Goal | None) -> None:
    ring = EventRing(1_000_000)
    if watch is not None:
        ring.watch = _never
    table.cost(
        SPEED, f"rows into the trace{what}", "/s", _rate(lambda n: ring.emit(Trap(n, "vm0", 0, 0x16, 0, "HVC", n)))
    )


def _never(event: object) -> None:
    """Somebody who looks out for events of a kind that does not come."""
    isinstance(event, str)


def _rate(emit: Callable[[int], None]) -> float:
    started = time.perf_counter()
    for number in range(EVENTS):
        emit(number)
    return EVENTS / (time.perf_counter() - started)
