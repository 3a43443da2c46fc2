"""Draws screenshots/*.svg from real machine states, the same bytes every time: `make screenshots`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine import config, paths
from engine.errors import MachineError
from engine.machine import Machine, Pace
from hvtui.app import HvtuiApp
from screenshots import states

HERE = Path(__file__).resolve().parent
_LONGEST_S = 60
"""A machine comes to rest within this, or the picture is given up."""
_FOREVER = 1e6
"""People who need this many times longer to read."""

SMALL, USUAL, LARGE = (80, 24), (120, 40), (200, 60)


class Picture(NamedTuple):
    """One file, and what to do before it is taken."""

    name: str
    size: tuple[int, int]
    machine: str
    state: Callable[[Machine], object]
    steps: Sequence[str] = ()
    """Keys; monitor lines with their colon; a demo up to a caption: `demo FILE CAPTION...`; text to be typed, after
    an apostrophe."""


PICTURES = (
    Picture("board", USUAL, "two-vms.toml", states.ticking),
    Picture("board-80x24", SMALL, "two-vms.toml", states.ticking),
    Picture("board-200x60", LARGE, "two-vms.toml", states.ticking),
    Picture("board-light", USUAL, "two-vms.toml", states.ticking, [":theme light"]),
    Picture("board-contrast", USUAL, "two-vms.toml", states.ticking, [":theme contrast"]),
    Picture("cpu", USUAL, "two-vms.toml", states.ticking, ["2", "s", "s", "s"]),
    Picture("interrupts", USUAL, "two-vms.toml", states.ticking, ["6"]),
    Picture("inject", USUAL, "two-vms.toml", states.ticking, ["i", "'33"]),
    Picture("help", SMALL, "two-vms.toml", states.ticking, ["question_mark"]),
    Picture("help-command", SMALL, "two-vms.toml", states.ticking, [":help watch"]),
    Picture("completion", SMALL, "two-vms.toml", states.ticking, ["colon", "'break gic"]),
    Picture(
        "breakpoints",
        SMALL,
        "two-vms.toml",
        states.booted,
        [":break dispatch_irq if x0 == 33", ":watch pa:0x48000000 8 w", ":until +1", ":disable 2", "b", "down"],
    ),
    Picture("search", SMALL, "two-vms.toml", states.printed, ["z", "slash", "'tick 1[0-9]"]),
    Picture("consoles", (160, 48), "ffa.toml", states.talked, [*["vertical_line"] * 4, *["T", "full_stop"] * 3, "T"]),
    Picture("chain", USUAL, "ffa.toml", states.in_a_chain),
    Picture("cpu-partition", USUAL, "ffa.toml", states.in_a_chain, [":select sp_hello/0", "2"]),
    Picture("trace", USUAL, "ffa.toml", states.talked, ["5"]),
    Picture("lanes", USUAL, "ffa.toml", states.in_a_chain, ["5", "l"]),
    Picture("ffa", USUAL, "ffa.toml", states.lent, ["4"]),
    Picture("memory", USUAL, "ffa.toml", states.shared, ["3", ":address ipa:0x4800b000"]),
    Picture("demo", SMALL, "ffa.toml", states.untouched, ["demo share.hvt FFA_MEM_RETRIEVE_REQ:"]),
    Picture("linux", (160, 48), "linux.toml", states.at_a_shell, ["enter"]),
    Picture("devices", USUAL, "multi-vm.toml", states.on_the_network, ["7", "down"]),
)


# --- what is done before a picture is taken ------------------------------------------------------------


async def perform(pilot: Pilot[None], step: str) -> None:
    """One step of a picture, and all that it leads to."""
    app = pilot.app
    assert isinstance(app, HvtuiApp)
    if step.startswith(":"):
        app.board.obey(step[1:])
    elif step.startswith("'"):
        await pilot.press(*("space" if character == " " else character for character in step[1:]))
    elif step.startswith("demo "):
        await play(pilot, *step.split(" ", 2)[1:])
    else:
        await pilot.press(step)
    await settle(pilot)


async def play(pilot: Pilot[None], name: str, caption: str) -> None:
    """A demo, up to the caption that begins so, which stays."""
    app = pilot.app
    assert isinstance(app, HvtuiApp)
    board = app.board
    lines = (paths.machines_dir() / "demos" / name).read_text().splitlines()
    last = next(number for number, line in enumerate(lines) if line.startswith(f"say {caption}"))
    with tempfile.TemporaryDirectory() as folder:
        begun = Path(folder) / name
        begun.write_text("\n".join(lines[:last]))
        board.human = 0
        board.action_source(str(begun))
        async with asyncio.timeout(_LONGEST_S):
            while board.status.notice != f"✓ {name} is done":
                await pilot.pause(0.05)
    board.human = _FOREVER
    board.obey(lines[last])


async def settle(pilot: Pilot[None]) -> None:
    """Wait until the machine stands still and all it said is on the screen."""
    app = pilot.app
    assert isinstance(app, HvtuiApp)
    idle = app.board.bridge.idle
    await pilot.pause()
    while not idle.is_set():
        await asyncio.wait_for(idle.wait(), _LONGEST_S)
        await pilot.pause()


# --- taking it -------------------------------------------------------------------------------------------


async def draw(machine: Machine, picture: Picture) -> None:
    """The file of a picture, of a machine that stands still."""
    app = HvtuiApp(machine)
    async with app.run_test(size=picture.size) as pilot:
        await settle(pilot)
        for step in picture.steps:
            await perform(pilot, step)
        app.board.status.say("")
        await pilot.pause()
        # Not every program that shows SVG keeps the spaces that a text begins with unless it is told to.
        drawn = app.export_screenshot().replace("<svg ", '<svg xml:space="preserve" ', 1)
        (HERE / f"{picture.name}.svg").write_text(drawn)
    print(f"screenshots/{picture.name}.svg", flush=True)


def still(file: str, state: Callable[[Machine], object]) -> Machine:
    """A machine brought to a state, then held."""
    machine = Machine(config.load(paths.machines_dir() / file), pace=Pace.MAX)
    state(machine)
    machine.start(running=False)
    return machine


def chosen(names: Sequence[str]) -> Iterator[Picture]:
    """Those named, or all."""
    return (picture for picture in PICTURES if not names or picture.name in names)


async def main(names: Sequence[str]) -> None:
    """Each picture of a machine of its own; Linux only where its images are."""
    for picture in chosen(names):
        try:
            machine = still(picture.machine, picture.state)
        except MachineError as error:
            print(f"screenshots/{picture.name}.svg is left as it is: {error}", flush=True)
            continue
        try:
            await draw(machine, picture)
        finally:
            machine.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
