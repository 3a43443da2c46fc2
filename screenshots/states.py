"""Machines brought to the states that pictures are taken of: each the same to the instruction, every time."""

from __future__ import annotations

from collections.abc import Callable

from engine.control import Control
from engine.machine import Machine
from engine.views import NOTHING_MORE, Part, RunState

_SECOND = 500_000_000
"""Cycles of a virtual second at eight instructions a tick."""
_LONGEST = 2000
"""Steps that something is waited for."""
_PROMPT, _ASKS = b"/ # ", 4
"""What a shell says, and how many bytes it asks the terminal with after that."""


def untouched(_: Machine) -> None:
    """Before the first instruction."""


def booted(machine: Machine) -> None:
    """All guests have said hello and wait for their first tick."""
    machine.control.advance(_SECOND // 2)


def ticking(machine: Machine) -> None:
    """In the middle of the first guest's third tick."""
    machine.control.advance(3 * _SECOND)
    machine.control.run_instructions(800)


def printed(machine: Machine) -> None:
    """Guests have printed more than fits on a screen."""
    machine.control.advance(20 * _SECOND)


def talked(machine: Machine) -> None:
    """VMs have asked secure partitions, lent them a page, and rung each other."""
    machine.control.advance(3 * _SECOND)


def in_a_chain(machine: Machine) -> None:
    """vm0 has asked sp_relay, which has asked sp_hello, which works."""
    talked(machine)
    machine.control.type("vm0", b"6")
    _until(machine.control, 20, lambda control: len(_chain(control)) > 2)


def lent(machine: Machine) -> None:
    """A page that vm0 lent to sp_irq is with it."""
    talked(machine)
    machine.control.type("vm0", b"7")
    _until(machine.control, 50, lambda control: _has_got(control, "lend"))


def shared(machine: Machine) -> None:
    """A page of vm0 is vm1's as well."""
    machine.control.advance(_SECOND // 4)
    machine.control.type("vm0", b"9")
    _until(machine.control, 50, lambda control: _has_got(control, "share"))


def at_a_shell(machine: Machine) -> None:
    """Linux has booted to its prompt, and answered two commands."""
    vm = machine.config.vms[0].name
    for line in (b"", b"uname -srm; nproc\n", b"ls --color=always /\n"):
        _shell(machine.control, vm, line)


def on_the_network(machine: Machine) -> None:
    """Two Linux VMs have booted to their prompts, and one has pinged the other."""
    for vm, line in (("vm0", b""), ("vm1", b""), ("vm0", b"ping -c 3 10.0.0.2\n")):
        _shell(machine.control, vm, line)


def _until(control: Control, step: int, condition: Callable[[Control], bool]) -> None:
    """Go on, some instructions at a time. TimeoutError where it never becomes true."""
    for _ in range(_LONGEST):
        if condition(control):
            return
        control.run_instructions(step)
    raise TimeoutError("the machine never came to the state of the picture")


def _chain(control: Control) -> tuple[str, ...]:
    return control.view(RunState.PAUSED, "", NOTHING_MORE).cores[0].chain


def _has_got(control: Control, kind: str) -> bool:
    """A borrower has retrieved memory that was given it in this way."""
    view = control.view(RunState.PAUSED, "", Part.FFA).ffa
    given = [share for share in view.transactions if share.kind == kind] if view is not None else []
    return any(borrower.state == "retrieved" for share in given for borrower in share.borrowers)


def _shell(control: Control, vm: str, line: bytes) -> None:
    """Type a line, and wait for the prompt that follows what it leads to."""
    seen = control.console(vm).end if line else 0
    control.type(vm, line)
    for _ in range(_LONGEST):
        if _PROMPT in control.console(vm).since(seen)[0][-len(_PROMPT) - _ASKS :]:
            return
        control.advance(control.system.hypervisor.now + _SECOND // 50)
    raise TimeoutError(f"{vm} never came to its prompt")
