"""One kernel, one initial RAM disk, one command line: to a shell prompt, here and under QEMU."""

from __future__ import annotations

from statistics import median

import pytest

from engine import config, paths
from engine.machine_config import VmConfig
from tests.bench import qemu
from tests.bench.processes import HVTUI, Run, run_until
from tests.bench.table import Table

pytestmark = [pytest.mark.bench, pytest.mark.linux, pytest.mark.usefixtures("linux_images")]
RUNS = 3
PROMPT = b"/ # "
SECTION = "Linux, from the command to the shell's prompt"


def here(machine: str) -> Run:
    path = paths.machines_dir() / f"{machine}.toml"
    return run_until([*HVTUI, "run", str(path), "--headless", "--timeout", "600"], PROMPT)


def guest(machine: str) -> VmConfig:
    return config.load(paths.machines_dir() / f"{machine}.toml").vms[0]


def there(vm: VmConfig) -> Run:
    options = ("-initrd", str(vm.initrd)) if vm.initrd else ()
    argv = qemu.command(vm.image, vm.bootargs, *options, ram_mb=vm.ram_size >> 20, vcpus=vm.vcpus)
    return run_until(argv, PROMPT)


def test_one_vcpu(table: Table, with_qemu: bool) -> None:
    vm = guest("linux-up")
    ours: list[Run] = []
    theirs: list[Run] = []
    for _ in range(RUNS):
        ours.append(here("linux-up"))
        if with_qemu:
            theirs.append(there(vm))
    for name, pick in (("best", min), ("median", median)):
        mine, other = (pick([run.seconds for run in runs]) if runs else None for runs in (ours, theirs))
        assert mine is not None
        table.cost(SECTION, f"1 vCPU, {name} of {RUNS}", "s", mine, other)
    memory = [max(run.peak_mb for run in runs) if runs else None for runs in (ours, theirs)]
    assert memory[0] is not None
    table.cost("Peak memory", "Linux, 1 vCPU, 512 MB of RAM", "MB", memory[0], memory[1])


def test_four_vcpus(table: Table, with_qemu: bool) -> None:
    theirs = there(guest("linux")).seconds if with_qemu else None
    table.cost(SECTION, "4 vCPUs on one core, once", "s", here("linux").seconds, theirs)
    table.cost(SECTION, "4 vCPUs on four cores, once", "s", here("linux-smp").seconds, theirs)
