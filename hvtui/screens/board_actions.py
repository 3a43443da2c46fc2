"""What the keys of the board do: one method for each entry of the registry."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from textual.screen import Screen
from textual.widget import Widget

from engine.debug.goals import Goal
from engine.errors import MachineError
from engine.machine import Machine
from engine.views import RunState
from hvtui.actions import ACTIONS, available
from hvtui.screens.breakpoints import Breakpoints
from hvtui.screens.confirm import Confirm
from hvtui.screens.details import Details
from hvtui.screens.help import Help
from hvtui.screens.inject import Inject, Injection
from hvtui.screens.run_until import RunUntil
from hvtui.widgets.ffa import FfaPage

if TYPE_CHECKING:
    from hvtui.bridge import Bridge
    from hvtui.frame import Frame
    from hvtui.widgets.consoles import Consoles
    from hvtui.widgets.event_log import EventLog
    from hvtui.widgets.partitions import Partitions
    from hvtui.widgets.records_page import RecordsPage
    from hvtui.widgets.registers import Registers
    from hvtui.widgets.status import StatusLine

_PAGE_OF = {action.name: action.needs_page for action in ACTIONS if action.needs_page}
_STOPPED = {
    RunState.OFF: "the machine is off: r resets a VM",
    RunState.FAILED: "the engine failed and runs no more: d tells why",
}


class BoardActions(Screen[None]):
    """The actions of the board screen, apart from its layout."""

    machine: Machine
    bridge: Bridge
    frame: Frame | None
    consoles: Consoles
    partitions: Partitions
    registers: Registers
    event_log: EventLog
    pages: dict[str, RecordsPage]
    """By the name of the action that opens it."""
    page: RecordsPage | None
    """The one that is open."""
    status: StatusLine

    def complain(self, message: str) -> None:
        raise NotImplementedError

    def laid_out(self) -> None:
        raise NotImplementedError

    def retitle(self) -> None:
        raise NotImplementedError

    @property
    def tabbed(self) -> bool:
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No FF-A actions on a machine without it."""
        if action in _PAGE_OF and _PAGE_OF[action] not in self.pages:
            return False
        return super().check_action(action, parameters)

    # --- the machine -----------------------------------------------------------------------------

    def action_pause(self) -> None:
        if self.bridge.state is RunState.RUNNING:
            self.request(lambda machine: machine.pause())
        elif self._can_run():
            self.request(lambda machine: machine.resume())

    def action_step(self) -> None:
        vm, vcpu = self.bridge.selected
        self.request(lambda machine: machine.step(vm, vcpu), hint="t runs to the next trap")

    def action_run_to_trap(self) -> None:
        if self._can_run():
            self.request(lambda machine: _run_to(machine, Goal.TRAP))

    def action_run_until(self) -> None:
        if self._can_run() and self.frame is not None:
            self.app.push_screen(RunUntil(self.frame.view.nanoseconds, self._goals()), self._run_until)

    def action_breakpoints(self) -> None:
        if self.frame is not None:
            vm = self.bridge.selected[0]
            self.app.push_screen(Breakpoints(vm, self.frame.view.breakpoints), self._breakpoint)

    def _breakpoint(self, chosen: str | int | None) -> None:
        """A place to hold the selected partition at, or the number of a breakpoint to remove."""
        vm = self.bridge.selected[0]
        if isinstance(chosen, str):
            self.request(lambda machine: machine.add_breakpoint(vm, chosen), f"{vm} will be held at {chosen}")
        elif chosen is not None:
            self.request(lambda machine: machine.remove_breakpoint(chosen), f"breakpoint {chosen} is gone")

    def _goals(self) -> list[Goal]:
        """What may happen on this machine."""
        config = self.machine.config
        there = {Goal.FFA: config.has_ffa, Goal.WORLD: config.secure is not None}
        return [goal for goal in Goal if there.get(goal, True)]

    def _run_until(self, chosen: Goal | int | None) -> None:
        if isinstance(chosen, Goal):
            self.request(lambda machine: _run_to(machine, chosen))
        elif chosen is not None:
            self.request(lambda machine: _run_to_time(machine, chosen))

    def action_inject(self) -> None:
        if self.frame is not None:
            self.app.push_screen(Inject(self.frame.view.vms, *self.bridge.selected), self._inject)

    def _inject(self, chosen: Injection | None) -> None:
        if chosen is not None:
            done = f"INTID {chosen.intid} is pending in {chosen.vm}"
            self.request(lambda machine: machine.inject(chosen.vm, chosen.intid, chosen.vcpu), done)

    def action_reset(self) -> None:
        vm = self.bridge.selected[0]

        def answered(yes: bool | None) -> None:
            if yes:
                self.request(lambda machine: machine.reset(vm), f"{vm} was reset")

        self.app.push_screen(Confirm(f"Reset {vm}? What it holds in memory is lost.", "Reset"), answered)

    def _can_run(self) -> bool:
        reason = _STOPPED.get(self.bridge.state)
        if reason is not None:
            self.status.say(reason, warning=True)
        return reason is None

    def request(self, send: Callable[[Machine], Future[Any]], done: str = "", hint: str = "") -> None:
        """Have the machine do something, and tell what came of it; never waits here. `hint` helps on a refusal."""
        self.run_worker(self._request(send, done, hint), group="requests", exit_on_error=False)

    async def _request(self, send: Callable[[Machine], Future[Any]], done: str, hint: str) -> None:
        try:
            await self.bridge.request(send)
        except MachineError as error:
            self.status.say(f"{error}: {hint}" if hint else str(error), warning=True)
        except Exception as error:
            self.complain(f"{type(error).__name__}: {error}")
        else:
            self.status.say(done)

    # --- the view --------------------------------------------------------------------------------

    def action_console(self, number: int) -> None:
        console = self.consoles.choose(number)
        if console is not None:
            self._show_pane(console)

    def action_next_vcpu(self) -> None:
        self.partitions.move(1, wrap=True)

    def action_registers(self) -> None:
        self._show_inspector(self.registers)

    def action_events(self) -> None:
        self._show_inspector(self.event_log)

    def action_ffa(self) -> None:
        self._go_to_page("ffa")

    def action_devices(self) -> None:
        self._go_to_page("devices")

    def action_interrupts(self) -> None:
        self._go_to_page("interrupts")

    def _go_to_page(self, name: str) -> None:
        """To a page, and back to the board."""
        page = self.pages.get(name)
        if page is not None and page is not self.page:
            self._show_pane(page.home)
        elif page is not None:
            self._show_pane(self.event_log if self.has_class("-show-events") else self.registers)

    def action_ffa_filter(self) -> None:
        """Where the page is not shown, the key shows it first."""
        if isinstance(self.page, FfaPage):
            self.page.next_endpoint()
            self.bridge.filter_ffa(self.page.endpoint)
            self.retitle()
        else:
            self.action_ffa()

    def _show_inspector(self, pane: Widget) -> None:
        if self.tabbed:
            self.set_class(pane is self.registers, "-show-registers")
            self.set_class(pane is self.event_log, "-show-events")
        self._show_pane(pane)

    def _show_pane(self, pane: Widget) -> None:
        """Focus a pane, on the board or on a page; a maximised one beside it gives its place to it."""
        page = self._page_of(pane)
        if page is not self.page:
            self.set_focus(None)  # or it would go to another console when this one is hidden
            self._share_out()
            self._open(page)
        elif self.has_class("-maximised"):
            self._maximise(pane)
        self.call_after_refresh(pane.focus)
        self.call_after_refresh(self.laid_out)

    def _open(self, page: RecordsPage | None) -> None:
        """Show a page instead of the board, or the board."""
        self.page = page
        self.set_class(page is not None, "-paged")
        for each in self.pages.values():
            each.set_class(each is page, "-shown")

    def _page_of(self, pane: Widget) -> RecordsPage | None:
        """The page that a pane is on; None: the board."""
        return next((page for page in self.pages.values() if page in pane.ancestors), None)

    def action_traffic(self) -> None:
        self.event_log.traffic = not self.event_log.traffic

    def action_maximise(self) -> None:
        pane = self.focused
        if self.has_class("-maximised"):
            self._share_out()
        elif pane is not None and pane.has_class("pane"):
            self._maximise(pane)
        self.call_after_refresh(self.laid_out)

    def _maximise(self, pane: Widget) -> None:
        self._share_out()
        self.add_class("-maximised")
        pane.add_class("-maximised")
        for box in pane.ancestors:
            if box is not self and box is not self.app:
                box.add_class("-maximised")

    def _share_out(self) -> None:
        self.remove_class("-maximised")
        for pane in self.query(".-maximised"):
            pane.remove_class("-maximised")

    def action_next_pane(self) -> None:
        self.focus_next()

    def action_previous_pane(self) -> None:
        self.focus_previous()

    # --- the program -----------------------------------------------------------------------------

    def action_details(self) -> None:
        if self.frame is None:
            return
        view = self.frame.view
        lines = [f"{view.name}: {view.state.value}, {view.detail or 'nothing stops it'}"]
        lines += [f"{vm.name}: {vm.state.value} {vm.detail}".rstrip() for vm in view.vms]
        if self.frame.failure:
            lines += ["", self.frame.failure]
        self.app.push_screen(Details(f"{view.name} is {view.state.value}", "\n".join(lines)))

    def action_help(self) -> None:
        self.app.push_screen(Help(available(self.pages)))

    def action_palette(self) -> None:
        self.app.action_command_palette()

    def action_quit(self) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self.machine.close(timeout=0)  # guests at full speed would hold up the way out
                self.app.exit()

        self.app.push_screen(Confirm("Quit hvtui? The machine stops, nothing is kept.", "Quit"), answered)


def _run_to(machine: Machine, goal: Goal) -> Future[None]:
    """From anywhere: a machine that runs is held first."""
    machine.pause()
    return machine.run_to(goal)


def _run_to_time(machine: Machine, nanoseconds: int) -> Future[None]:
    machine.pause()
    return machine.run_to_time(nanoseconds)
