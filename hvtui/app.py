"""The Textual app: themes, palette, and the main screen."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver

from engine.machine import Machine, Pace
from engine.machine_config import MachineConfig
from hvtui import theme
from hvtui.bindings import as_keymap
from hvtui.captures import CaptureFile, capturing
from hvtui.cast import Recorder, recording
from hvtui.palette import ActionCommands
from hvtui.screens.board import BoardScreen
from hvtui.screens.modal import NARROW, TINY
from hvtui.settings import Settings

TRACED_EVENTS = 1_000_000
"""As many as the app keeps: a few minutes of busy guests, and some 170 MB."""
_CLOSE_S = 0.1
"""How long to wait for the machine's thread when leaving; it ends with the process anyway."""


class HvtuiApp(App[None], inherit_bindings=False):
    """Shows one machine. Whoever made the machine starts and closes it."""

    TITLE = "hvtui"
    CSS_PATH = "app.tcss"
    # Of dialogs and the palette; the main screen has its own.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (NARROW, "-normal")]  # noqa: RUF012  # as Textual has it
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (TINY, "-short")]  # noqa: RUF012
    COMMANDS = {ActionCommands}  # noqa: RUF012  # as Textual has it
    # Not a priority binding, as the one Textual would add: a guest's shell uses ctrl+p.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+p", "command_palette", show=False)]

    def __init__(
        self,
        machine: Machine,
        pace: str = "real time",
        settings: Settings | None = None,
        script: Path | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__()
        self._script = script
        self.recorder = recorder
        """Of this session, for the driver."""
        self.settings = settings or Settings()
        for each in theme.THEMES.values():
            self.register_theme(each)
        self.theme = self.settings.theme
        self.set_keymap(as_keymap(self.settings.keymap))
        self.board = BoardScreen(machine, pace, self.settings)

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice, or the quicker kind of it."""
        chosen = super().get_driver_class()
        if sys.platform == "win32":
            return chosen
        from textual.drivers.linux_driver import LinuxDriver

        from hvtui.driver import QuickDriver

        return QuickDriver if chosen is LinuxDriver else chosen

    def watch_theme(self, name: str) -> None:
        """Lines drawn by hand follow."""
        theme.use(name)
        for screen in self.screen_stack:
            for widget in screen.walk_children(with_self=True):
                widget.refresh()

    def on_resize(self, event: events.Resize) -> None:
        if self.recorder is not None:
            self.recorder.resize(event.size.width, event.size.height)

    def on_mount(self) -> None:
        self.push_screen(self.board)
        if self._script is not None:
            self.board.call_after_refresh(self.board.action_source, str(self._script))


def run_app(
    config: MachineConfig,
    settings: Settings,
    pace: Pace = Pace.REAL,
    pcap: Sequence[CaptureFile] = (),
    script: Path | None = None,
    record: Path | None = None,
) -> int:
    """Open a machine and stay until the user leaves; the exit code. MachineError when it cannot be built or recorded.

    With a script the machine stands still until that lets it run.
    """
    machine = Machine(config, pace=pace, events=TRACED_EVENTS)
    trouble: list[str] = []
    try:
        with (
            capturing(machine.control.system.ports, pcap, trouble.append),
            recording(record, f"hvtui {config.name}", trouble.append) as recorder,
        ):
            app = HvtuiApp(machine, "real time" if pace is Pace.REAL else "full speed", settings, script, recorder)
            try:
                machine.start(running=script is None)
                app.run()
            finally:
                machine.close(_CLOSE_S)
    finally:
        # The interpreter would search all that an app made for cycles before it ends; nothing needs that.
        gc.freeze()
    sys.stderr.writelines(f"hvtui: {line}\n" for line in trouble)
    return app.return_code or 0
