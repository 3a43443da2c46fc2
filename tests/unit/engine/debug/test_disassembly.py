"""Code in words, with what people want to know about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import inspect
from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE
from engine.control import ControlError
from engine.debug.disassembly import MOST_LINES, code_view
from engine.debug_views import CodeLine
from engine.images.symbols import Symbol, SymbolTable
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import RAM_SIZE, Bench, spin, tiny
from tests.unit.engine.debug.guests import standing

ICC_SGI1R_X3 = a.msr(SysReg.ICC_SGI1R_EL1, 3)
UNKNOWN_WORD = 0xFFFF_FFFF


def lines(bench: Bench, address: int, count: int) -> list[CodeLine]:
    return list(code_view(bench.vcpu, address, 0, count - 1).lines)


def test_a_guest_around_its_pc() -> None:
    """The demo waits in its idle loop: WFI, and a branch back."""
    control = standing("two-vms.toml")
    pc = control.vcpu("vm0", 0).registers.pc
    control.add_breakpoint("vm0", pc)
    control.add_breakpoint("vm0", pc)
    control.add_breakpoint("vm1", pc)
    view = inspect.code(control, "vm0", 0, None, 2, 3)
    assert (view.vm, view.vcpu, view.pc) == ("vm0", 0, pc)
    assert [line.address for line in view.lines] == list(range(pc - 8, pc + 16, 4))
    assert [line.is_pc for line in view.lines] == [False, False, True, False, False, False]
    assert [line.breakpoints for line in view.lines] == [(), (), (1, 2), (), (), ()]
    assert [line.mnemonic for line in view.lines][1:3] == ["wfi", "b"]
    assert view.lines[2].comment.startswith("guest_main+0x")


def test_symbols_begin_and_calls_have_names() -> None:
    control = standing("two-vms.toml")
    entry = control.vm("vm0").symbols.address("guest_main")
    assert entry is not None
    found = inspect.code(control, "vm0", 0, entry, 1, 200).lines
    assert [line.label for line in found[:3]] == ["", "guest_main", ""]
    calls = {line.comment for line in found if line.mnemonic == "bl"}
    assert len(calls) > 2
    assert all(control.vm("vm0").symbols.address(name) is not None for name in calls)


def test_addresses_that_two_instructions_make(tmp_path: Path) -> None:
    page, offset = 0x9000_0000, 0x9100_0000  # adrp and add, of x0
    program = Program(page | 1 << 29 | 1, offset | 0x10 << 10 | 1 << 5 | 1, offset | 0x10 << 10 | 2 << 5 | 2).loop()
    bench = tiny(tmp_path, program)
    bench.vm.symbols = SymbolTable([Symbol(RAM_BASE + 0x1010, 8, "table")])
    told = [line.comment for line in lines(bench, RAM_BASE, 3)]
    assert told == ["", "table", ""]


def test_what_a_literal_is(tmp_path: Path) -> None:
    """LDR x0, 8 bytes on; LDR w1, to beyond this page, is nobody's to read."""
    program = Program(0x5800_0040, 0x14000000, 0x89AB_CDEF, 0x0123_4567)
    bench = tiny(tmp_path, program)
    assert lines(bench, RAM_BASE, 1)[0].comment == "=0x123456789abcdef"
    bench.vm.symbols = SymbolTable([Symbol(0x0123_4567_89AB_CDE0, 32, "far")])
    assert lines(bench, RAM_BASE, 1)[0].comment == "=0x123456789abcdef far+0xf"
    last = RAM_BASE + RAM_SIZE - 4
    bench.system.memory.write(last, (0x1800_0020).to_bytes(4, "little"))
    assert lines(bench, last, 1)[0].comment == ""


def test_registers_that_the_disassembler_does_not_know(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program(a.mrs(3, SysReg.TCR2_EL1), ICC_SGI1R_X3, a.mrs(0, SysReg.ESR_EL1)).loop())
    assert [line.comment for line in lines(bench, RAM_BASE, 3)] == ["TCR2_EL1", "", ""]


def test_what_is_no_instruction(tmp_path: Path) -> None:
    (line,) = lines(tiny(tmp_path, Program(UNKNOWN_WORD).loop()), RAM_BASE, 1)
    assert (line.word, line.mnemonic, line.operands) == (UNKNOWN_WORD, ".word", "0xffffffff")


def test_where_nothing_is_mapped(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    found = lines(bench, RAM_BASE + RAM_SIZE - 4, 2)
    assert [line.mnemonic for line in found] == ["udf", "unmapped"]
    assert (found[1].word, found[1].operands) == (None, "translation fault level 2 of stage 2")
    control = standing("two-vms.toml")
    (line,) = inspect.code(control, "vm0", 0, 0x9999_9000, 0, 0).lines
    assert line.operands.endswith("of stage 1")


@pytest.mark.parametrize(
    ("around", "before", "after", "first", "count"),
    [
        (0, 5, 1, 0, 2),
        ((1 << 64) - 4, 1, 9, (1 << 64) - 8, 2),
        (RAM_BASE + 3, 0, 0, RAM_BASE, 1),
        (RAM_BASE + 0x10_0000, 10_000, 10_000, RAM_BASE + 0x10_0000 - 4 * (MOST_LINES - 1), MOST_LINES),
        (RAM_BASE, 0, 10_000, RAM_BASE, MOST_LINES),
        (RAM_BASE, -3, -3, RAM_BASE, 1),
    ],
)
def test_however_much_is_asked_for(
    tmp_path: Path, around: int, before: int, after: int, first: int, count: int
) -> None:
    view = inspect.code(tiny(tmp_path, spin()).control, "vm0", 0, around, before, after)
    assert (view.lines[0].address, len(view.lines)) == (first, count)


def test_nobody_of_that_name(tmp_path: Path) -> None:
    control = tiny(tmp_path, spin()).control
    with pytest.raises(ControlError, match="there is no partition 'vm7'"):
        inspect.code(control, "vm7", 0)
    with pytest.raises(ControlError, match="vm0 has vCPUs 0 to 0, not 1"):
        inspect.stack(control, "vm0", 1)
