"""What single things cost a guest: the same small program here and under QEMU."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import guests, qemu
from tests.bench.table import Table

pytestmark = pytest.mark.bench
RUNS = 3
QEMU_ROUNDS = 10
"""How many times as often QEMU does a cheap thing, to take long enough to be measured."""
SWITCH_RUNS = 40
SPEED = "Straight code"
COST = "Costs of a guest's requests, best of 3"
SWITCH = "vCPU switches on one core"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return qemu.flat_copy(guests.IMAGE, tmp_path / "bench.bin")


@pytest.mark.parametrize(
    ("mode", "n", "longer", "what"),
    [
        ("alu", 10_000_000, 10, "arithmetic and branches"),
        ("mem", 500, 4, "loads and stores over 1 MB"),
    ],
    ids=["alu", "mem"],
)
def test_speed(
    table: Table, with_qemu: bool, tmp_path: Path, image: Path, mode: str, n: int, longer: int, what: str
) -> None:
    ours = guests.rounds(tmp_path, mode, n, RUNS)
    rate = ours.instructions / ours.seconds / 1e6
    theirs = None
    if with_qemu:
        theirs = ours.instructions / n / qemu.seconds_each(image, mode, n * longer, RUNS) / 1e6
    table.speed(SPEED, what, "M instr/s", rate, theirs)


@pytest.mark.parametrize(
    ("mode", "n", "what"),
    [
        ("hvc", 20_000, "trap: HVC and back (PSCI_VERSION)"),
        ("mmio", 20_000, "MMIO read (PL011 flags)"),
        ("counter", 20_000, "counter read (CNTVCT_EL0)"),
        ("ipi", 2_000, "interrupt there and back (SGI, WFI)"),
    ],
    ids=["hvc", "mmio", "counter", "ipi"],
)
def test_cost(table: Table, with_qemu: bool, tmp_path: Path, image: Path, mode: str, n: int, what: str) -> None:
    ours = guests.rounds(tmp_path, mode, n, RUNS)
    theirs = qemu.seconds_each(image, mode, n * QEMU_ROUNDS, RUNS) * 1e6 if with_qemu else None
    table.cost(COST, what, "us", ours.seconds / n * 1e6, theirs)
    if mode == "ipi":
        what = "with the interrupt that causes it"
        table.cost(SWITCH, what, "us", ours.seconds / ours.switches * 1e6)


@pytest.mark.parametrize(("vms", "what"), [(1, "alone, within a VM"), (2, "alone, between VMs")], ids=["one", "two"])
def test_switch(table: Table, tmp_path: Path, vms: int, what: str) -> None:
    table.cost(SWITCH, what, "us", guests.switch_seconds(tmp_path, vms, SWITCH_RUNS) * 1e6)
