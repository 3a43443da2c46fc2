"""Monitor lines and session scripts: the same actions, by their words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from textual.worker import Worker

from hvtui import monitor
from hvtui.actions import Kind
from hvtui.facts import register_names
from hvtui.monitor import Command, Facts, MonitorError
from hvtui.screens.board_base import BoardBase
from hvtui.session import ScriptError, Session

_LEAST_READING_S, _MOST_READING_S = 1.2, 8.0
_CHARACTERS_A_SECOND = 22
_BEAT_S = 0.35


class SessionActions(BoardBase):
    """What is done by words."""

    human = 1.0
    """How long scripts wait for people to read, times the usual; 0: not at all."""
    _session: Worker[None] | None = None

    def facts(self) -> Facts:
        """What there is now."""
        view = self.frame.view if self.frame is not None else None
        return replace(
            self.known,
            selected=self.bridge.selected,
            registers=register_names(self.registers.shown),
            stops=[each.number for each in view.breakpoints] if view is not None else (),
        )

    def action_monitor(self, line: str = "") -> None:
        self.monitor_line.open(line)

    def obey(self, line: str) -> None:
        """Do what a line says, or tell what is wrong with it."""
        try:
            command = monitor.parse(line, self.facts())
        except MonitorError as error:
            self.status.say(str(error), warning=True)
            return
        if command is not None:
            self.do(command)

    def do(self, command: Command) -> None:
        """Do a command that has been read. Text that a line leaves out is none: only a key asks for it."""
        action = getattr(self, f"action_{command.action.name}")
        pairs = zip(command.action.params, command.values, strict=True)
        values = ["" if value is None and param.kind is Kind.TEXT else value for param, value in pairs]
        while values and values[-1] is None:
            values.pop()
        action(*values)

    # --- scripts -------------------------------------------------------------------------------------

    def action_source(self, file: str) -> None:
        self.attempt(self._source(Path(file)))

    async def _source(self, file: Path) -> str:
        if self._session is not None and self._session.is_running:
            raise ScriptError(f"{file}: another script is being done; escape ends it")
        session = Session(self.commander, self, self.facts)
        self._session = self.run_worker(session.run(file), name="session", exit_on_error=False)
        try:
            await self._session.wait()
        except Exception as error:
            if self._session.is_cancelled:
                return f"{file.name} was ended"
            raise self._session.error or error from None
        finally:
            self.caption.words = ""
        return f"{file.name} is done"

    def action_end_script(self) -> None:
        if self._session is not None and self._session.is_running:
            self._session.cancel()
        else:
            self.command("give_up")

    async def say(self, text: str) -> None:
        """A line of a script, for as long as reading takes."""
        self.caption.words = text
        seconds = min(max(_LEAST_READING_S, len(text) / _CHARACTERS_A_SECOND), _MOST_READING_S)
        await asyncio.sleep(seconds * self.human)

    def told(self, text: str) -> None:
        self.status.say(text)

    async def beat(self) -> None:
        self.bridge.look()
        await asyncio.sleep(_BEAT_S * self.human)

    def view(self, command: Command) -> None:
        self.do(command)

    def action_wait(self, console: str, expression: str) -> None:
        self.command("wait", console, expression)

    def action_wait_event(self, kind: str, expression: str | None = None) -> None:
        self.command("wait_event", kind, expression)

    def action_run(self, nanoseconds: int) -> None:
        self.command("run", nanoseconds)

    def action_check(self, expression: str) -> None:
        self.command("check", expression)

    def action_say(self, text: str) -> None:
        self.run_worker(self._say_alone(text), exit_on_error=False)

    async def _say_alone(self, text: str) -> None:
        await self.say(text)
        if self.caption.words == text:
            self.caption.words = ""
