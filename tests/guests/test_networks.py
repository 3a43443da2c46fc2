"""Linux VMs on one Ethernet: ping, netcat and HTTP between them, over their consoles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine import config, paths
from engine.board.network.port import Drop
from engine.board.virtio.net_features import NetFeature
from engine.machine_config import MachineConfig
from tests.support.linux import Terminal, boot, linux_config, needs_linux

pytestmark = needs_linux
MULTI = paths.machines_dir() / "multi-vm.toml"
THREE = paths.machines_dir() / "three-vms.toml"
_SECOND = 1_000_000_000


def quiet(machine: MachineConfig) -> list[Terminal]:
    """The shells of a machine, whose kernels say less than the machine file has them say."""
    options = [f"{vm.name}.bootargs=console=ttyAMA0 rdinit=/init quiet" for vm in machine.vms]
    return boot(config.load(machine.file, options))


@pytest.fixture(scope="module")
def two() -> list[Terminal]:
    return quiet(config.load(MULTI))


def checksum(lines: list[str]) -> str:
    (found,) = re.findall(r"\b[0-9a-f]{32}\b", " ".join(lines))
    return str(found)


def test_addresses_come_from_the_mac(two: list[Terminal]) -> None:
    assert "inet addr:10.0.0.1 " in " ".join(two[0].command("ifconfig eth0"))
    assert "HWaddr 52:54:00:00:00:02" in " ".join(two[1].command("ifconfig eth0"))


def test_the_drivers_want_what_the_devices_offer(two: list[Terminal]) -> None:
    nics = [slot.device for vm in two[0].bench.system.vms for slot in vm.virtio if slot.device.device_id == 1]
    wanted = NetFeature.MRG_RXBUF | NetFeature.CTRL_VQ | NetFeature.STATUS
    assert all(nic.negotiated & wanted == wanted for nic in nics)
    assert len(nics) == 2


def test_ping(two: list[Terminal]) -> None:
    assert "3 packets transmitted, 3 packets received, 0% packet loss" in two[0].command("ping -c 3 -s 1400 10.0.0.2")
    assert "1 packets transmitted, 0 packets received, 100% packet loss" in two[1].command("ping -c 1 -W 1 10.0.0.9")


def test_netcat(two: list[Terminal]) -> None:
    two[1].type("nc -l -p 4000\n")
    two[0].command("sleep 0.2; echo over the wire | nc 10.0.0.2 4000")
    assert "over the wire" in two[1].wait("/ # ")


def test_a_file_over_http_arrives_as_it_was(two: list[Terminal]) -> None:
    sent = two[1].command("mkdir /www; dd if=/dev/urandom of=/www/f bs=64k count=128; httpd -h /www; md5sum /www/f")
    got = two[0].command("wget -q -O /f http://10.0.0.2/f; md5sum /f")
    assert checksum(sent) == checksum(got)
    assert " 8388608 " in " ".join(two[0].command("ls -l /f"))
    (network,) = two[0].bench.system.networks
    assert all(port.drops[Drop.NO_ROOM] == 0 for port in network.ports)
    assert {row.address for row in network.view().stations} == {"52:54:00:00:00:01", "52:54:00:00:00:02"}


def test_a_cable_that_is_pulled(two: list[Terminal]) -> None:
    control = two[0].bench.control
    for plugged, carrier in ((False, "0"), (True, "1")):
        control.plug("vm0", plugged)
        assert two[0].command("sleep 1; cat /sys/class/net/eth0/carrier") == [carrier]
    assert "1 packets transmitted, 1 packets received, 0% packet loss" in two[0].command("ping -c 1 10.0.0.2")


def test_three_machines_on_two_cores() -> None:
    shells = quiet(config.load(THREE))
    assert {vcpu.pcore.index for vm in shells[0].bench.system.vms for vcpu in vm.vcpus} == {0, 1}
    for shell, address in zip(shells, (3, 3, 1), strict=True):
        assert "2 packets transmitted, 2 packets received" in " ".join(shell.command(f"ping -c 2 10.0.0.{address}"))


def _copy(directory: Path, held: int) -> tuple[str, int]:
    """Digest of a copy from disk to disk by two vCPUs, held at the interrupt vectors at most so often and stepped."""
    devices = {"disk": [{"size": "4M"}, {"size": "4M"}], "nic": [{}], "rng": True}
    [shell] = boot(linux_config(directory, {"vcpus": 2, "affinity": [0, 1], **devices}, cores=2))
    control, hypervisor = shell.bench.control, shell.bench.hypervisor
    shell.command("dd if=/dev/urandom of=/dev/vda bs=64k count=16; sync")
    vectors = control.registers("vm0", 0).value("VBAR_EL1")
    shell.type("ping -c 1 10.0.0.1 & taskset 2 dd if=/dev/vda of=/dev/vdb bs=64k count=16; sync; md5sum /dev/vd?\n")
    end, places = hypervisor.now + hypervisor.cycles_of_ns(2 * _SECOND // 5), set()
    # IRQ from the current EL with SP_ELx, and from a lower EL (Arm ARM D1.3.1).
    points = [control.add_breakpoint("vm0", vectors + offset) for offset in (0x280, 0x480)] if held else []
    for _ in range(held):
        place = re.fullmatch(r"breakpoint (\d): vm0/(\d) at 0x([0-9a-f]+)", control.run_on(end))
        if place is None:
            break
        vcpu = control.vcpu("vm0", int(place[2]))
        assert vcpu.registers.pc == int(place[3], 16)
        control.step("vm0", vcpu.index)
        assert vcpu.registers.pc != int(place[3], 16)
        places.add((place[1], place[2]))
    for point in points:
        control.remove_breakpoint(point.number)
    control.advance(end)
    assert len(set(re.findall(r"\b[0-9a-f]{32}\b", shell.wait("  /dev/vdb\n")))) == 1
    control.advance(end + hypervisor.cycles_of_ns(2 * _SECOND))
    return control.digest(), len(places)


def test_holding_and_stepping_change_nothing(tmp_path: Path) -> None:
    """Two vCPUs on two cores, disks and a NIC at work: held or not, it is the same run."""
    plain, _ = _copy(tmp_path, 0)
    held, places = _copy(tmp_path, 200)
    assert places >= 2
    assert held == plain
