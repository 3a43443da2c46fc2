"""Two Debian kernels on one switch: their virtio_net drivers, TCP between them, and a cable that is pulled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine import config
from engine.board.network.port import Drop
from engine.board.virtio.net_features import NetFeature
from engine.images import linux
from tests.support.machines import Bench

pytestmark = [
    pytest.mark.linux,
    pytest.mark.slow,
    pytest.mark.skipif(
        linux.installed() is None, reason=f"no Linux images in {linux.cache()}; fetch them with: hvtui images fetch"
    ),
]
PROMPT = "/ # "
LONGEST_MS = 30_000
VM = """
[[vm]]
name = "{name}"
vcpus = {vcpus}
ram_size = "192M"
base_pa = {base}
image = "cache:linux/Image"
initrd = "cache:linux/initramfs.cpio.gz"
bootargs = "console=ttyAMA0 rdinit=/init"
[[vm.nic]]
"""


class Machine:
    """Two Linux guests, `a` with one vCPU and `b` with two, on one physical core."""

    def __init__(self, directory: Path) -> None:
        file = directory / "two.toml"
        vms = VM.format(name="a", vcpus=1, base=0x4000_0000) + VM.format(name="b", vcpus=2, base=0x6000_0000)
        file.write_text("[board]\ntime_slice_ms = 2\n" + vms)
        self.bench = Bench(config.load(file), digest=False)
        self._seen = {"a": 0, "b": 0}
        self._now = 0

    def wait(self, name: str, text: str) -> str:
        """Everything that a guest printed since the last wait, up to and with `text`."""
        console = self.bench.control.console(name)
        while text not in (new := console.since(self._seen[name])[0].decode("utf-8", "replace").replace("\r", "")):
            assert self._now < LONGEST_MS, new[-2000:]
            self._now += 10
            self.bench.run_ms(self._now)
        printed = console.since(self._seen[name])[0]
        self._seen[name] += len(printed)
        return new

    def type(self, name: str, line: str) -> None:
        assert self.bench.control.type(name, line.encode() + b"\n") == len(line) + 1

    def command(self, name: str, line: str) -> str:
        """Type a line; what it printed."""
        self.type(name, line)
        return self.wait(name, PROMPT).partition("\n")[2].partition(PROMPT)[0]


def test_two_kernels_talk(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for name in ("a", "b"):
        assert "Kernel panic" not in machine.wait(name, PROMPT)
    for number, name in enumerate(("a", "b"), start=1):
        machine.command(name, f"ifconfig eth0 10.1.0.{number} up; sleep 2")
        assert machine.command(name, "cat /sys/class/net/eth0/address").strip() == f"52:54:00:00:00:0{number}"
    nics = [vm.virtio[0].device for vm in machine.bench.system.vms]
    assert all(nic.negotiated & NetFeature.MRG_RXBUF and nic.negotiated & NetFeature.CTRL_VQ for nic in nics)

    assert "3 packets received, 0% packet loss" in machine.command("a", "ping -c 3 -s 1400 10.1.0.2")

    machine.type("b", "nc -l -p 5000 | md5sum")
    machine.command("a", "head -c 200000 /dev/urandom > /tmp/data; sleep 1; nc 10.1.0.2 5000 < /tmp/data")
    received = re.findall(r"\b[0-9a-f]{32}\b", machine.wait("b", PROMPT))
    assert received == re.findall(r"\b[0-9a-f]{32}\b", machine.command("a", "md5sum /tmp/data"))
    assert len(received) == 1
    assert all(port.drops[Drop.NO_ROOM] == 0 for port in machine.bench.system.ports)

    machine.bench.control.plug("a", False)
    assert machine.command("a", "sleep 1; cat /sys/class/net/eth0/carrier").strip() == "0"
    machine.bench.control.plug("a", True)
    assert machine.command("a", "sleep 1; cat /sys/class/net/eth0/carrier").strip() == "1"
    assert "1 packets received" in machine.command("a", "ping -c 1 10.1.0.2")
