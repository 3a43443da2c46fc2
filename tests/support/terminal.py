"""A Linux guest and someone who types at its console."""

from __future__ import annotations

from engine import config, paths
from engine.views import VmRunState
from tests.support.machines import Bench

PROMPT = "/ # "
LONGEST_MS = 30_000


class Terminal:
    """Someone at the console, who looks every ten virtual milliseconds."""

    def __init__(self, machine: str, *overrides: str) -> None:
        self.bench = Bench(config.load(paths.machines_dir() / f"{machine}.toml", overrides))
        self.log = ""
        self._seen = 0
        self._milliseconds = 0

    def wait(self, text: str) -> str:
        """Everything printed since the last wait, up to and with `text`."""
        while text not in (new := self.bench.console()[self._seen :]):
            assert self._milliseconds < LONGEST_MS, new[-2000:]
            # Before the first look the secure world may be starting still.
            started = self.bench.vm.state is VmRunState.RUNNING or not self._milliseconds
            assert started, (self.bench.vm.detail, new[-2000:])
            self._milliseconds += 10
            self.bench.run_ms(self._milliseconds)
        end = new.index(text) + len(text)
        self._seen += end
        return new[:end]

    def command(self, line: str) -> list[str]:
        """Type a line; what the shell printed until its next prompt."""
        assert self.bench.control.type(self.bench.vm.name, line.encode() + b"\n") == len(line) + 1
        return self.wait(PROMPT).splitlines()[1:-1]


def boot(machine: str, *overrides: str) -> Terminal:
    """A shipped machine whose first VM has come to its shell; `log` is what it said until then."""
    terminal = Terminal(machine, *overrides)
    terminal.log = terminal.wait(PROMPT)
    assert "Kernel panic" not in terminal.log
    assert "Call trace" not in terminal.log
    return terminal
