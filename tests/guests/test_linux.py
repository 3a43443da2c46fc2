"""An unmodified Debian kernel boots to a shell, uses its vCPUs, goes off, and does all of it the same way again."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import config, paths
from engine.machine_config import MachineConfig
from engine.views import VmRunState
from tests.support.linux import LONGEST_MS, boot, linux_config, needs_linux

pytestmark = needs_linux


def shipped(machine: str) -> MachineConfig:
    return config.load(paths.machines_dir() / f"{machine}.toml")


def test_one_vcpu_boots_to_a_shell_goes_off_and_does_it_again() -> None:
    digests = set()
    for _ in range(2):
        [terminal] = boot(shipped("linux-up"))
        assert terminal.command("nproc; uname -m") == ["1", "aarch64"]
        assert terminal.command("cat /proc/modules") == [], "nothing to drive"
        terminal.type("poweroff -f\n")
        terminal.bench.run_ms(LONGEST_MS)
        assert (terminal.bench.vm.state, terminal.bench.vm.detail) == (VmRunState.OFF, "SYSTEM_OFF")
        digests.add(terminal.bench.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("machine", ["linux", "linux-smp"])
def test_four_vcpus_are_all_there(machine: str) -> None:
    [terminal] = boot(shipped(machine))
    assert terminal.command("nproc; uname -m") == ["4", "aarch64"]
    assert [vcpu.instructions > 1_000_000 for vcpu in terminal.bench.vm.vcpus] == [True] * 4
    before = terminal.bench.hypervisor.now
    assert terminal.command("sleep 1; echo over") == ["over"]
    slept = terminal.bench.hypervisor.ns_of_cycles(terminal.bench.hypervisor.now - before) / 1e9
    assert 1 <= slept < 1.2


def test_at_el2_it_has_guests_of_its_own(tmp_path: Path) -> None:
    """Protected KVM under an unmodified kernel; its guest takes an interrupt through list registers."""
    arguments = "earlycon=pl011,0x09000000 console=ttyAMA0 rdinit=/init kvm-arm.mode=protected"
    [terminal] = boot(linux_config(tmp_path, {"el": 2, "vcpus": 2}, bootargs=arguments))
    assert "CPU: All CPU(s) started at EL2" in terminal.log
    assert "Protected nVHE mode initialized successfully" in terminal.log
    assert terminal.command("kvm_hello") == ["?!", "kvm guest off, after its interrupt"]
