"""Everything a person can do, once: key bindings, command palette and help are made from this list."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from textual.binding import Binding


class Scope(enum.Enum):
    """Where an action applies; the value is a heading of the help."""

    MACHINE = "Machine"
    VIEW = "View"
    PROGRAM = "Program"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done. The board has a method `action_NAME` for it."""

    name: str
    keys: tuple[str, ...]
    """Textual key names."""
    title: str
    help: str
    """One sentence."""
    example: str
    scope: Scope
    takes_key: bool = False
    """The method gets the key, as an integer, and every key is a binding of its own."""
    hint: str = ""
    """A word for the status line; "" if it is not shown there."""
    needs_page: str = ""
    """Only for machines with this page; elsewhere the key does nothing and nobody hears of it."""


ACTIONS: tuple[Action, ...] = (
    Action(
        "pause",
        ("space",),
        "Pause or resume",
        "Hold every guest still between two instructions, or let them go on.",
        "space, look around, space",
        Scope.MACHINE,
        hint="pause",
    ),
    Action(
        "step",
        ("s",),
        "Step one instruction",
        "Pause, then run exactly one instruction of the selected vCPU; registers that change light up.",
        "s s s",
        Scope.MACHINE,
        hint="step",
    ),
    Action(
        "run_to_trap",
        ("t",),
        "Run to the next trap",
        "Let guests run until one of them traps to the hypervisor, then pause there.",
        "space, then t",
        Scope.MACHINE,
        hint="trap",
    ),
    Action(
        "run_until",
        ("u",),
        "Run until",
        "Run to the next trap, FF-A call, interrupt or world switch, or to a virtual time, then pause there.",
        "u 2.5 enter: to 2.5 seconds after power-on",
        Scope.MACHINE,
    ),
    Action(
        "breakpoints",
        ("p",),
        "Breakpoints",
        "Hold the machine whenever the selected partition comes to an address or a symbol; pick one to remove it.",
        "p guest_main enter",
        Scope.MACHINE,
    ),
    Action(
        "inject",
        ("i",),
        "Inject an interrupt",
        "Make an SGI, PPI or SPI pending in a VM: choose the VM, the vCPU and the INTID.",
        "i 33 enter: the serial port's interrupt",
        Scope.MACHINE,
        hint="inject",
    ),
    Action(
        "reset",
        ("r",),
        "Reset a VM",
        "Cold reset of the selected VM, after a question.",
        "r y",
        Scope.MACHINE,
    ),
    Action(
        "console",
        tuple("123456789"),
        "Go to a console",
        "Move to the console of the VM with this number; Enter there types into the guest.",
        "2 enter: type into the second VM",
        Scope.VIEW,
        takes_key=True,
    ),
    Action(
        "next_vcpu",
        ("v",),
        "Select the next vCPU",
        "Registers and stepping follow the selected vCPU; in the table, arrow keys choose it too.",
        "v s: step another vCPU",
        Scope.VIEW,
    ),
    Action(
        "registers",
        ("g",),
        "Show the registers",
        "Go to the registers of the selected vCPU; on a small terminal they take the events' place.",
        "g",
        Scope.VIEW,
    ),
    Action(
        "events",
        ("e",),
        "Show the events",
        "Go to the event log; on a small terminal it takes the registers' place. Arrows scroll, End follows.",
        "e home: the oldest event kept",
        Scope.VIEW,
    ),
    Action(
        "traffic",
        ("f",),
        "Filter console traffic",
        "Show or hide the serial port's bytes and register accesses in the event log.",
        "f",
        Scope.VIEW,
    ),
    Action(
        "ffa",
        ("x",),
        "Show FF-A",
        "Go to the FF-A page and back: shares, endpoints, notifications, calls, and all about the chosen one.",
        "x, arrows, enter: read a descriptor",
        Scope.VIEW,
        needs_page="ffa",
    ),
    Action(
        "ffa_filter",
        ("n",),
        "Filter FF-A by endpoint",
        "Show only the shares, notifications and calls that concern the next endpoint; after the last one, all again.",
        "x n n: the second endpoint",
        Scope.VIEW,
        needs_page="ffa",
    ),
    Action(
        "devices",
        ("b",),
        "Show devices",
        "Go to the Devices page and back: virtio slots with their queues, ports and MAC tables of the networks.",
        "b, arrows: the queues of a device",
        Scope.VIEW,
        needs_page="devices",
    ),
    Action(
        "interrupts",
        ("l",),
        "Show interrupts",
        "Go to the Interrupts page and back: what is enabled, pending and active, and every vCPU's list registers.",
        "l, arrows: all about one interrupt",
        Scope.VIEW,
    ),
    Action(
        "maximise",
        ("ctrl+o",),
        "Maximise the pane",
        "Give the whole board to the focused pane, or share it out again.",
        "g ctrl+o: all registers at once",
        Scope.VIEW,
    ),
    Action("next_pane", ("tab",), "Next pane", "Move to the next pane.", "tab", Scope.VIEW),
    Action("previous_pane", ("shift+tab",), "Previous pane", "Move to the pane before.", "shift+tab", Scope.VIEW),
    Action(
        "details",
        ("d",),
        "Why it stopped",
        "Tell why the machine stopped; after an internal error, with the traceback.",
        "d",
        Scope.PROGRAM,
    ),
    Action("help", ("question_mark", "f1"), "Help", "Show all keys, with examples.", "?", Scope.PROGRAM, hint="help"),
    Action(
        "palette",
        ("ctrl+p",),
        "Command palette",
        "Find an action by name.",
        "ctrl+p inj enter",
        Scope.PROGRAM,
    ),
    Action(
        "quit",
        ("q", "ctrl+q", "ctrl+c"),
        "Quit",
        "Leave the program, after a question.",
        "q y",
        Scope.PROGRAM,
        hint="quit",
    ),
)

_KEY_NAMES = {"question_mark": "?", "space": "space", "shift+tab": "shift+tab"}


def find(name: str) -> Action:
    """The action of this name; KeyError if there is none."""
    for action in ACTIONS:
        if action.name == name:
            return action
    raise KeyError(name)


def available(pages: Collection[str]) -> list[Action]:
    """The actions of a machine with these pages, in the registry's order."""
    return [action for action in ACTIONS if action.needs_page in ("", *pages)]


def key_label(action: Action) -> str:
    """Its keys as people write them."""
    if action.takes_key:
        return f"{action.keys[0]}-{action.keys[-1]}"
    return ", ".join(_KEY_NAMES.get(key, key) for key in action.keys)


def bindings() -> list[Binding]:
    """The key bindings of all actions."""
    return [binding for action in ACTIONS for binding in _bindings_of(action)]


def _bindings_of(action: Action) -> Iterator[Binding]:
    if action.takes_key:
        for key in action.keys:
            yield Binding(key, f"{action.name}({key})", action.title, show=False)
    else:
        yield Binding(",".join(action.keys), action.name, action.title, show=False)
