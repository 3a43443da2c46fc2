"""What the parts of the main screen share: its widgets, and how it has the machine do something."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from textual.screen import Screen
from textual.widget import Widget

from engine.errors import MachineError
from engine.machine import Machine
from hvtui.commander import Commander

if TYPE_CHECKING:
    from hvtui.bridge import Bridge
    from hvtui.frame import Frame
    from hvtui.monitor import Facts
    from hvtui.settings import Settings
    from hvtui.widgets.caption import Caption
    from hvtui.widgets.consoles import Consoles
    from hvtui.widgets.event_log import EventLog
    from hvtui.widgets.mode_bar import ModeBar
    from hvtui.widgets.monitor_line import MonitorLine
    from hvtui.widgets.page import Page
    from hvtui.widgets.partitions import Partitions
    from hvtui.widgets.registers import Registers
    from hvtui.widgets.status import StatusLine


class BoardBase(Screen[None]):
    """The widgets of the main screen."""

    machine: Machine
    bridge: Bridge
    commander: Commander
    settings: Settings
    frame: Frame | None
    modes: ModeBar
    consoles: Consoles
    partitions: Partitions
    registers: Registers
    event_log: EventLog
    pages: dict[str, Page]
    """By the name of their mode; the board is none."""
    page: Page | None
    """The one that is open; None: the board."""
    status: StatusLine
    monitor_line: MonitorLine
    caption: Caption
    report: str
    """Where the traceback of an engine that failed is, else ""."""
    known: Facts
    """What does not change of the machine."""

    def command(self, name: str, *values: Any, hint: str = "") -> None:
        """Have the machine do something, and tell what came of it; never waits here. `hint` helps on a refusal."""
        self.attempt(self.commander.perform(name, *values), hint)

    def attempt(self, work: Coroutine[Any, Any, str], hint: str = "") -> None:
        """Tell what comes of some work, or why nothing does."""
        self.run_worker(self._attempt(work, hint), group="requests", exit_on_error=False)

    async def _attempt(self, work: Coroutine[Any, Any, str], hint: str) -> None:
        self.bridge.idle.clear()
        try:
            self.status.say(await work)
        except MachineError as error:
            self.status.say(f"{error}: {hint}" if hint else str(error), warning=True)
        except Exception as error:
            self.complain(f"{type(error).__name__}: {error}")
        finally:
            self.bridge.look()

    def complain(self, message: str) -> None:
        """Something went wrong, in one line."""
        raise NotImplementedError

    def laid_out(self) -> None:
        """After a change of layout."""
        raise NotImplementedError

    def retitle(self) -> None:
        """Titles of all panes."""
        raise NotImplementedError

    def select(self, vm: str, vcpu: int) -> None:
        """Follow another vCPU."""
        raise NotImplementedError

    def action_monitor(self, line: str = "") -> None:
        """Open the monitor line with what it begins with."""
        raise NotImplementedError

    def obey(self, line: str) -> None:
        """Do what a monitor line says."""
        raise NotImplementedError

    def select_partition(self, console: str) -> None:
        """Follow the partition that a console belongs to."""
        raise NotImplementedError

    def search_console(self, text: str | None) -> None:
        """Look for a text in a console, or ask for one."""
        raise NotImplementedError

    def show_pane(self, pane: Widget) -> None:
        """Focus a pane, wherever it is."""
        raise NotImplementedError

    @property
    def tabbed(self) -> bool:
        """Registers and events take turns in one place."""
        raise NotImplementedError
