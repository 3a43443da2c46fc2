"""A session script without the app: the machine on its own thread, consoles and captions on stdout.

What guests see is what they see in the app: a script gives every input at an instant of virtual time that it names.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.control import Control
from engine.machine import Machine, Pace
from engine.machine_config import MachineConfig
from engine.views import NOTHING_MORE, RunState
from hvtui.captures import CaptureFile, capturing
from hvtui.commander import Commander, done
from hvtui.facts import gather, register_names
from hvtui.headless import EXIT_CRASHED, EXIT_OK, EXIT_TIMEOUT, Output, crashed, tell
from hvtui.monitor import Command, Facts
from hvtui.session import ScriptError, Session

_GLANCE_S = 0.02
"""Wall time between two looks at the virtual clock."""
_CLOSE_S = 5.0


def run(
    config: MachineConfig,
    script: Path,
    *,
    timeout: float,
    digest: bool = False,
    pace: Pace = Pace.MAX,
    pcap: Sequence[CaptureFile] = (),
) -> int:
    """Do a script on a machine for at most `timeout` virtual seconds; the exit code, as `headless.run` has it."""
    machine = Machine(config, pace=pace, digest=digest)
    control = machine.control
    output = Output([console.name for console in control.system.consoles], sys.stdout.buffer)
    for console in control.system.consoles:
        output.listen(console)
    problem = ""
    with capturing(control.system.ports, pcap, tell):
        machine.start(running=False)
        try:
            asyncio.run(_HeadlessSession(machine, output).run(script, int(timeout * 1e9)))
        except ScriptError as error:
            problem = str(error)
        finally:
            machine.close(_CLOSE_S)
            output.close()
    if digest:
        sys.stdout.write(f"digest {control.digest()}\n")
    if not problem:
        return EXIT_OK
    tell("; ".join([problem, *crashed(control)]))
    return EXIT_CRASHED if crashed(control) else EXIT_TIMEOUT


class _HeadlessSession:
    """Does one script on one machine."""

    def __init__(self, machine: Machine, output: Output) -> None:
        self._machine = machine
        self._output = output
        self._selected = (machine.config.vms[0].name, 0)
        self._known = Facts(vcpus={})
        self._session = Session(Commander(machine, lambda: self._selected), self, self._facts)

    async def run(self, file: Path, limit_ns: int) -> None:
        """ScriptError where a line fails, or the virtual time is up first."""
        self._known = await done(self._machine.ask(self._gather))
        script = asyncio.create_task(self._session.run(file))
        try:
            while not script.done():
                await asyncio.wait([script], timeout=_GLANCE_S)
                await done(self._machine.ask(lambda _: self._output.flush()))
                view = await done(self._machine.view(NOTHING_MORE))
                if view.nanoseconds >= limit_ns and view.state is RunState.RUNNING:
                    raise ScriptError(f"{self._session.at}: the time is up")
            script.result()
        finally:
            script.cancel()
            with contextlib.suppress(asyncio.CancelledError, ScriptError):
                await script

    def _gather(self, control: Control) -> Facts:
        return replace(gather(control), registers=register_names(control.registers(*self._selected)))

    def _facts(self) -> Facts:
        return replace(self._known, selected=self._selected)

    # --- what people would see -----------------------------------------------------------------------

    async def say(self, text: str) -> None:
        await done(self._machine.ask(lambda _: self._output.tell(text)))

    def told(self, text: str) -> None:
        self._machine.ask(lambda _: self._output.tell(f"  {text}"))

    async def beat(self) -> None:
        """Nobody looks."""

    def view(self, command: Command) -> None:
        """Only the choice of a vCPU matters without a screen."""
        if command.action.name == "select":
            self._selected = command.values[0]
