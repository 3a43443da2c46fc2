"""What keys and monitor lines do to the machine; without its values, an action asks for them in a dialog."""

from __future__ import annotations

from typing import Any

from engine.debug.goals import Goal
from engine.views import RunState
from hvtui.commander import GOALS
from hvtui.screens.board_base import BoardBase
from hvtui.screens.breakpoints import Breakpoints
from hvtui.screens.confirm import Confirm
from hvtui.screens.inject import Inject, Injection
from hvtui.screens.run_until import RunUntil

_STOPPED = {
    RunState.OFF: "the machine is off: r resets a VM",
    RunState.FAILED: "the engine failed and runs no more: d tells why",
}


class MachineActions(BoardBase):
    """The actions on the machine."""

    def action_pause(self) -> None:
        self.command("pause")

    def action_continue(self) -> None:
        self.command("continue")

    def action_step(self, count: int | None = None) -> None:
        self.command("step", count, hint="t runs to the next trap")

    def action_next(self) -> None:
        self.command("next")

    def action_finish(self) -> None:
        self.command("finish")

    def action_run_to_trap(self) -> None:
        self.command("run_to_trap")

    def action_until(self, goal: str | None = None) -> None:
        if goal is not None:
            self.command("until", goal)
        elif self.frame is not None and self._can_run():
            self.app.push_screen(RunUntil(self.frame.view.nanoseconds, self._goals()), self._until)

    def _goals(self) -> dict[str, Goal]:
        """What may happen on this machine."""
        config = self.machine.config
        there = {Goal.FFA: config.has_ffa, Goal.WORLD: config.secure is not None}
        return {word: goal for word, goal in GOALS.items() if there.get(goal, True)}

    def _until(self, goal: str | None) -> None:
        if goal is not None:
            self.command("until", goal)

    def _can_run(self) -> bool:
        reason = _STOPPED.get(self.bridge.state)
        if reason is not None:
            self.status.say(reason, warning=True)
        return reason is None

    # --- changing ------------------------------------------------------------------------------------

    def action_inject(self, intid: int | None = None, vcpu: tuple[str, int] | None = None) -> None:
        if intid is not None:
            self.command("inject", intid, vcpu)
        elif self.frame is not None:
            self.app.push_screen(Inject(self.frame.view.vms, *self.bridge.selected), self._inject)

    def _inject(self, chosen: Injection | None) -> None:
        if chosen is not None:
            self.command("inject", chosen.intid, (chosen.vm, chosen.vcpu))

    def action_set(self, place: str | None = None, value: str | None = None) -> None:
        if place is None or value is None:
            self.action_monitor("set " if place is None else f"set {place} ")
        else:
            vm, vcpu = self.bridge.selected
            self._ask(f"Write {value} into {place} of {vm}/{vcpu}?", "Write", "set", place, value)

    def action_write(self, space: str, place: str, data: str) -> None:
        vm, vcpu = self.bridge.selected
        owner = {"va": f"{vm}/{vcpu}", "ipa": vm, "pa": "the board"}[space]
        self._ask(f"Write {data} at {space.upper()} {place} of {owner}?", "Write", "write", space, place, data)

    def action_print(self, expression: str | None = None) -> None:
        if expression is None:
            self.action_monitor("print ")
        else:
            self.command("print", expression)

    def action_type(self, console: str, text: str) -> None:
        self.command("type", console, text)

    def action_plug(self, port: str) -> None:
        self.command("plug", port)

    def action_unplug(self, port: str) -> None:
        self.command("unplug", port)

    def action_reset(self, vm: str | None = None) -> None:
        if vm is not None:
            self.command("reset", vm)
        else:
            chosen = self.bridge.selected[0]
            self._ask(f"Reset {chosen}? What it holds in memory is lost.", "Reset", "reset", chosen)

    def action_power_off(self, vm: str | None = None) -> None:
        if vm is not None:
            self.command("power_off", vm)
        else:
            chosen = self.bridge.selected[0]
            self._ask(f"Power {chosen} off? Only a reset starts it again.", "Power off", "power_off", chosen)

    def _ask(self, question: str, yes: str, command: str, *values: Any) -> None:
        """Do a command after a question."""

        def answered(answer: bool | None) -> None:
            if answer:
                self.command(command, *values)

        self.app.push_screen(Confirm(question, yes), answered)

    # --- breakpoints ---------------------------------------------------------------------------------

    def action_break(self, place: str | None = None, condition: str | None = None) -> None:
        if place is not None:
            self.command("break", place, condition)
        elif self.frame is not None:
            vm = self.bridge.selected[0]
            self.app.push_screen(Breakpoints(vm, self.frame.view.breakpoints), self._breakpoint)

    def _breakpoint(self, line: str | None) -> None:
        if line is not None:
            self.obey(line)

    def action_watch(
        self,
        place: str | None = None,
        size: int | None = None,
        access: str | None = None,
        condition: str | None = None,
    ) -> None:
        if place is None:
            self.action_monitor("watch ")
        else:
            self.command("watch", place, size, access, condition)

    def action_delete(self, number: int) -> None:
        self.command("delete", number)

    def action_condition(self, number: int, expression: str | None = None) -> None:
        self.command("condition", number, expression)

    def action_ignore(self, number: int, count: int) -> None:
        self.command("ignore", number, count)

    def action_enable(self, number: int) -> None:
        self.command("enable", number)

    def action_disable(self, number: int) -> None:
        self.command("disable", number)
