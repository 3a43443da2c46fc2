"""An unmodified Debian kernel boots to a shell, uses its vCPUs, goes off, and does all of it the same way again."""

from __future__ import annotations

import pytest

from engine import config, paths
from engine.images import linux
from engine.views import VmRunState
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


class Terminal:
    """Someone at the console, who looks every ten virtual milliseconds."""

    def __init__(self, machine: str) -> None:
        self.bench = Bench(config.load(paths.machines_dir() / f"{machine}.toml"))
        self._seen = 0
        self._milliseconds = 0

    def wait(self, text: str) -> str:
        """Everything printed since the last wait, up to and with `text`."""
        while text not in (new := self.bench.console()[self._seen :]):
            assert self._milliseconds < LONGEST_MS, new[-2000:]
            assert self.bench.vm.state is VmRunState.RUNNING, (self.bench.vm.detail, new[-2000:])
            self._milliseconds += 10
            self.bench.run_ms(self._milliseconds)
        end = new.index(text) + len(text)
        self._seen += end
        return new[:end]

    def command(self, line: str) -> list[str]:
        """Type a line; what the shell printed until its next prompt."""
        assert self.bench.control.type("linux", line.encode() + b"\n") == len(line) + 1
        return self.wait(PROMPT).splitlines()[1:-1]


def boot(machine: str) -> Terminal:
    terminal = Terminal(machine)
    log = terminal.wait(PROMPT)
    assert "Kernel panic" not in log
    assert "Call trace" not in log
    return terminal


def test_one_vcpu_boots_to_a_shell_goes_off_and_does_it_again() -> None:
    digests = set()
    for _ in range(2):
        terminal = boot("linux-up")
        assert terminal.command("nproc; uname -m") == ["1", "aarch64"]
        assert terminal.command("cat /proc/modules") == [], "nothing to drive"
        terminal.bench.control.type("linux", b"poweroff -f\n")
        terminal.bench.run_ms(LONGEST_MS)
        assert (terminal.bench.vm.state, terminal.bench.vm.detail) == (VmRunState.OFF, "SYSTEM_OFF")
        digests.add(terminal.bench.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("machine", ["linux", "linux-smp"])
def test_four_vcpus_are_all_there(machine: str) -> None:
    terminal = boot(machine)
    assert terminal.command("nproc; uname -m") == ["4", "aarch64"]
    assert [vcpu.instructions > 1_000_000 for vcpu in terminal.bench.vm.vcpus] == [True] * 4
    before = terminal.bench.hypervisor.now
    assert terminal.command("sleep 1; echo over") == ["over"]
    slept = terminal.bench.hypervisor.ns_of_cycles(terminal.bench.hypervisor.now - before) / 1e9
    assert 1 <= slept < 1.2
