"""The actions on the program itself: help, palette, themes, leaving."""

from __future__ import annotations

from pathlib import Path

from engine.errors import MachineError
from hvtui.actions import available, find
from hvtui.palettes import PALETTES
from hvtui.screens.board_base import BoardBase
from hvtui.screens.confirm import Confirm
from hvtui.screens.details import Details
from hvtui.screens.help import Help


class ProgramActions(BoardBase):
    """Everything that neither the machine nor a pane is needed for."""

    def action_details(self) -> None:
        if self.frame is None:
            return
        view = self.frame.view
        lines = [f"{view.name}: {view.state.value}, {view.detail or 'nothing stops it'}"]
        lines += [f"{vm.name}: {vm.state.value} {vm.detail}".rstrip() for vm in view.vms]
        if self.frame.failure:
            lines += ["", f"The engine failed; {self.report}", "", self.frame.failure]
        self.app.push_screen(Details(f"{view.name} is {view.state.value}", "\n".join(lines)))

    def action_help(self, command: str | None = None) -> None:
        actions = available(self.pages) if command is None else [find(command)]
        self.app.push_screen(Help(actions, self.settings.keymap))

    def action_palette(self) -> None:
        self.app.action_command_palette()

    def action_theme(self, theme: str | None = None) -> None:
        names = [palette.name for palette in PALETTES]
        self.app.theme = theme or names[(names.index(self.app.theme) + 1) % len(names)]
        self.status.say(f"theme {self.app.theme}")

    def action_screenshot(self, file: str | None = None) -> None:
        self.attempt(self._screenshot(Path(file) if file is not None else self._picture_name()))

    async def _screenshot(self, file: Path) -> str:
        picture = self.app.export_screenshot(title=f"hvtui {self.machine.config.name}")
        try:
            file.write_text(picture, encoding="utf-8")
        except OSError as error:
            raise MachineError(f"{file}: cannot be written: {error.strerror}") from None
        return f"{file} shows this screen"

    def _picture_name(self) -> Path:
        """With the machine's name and the instant, so that none is overwritten by another one."""
        cycles = self.frame.view.cycles if self.frame is not None else 0
        return Path(f"hvtui-{self.machine.config.name}-{self.modes.mode}-{cycles}.svg")

    def action_quit(self) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self.machine.close(timeout=0)  # guests at full speed would hold up the way out
                self.app.exit()

        self.app.push_screen(Confirm("Quit hvtui? The machine stops, nothing is kept.", "Quit"), answered)
