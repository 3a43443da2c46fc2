"""What actions do to the machine: one coroutine each, for keys, monitor lines and session scripts alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from engine.board import intids
from engine.control import ControlError
from engine.debug.goals import Goal
from engine.machine import Machine
from engine.views import RunState
from hvtui.times import parse_time

T = TypeVar("T")

GOALS: dict[str, Goal] = {"trap": Goal.TRAP, "ffa": Goal.FFA, "interrupt": Goal.INTERRUPT, "world": Goal.WORLD}
"""Words for what a run may stop at."""
_STOPPED = {
    RunState.OFF: "the machine is off: reset a VM first",
    RunState.FAILED: "the engine failed and runs no more: details tell why",
}


class Commander:
    """Does things to a machine on behalf of a person. Every method returns what to tell, or raises MachineError."""

    def __init__(self, machine: Machine, selected: Callable[[], tuple[str, int]]) -> None:
        """`selected`: the vCPU that people look at."""
        self.machine = machine
        self._selected = selected

    def can(self, name: str) -> bool:
        """Whether this is an action on the machine."""
        return callable(getattr(self, f"do_{name}", None))

    async def perform(self, name: str, *values: Any) -> str:
        """An action by its name, with the values of its parameters; None where one was left out."""
        do: Callable[..., Awaitable[str]] = getattr(self, f"do_{name}")
        return await do(*values)

    # --- running -------------------------------------------------------------------------------------

    async def do_pause(self) -> str:
        """Pause, or go on."""
        if await self._state() is RunState.RUNNING:
            await _done(self.machine.pause())
            return ""
        return await self.do_continue()

    async def do_continue(self) -> str:
        await self._require_runnable()
        await _done(self.machine.resume())
        return ""

    async def do_step(self, count: int | None = None) -> str:
        for _ in range(count or 1):
            await _done(self.machine.step(*self._selected()))
        return ""

    async def do_run_to_trap(self) -> str:
        return await self.do_until("trap")

    async def do_until(self, goal: str) -> str:
        """An event of a kind, a virtual time, or a place."""
        await self._require_runnable()
        await _done(self.machine.pause())
        if goal in GOALS:
            await _done(self.machine.run_to(GOALS[goal]))
            return ""
        now = (await _done(self.machine.view())).nanoseconds
        try:
            moment = parse_time(goal, now)
        except ValueError as error:
            raise ControlError(str(error)) from None
        await _done(self.machine.run_to_time(moment))
        return ""

    # --- changing ------------------------------------------------------------------------------------

    async def do_inject(self, intid: int, vcpu: tuple[str, int] | None = None) -> str:
        vm, index = vcpu or self._selected()
        await _done(self.machine.inject(vm, intid, index))
        return f"INTID {intid} is pending in {vm} ({intids.name(intid)})"

    async def do_reset(self, vm: str | None = None) -> str:
        name = vm or self._selected()[0]
        await _done(self.machine.reset(name))
        return f"{name} was reset"

    # --- breakpoints ---------------------------------------------------------------------------------

    async def do_break(self, place: str, condition: str | None = None) -> str:
        vm = self._selected()[0]
        made = await _done(self.machine.add_breakpoint(vm, place))
        return f"breakpoint {made.number}: {vm} will be held at {place}"

    async def do_delete(self, number: int) -> str:
        await _done(self.machine.remove_breakpoint(number))
        return f"breakpoint {number} is gone"

    # --- help ----------------------------------------------------------------------------------------

    async def held(self) -> str:
        """Wait until the machine stands still; why it does."""
        return await _done(self.machine.held())

    async def _state(self) -> RunState:
        return (await _done(self.machine.view())).state

    async def _require_runnable(self) -> None:
        reason = _STOPPED.get(await self._state())
        if reason is not None:
            raise ControlError(reason)


async def _done(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)
