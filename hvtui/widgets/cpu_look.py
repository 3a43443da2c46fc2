"""What the CPU screen asks of the machine, all at once, and the picture that it gets."""

from __future__ import annotations

from dataclasses import dataclass

from engine import inspect
from engine.control import Control
from engine.debug_views import CodeView, MemoryView, StackView
from engine.errors import MachineError
from engine.views import RegistersView
from hvtui import places
from hvtui.places import Place, Spot


@dataclass(frozen=True, slots=True)
class Going:
    """Somebody wants to see another place."""

    place: Place
    code: bool
    """In the code."""
    memory: bool
    """In memory."""


@dataclass(frozen=True, slots=True)
class MemoryWanted:
    """Part of the memory."""

    base: Spot | None
    """None: where SP points to."""
    space: str
    """Whose addresses it is shown by."""
    size: int
    """Bytes."""
    row: int
    """Bytes of a row; the first one is whole."""


@dataclass(frozen=True, slots=True)
class CpuPicture:
    """One vCPU at one moment; None for what nobody looks at."""

    asked: CpuLook
    symbol: str
    """Where PC is."""
    code: CodeView
    registers: RegistersView | None
    stack: StackView | None
    memory: MemoryView | None
    went: Spot | None
    """Where the place is that somebody wanted to see."""
    problem: str
    """Why it cannot be seen."""


@dataclass(frozen=True, slots=True)
class CpuLook:
    """What is visible of a vCPU; called on the machine's thread."""

    vm: str
    vcpu: int
    around: int | None
    """Address that the code is about; None: PC."""
    lines: int
    """Of code, before and after it."""
    registers: bool
    words: int
    """Of the stack; 0: it is not seen at all."""
    memory: MemoryWanted | None
    going: Going | None

    def __call__(self, control: Control) -> CpuPicture:
        who = self.vm, self.vcpu
        went, problem = self._go(control)
        around = self.around if went is None or self.going is None or not self.going.code else went.address
        pc = control.vcpu(*who).registers.pc
        return CpuPicture(
            asked=self,
            symbol=control.vm(self.vm).symbols.lookup(pc),
            code=inspect.code(control, *who, around, self.lines, self.lines),
            registers=control.registers(*who) if self.registers else None,
            stack=inspect.stack(control, *who, self.words, self.words) if self.words else None,
            memory=self._memory(control, went),
            went=went,
            problem=problem,
        )

    def _go(self, control: Control) -> tuple[Spot | None, str]:
        going = self.going
        if going is None:
            return None, ""
        try:
            space = self.memory.space if self.memory is not None and going.memory else "va"
            went = places.resolve(control, self.vm, self.vcpu, going.place, space)
        except MachineError as error:
            return None, str(error)
        return went, ""

    def _memory(self, control: Control, went: Spot | None) -> MemoryView | None:
        wanted = self.memory
        if wanted is None:
            return None
        base, space = wanted.base, wanted.space
        if went is not None and self.going is not None and self.going.memory:
            base, space = went, went.space if self.going.place.space else space
        if base is None:
            base = Spot("va", control.vcpu(self.vm, self.vcpu).registers.x[31])
        spot = places.seen_in(control, self.vm, self.vcpu, base, space)
        return inspect.memory(control, self.vm, self.vcpu, spot.address & -wanted.row, wanted.size, spot.space)
