"""The registers of the selected vCPU, in as many columns as fit; what changed since the last stop lights up."""

from __future__ import annotations

from rich.style import Style
from textual.reactive import reactive

from engine.views import RegisterGroup, RegistersView
from hvtui.theme import Ink
from hvtui.widgets.text_pane import TextPane

_FIRST = ("PC", "SP", "PSTATE")
_GAP = 2
_FLAGS = "NZCV"
_MASKS = "DAIF"


class Stops:
    """What each vCPU's registers were when the machine last stood still."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, int], tuple[int, dict[str, int], frozenset[str]]] = {}

    def changed(self, registers: RegistersView, instructions: int, still: bool) -> frozenset[str]:
        """Names of the registers that differ from the stop before; none while guests run."""
        if not still:
            return frozenset()
        values = {name: value for group in registers.groups for name, value, _ in group.registers}
        key = (registers.vm, registers.vcpu)
        before = self._at.get(key)
        if before is not None and before[0] == instructions and before[1] == values:
            return before[2]
        old = before[1] if before is not None else values
        names = frozenset(name for name, value in values.items() if old.get(name) != value)
        self._at[key] = (instructions, values, names)
        return names


class Registers(TextPane):
    """All registers in groups. Leading zeros are dim, so that sizes are seen at a glance."""

    shown: reactive[RegistersView | None] = reactive(None)
    changed: reactive[frozenset[str]] = reactive(frozenset())

    def __init__(self, name: str = "registers") -> None:
        super().__init__(name)

    def show(self, registers: RegistersView, changed: frozenset[str]) -> None:
        """Other values, and which of them to light up."""
        self.set_reactive(Registers.changed, changed)
        self.set_reactive(Registers.shown, registers)
        self.write()

    def write(self) -> None:
        if self.shown is not None:
            width = self.scrollable_content_region.width
            groups = (_group_lines(group, self.changed, width) for group in self.shown.groups if group.registers)
            self.set_lines([line for lines in groups for line in lines])


def _group_lines(group: RegisterGroup, changed: frozenset[str], width: int) -> list[list[tuple[str, Style]]]:
    general = group.name == "General"
    registers = list(group.registers)
    if general:
        registers.sort(key=lambda register: _FIRST.index(register[0]) if register[0] in _FIRST else len(_FIRST))
    names = 3 if general else max(len(name) for name, _, _ in registers)
    lines: list[list[tuple[str, Style]]] = []
    if general:
        lines.append(_head(registers[:2], changed, names))
        lines.append(_pstate(registers[2], changed))
        registers = registers[3:]
    else:
        lines.append([(group.name, Ink.HEADING)])
    cell = names + 1 + 16 + _GAP
    columns = max(1, (width + _GAP) // cell)
    rows = -(-len(registers) // columns)
    for row in range(rows):
        parts: list[tuple[str, Style]] = []
        for register in registers[row::rows]:
            parts += _cell(register, changed, names)
        lines.append(parts)
    return lines


def _head(registers: list[tuple[str, int, int]], changed: frozenset[str], names: int) -> list[tuple[str, Style]]:
    return [part for register in registers for part in _cell(register, changed, names)]


def _cell(register: tuple[str, int, int], changed: frozenset[str], names: int) -> list[tuple[str, Style]]:
    name, value, bits = register
    digits = f"{value:0{-(-bits // 4)}x}"
    padding = " " * (16 - len(digits) + _GAP)
    label = (f"{name:{names}} ", Ink.BLUE)
    if name in changed:
        return [label, (digits, Ink.CHANGED), (padding, Ink.TEXT)]
    zeros = len(digits) - len(digits.lstrip("0")) if value else len(digits) - 1
    return [label, (digits[:zeros], Ink.FAINT), (digits[zeros:], Ink.TEXT), (padding, Ink.TEXT)]


def _pstate(register: tuple[str, int, int], changed: frozenset[str]) -> list[tuple[str, Style]]:
    """PSTATE as SPSR_ELx lays it out (Arm ARM C5.2.18): condition flags, masks, exception level."""
    name, value, _ = register
    flags = "".join(letter if value >> (31 - n) & 1 else letter.lower() for n, letter in enumerate(_FLAGS))
    masks = "".join(letter if value >> (9 - n) & 1 else letter.lower() for n, letter in enumerate(_MASKS))
    level, handler = value >> 2 & 3, "h" if value & 1 else "t"
    words = f"{flags} {masks} EL{level}{handler}"
    return [*_cell((name, value, 32), changed, 6)[:-1], (f"  {words}", Ink.GREEN)]
