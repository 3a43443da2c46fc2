"""The CPU page: registers, code, stack and memory of the selected vCPU."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget

from engine.views import RunState
from hvtui import places
from hvtui.frame import Frame
from hvtui.widgets.cpu_code import CodePane
from hvtui.widgets.cpu_look import CpuLook, CpuPicture, Going, MemoryWanted
from hvtui.widgets.cpu_memory import MemoryPane
from hvtui.widgets.cpu_stack import StackPane
from hvtui.widgets.page import Look, Page
from hvtui.widgets.registers import Registers, Stops
from hvtui.widgets.titles import set_title

_TURNS = {"left": -1, "right": 1}
_NAMES = ("registers", "stack", "memory")
_MOST_WORDS = 64


class CpuPage(Page):
    """Four panes; where room is short, three of them take turns below or beside the code."""

    def __init__(self) -> None:
        super().__init__("cpu")
        self.code = CodePane("cpu-code")
        self.registers = Registers("cpu-registers")
        self.stack = StackPane("cpu-stack")
        self.memory = MemoryPane("cpu-memory")
        self.turn = 0
        """Which of the panes beside the code has the place."""
        self._stops = Stops()
        self._going: Going | None = None
        self._picture: CpuPicture | None = None
        self._running = False
        self.add_class(f"-turn-{_NAMES[0]}")

    def compose(self) -> ComposeResult:
        with Horizontal(classes="page-box cpu-top"):
            yield self.code
            yield self.registers
        with Horizontal(classes="page-box cpu-bottom"):
            yield self.memory
            yield self.stack

    @property
    def home(self) -> Widget:
        return self.code

    # --- frames --------------------------------------------------------------------------------------

    def look(self) -> Look | None:
        """Everything that is visible, at once."""
        vm, vcpu = self.selected
        memory = self.memory
        wanted = MemoryWanted(memory.base, memory.space, memory.wanted, memory.row) if _seen(memory) else None
        return CpuLook(
            vm=vm,
            vcpu=vcpu,
            around=self.code.around,
            lines=self.code.rows,
            registers=_seen(self.registers),
            words=min(_MOST_WORDS, self.stack.rows) if _seen(self.stack) else 0,
            memory=wanted,
            going=self._going,
        )

    def show(self, frame: Frame) -> None:
        picture = self.answer(frame)
        if not isinstance(picture, CpuPicture):
            return
        if (picture.asked.vm, picture.asked.vcpu) != self.selected:
            return  # asked for before another one was selected
        self._running = frame.view.state is RunState.RUNNING
        self._arrive(picture)
        self._picture = picture
        self.code.show(picture.code, [each.number for each in frame.view.breakpoints if each.enabled])
        cycles = frame.view.cycles
        if picture.registers is not None:
            changed = self._stops.changed(picture.registers, cycles, not self._running)
            self.registers.show(picture.registers, changed)
        if picture.stack is not None:
            self.stack.show(picture.stack)
        if picture.memory is not None:
            self.memory.show(picture.memory, cycles, not self._running)
        self.retitle()

    def _arrive(self, picture: CpuPicture) -> None:
        """Where somebody wanted to go is known now."""
        going = self._going
        if going is None or picture.asked.going is not going:
            return
        self._going = None
        if picture.went is None:
            self.post_message(self.Problem(picture.problem))
            return
        if going.code:
            self.code.go(picture.went.address)
        if going.memory:
            self.memory.go(picture.went, self.memory.space if going.place.space is None else picture.went.space)

    def follow(self, vm: str, vcpu: int) -> None:
        """Another vCPU, from its PC on."""
        if (vm, vcpu) != self.selected:
            super().follow(vm, vcpu)
            self.code.here()

    # --- where ---------------------------------------------------------------------------------------

    def go_to(self, place: str) -> None:
        """Show a place in the focused one of code and memory, in both when neither is. ValueError for no place."""
        parsed = places.parse(place)
        focused = self.screen.focused
        code, memory = focused is not self.memory, focused is not self.code
        if parsed.space not in (None, "va"):
            if not memory:
                raise ValueError("code has virtual addresses only: go to the memory first (tab)")
            code = False
        self._going = Going(parsed, code, memory)
        self.post_message(self.LookAgain())

    def space(self, space: str | None) -> None:
        """Whose addresses memory is shown by: this one's, or the next one's. ValueError for another word."""
        self.memory.space = places.next_space(self.memory.space, space)
        self.retitle()
        self.post_message(self.LookAgain())

    def here(self) -> None:
        """Code follows PC, and memory SP."""
        self._going = None
        self.code.here()
        self.memory.here()
        self.post_message(self.LookAgain())

    # --- room ----------------------------------------------------------------------------------------

    def show_registers(self) -> None:
        """Give the registers the place that they take turns in, and the focus."""
        self._set_turn(0)
        self.call_after_refresh(self._turned, True)

    @property
    def takes_turns(self) -> bool:
        """There is no room for all panes."""
        panes = (self.registers, self.stack, self.memory)
        return not self.screen.has_class("-maximised") and sum(_seen(pane) for pane in panes) < len(panes)

    async def _on_key(self, event: events.Key) -> None:
        step = _TURNS.get(event.key)
        if step is not None and self.takes_turns:
            beside = self.screen.focused is not self.code
            self._set_turn((self.turn + step) % len(_NAMES))
            self.call_after_refresh(self._turned, beside)
            event.stop()

    def _set_turn(self, turn: int) -> None:
        self.remove_class(f"-turn-{_NAMES[self.turn]}")
        self.turn = turn
        self.add_class(f"-turn-{_NAMES[turn]}")

    def _turned(self, beside: bool) -> None:
        """The pane whose turn it is has its place."""
        if beside:
            (self.registers, self.stack, self.memory)[self.turn].focus()
        self.retitle()
        self.post_message(self.LookAgain())

    def retitle(self) -> None:
        """Where each pane looks."""
        vm, vcpu = self.selected
        picture = self._picture
        running = " running" if self._running else ""
        at = f" {picture.symbol}" if picture is not None and picture.symbol else ""
        where = at if self.code.following else ", elsewhere (h: PC)"
        set_title(self.code, f"code {vm}/{vcpu}{running}{where}")
        set_title(self.registers, f"registers{running}{self._others(0)}")
        set_title(self.stack, f"stack{running}{self._others(1)}")
        whence = "from SP" if self.memory.base is None else "(h: SP)"
        set_title(self.memory, f"memory {self.memory.space.upper()} (M){running} {whence}{self._others(2)}")

    def _others(self, turn: int) -> str:
        if not self.is_attached or not self.takes_turns:
            return ""
        return "".join(f" │ {name}" for place, name in enumerate(_NAMES) if place != turn) + " (← →)"


def _seen(pane: Widget) -> bool:
    """It has a place on the screen."""
    return pane.is_attached and bool(pane.region.area)
