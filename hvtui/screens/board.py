"""The main screen: the board with consoles, partitions, registers and events, and the pages in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType

from engine.machine import Machine
from engine.machine_config import MachineConfig
from engine.views import NOTHING_MORE, MachineView, RunState, VmRunState
from hvtui.actions import ACTIONS, find
from hvtui.bindings import bindings
from hvtui.bridge import Bridge
from hvtui.commander import Commander
from hvtui.facts import first_facts, gather
from hvtui.frame import Frame
from hvtui.keymap import label
from hvtui.screens import room
from hvtui.screens.console_actions import ConsoleActions
from hvtui.screens.look_actions import LookActions
from hvtui.screens.machine_actions import MachineActions
from hvtui.screens.pane_actions import PaneActions
from hvtui.screens.program_actions import ProgramActions
from hvtui.screens.session_actions import SessionActions
from hvtui.screens.troubles import Troubles
from hvtui.settings import Settings
from hvtui.text import shorten
from hvtui.widgets.caption import Caption
from hvtui.widgets.console import Console
from hvtui.widgets.consoles import Consoles, partition_of
from hvtui.widgets.cpu import CpuPage
from hvtui.widgets.cpu_code import CodePane
from hvtui.widgets.detail import Detail
from hvtui.widgets.devices import DevicesPage
from hvtui.widgets.event_log import EventLog
from hvtui.widgets.ffa import FfaPage
from hvtui.widgets.interrupts import InterruptsPage
from hvtui.widgets.memory import MemoryPage
from hvtui.widgets.mode_bar import ModeBar
from hvtui.widgets.monitor_line import MonitorLine
from hvtui.widgets.page import Look, Page
from hvtui.widgets.partitions import Partitions, partitions_title
from hvtui.widgets.records_page import RecordsPage
from hvtui.widgets.registers import Registers, Stops
from hvtui.widgets.status import StatusLine
from hvtui.widgets.table import Table
from hvtui.widgets.titles import set_title
from hvtui.widgets.trace import TracePage

_NORMAL, _WIDE = 116, 160
"""Columns from which the layout changes."""
_SHORT, _TALL = 14, 32
"""Lines from which it changes."""


_PAGE_OF = {action.name: action.needs_page for action in ACTIONS if action.needs_page}


def _pages(config: MachineConfig, nanoseconds: Callable[[int], int]) -> dict[str, Page]:
    """The pages that a machine has something for."""
    pages: dict[str, Page] = {"cpu": CpuPage(), "memory": MemoryPage()}
    if config.has_ffa:
        pages["ffa"] = FfaPage(nanoseconds)
    pages["trace"] = TracePage(config, nanoseconds)
    pages["interrupts"] = InterruptsPage()
    if any(vm.virtio.slots for vm in config.vms):
        pages["devices"] = DevicesPage()
    return pages


class BoardScreen(MachineActions, PaneActions, ConsoleActions, LookActions, ProgramActions, SessionActions, Troubles):
    """Shows a machine and lets people hold it."""

    CSS_PATH = ["board.tcss", "pages.tcss", "look.tcss"]  # noqa: RUF012  # as Textual has it
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_NORMAL, "-normal"), (_WIDE, "-wide")]  # noqa: RUF012  # as Textual has it
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (_SHORT, "-short"), (_TALL, "-tall")]  # noqa: RUF012
    ESCAPE_TO_MINIMIZE = False
    AUTO_FOCUS = "Console"

    def __init__(self, machine: Machine, pace: str, settings: Settings) -> None:
        super().__init__()
        self.machine = machine
        self.settings = settings
        self.bridge = Bridge(machine, self.show, self.complain)
        self.commander = Commander(machine, lambda: self.bridge.selected, self.bridge.look)
        self.consoles = Consoles(machine.config.consoles)
        self.registers = Registers()
        self.partitions = Partitions()
        self.event_log = EventLog(self.bridge.nanoseconds)
        self.pages = _pages(machine.config, self.bridge.nanoseconds)
        self.page = None
        screens = [label(key) for key in settings.keymap.keys(find("screen"))]
        self.modes = ModeBar(screens, ["board", *self.pages], machine.config.name)
        self.status = StatusLine(pace, settings.keymap)
        self.known = first_facts(machine.config)
        self.monitor_line = MonitorLine(self.facts)
        self.caption = Caption()
        self.frame: Frame | None = None
        self._stops = Stops()
        self._visited = self.consoles.chosen.vm_name
        """The one that had the focus last."""
        self.add_class("-show-events")

    def compose(self) -> ComposeResult:
        yield self.modes
        yield self.consoles
        yield self.registers
        yield self.partitions
        yield self.event_log
        yield from self.pages.values()
        yield self.caption
        yield self.monitor_line
        yield self.status

    def on_mount(self) -> None:
        self.select(*self.bridge.selected)
        self.run_worker(self.bridge.run(), name="bridge", exit_on_error=False)
        self.run_worker(self._learn(), name="facts", exit_on_error=False)
        self.watch_file()

    async def _learn(self) -> None:
        self.known = await self.bridge.request(lambda machine: machine.ask(gather))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No FF-A actions on a machine without it."""
        if action in _PAGE_OF and _PAGE_OF[action] not in self.pages:
            return False
        return super().check_action(action, parameters)

    # --- frames --------------------------------------------------------------------------------

    def show(self, frame: Frame) -> None:
        """Give every widget its part of a frame."""
        before, self.frame = self.frame, frame
        for vm, data in frame.consoles:
            self.consoles[vm].feed(data)
        if before is None or before.view is not frame.view:
            self._show_view(frame, before.view if before is not None else None)
        if frame.events is not None:
            self.event_log.add(frame.events)
        if self.page is not None:
            self.page.show(frame)
        if frame.registers is not None:
            self._show_registers(frame)
        if frame.view.state is RunState.FAILED and (before is None or before.view.state is not RunState.FAILED):
            self.engine_failed(frame)

    def _show_view(self, frame: Frame, before: MachineView | None) -> None:
        self.status.mips = frame.mips
        self.status.view = frame.view
        self.partitions.view = frame.view
        set_title(self.partitions, partitions_title(frame.view))
        for place, vm in enumerate(frame.view.vms):
            old = before.vms[place] if before is not None else None
            if old is None or (old.state, old.detail) != (vm.state, vm.detail):
                for console in self.consoles.of(vm.name):
                    console.vm = vm
                if vm.state is VmRunState.CRASHED:
                    self.complain(f"{vm.name} crashed: {vm.detail}")

    def _show_registers(self, frame: Frame) -> None:
        registers = frame.registers
        if registers is not None and (registers.vm, registers.vcpu) == self.bridge.selected:
            still = frame.view.state is not RunState.RUNNING
            self.registers.show(registers, self._stops.changed(registers, frame.view.cycles, still))

    def complain(self, message: str) -> None:
        """Something went wrong, in one line."""
        self.app.clear_notifications()
        self.notify(shorten(message, 300), severity="error", timeout=10, markup=False)

    # --- what widgets say ------------------------------------------------------------------------

    @on(Console.Typed)
    def _typed(self, message: Console.Typed) -> None:
        self.bridge.type(message.vm, message.data)

    @on(Console.Resized)
    def _console_resized(self, message: Console.Resized) -> None:
        # The first console of a partition is a serial line: its guest has no way to learn a size.
        if message.vm != partition_of(message.vm):
            self.bridge.resize(message.vm, message.columns, message.rows)

    @on(Console.Chosen)
    def _console_chosen(self, message: Console.Chosen) -> None:
        # Not where the focus only comes back, from the monitor line or a page: something else may be selected by now.
        if message.vm != self._visited:
            self._visited = message.vm
            self.select_partition(message.vm)

    @on(Partitions.Selected)
    def _vcpu_selected(self, message: Partitions.Selected) -> None:
        self.select(message.vm, message.vcpu)

    @on(Table.Opened)
    def _read_details(self) -> None:
        if isinstance(self.page, RecordsPage):
            self.show_pane(self.page.detail)

    @on(Detail.Left)
    def _details_read(self) -> None:
        if self.page is not None:
            self.show_pane(self.page.home)

    @on(Page.LookAgain)
    def _look_again(self) -> None:
        self.bridge.look()

    @on(Page.Problem)
    def _page_problem(self, message: Page.Problem) -> None:
        self.status.say(message.words, warning=True)

    @on(CodePane.Toggled)
    def _breakpoint_toggled(self, message: CodePane.Toggled) -> None:
        for number in message.numbers:
            self.command("delete", number)
        if not message.numbers:
            self.command("break", f"{message.address:#x}")

    @on(MemoryPage.PartitionChosen)
    def _partition_chosen(self, message: MemoryPage.PartitionChosen) -> None:
        self.select(message.vm, 0)

    @on(ModeBar.Chosen)
    def _mode_chosen(self, message: ModeBar.Chosen) -> None:
        self.action_screen(message.mode)

    @on(MonitorLine.Entered)
    def _line_entered(self, message: MonitorLine.Entered) -> None:
        self.obey(message.line)

    @on(RecordsPage.Retitled)
    def _page_retitled(self) -> None:
        self.retitle()

    @on(Console.KeyboardTaken)
    def _keyboard_taken(self, message: Console.KeyboardTaken) -> None:
        self.status.typing_into = message.vm
        if message.vm:
            self.select_partition(message.vm)

    def select_partition(self, console: str) -> None:
        """Follow the partition that a console belongs to."""
        partition = partition_of(console)
        if self.bridge.selected[0] != partition:
            self.select(partition, 0)

    def select(self, vm: str, vcpu: int) -> None:
        """Follow another vCPU."""
        self.bridge.select(vm, vcpu)
        self.partitions.selected = (vm, vcpu)
        for page in self.pages.values():
            page.follow(vm, vcpu)
        self.retitle()

    # --- layout ------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        room.restore(self)
        # In one column, events take the place of registers; else they stand below the table.
        self.move_child(self.event_log, after=self.registers if self._is_tabbed(event) else self.partitions)
        self.partitions.fit(event.size.height)
        self.call_after_refresh(self.laid_out)
        self.call_after_refresh(self._keep_focus)

    def _keep_focus(self) -> None:
        """The focused pane may have no room any more."""
        if self.focused is None:
            self.consoles[self.bridge.selected[0]].focus()

    @staticmethod
    def _is_tabbed(event: events.Resize) -> bool:
        return event.size.width < _NORMAL or event.size.height < _TALL

    def laid_out(self) -> None:
        """After a change of layout: which panes are visible, and what their titles say."""
        self.consoles.share_space()
        self.bridge.registers_visible = self.registers.display and self.registers.size.width > 0
        self.bridge.parts = NOTHING_MORE if self.page is None else self.page.part
        self.bridge.look_for = self._look
        self.bridge.look()
        self.retitle()

    def _look(self) -> tuple[str, Look] | None:
        """What the open page wants to know."""
        look = self.page.look() if self.page is not None else None
        return (self.page.id or "", look) if self.page is not None and look is not None else None

    @property
    def tabbed(self) -> bool:
        """Registers and events take turns in one place."""
        return self.has_class("-narrow") or self.has_class("-short")

    def retitle(self) -> None:
        vm, vcpu = self.bridge.selected
        other_events, other_registers = (" │ events (e)", " │ registers (g)") if self.tabbed else ("", "")
        set_title(self.registers, f"registers {vm}/{vcpu}{other_events}")
        set_title(self.event_log, f"events{other_registers}")
        for page in self.pages.values():
            page.retitle()
        set_title(self.partitions, partitions_title(self.frame.view if self.frame is not None else None))
        for console in self.consoles.all():
            console.retitle()
