"""Linux guests of tests: machines of their own, and somebody who types at their consoles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine import config
from engine.board.memory_map import RAM_BASE
from engine.images import initramfs, linux
from engine.machine_config import MachineConfig
from engine.views import VmRunState
from tests.support.machines import Bench

needs_linux = [
    pytest.mark.linux,
    pytest.mark.slow,
    pytest.mark.skipif(
        linux.installed() is None, reason=f"no Linux images in {linux.cache()}; fetch them with: hvtui images fetch"
    ),
]
"""Marks of tests that boot the fetched kernel."""
PROMPT = "/ # "
LONGEST_MS = 30_000
"""Virtual time that nothing takes longer than."""
_RAM = 128 << 20
_LOOK_NS = 10_000_000
_BOOTARGS = "console=ttyAMA0 quiet rdinit=/init"


def linux_config(
    directory: Path, *vms: dict[str, Any], bootargs: str = _BOOTARGS, cores: int | None = None
) -> MachineConfig:
    """VMs vm0, vm1, ... with the fetched kernel and today's initial RAM disk, a core for each; tables add to them."""
    initrd = directory / "initramfs.cpio.gz"
    busybox, drivers = ((linux.cache() / name).read_bytes() for name in ("busybox", "modules.cpio"))
    initrd.write_bytes(initramfs.build(busybox, more=drivers))
    common = {"ram_size": _RAM, "image": "cache:linux/Image", "initrd": str(initrd), "bootargs": bootargs}
    places = [{"name": f"vm{number}", "base_pa": RAM_BASE + number * _RAM} for number in range(len(vms))]
    tables = [{**place, **common, **vm} for place, vm in zip(places, vms, strict=True)]
    return config.from_tables({"board": {"cores": cores or len(vms)}, "vm": tables}, directory / "machine.toml")


class Terminal:
    """Someone at a console, who looks every ten virtual milliseconds."""

    def __init__(self, bench: Bench, console: str) -> None:
        self.bench = bench
        self.name = console
        self.log = ""
        """What it said until its first prompt."""
        self._console = bench.control.console(console)
        self._vm = bench.control.vm(console.partition(".")[0])
        self._seen = ""
        self._position = 0

    def wait(self, text: str) -> str:
        """Everything printed since the last wait, up to and with `text`."""
        hypervisor = self.bench.hypervisor
        last = hypervisor.now + hypervisor.cycles_of_ns(LONGEST_MS * 1_000_000)
        while text not in self._look():
            assert hypervisor.now < last, self._seen[-2000:]
            assert self._vm.state is VmRunState.RUNNING, (self._vm.detail, self._seen[-2000:])
            self.bench.control.advance(hypervisor.now + hypervisor.cycles_of_ns(_LOOK_NS))
        found, _, rest = self._seen.partition(text)
        self._seen = rest
        return found + text

    def _look(self) -> str:
        new, self._position = self._console.since(self._position)
        self._seen += new.decode("utf-8", "replace").replace("\r", "")
        return self._seen

    def type(self, text: str) -> None:
        assert self.bench.control.type(self.name, text.encode()) == len(text.encode())

    def command(self, line: str) -> list[str]:
        """Type a line; what the shell printed until its next prompt."""
        self.type(line + "\n")
        return self.wait(PROMPT).splitlines()[1:-1]


def boot(machine: MachineConfig, consoles: Sequence[str] = ()) -> list[Terminal]:
    """Somebody at each of some consoles (by default at the VMs' own), with a prompt in front of them."""
    bench = Bench(machine)
    bench.control.advance(bench.hypervisor.cycles_of_ns(_LOOK_NS))  # a secure world starts before the VMs do
    terminals = [Terminal(bench, console) for console in consoles or [vm.name for vm in machine.vms]]
    for terminal in terminals:
        terminal.log = terminal.wait(PROMPT)
        assert "Kernel panic" not in terminal.log
        assert "Call trace" not in terminal.log
    return terminals
