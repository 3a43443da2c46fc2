"""Draws screenshots/*.svg from real machine states, the same bytes every time: `make screenshots`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine import config, paths
from engine.errors import MachineError
from engine.machine import Machine
from engine.views import NOTHING_MORE, RunState
from hvtui.app import HvtuiApp

HERE = Path(__file__).resolve().parent
Script = Callable[[Pilot[None]], Awaitable[None]]

_SECOND = 500_000_000
"""Cycles of a virtual second at eight instructions a tick."""
_LONGEST_BOOT = 2000
"""Steps of 20 virtual milliseconds that a shell prompt is waited for."""


async def look(pilot: Pilot[None]) -> None:
    """The board as it is."""


async def step(pilot: Pilot[None]) -> None:
    """Three instructions of the vCPU that runs."""
    await press(pilot, "g", "s", "s", "s")


async def inject(pilot: Pilot[None]) -> None:
    await press(pilot, "i", "3", "3")


async def ffa_page(pilot: Pilot[None]) -> None:
    """The FF-A page, at its newest call."""
    await pilot.press("4")
    await settle(pilot)


async def devices_page(pilot: Pilot[None]) -> None:
    """The network device of the first VM."""
    await press(pilot, "7", "down")


async def interrupts_page(pilot: Pilot[None]) -> None:
    await press(pilot, "6")


async def typing(pilot: Pilot[None]) -> None:
    await press(pilot, "enter")


async def help_page(pilot: Pilot[None]) -> None:
    await press(pilot, "question_mark")


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Keys, each taken in before the next one."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def settle(pilot: Pilot[None]) -> None:
    """Wait until the machine stands still and all it said is on the screen."""
    await pilot.pause()
    app = pilot.app
    assert isinstance(app, HvtuiApp)
    await asyncio.wait_for(app.board.bridge.idle.wait(), 30)
    await pilot.pause()


async def draw(machine: Machine, name: str, size: tuple[int, int], script: Script) -> None:
    """One picture of a machine that stands still."""
    app = HvtuiApp(machine)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await script(pilot)
        await pilot.pause()
        (HERE / f"{name}.svg").write_text(app.export_screenshot())
    print(f"screenshots/{name}.svg")


def still(file: str, advance: Callable[[Machine], object]) -> Machine:
    """A machine brought to a state, then held."""
    machine = Machine(config.load(paths.machines_dir() / file))
    advance(machine)
    machine.start(running=False)
    return machine


def ticking(machine: Machine) -> None:
    """In the middle of the first guest's third tick."""
    machine.control.advance(3 * _SECOND)
    machine.control.run_instructions(800)


def in_a_chain(machine: Machine) -> None:
    """vm0 has asked sp_relay, which has asked sp_hello, which works."""
    control = machine.control
    control.advance(3 * _SECOND)
    control.type("vm0", b"6")
    for _ in range(_LONGEST_BOOT):
        control.run_instructions(20)
        if len(control.view(RunState.PAUSED, "", NOTHING_MORE).cores[0].chain) > 2:
            return


def sharing(machine: Machine) -> None:
    """A page that vm0 lent to sp_irq is with it."""
    control = machine.control
    control.advance(2 * _SECOND)
    for _ in range(_LONGEST_BOOT):
        control.run_instructions(50)
        view = control.view(RunState.PAUSED, "").ffa
        if view is not None and any(b.state == "retrieved" for share in view.transactions for b in share.borrowers):
            return


def network_session(machine: Machine) -> None:
    """Boot two Linux VMs to their prompts, and have one ping the other."""
    control = machine.control
    seen = dict.fromkeys(machine.config.partitions, 0)
    for vm, line in (("vm0", b""), ("vm1", b""), ("vm0", b"ping -c 3 10.0.0.2\n")):
        control.type(vm, line)
        for _ in range(_LONGEST_BOOT):
            if b"/ # " in control.console(vm).since(seen[vm])[0][-8:]:
                break
            control.advance(control.system.hypervisor.now + _SECOND // 50)
        seen[vm] = control.console(vm).end


def shell_session(machine: Machine) -> None:
    """Boot Linux to its prompt, and have two commands answered."""
    control = machine.control
    vm = machine.config.vms[0].name
    for command in (b"", b"uname -srm; nproc\n", b"ls --color=always /\n"):
        seen = control.vm(vm).console.end
        control.type(vm, command)
        for _ in range(_LONGEST_BOOT):
            control.advance(control.system.hypervisor.now + _SECOND // 50)
            if control.vm(vm).console.since(seen)[0][-8:].startswith(b"/ # "):
                break


async def main() -> None:
    """All pictures; Linux only where its images are."""
    machine = still("two-vms.toml", ticking)
    await draw(machine, "board-120x40", (120, 40), look)
    await draw(machine, "board-80x24", (80, 24), look)
    await draw(machine, "board-200x60", (200, 60), look)
    await draw(machine, "inject", (120, 40), inject)
    await draw(machine, "help", (120, 40), help_page)
    await draw(machine, "typing", (120, 40), typing)
    await draw(machine, "stepped", (120, 40), step)
    await draw(machine, "interrupts", (120, 40), interrupts_page)
    machine.close()
    machine = still("ffa.toml", in_a_chain)
    await draw(machine, "chain", (120, 40), look)
    machine.close()
    machine = still("ffa.toml", sharing)
    await draw(machine, "ffa", (120, 40), ffa_page)
    machine.close()
    try:
        machine = still("linux.toml", shell_session)
    except MachineError as error:
        print(f"screenshots/linux.svg is left as it is: {error}")
        return
    await draw(machine, "linux", (160, 48), typing)
    machine.close()
    machine = still("multi-vm.toml", network_session)
    await draw(machine, "devices", (120, 40), devices_page)
    machine.close()


if __name__ == "__main__":
    asyncio.run(main())
