"""The Interrupts page: what is enabled, pending or active, and the list registers that offer it to each vCPU."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from rich.style import Style

from engine.board import intids
from engine.device_views import CpuInterfaceView, InterruptView, ListRegisterView, VmInterruptsView
from engine.views import Part
from hvtui import text
from hvtui.frame import Frame
from hvtui.items import Item, Items, Line, Page, heading
from hvtui.theme import Ink
from hvtui.widgets.records_page import RecordsPage
from hvtui.widgets.table import Row, Table

_PAGE = "interrupts"
_IDLE_PRIORITY = 0xFF


class PlacedInterrupt(NamedTuple):
    """An interrupt of a VM."""

    vm: str
    interrupt: InterruptView

    @property
    def target(self) -> str:
        """`vm0/1`, or the VM alone where it may go to any vCPU."""
        return self.vm if self.interrupt.vcpu < 0 else f"{self.vm}/{self.interrupt.vcpu}"

    @property
    def name(self) -> str:
        return self.interrupt.source or intids.name(self.interrupt.intid)


class InterruptTable(Table[PlacedInterrupt]):
    """One row an interrupt that is enabled, pending or active."""

    def __init__(self) -> None:
        super().__init__(_PAGE, "interrupts", "nothing is enabled, pending or active")

    def show(self, view: tuple[VmInterruptsView, ...]) -> None:
        placed = [PlacedInterrupt(vm.vm, interrupt) for vm in view for interrupt in vm.interrupts]
        self.set_rows([Row((each.vm, each.interrupt.intid, each.interrupt.vcpu), each) for each in placed])

    def heading(self, width: int) -> str:
        return text.shorten("INTID NAME               TARGET    ON  PENDING ACTIVE LINE KIND  PRIO", width)

    def parts(self, item: PlacedInterrupt, _width: int) -> Line:
        each = item.interrupt
        return [
            (f"{each.intid:5} ", Ink.STRONG if each.pending or each.active else Ink.TEXT),
            (f"{text.fit(item.name, 18)} ", Ink.TEXT),
            (f"{text.fit(item.target, 9)} ", Ink.BLUE),
            (f"{_mark(each.enabled, 'yes'):3} ", Ink.TEXT if each.enabled else Ink.FAINT),
            (f"{_mark(each.pending, '● yes'):7} ", Ink.AMBER if each.pending else Ink.FAINT),
            (f"{_mark(each.active, '▶ yes'):6} ", Ink.GREEN if each.active else Ink.FAINT),
            (f"{_mark(each.line, 'high'):4} ", Ink.TEXT if each.line else Ink.FAINT),
            (f"{'edge' if each.edge else 'level':5} ", Ink.MUTED),
            (f"{each.priority:#04x}", Ink.MUTED),
        ]


def _mark(value: bool, word: str) -> str:
    return word if value else "-"


class PlacedInterface(NamedTuple):
    """The CPU interface of a vCPU."""

    vm: str
    interface: CpuInterfaceView


class InterfaceTable(Table[PlacedInterface]):
    """One row a vCPU with its list registers."""

    def __init__(self) -> None:
        super().__init__(_PAGE, "list registers", "no vCPUs")

    def show(self, view: tuple[VmInterruptsView, ...]) -> None:
        placed = [PlacedInterface(vm.vm, interface) for vm in view for interface in vm.interfaces]
        self.set_rows([Row((each.vm, each.interface.vcpu), each) for each in placed])

    def heading(self, width: int) -> str:
        return text.shorten("VCPU       VIRQ PMR  RUNNING  LR0    LR1    LR2    LR3", width)

    def parts(self, item: PlacedInterface, _width: int) -> Line:
        each = item.interface
        running = "-" if each.running == _IDLE_PRIORITY else f"{each.running:#04x}"
        return [
            (f"{text.fit(f'{item.vm}/{each.vcpu}', 10)} ", Ink.BLUE),
            (f"{_mark(each.virq, '● '):4} ", Ink.AMBER if each.virq else Ink.FAINT),
            (f"{each.pmr:#04x} {running:8} ", Ink.TEXT),
            *((f"{_short(entry):6} ", _style(entry)) for entry in each.list_registers),
        ]


_LETTERS = {"pending": "p", "active": "a", "active, pending": "ap"}
_STYLES = {"pending": Ink.AMBER, "active": Ink.GREEN, "active, pending": Ink.AMBER}


def _short(entry: ListRegisterView) -> str:
    """`27 p`: INTID and state."""
    return f"{entry.intid} {_LETTERS[entry.state]}" if entry.state in _LETTERS else "-"


def _style(entry: ListRegisterView) -> Style:
    return _STYLES.get(entry.state, Ink.FAINT)


class InterruptsPage(RecordsPage):
    """Interrupts below, the CPU interfaces above them."""

    part = Part.INTERRUPTS

    def __init__(self) -> None:
        self.interfaces = InterfaceTable()
        self.interrupts = InterruptTable()
        super().__init__("interrupts", (self.interfaces,), self.interrupts)

    def show(self, frame: Frame) -> None:
        view = frame.view.interrupts
        if view is not None:
            self.interrupts.show(view)
            self.interfaces.show(view)
            self.tell()

    def version(self, _chosen: object) -> Hashable:
        return None

    def about(self, chosen: Any) -> tuple[Hashable, Page]:
        if isinstance(chosen, PlacedInterface):
            return (chosen.vm, chosen.interface.vcpu), _interface_page(chosen)
        assert isinstance(chosen, PlacedInterrupt)
        each = chosen.interrupt
        items: Items = [
            Item("INTID", f"{each.intid}, {intids.kind(each.intid)}"),
            Item("name", chosen.name),
            Item("target", chosen.target if each.vcpu >= 0 else f"any vCPU of {chosen.vm}, or none"),
            Item("enabled", "yes" if each.enabled else "no"),
            Item("pending", "yes" if each.pending else "no", Ink.AMBER if each.pending else Ink.TEXT),
            Item("active", "yes" if each.active else "no", Ink.GREEN if each.active else Ink.TEXT),
            Item("trigger", "edge" if each.edge else f"level, line {'high' if each.line else 'low'}"),
            Item("priority", f"{each.priority:#04x}"),
            Item("group", "1" if each.group1 else "0"),
        ]
        return (chosen.vm, each.intid, each.vcpu), Page(items, [])


def _interface_page(placed: PlacedInterface) -> Page:
    each = placed.interface
    items: Items = [
        Item("vCPU", f"{placed.vm}/{each.vcpu}"),
        Item("virtual IRQ", "asserted" if each.virq else "not asserted", Ink.AMBER if each.virq else Ink.TEXT),
        Item("mask", f"ICC_PMR_EL1 = {each.pmr:#04x}"),
        Item("running", "idle" if each.running == _IDLE_PRIORITY else f"priority {each.running:#04x}"),
        *heading("List registers"),
    ]
    items += [Item(f"ICH_LR{n}_EL2", _long(entry), _style(entry)) for n, entry in enumerate(each.list_registers)]
    return Page(items, [])


def _long(entry: ListRegisterView) -> str:
    if entry.state == "free":
        return "free"
    hardware = ", hardware" if entry.hw else ""
    return f"{entry.intid} {intids.name(entry.intid)}: {entry.state}, priority {entry.priority:#04x}{hardware}"
