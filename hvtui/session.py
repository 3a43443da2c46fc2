"""Session scripts: monitor lines, done one after the other, with words that wait in virtual time.

A line that lets guests run is done when the machine stands still again, so where each line begins is the same to the
instruction in every run, in the app as in CI. Only what people look at in between takes time, and guests cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from engine.errors import MachineError
from hvtui import monitor
from hvtui.commander import Commander
from hvtui.monitor import Command, Facts, MonitorError

_LARGEST = 1 << 20
"""Bytes of a script."""
_DEEPEST = 8
"""Scripts that source scripts."""
_RUNS = frozenset(("continue", "step", "next", "finish", "run_to_trap", "until", "run", "wait", "wait_event"))
"""Actions after which the machine may run on: a script waits until it stands still."""


class ScriptError(MachineError):
    """A script that cannot be read, or failed; one line that names file and line."""


class Front(Protocol):
    """Who shows a session."""

    async def say(self, text: str) -> None:
        """Something for people to read; returns when they have."""

    def told(self, text: str) -> None:
        """What an action has to tell."""

    async def beat(self) -> None:
        """Something happened that people will want to see."""

    def view(self, command: Command) -> None:
        """An action on what is seen, and on nothing else."""


class Session:
    """Does scripts on a machine."""

    def __init__(self, commander: Commander, front: Front, facts: Callable[[], Facts]) -> None:
        self._commander = commander
        self._front = front
        self._facts = facts
        self.at = ""
        """`FILE:LINE` of what is being done; "" when nothing is."""

    async def run(self, file: Path, depth: int = 0) -> None:
        """Do the lines of a file. ScriptError where one is wrong or fails: those before it are done."""
        if depth >= _DEEPEST:
            raise ScriptError(f"{file}: expected at most {_DEEPEST} scripts inside each other")
        lines = list(_lines(file))
        for number, line in lines:
            self.at = f"{file.name}:{number}"
            try:
                command = monitor.parse(line, self._facts())
                if command is not None:
                    await self._perform(command, file, depth, last=number == lines[-1][0])
            except ScriptError:
                raise
            except (MonitorError, MachineError) as error:
                raise ScriptError(f"{file}:{number}: {error}") from None
        self.at = ""

    async def _perform(self, command: Command, file: Path, depth: int, last: bool) -> None:
        action, values = command
        if action.name == "say":
            await self._front.say(values[0])
        elif action.name == "source":
            await self.run(file.parent / values[0], depth + 1)
        elif self._commander.can(action.name):
            await self._on_machine(command, last)
        else:
            self._front.view(command)
            await self._front.beat()

    async def _on_machine(self, command: Command, last: bool) -> None:
        action, values = command
        if action.name == "select":
            self._front.view(command)
        words = await self._commander.perform(action.name, *values)
        if words:
            self._front.told(words)
        if action.name in _RUNS and not (last and action.name == "continue"):
            await self._commander.held()
        await self._front.beat()


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line) of every line that says something."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        text = data.decode()
    except OSError as error:
        raise ScriptError(f"{file}: expected a readable script: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScriptError(f"{file}: expected a script in UTF-8") from None
    if len(data) > _LARGEST:
        raise ScriptError(f"{file}: expected a script of at most {_LARGEST} bytes")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()
