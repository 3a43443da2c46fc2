"""The dialog that makes an interrupt pending: VM, vCPU, INTID."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, OptionList, Select
from textual.widgets.option_list import Option

from engine.board import intids
from engine.views import VmView
from hvtui.screens.modal import ExplainedDialog


class Injection(NamedTuple):
    """What to inject, and where."""

    vm: str
    vcpu: int
    intid: int


class Inject(ExplainedDialog[Injection]):
    """A number typed or picked; Enter injects it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "focus_list", show=False),
    ]

    def __init__(self, vms: tuple[VmView, ...], vm: str, vcpu: int) -> None:
        super().__init__()
        self._vms = {view.name: view for view in vms}
        self._vm = vm
        self._vcpu = vcpu

    def compose(self) -> ComposeResult:
        with Vertical(classes="box", id="inject") as box:
            box.border_title = "Inject an interrupt"
            box.border_subtitle = "enter injects · tab next field · escape"
            with Horizontal(classes="fields"):
                yield Label("VM")
                yield Select(
                    [(name, name) for name in self._vms], value=self._vm, allow_blank=False, id="vm", compact=True
                )
                yield Label("vCPU")
                yield Select(self._vcpus(self._vm), value=self._vcpu, allow_blank=False, id="vcpu", compact=True)
            with Horizontal(classes="fields"):
                yield Label("INTID")
                field = Input(id="intid", placeholder="0-287", compact=True, max_length=5)
                field.cursor_blink = False
                yield field
                yield Label("", id="meaning", markup=False)
            yield OptionList(*map(_option, intids.choices()), id="known", compact=True)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#intid", Input).focus()

    def meaning(self, value: str) -> str:
        intid = intids.parse(value)
        named = intids.KNOWN.get(intid)
        return f"{intids.kind(intid)}{f', the {named}' if named else ''}"

    def _vcpus(self, vm: str) -> list[tuple[str, int]]:
        return [(str(vcpu.index), vcpu.index) for vcpu in self._vms[vm].vcpus]

    @on(Select.Changed, "#vm")
    def _vm_changed(self, event: Select.Changed) -> None:
        vm = str(event.value)
        if vm != self._vm:
            self._vm = vm
            self.query_one("#vcpu", Select).set_options(self._vcpus(vm))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        try:
            self._finish(intids.parse(event.value))
        except ValueError:
            self.refuse()

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        self._finish(int(event.option.id or 0))

    def _finish(self, intid: int) -> None:
        vcpu = self.query_one("#vcpu", Select).value
        self.dismiss(Injection(self._vm, vcpu if isinstance(vcpu, int) else 0, intid))

    def action_focus_list(self) -> None:
        self.query_one("#known", OptionList).focus()


def _option(intid: int) -> Option:
    named = intids.KNOWN.get(intid, "software generated")
    return Option(f"{intid:4d}  {intids.kind(intid):7} {named}", id=str(intid))
