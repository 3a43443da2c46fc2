"""Linux on its second console: a shell, the screen's size, and the same run again from what was typed."""

from __future__ import annotations

from pathlib import Path

from engine.build import build
from engine.control import Control
from tests.support.linux import PROMPT, boot, linux_config, needs_linux

pytestmark = needs_linux


def test_a_shell_on_hvc0_learns_the_size_of_its_screen_and_replays(tmp_path: Path) -> None:
    machine = linux_config(
        tmp_path, {"virtio_console": True}, bootargs="earlycon=pl011,0x09000000 console=hvc0 rdinit=/init"
    )
    [terminal] = boot(machine, ["vm0.hvc0"])
    assert terminal.command("tty; stty size") == ["/dev/hvc0", "24 80"]
    terminal.bench.control.resize("vm0.hvc0", 132, 43)
    terminal.wait(PROMPT)  # SIGWINCH: the shell draws its line again
    assert terminal.command("stty size") == ["43 132"]
    # More than one buffer's worth, both ways.
    terminal.type("echo ready; wc -c\n")
    terminal.wait("ready\n")
    terminal.type("a line of 17 hey\n" * 200)
    terminal.type("\x04")
    assert terminal.wait(PROMPT).splitlines()[-2] == "3400"
    assert len(terminal.command("seq 2000")) == 2000
    again = Control(build(machine, digest=True))
    again.replay(terminal.bench.control.inputs)
    hypervisor = terminal.bench.hypervisor
    again.reach(hypervisor.now, hypervisor.progress)
    assert [event.kind for event in terminal.bench.control.inputs].count("resize") == 1
    assert again.digest() == terminal.bench.digest()
