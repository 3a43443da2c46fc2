"""What a machine costs whose guests mostly sleep, and how much memory it takes."""

from __future__ import annotations

import time

import pytest

from engine import config, paths
from engine.machine import Machine, Pace
from tests.bench.processes import HVTUI, SETTLE_S, run_until, sit
from tests.bench.table import Table

pytestmark = pytest.mark.bench
WATCH_S = 5.0
IDLE = "Idle guests in real time, share of one host core"
MEMORY = "Peak memory"
DEFAULT = "Two VMs and three SPs"


def test_idle_without_the_app(table: Table) -> None:
    machine = Machine(config.load(paths.default_machine()), pace=Pace.REAL)
    machine.start()
    try:
        time.sleep(SETTLE_S)
        started, used = time.perf_counter(), time.process_time()
        time.sleep(WATCH_S)
        share = (time.process_time() - used) / (time.perf_counter() - started)
    finally:
        machine.close()
    table.cost(IDLE, f"{DEFAULT}, no app", "%", share * 100)


def test_default_machine_in_the_app(table: Table) -> None:
    seat = sit(paths.default_machine(), b"I say", WATCH_S)
    table.cost(IDLE, f"{DEFAULT}, in the app", "%", seat.cpu_share * 100)
    table.cost(MEMORY, f"{DEFAULT}, in the app", "MB", seat.peak_mb)


@pytest.mark.linux
@pytest.mark.usefixtures("linux_images")
def test_linux_in_the_app(table: Table) -> None:
    seat = sit(paths.machines_dir() / "linux.toml", b"/ #", WATCH_S)
    table.cost(IDLE, "Linux, 4 vCPUs, in the app", "%", seat.cpu_share * 100)
    table.cost(MEMORY, "Linux, 4 vCPUs, in the app", "MB", seat.peak_mb)


def test_default_machine_without_the_app(table: Table) -> None:
    argv = [*HVTUI, "run", str(paths.default_machine()), "--headless", "--timeout", "60"]
    table.cost(MEMORY, f"{DEFAULT}, headless", "MB", run_until(argv, b"it wrote").peak_mb)
