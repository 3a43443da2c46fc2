"""A kernel with Linux's own FF-A driver, KVM and Binder, under the hypervisor and without it."""

from __future__ import annotations

import re

import pytest

from engine import config, paths
from engine.images import linux_ffa
from hvtui.cli import run_cli
from tests.support import linux
from tests.support.linux import Terminal

pytestmark = [
    pytest.mark.linux,
    pytest.mark.slow,
    pytest.mark.skipif(
        linux_ffa.current() is None,
        reason=f"no kernel of today's recipe in {linux_ffa.cache()}; build it with: {linux_ffa.COMMAND}",
    ),
]
CHECKS = 35
ARGUMENTS = "console=ttyAMA0 earlycon=pl011,0x09000000 rdinit=/init hvtui.run=ffa_test"
_CHECK = re.compile(r"ffa_test: \[(PASS|FAIL)\] (.+)")


def checks(text: str) -> list[str]:
    """Names of the checks, all of which passed."""
    found = _CHECK.findall(text)
    assert [name for verdict, name in found if verdict != "PASS"] == []
    return [name for _, name in found]


def boot(machine: str, *overrides: str) -> Terminal:
    """A shipped machine at its prompt."""
    [terminal] = linux.boot(config.load(paths.machines_dir() / f"{machine}.toml", overrides))
    return terminal


@pytest.fixture(scope="module")
def relayed() -> Terminal:
    return boot("linux-ffa")


def test_the_driver_finds_the_firmware(relayed: Terminal) -> None:
    assert "ARM FF-A: Driver version 1." in relayed.log
    assert "ARM FF-A: Firmware version 1.2 found" in relayed.log


def test_every_check_passes_once(relayed: Terminal) -> None:
    names = checks(relayed.log)
    assert len(names) == len(set(names)) == CHECKS
    assert f"ffa_test:   Results: {CHECKS}/{CHECKS} PASS" in relayed.log


def test_the_module_can_be_inserted_again(relayed: Terminal) -> None:
    """What the first run shared and found is all given back."""
    lines = relayed.command("rmmod ffa_test; insmod /lib/ffa_test.ko")
    assert len(checks("\n".join(lines))) == CHECKS
    system = relayed.bench.system
    assert system.ffa is not None
    assert system.secure is not None
    assert not system.ffa.relay.table.records
    assert not system.secure.spmc.manager.table.records


def test_the_driver_has_its_interrupts(relayed: Terminal) -> None:
    found = relayed.command("grep FFA /proc/interrupts")
    assert [line.split()[-3:] for line in found] == [["9", "Edge", "ARM-FFA-SRI"], ["8", "Edge", "ARM-FFA-NPI"]]


def test_the_kernels_symbols_are_there(relayed: Terminal) -> None:
    address = relayed.bench.vm.symbols.address("kernel_init")
    assert address is not None
    assert relayed.bench.vm.symbols.lookup(address + 4) == "kernel_init+0x4"


@pytest.mark.parametrize(
    "overrides",
    [
        ("board.cores=2", "board.time_slice_ms=1"),
        ("ffa.owner_access_on_share=read-write", "ffa.vm_to_vm=false", "linux.vcpus=1"),
        ("ffa.npi=10", "ffa.sri=11", "secure.npi=5", "secure.sri=12"),
    ],
)
def test_every_check_passes_on_other_machines(overrides: tuple[str, ...]) -> None:
    assert len(checks(boot("linux-ffa", *overrides).log)) == CHECKS


def test_it_is_the_same_every_time() -> None:
    first, second = (boot("linux-ffa").bench.digest() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("mode", "told", "version"),
    [("nvhe", "Hyp nVHE mode initialized", "1.2"), ("protected", "Protected nVHE mode initialized", "1.1")],
)
def test_linux_at_el2_talks_to_the_secure_world_itself(mode: str, told: str, version: str) -> None:
    """Or has protected KVM in between, which speaks FF-A 1.1 and shares the pages in its name."""
    terminal = boot("linux-el2", f"linux.bootargs={ARGUMENTS} kvm-arm.mode={mode}")
    assert f"ARM FF-A: Firmware version {version} found" in terminal.log
    assert "CPU: All CPU(s) started at EL2" in terminal.log
    assert "CPU1: Booted secondary processor 0x0000000001" in terminal.log
    assert f"{told} successfully" in terminal.log
    assert len(checks(terminal.log)) == CHECKS
    assert terminal.command("kvm_hello") == ["?!", "kvm guest off, after its interrupt"]


def test_the_android_machine_has_binder_and_the_date() -> None:
    terminal = boot("android")
    assert re.search(r"binder ping ok: process \d+ had 100 answers of process \d+\n", terminal.log)
    assert terminal.command("date -u +%Y-%m-%dT%H") == ["2026-01-01T12"]
    devices = terminal.command("ls -1 /dev/binderfs")
    assert devices == ["binder", "binder-control", "features", "hwbinder", "vndbinder"]
    assert terminal.command("ls /dev/dma_heap") == ["system"]
    assert int(terminal.command("free -m | awk '/Mem/ {print $2}'")[0]) > 950


@pytest.mark.parametrize(("machine", "expected"), [("linux-ffa", "Results: 35/35 PASS"), ("android", "binder ping ok")])
def test_the_shipped_machines_do_it_from_the_command_line(
    machine: str, expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file = str(paths.machines_dir() / f"{machine}.toml")
    assert run_cli(["run", file, "--headless", "--expect", expected]) == 0
    assert expected in capfd.readouterr().out
