"""A bare CPU core over a little RAM, with a client that writes down what it is told."""

from __future__ import annotations

from collections.abc import Callable

from engine.arch.controls import HCR_RW
from engine.arch.sysreg import SysReg
from engine.board.memory import PhysicalMemory
from engine.cpu.core import Core
from tests.support.assembler import Program

BASE = 0x4000_0000
SIZE = 4 << 20
CODE = BASE
DATA = BASE + 0x20_0000


class Client:
    """Stops the core at every exception; answers timer registers from a table."""

    def __init__(self) -> None:
        self.core: Core | None = None
        self.exceptions: list[tuple[int, int, int, int]] = []
        """(number, syndrome, PC, target level)"""
        self.faults: list[int] = []
        """The fault address register as each exception found it."""
        self.aborts: list[int] = []
        self.timer: dict[int, int] = {}
        self.written: list[tuple[int, int]] = []
        self.counts: list[int] = []
        """`core.executed` as every callback saw it."""
        self.on_trap: Callable[[Core], None] = Core.stop

    def on_exception(self, number: int) -> None:
        core = self.core
        assert core is not None
        self.counts.append(core.executed)
        self.exceptions.append((number, core.exception.esr, core.state.pc, core.exception.target_el))
        self.faults.append(core.exception.far)
        self.on_trap(core)

    def on_timer_read(self, key: int) -> int | None:
        assert self.core is not None
        self.counts.append(self.core.executed)
        return self.timer.get(key)

    def on_timer_write(self, key: int, value: int) -> bool:
        assert self.core is not None
        self.counts.append(self.core.executed)
        self.written.append((key, value))
        return True

    def on_external_abort(self, physical: int) -> None:
        self.aborts.append(physical)


class Rig:
    """RAM, a core and its client."""

    def __init__(self) -> None:
        self.memory = PhysicalMemory(BASE, SIZE)
        self.client = Client()
        self.core = Core(self.memory, self.client)
        self.client.core = self.core

    def load(self, program: Program | bytes, address: int = CODE) -> Core:
        """Put code into RAM and stand at its start in reset state, with a 64-bit EL1 below EL2."""
        self.memory.write(address, program.code if isinstance(program, Program) else program)
        self.core.drop_translations()
        self.core.reset()
        self.core.write(SysReg.HCR_EL2, HCR_RW)
        self.core.state.pc = address
        return self.core
