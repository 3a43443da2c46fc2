"""Disks and networks of Linux guests, and interrupts between vCPUs: wall time, as somebody at the console has it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine import config, paths
from tests.bench import guests, qemu
from tests.bench.processes import HVTUI, run_until
from tests.bench.table import Table
from tests.support.linux import PROMPT, Terminal
from tests.support.machines import Bench

pytestmark = pytest.mark.bench
MULTI = paths.machines_dir() / "multi-vm.toml"
DISK = "Disk of a Linux guest (virtio-blk, image in memory)"
NETWORK = "Network between two Linux VMs on one core (virtio-net)"
BOOT = "Two Linux VMs, from the command to both prompts"
IPI = "Interrupts between vCPUs"


@pytest.fixture(scope="module")
def shells() -> dict[str, Terminal]:
    """The two VMs with their prompts, by name."""
    bench = Bench(config.load(MULTI), digest=False)
    found = {vm.name: Terminal(bench, vm.name) for vm in bench.system.vms}
    for shell in found.values():
        shell.wait(PROMPT)
    return found


def seconds(shell: Terminal, command: str) -> float:
    """Wall time of a command that succeeds."""
    started = time.perf_counter()
    assert shell.command(f"{command}; echo = $?")[-1] == "= 0"
    return time.perf_counter() - started


@pytest.mark.linux
@pytest.mark.usefixtures("linux_images")
@pytest.mark.parametrize(
    ("what", "command", "size"),
    [
        ("write, 1 MB at a time", "dd if=/dev/zero of=/dev/vda bs=1M count=32 oflag=direct 2>/dev/null", 32),
        ("read, 1 MB at a time", "dd if=/dev/vda of=/dev/null bs=1M count=32 iflag=direct 2>/dev/null", 32),
    ],
    ids=["write", "read"],
)
def test_disk_throughput(table: Table, shells: dict[str, Terminal], what: str, command: str, size: int) -> None:
    table.speed(DISK, what, "MB/s", size / seconds(shells["vm0"], command))


@pytest.mark.linux
@pytest.mark.usefixtures("linux_images")
def test_disk_requests(table: Table, shells: dict[str, Terminal]) -> None:
    count = 4000
    spent = seconds(shells["vm0"], f"dd if=/dev/vda of=/dev/null bs=4k count={count} iflag=direct 2>/dev/null")
    table.speed(DISK, "reads of 4 KB, one after the other", "/s", count / spent)


@pytest.mark.linux
@pytest.mark.usefixtures("linux_images")
def test_network_throughput(table: Table, shells: dict[str, Terminal]) -> None:
    seconds(shells["vm1"], "mkdir -p /www; dd if=/dev/zero of=/www/f bs=64k count=128 2>/dev/null; httpd -h /www")
    spent = seconds(shells["vm0"], "wget -q -O /dev/null http://10.0.0.2/f")
    table.speed(NETWORK, "8 MB over HTTP", "MB/s", 8 / spent)


@pytest.mark.linux
@pytest.mark.usefixtures("linux_images")
def test_network_round_trips(table: Table, shells: dict[str, Terminal]) -> None:
    count = 1000
    spent = seconds(shells["vm0"], f"ping -q -A -c {count} 10.0.0.2 >/dev/null")
    table.speed(NETWORK, "ping there and back", "/s", count / spent)


@pytest.mark.linux
@pytest.mark.usefixtures("linux_images")
def test_boot_of_two(table: Table, with_qemu: bool) -> None:
    steps = [word for vm in ("vm0", "vm1") for word in ("--expect", f"{vm}:{PROMPT}")]
    started = time.perf_counter()
    run_until([*HVTUI, "run", str(MULTI), *steps, "--send", r'vm0:echo bo"th"\n', "--expect", "vm0:both"], b"both")
    ours = time.perf_counter() - started
    theirs = None
    if with_qemu:
        started = time.perf_counter()
        for vm in config.load(MULTI).vms:
            argv = qemu.command(vm.image, vm.bootargs, "-initrd", str(vm.initrd), ram_mb=vm.ram_size >> 20)
            run_until(argv, PROMPT.encode())
        theirs = time.perf_counter() - started
        table.note("Two QEMUs ran one after the other, as our VMs share one core.")
    table.cost(BOOT, "once", "s", ours, theirs)


@pytest.mark.parametrize("cores", [1, 4])
def test_interrupts_round_four_vcpus(table: Table, tmp_path: Path, cores: int) -> None:
    n = 1000
    ours = guests.rounds(tmp_path, "ring", n, 3, vcpus=4, cores=cores)
    table.speed(IPI, f"once round 4 vCPUs on {cores} core{'s' if cores > 1 else ''}", "/s", n / ours.seconds)
