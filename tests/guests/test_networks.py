"""Linux VMs on one Ethernet: ping, netcat and HTTP between them, over their consoles."""

from __future__ import annotations

import re

import pytest

from engine import config, paths
from engine.build import build
from engine.control import Control
from engine.images import linux

pytestmark = [
    pytest.mark.linux,
    pytest.mark.slow,
    pytest.mark.skipif(linux.installed() is None, reason="no Linux images; get them with: hvtui images fetch"),
]

_STEP_NS = 2_000_000
_LIMIT_NS = 120_000_000_000
PROMPT = "/ # "


class Network:
    """A machine with shells that are typed into, one after the other."""

    def __init__(self, machine: str, *overrides: str) -> None:
        self.control = Control(build(config.load(paths.machines_dir() / machine, overrides), digest=True))
        self._seen = dict.fromkeys((vm.name for vm in self.control.system.vms), 0)
        for vm in self._seen:
            self.wait(vm, PROMPT)

    def wait(self, vm: str, pattern: str) -> str:
        """Run until a console shows something new that matches; all that is new up to there."""
        hypervisor = self.control.system.hypervisor
        console = self.control.console(vm)
        end = hypervisor.now + hypervisor.cycles_of_ns(_LIMIT_NS)
        while hypervisor.now < end:
            text = console.since(self._seen[vm])[0].decode("utf-8", "replace").replace("\r", "")
            found = re.search(pattern, text, re.MULTILINE)
            if found:
                self._seen[vm] = console.end
                return text[: found.end()]
            self.control.advance(hypervisor.now + hypervisor.cycles_of_ns(_STEP_NS))
        pytest.fail(f"{vm} never showed {pattern!r}: {console.since(console.end - 500)[0].decode()}")

    def type(self, vm: str, line: str) -> None:
        assert self.control.type(vm, line.encode() + b"\n") == len(line) + 1

    def run(self, vm: str, command: str) -> str:
        """What a command prints."""
        self.type(vm, f"{command}; echo = $?")
        return self.wait(vm, r"^= \d+$")


@pytest.fixture(scope="module")
def two() -> Network:
    return Network("multi-vm.toml")


def test_addresses_come_from_the_mac(two: Network) -> None:
    assert "inet addr:10.0.0.1 " in two.run("vm0", "ifconfig eth0")
    assert "HWaddr 52:54:00:00:00:02" in two.run("vm1", "ifconfig eth0")


def test_ping(two: Network) -> None:
    assert "3 packets received, 0% packet loss" in two.run("vm0", "ping -c 3 10.0.0.2")
    assert "2 packets transmitted, 0 packets received" in two.run("vm1", "ping -c 2 -W 1 10.0.0.9")


def test_netcat(two: Network) -> None:
    two.type("vm1", "nc -l -p 4000")
    two.run("vm0", "sleep 0.2; echo over the wire | nc 10.0.0.2 4000")
    two.wait("vm1", "^over the wire$")


def test_a_file_over_http_arrives_as_it_was(two: Network) -> None:
    made = "mkdir -p /www; dd if=/dev/urandom of=/www/f bs=64k count=128 2>/dev/null; httpd -h /www; md5sum /www/f"
    sent = re.search(r"([0-9a-f]{32})  /www/f", two.run("vm1", made))
    got = re.search(r"([0-9a-f]{32})  /f", two.run("vm0", "wget -q -O /f http://10.0.0.2/f; md5sum /f"))
    assert sent is not None
    assert got is not None
    assert sent[1] == got[1]
    assert " 8388608 " in two.run("vm0", "ls -l /f")


def test_the_switch_has_seen_both(two: Network) -> None:
    (network,) = two.control.system.networks
    view = network.view()
    assert {station.address for station in view.stations} == {"52:54:00:00:00:01", "52:54:00:00:00:02"}
    assert all(port.up and port.frames_in > 100 for port in view.ports)


def test_three_machines_on_two_cores() -> None:
    three = Network("three-vms.toml")
    for vm, address in (("vm0", 3), ("vm1", 3), ("vm2", 1)):
        assert "2 packets received" in three.run(vm, f"ping -c 2 10.0.0.{address}")
    assert [core.index for core in three.control.system.hypervisor.cores] == [0, 1]


def _copy(held: int) -> tuple[str, int]:
    """Digest of a copy between VMs of two vCPUs each, held at the interrupt vectors at most so often and stepped."""
    options = [f"vm{n}.{key}" for n in (0, 1) for key in ("vcpus=2", "bootargs=console=ttyAMA0 rdinit=/init quiet")]
    two = Network("multi-vm.toml", *options, "board.cores=2")
    hypervisor = two.control.system.hypervisor
    two.run("vm1", "mkdir -p /www; dd if=/dev/vda of=/www/f bs=64k count=16 2>/dev/null; httpd -h /www")
    vectors = two.control.registers("vm0", 0).value("VBAR_EL1")
    two.type("vm0", "wget -q -O /f http://10.0.0.2/f; dd if=/f of=/dev/vda bs=64k 2>/dev/null; md5sum /f | cut -c-32")
    end, stops = hypervisor.now + hypervisor.cycles_of_ns(400_000_000), set()
    # IRQ from the current EL with SP_ELx, and from a lower EL (Arm ARM D1.3.1).
    points = [two.control.add_breakpoint("vm0", vectors + offset) for offset in (0x280, 0x480)] if held else []
    for _ in range(held):
        stopped = two.control.run_on(end)
        if not stopped:
            break
        place = re.fullmatch(r"breakpoint (\d): vm0/(\d) at 0x([0-9a-f]+)", stopped)
        assert place is not None
        vcpu = two.control.vcpu("vm0", int(place[2]))
        assert vcpu.registers.pc == int(place[3], 16)
        two.control.step("vm0", vcpu.index)
        assert vcpu.registers.pc != int(place[3], 16)
        stops.add((place[1], place[2]))
    for point in points:
        two.control.remove_breakpoint(point.number)
    two.control.advance(end)
    two.wait("vm0", "^[0-9a-f]{32}$")
    two.control.advance(end + hypervisor.cycles_of_ns(2_000_000_000))
    return two.control.digest(), len(stops)


def test_holding_and_stepping_change_nothing() -> None:
    """Two vCPUs a VM on two cores, disks and NICs at work: held or not, it is the same run."""
    plain, _ = _copy(0)
    held, places = _copy(200)
    assert places >= 2
    assert held == plain
