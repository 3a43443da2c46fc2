"""The table of VMs and their vCPUs."""

from __future__ import annotations

from typing import NamedTuple

from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from engine.views import MachineView, VcpuState, VcpuView, VmRunState, VmView
from hvtui import text
from hvtui.activity import MOMENTS, Activity
from hvtui.theme import Ink
from hvtui.widgets.lines import LinesPane

_STATES: dict[VcpuState, tuple[str, Style]] = {
    VcpuState.RUNNING: ("▶ running", Ink.GREEN),
    VcpuState.READY: ("◆ ready", Ink.CYAN),
    VcpuState.BLOCKED: ("◌ blocked", Ink.AMBER),
    VcpuState.WAITING: ("◌ waiting", Ink.AMBER),
    VcpuState.CALLING: ("◇ calling", Ink.AMBER),
    VcpuState.PREEMPTED: ("◇ preempt", Ink.AMBER),
    VcpuState.YIELDED: ("◇ yielded", Ink.AMBER),
    VcpuState.OFF: ("○ off", Ink.MUTED),
}
_CONTEXTS: dict[str, tuple[str, Style]] = {
    "reset": ("○ reset", Ink.MUTED),
    "idle": ("◌ idle", Ink.AMBER),
    "running": ("▶ running", Ink.GREEN),
    "blocked": ("◇ blocked", Ink.AMBER),
    "preempted": ("◇ preempt", Ink.AMBER),
    "aborted": ("✖ aborted", Ink.RED),
}
"""States of secure partitions' execution contexts, by the words of the view."""
_NAME, _STATE, _PC, _COUNT, _PENDING = 11, 9, 16, 6, 8
_LEAST_SYMBOL = 16
"""Columns that names of symbols need before there is room for more."""
_FIXED = 1 + _NAME + 1 + _STATE + 1 + 2 + 1 + _PC + 1 + 1 + _COUNT + 1 + _COUNT + 1 + _PENDING


class _Row(NamedTuple):
    vm: VmView
    vcpu: VcpuView
    bars: str
    """How busy it was."""


class Partitions(LinesPane):
    """One line a vCPU; the selected one is what registers and stepping follow."""

    view: reactive[MachineView | None] = reactive(None)
    selected: reactive[tuple[str, int]] = reactive(("", 0))

    class Selected(Message):
        """Another vCPU was chosen."""

        def __init__(self, vm: str, vcpu: int) -> None:
            super().__init__()
            self.vm = vm
            self.vcpu = vcpu

    def __init__(self) -> None:
        super().__init__(id="partitions", classes="pane")
        self._rows: list[_Row] = []
        self._activity = Activity()

    def watch_view(self) -> None:
        if self.view is None:
            return
        self._activity.look(self.view)
        rows = [_Row(vm, vcpu, self._activity.bars(vm.name, vcpu.index)) for vm in self.view.vms for vcpu in vm.vcpus]
        old, self._rows = self._rows, rows
        if len(old) != len(rows):
            self.set_line_count(len(rows) + 1)
            self.fit(self.screen.size.height)
            self.refresh()
            return
        for number, (before, now) in enumerate(zip(old, rows, strict=True)):
            if (before.vcpu, before.bars, before.vm.state) != (now.vcpu, now.bars, now.vm.state):
                self.refresh_line(number + 1)

    def fit(self, lines: int) -> None:
        """As high as its lines, but no more than a quarter of a screen of `lines`."""
        self.styles.height = min(len(self._rows) + 1, max(3, lines // 4)) + self.gutter.height

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A grid asks for this, and not for the height that it was given."""
        height = self.styles.height
        if height is None or not height.is_cells:
            return super().get_content_height(container, viewport, width)
        return int(height.value) - self.gutter.height

    def watch_selected(self) -> None:
        self.refresh()
        place = self._place()
        if place + 1 - self.scroll_offset.y >= self.rows or place < self.scroll_offset.y:
            self.scroll_to(y=max(0, place + 2 - self.rows), animate=False)

    def _place(self) -> int:
        keys = [(row.vm.name, row.vcpu.index) for row in self._rows]
        return keys.index(self.selected) if self.selected in keys else 0

    def move(self, step: int, wrap: bool = False) -> None:
        """Select the vCPU `step` lines further down."""
        if self._rows:
            place = self._place() + step
            self._choose(place % len(self._rows) if wrap else max(0, min(len(self._rows) - 1, place)))

    def _choose(self, place: int) -> None:
        row = self._rows[place]
        self.post_message(self.Selected(row.vm.name, row.vcpu.index))

    # --- input ---------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        steps = {"up": -1, "down": 1, "k": -1, "j": 1, "home": -(1 << 30), "end": 1 << 30}
        if event.key in steps:
            self.move(steps[event.key])
            event.stop()
            event.prevent_default()

    async def _on_click(self, event: events.Click) -> None:
        place = self.scroll_offset.y + event.get_content_offset_capture(self).y - 1
        if 0 <= place < len(self._rows):
            self._choose(place)

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.refresh()

    # --- drawing ---------------------------------------------------------------------------------

    def draw_line(self, number: int, width: int) -> Strip:
        symbol = max(0, width - _FIXED - 1)
        active = symbol >= _LEAST_SYMBOL + MOMENTS + 1
        symbol -= MOMENTS + 1 if active else 0
        if number == 0:
            return _heading(width, symbol, active)
        row = self._rows[number - 1]
        selected = (row.vm.name, row.vcpu.index) == self.selected
        base = (Ink.SELECTED if self.has_focus else Ink.SELECTED_BLURRED) if selected else None
        return text.line(_parts(row, symbol, selected, active), width, base)


def partitions_title(view: MachineView | None) -> str:
    """With the call chain of every core that is in the secure world: who called first, then who was called."""
    return " · ".join(["partitions", *(() if view is None else call_chains(view))])


def call_chains(view: MachineView) -> tuple[str, ...]:
    """`core 0 secure: vm0 → sp_relay → sp_hello` of every core that is in the secure world."""
    return tuple(f"core {core.index} secure: {' → '.join(core.chain)}" for core in view.cores if core.secure)


def _heading(width: int, symbol: int, active: bool) -> Strip:
    activity = f"{'ACTIVITY':{MOMENTS}} " if active else ""
    title = (
        f" {'vCPU':{_NAME}} {'STATE':{_STATE}} EL {'PC':{_PC}} {text.fit('SYMBOL', symbol)} {activity}"
        f"{'EXITS':>{_COUNT}} {'INSTRS':>{_COUNT}} {'PENDING':{_PENDING}}"
    )
    return text.line([(title, Ink.MUTED)], width)


def _parts(row: _Row, symbol: int, selected: bool, active: bool) -> list[tuple[str, Style]]:
    vcpu = row.vcpu
    state, style = _state(row)
    alive = vcpu.state is not VcpuState.OFF
    pending = ",".join(map(str, vcpu.pending))
    return [
        ("▌" if selected else " ", Ink.AMBER),
        (_name(row), Ink.STRONG if selected else Ink.TEXT),
        (f" {state:{_STATE}} ", style),
        (f"{vcpu.el:2d} " if alive else " - ", Ink.TEXT if alive else Ink.FAINT),
        (f"{vcpu.pc:016x}", Ink.TEXT) if alive else (" " * _PC, Ink.FAINT),
        (f" {text.fit(vcpu.symbol, symbol)} ", Ink.BLUE),
        (f"{row.bars} " if active else "", Ink.GREEN),
        (f"{text.count(vcpu.exits)} {text.count(vcpu.instructions)}", Ink.TEXT),
        (f" {text.fit(pending, _PENDING)}", Ink.AMBER),
    ]


def _name(row: _Row) -> str:
    """The VM's name on its first line, and a branch to each vCPU."""
    last, index = len(row.vm.vcpus) - 1, row.vcpu.index
    branch = "─" if last == 0 else "┬" if index == 0 else "└" if index == last else "├"
    name = row.vm.name if index == 0 else ""
    number = f"{branch}{index}"
    return text.fit(name, _NAME - len(number) - 1) + " " + number


def _state(row: _Row) -> tuple[str, Style]:
    if row.vm.state is VmRunState.CRASHED:
        return "✖ crashed", Ink.RED
    if row.vcpu.context:
        return _CONTEXTS[row.vcpu.context]
    return _STATES[row.vcpu.state]
