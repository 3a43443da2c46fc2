"""Screens and panes: which are open, which one has the focus, and how much room each has."""

from __future__ import annotations

from textual.widget import Widget

from hvtui.modes import BOARD, MODES
from hvtui.screens import room
from hvtui.screens.board_base import BoardBase
from hvtui.screens.jump import Jump
from hvtui.widgets.cpu import CpuPage
from hvtui.widgets.ffa import FfaPage
from hvtui.widgets.page import Page


class PaneActions(BoardBase):
    """The actions on what is seen."""

    def action_screen(self, screen: int | str) -> None:
        """By its number from 1, or its name."""
        mode = MODES[screen - 1] if isinstance(screen, int) else next(each for each in MODES if each.name == screen)
        if mode is BOARD:
            self.show_pane(self._board_pane())
        elif mode.name in self.pages:
            self.show_pane(self.pages[mode.name].home)
        else:
            self.status.say(mode.missing, warning=True)

    def _board_pane(self) -> Widget:
        """What gets the focus when the board is opened: the console of the selected partition."""
        for console in self.consoles.of(self.bridge.selected[0]):
            self.consoles.choose(console.number)
            return console
        return self.partitions

    def show_pane(self, pane: Widget) -> None:
        """Focus a pane, on the board or on a page; a maximised one beside it gives its place to it."""
        page = self._page_of(pane)
        if page is not self.page:
            self.set_focus(None)  # or it would go to another console when this one is hidden
            self.share_out()
            self._open(page)
        elif self.has_class("-maximised"):
            self._give_all(pane)
        self.call_after_refresh(self._bring_up, pane)
        self.call_after_refresh(self._focus, pane)
        self.call_after_refresh(self.laid_out)

    def _focus(self, pane: Widget) -> None:
        """Once it is shown; a monitor line that was opened meanwhile keeps the keyboard, and gives it to the pane.

        A search bar that opened in the pane keeps it, too.
        """
        if self.monitor_line.is_open:
            self.monitor_line.before = pane
        elif not pane.has_focus_within:
            self.set_focus(pane)

    def _bring_up(self, pane: Widget) -> None:
        """Where there is room for one pane only, it is the one that was asked for."""
        if self.has_class("-tiny") and not all(
            each.display for each in (pane, *pane.ancestors) if each is not self.app
        ):
            self._give_all(pane)

    def _open(self, page: Page | None) -> None:
        """Show a page instead of the board, or the board."""
        self.page = page
        self.modes.mode = page.id or "" if page is not None else BOARD.name
        self.set_class(page is not None, "-paged")
        for each in self.pages.values():
            each.set_class(each is page, "-shown")

    def _page_of(self, pane: Widget) -> Page | None:
        """The page that a pane is on; None: the board."""
        return next((page for page in self.pages.values() if page in pane.ancestors), None)

    def action_ffa_filter(self) -> None:
        """Where the page is not shown, the key shows it first."""
        if isinstance(self.page, FfaPage):
            self.page.next_endpoint()
            self.bridge.filter_ffa(self.page.endpoint)
            self.retitle()
        else:
            self.action_screen("ffa")

    # --- panes ---------------------------------------------------------------------------------------

    def action_next_vcpu(self) -> None:
        self.partitions.move(1, wrap=True)

    def action_select(self, vcpu: tuple[str, int]) -> None:
        self.select(*vcpu)

    def action_registers(self) -> None:
        if isinstance(self.page, CpuPage):
            self.page.show_registers()
        else:
            self._show_inspector(self.registers)

    def action_events(self) -> None:
        self._show_inspector(self.event_log)

    def _show_inspector(self, pane: Widget) -> None:
        if self.tabbed:
            self.set_class(pane is self.registers, "-show-registers")
            self.set_class(pane is self.event_log, "-show-events")
        self.show_pane(pane)

    def action_next_pane(self) -> None:
        self.focus_next()

    def action_previous_pane(self) -> None:
        self.focus_previous()

    def action_jump(self) -> None:
        panes = [pane for pane in self.query(".pane") if pane.region.area]
        self.app.push_screen(Jump(panes), self._jumped)

    def _jumped(self, pane: Widget | None) -> None:
        if pane is not None:
            self.show_pane(pane)

    def action_grow(self) -> None:
        self._resize(1)

    def action_shrink(self) -> None:
        self._resize(-1)

    def _resize(self, step: int) -> None:
        if self.focused is not None and self.focused.has_class("pane") and not self.has_class("-maximised"):
            room.change(self, self.focused, step)
            self.call_after_refresh(self.laid_out)

    def action_maximise(self) -> None:
        pane = self.focused
        if self.has_class("-maximised"):
            self.share_out()
        elif pane is not None and pane.has_class("pane"):
            self._give_all(pane)
        self.call_after_refresh(self.laid_out)

    def _give_all(self, pane: Widget) -> None:
        self.share_out()
        self.add_class("-maximised")
        pane.add_class("-maximised")
        for box in pane.ancestors:
            if box is not self and box is not self.app:
                box.add_class("-maximised")

    def share_out(self) -> None:
        """No pane has it all."""
        self.remove_class("-maximised")
        for pane in self.query(".-maximised"):
            pane.remove_class("-maximised")
