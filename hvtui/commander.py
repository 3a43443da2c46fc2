"""What actions do to the machine: one coroutine each, for keys, monitor lines and session scripts alike."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from engine.board import intids
from engine.control import ControlError
from engine.debug.event_words import KINDS
from engine.debug.goals import AnyGoal, ConsoleText, EventMatch, Goal
from engine.machine import Machine
from engine.views import NOTHING_MORE, RunState
from hvtui.steps import StepError, decode_escapes
from hvtui.times import TimeError, parse_time

T = TypeVar("T")

GOALS: dict[str, Goal] = {"trap": Goal.TRAP, "ffa": Goal.FFA, "interrupt": Goal.INTERRUPT, "world": Goal.WORLD}
"""Words for what a run may stop at."""
_EVENTS = {"any": ""} | {kind.replace("-", ""): kind for kind in KINDS.values()}
"""Words for kinds of events."""
LONGEST_WAIT_NS = 600 * 1_000_000_000
"""Virtual time after which a script no longer waits for something."""
_STOPPED = {
    RunState.OFF: "the machine is off: reset a VM first",
    RunState.FAILED: "the engine failed and runs no more: details tell why",
}
_PHYSICAL = "pa:"
_PLACE = re.compile(r"(?:(va|ipa|pa):)?\[(.+)\]", re.DOTALL)
"""Memory that `set` writes to: `[sp+8]`, `pa:[0x48001000]`."""
_WORD_BYTES = 8


class Commander:
    """Does things to a machine on behalf of a person. Every method returns what to tell, or raises MachineError."""

    def __init__(
        self, machine: Machine, selected: Callable[[], tuple[str, int]], went_on: Callable[[], None] = lambda: None
    ) -> None:
        """`selected`: the vCPU that people look at. `went_on` is called when guests run before an action is done."""
        self.machine = machine
        self._selected = selected
        self._went_on = went_on

    def can(self, name: str) -> bool:
        """Whether this is an action on the machine."""
        return callable(getattr(self, f"do_{name}", None))

    async def perform(self, name: str, *values: Any) -> str:
        """An action by its name, with the values of its parameters; None where one was left out."""
        do: Callable[..., Awaitable[str]] = getattr(self, f"do_{name}")
        return await do(*values)

    async def held(self) -> str:
        """Wait until the machine stands still; why it does."""
        self._went_on()
        return await done(self.machine.held())

    # --- running -------------------------------------------------------------------------------------

    async def do_pause(self) -> str:
        """Pause, or go on."""
        if await self._state() is RunState.RUNNING:
            await done(self.machine.pause())
            return ""
        return await self.do_continue()

    async def do_continue(self) -> str:
        await self._require_runnable()
        await done(self.machine.resume())
        return ""

    async def do_step(self, count: int | None = None) -> str:
        for _ in range(count or 1):
            await done(self.machine.step(*self._selected()))
        return ""

    async def do_next(self) -> str:
        await done(self.machine.step_over(*self._selected()))
        return ""

    async def do_finish(self) -> str:
        await self._require_runnable()
        await done(self.machine.finish(*self._selected()))
        return ""

    async def do_run_to_trap(self) -> str:
        return await self.do_until("trap")

    async def do_until(self, goal: str) -> str:
        """An event of a kind, a virtual time, or a place."""
        await self._require_runnable()
        await done(self.machine.pause())
        if goal in GOALS:
            await done(self.machine.run_to(GOALS[goal]))
            return ""
        try:
            moment = parse_time(goal, await self._now())
        except TimeError:
            await done(self.machine.run_to_address(self._selected()[0], await self._evaluate(goal)))
        except ValueError as error:
            raise ControlError(str(error)) from None
        else:
            await done(self.machine.run_to_time(moment))
        return ""

    # --- waiting -------------------------------------------------------------------------------------

    async def do_run(self, nanoseconds: int) -> str:
        await self._require_runnable()
        await done(self.machine.run_to_time(await self._now() + nanoseconds))
        return ""

    async def do_wait(self, console: str, expression: str) -> str:
        return await self._wait(ConsoleText(console, _regular(expression)))

    async def do_wait_event(self, kind: str, expression: str | None = None) -> str:
        return await self._wait(EventMatch(_EVENTS[kind], _regular(expression or "")))

    async def _wait(self, goal: AnyGoal) -> str:
        """Fails after LONGEST_WAIT_NS."""
        await self._require_runnable()
        future = self.machine.wait_for(goal, LONGEST_WAIT_NS)
        await done(self.machine.resume())
        self._went_on()
        try:
            return await done(future)
        except asyncio.CancelledError:
            self.machine.give_up()
            raise

    async def do_give_up(self) -> str:
        """Wait for nothing any more; guests go on as they are."""
        await done(self.machine.give_up())
        return ""

    async def do_check(self, expression: str) -> str:
        value = await self._evaluate(expression)
        if not value:
            vm, vcpu = self._selected()
            raise ControlError(f"{expression} is not true of {vm}/{vcpu}")
        return f"{expression}: true"

    # --- changing ------------------------------------------------------------------------------------

    async def do_type(self, console: str, text: str) -> str:
        try:
            data = decode_escapes(text)
        except StepError as error:
            raise ControlError(str(error)) from None
        taken = await done(self.machine.type(console, data))
        if taken < len(data):
            raise ControlError(f"{console} took {taken} of {len(data)} bytes: its guest does not read")
        return ""

    async def do_inject(self, intid: int, vcpu: tuple[str, int] | None = None) -> str:
        vm, index = vcpu or self._selected()
        await done(self.machine.inject(vm, intid, index))
        return f"INTID {intid} is pending in {vm} ({intids.name(intid)})"

    async def do_set(self, place: str, expression: str) -> str:
        vm, vcpu = self._selected()
        value = await self._evaluate(expression)
        found = _PLACE.fullmatch(place)
        if found is None:
            await done(self.machine.write_register(vm, vcpu, place, value))
            return f"{place} of {vm}/{vcpu} is {value:#x}"
        address = await self._evaluate(found[2])
        data = value.to_bytes(_WORD_BYTES, "little")
        await done(self.machine.write_memory(vm, vcpu, address, data, found[1] or "va"))
        return f"8 bytes at {address:#x} are {value:#x}"

    async def do_write(self, space: str, place: str, digits: str) -> str:
        vm, vcpu = self._selected()
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            raise ControlError(f"expected bytes in hexadecimal, like de ad be ef (got {digits!r})") from None
        address = await self._evaluate(place)
        await done(self.machine.write_memory(vm, vcpu, address, data, space))
        return f"{len(data)} bytes were written at {space.upper()} {address:#x}"

    async def do_print(self, expression: str) -> str:
        value = await self._evaluate(expression)
        symbol = await done(self.machine.ask(lambda control: control.vm(self._selected()[0]).symbols.lookup(value)))
        return f"{expression} = {value:#x} ({value}){f' {symbol}' if symbol else ''}"

    async def do_reset(self, vm: str | None = None) -> str:
        name = vm or self._selected()[0]
        await done(self.machine.reset(name))
        return f"{name} was reset"

    async def do_power_off(self, vm: str | None = None) -> str:
        name = vm or self._selected()[0]
        await done(self.machine.power_off(name))
        return f"{name} is off"

    async def do_plug(self, port: str) -> str:
        await done(self.machine.ask(lambda control: control.plug(port, True)))
        return f"the cable of {port} is in"

    async def do_unplug(self, port: str) -> str:
        await done(self.machine.ask(lambda control: control.plug(port, False, "pulled out")))
        return f"the cable of {port} is out"

    # --- breakpoints and watchpoints -----------------------------------------------------------------

    async def do_break(self, place: str, condition: str | None = None) -> str:
        vm = self._selected()[0]
        made = await done(self.machine.add_breakpoint(vm, await self._evaluate(place), condition or ""))
        return f"breakpoint {made.number}: {vm} will be held at {place}{_if(condition)}"

    async def do_watch(
        self, place: str, size: int | None = None, access: str | None = None, condition: str | None = None
    ) -> str:
        vm = self._selected()[0]
        space = "pa" if place.startswith(_PHYSICAL) else "va"
        address = await self._evaluate(place.removeprefix(_PHYSICAL))
        made = await done(
            self.machine.add_watchpoint(vm, address, size or _WORD_BYTES, access or "w", space, condition or "")
        )
        who = vm if space == "va" else "whoever it is"
        return f"watchpoint {made.number}: {who} will be held after access to {place}{_if(condition)}"

    async def do_delete(self, number: int) -> str:
        await done(self.machine.remove_breakpoint(number))
        return f"{number} is gone"

    async def do_condition(self, number: int, expression: str | None = None) -> str:
        await done(self.machine.change_breakpoint(number, condition=expression or ""))
        return f"{number} stops{_if(expression) or ' always'}"

    async def do_ignore(self, number: int, count: int) -> str:
        await done(self.machine.change_breakpoint(number, ignore=count))
        return f"{number} lets {count} hits pass"

    async def do_enable(self, number: int) -> str:
        await done(self.machine.change_breakpoint(number, enabled=True))
        return f"{number} is enabled"

    async def do_disable(self, number: int) -> str:
        await done(self.machine.change_breakpoint(number, enabled=False))
        return f"{number} is disabled"

    # --- asking --------------------------------------------------------------------------------------

    async def _evaluate(self, expression: str) -> int:
        return await done(self.machine.evaluate(*self._selected(), expression))

    async def _now(self) -> int:
        """Virtual time in nanoseconds."""
        return (await done(self.machine.view(NOTHING_MORE))).nanoseconds

    async def _state(self) -> RunState:
        return (await done(self.machine.view(NOTHING_MORE))).state

    async def _require_runnable(self) -> None:
        reason = _STOPPED.get(await self._state())
        if reason is not None:
            raise ControlError(reason)


def _if(condition: str | None) -> str:
    return f" if {condition}" if condition else ""


def _regular(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ControlError(f"expected a regular expression: {error} (got {expression!r})") from None


async def done(future: Future[T]) -> T:
    """What a request to the machine led to."""
    return await asyncio.wrap_future(future)
