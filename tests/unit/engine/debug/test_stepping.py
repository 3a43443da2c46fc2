"""Steps over calls, and runs to the end of a function: held against single steps that count calls and returns."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from engine import config, paths
from engine.arch.psci import Function
from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE
from engine.build import build
from engine.control import Control, ControlError
from engine.debug import frames, stepping
from engine.debug.frames import Return
from engine.debug.stepping import calls
from engine.images.symbols import Symbol, SymbolTable
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Bench, Guest, spin, tiny

SAVE = 0xA9BF7BFD
"""STP X29, X30, [SP, #-16]!"""
RESTORE = 0xA8C17BFD
FRAME = 0x910003FD
"""MOV X29, SP."""
CBZ = 0xB4000040
SUB_SP_32 = 0xD10083FF
ADD_SP_32 = 0x910083FF
SAVE_LR = 0xF81F0FFE
"""STR X30, [SP, #-16]!"""
RESTORE_LR = 0xF84107FE


def recursive() -> Program:
    """x0 = 5 + 4 + ... + 0 by recursion, then spin; the function `sum` starts at 0x100."""
    program = Program().constant(3, DATA).emit(a.add(a.SP, 3, 0)).constant(0, 5).constant(4, 0)
    program.bl("sum").label("back").emit(a.NOP).loop().at(0x100).label("sum")
    program.emit(SAVE, FRAME, a.add_register(4, 4, 0)).cbz(0, "end").emit(a.subs(0, 0, 1))
    program.bl("sum").label("inner").emit(a.NOP).label("end").emit(RESTORE, a.RET)
    return program


def at(bench: Bench, place: int) -> None:
    assert bench.control.run_to_address("vm0", RAM_BASE + place).startswith("arrived: vm0/0 at ")


def test_a_step_over_a_recursive_call_ends_in_its_own_frame(tmp_path: Path) -> None:
    program = recursive()
    bench = tiny(tmp_path, program)
    inner = RAM_BASE + program.offset("inner")
    at(bench, program.offset("inner") - 4)
    sp = bench.x(31)
    assert bench.control.step_over("vm0", 0) == f"stepped over: vm0/0 at {inner:#x}"
    assert (bench.vcpu.registers.pc, bench.x(31), bench.x(4)) == (inner, sp, 15)


def test_a_step_over_anything_else_is_a_step(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    assert bench.control.step_over("vm0", 0) == ""
    assert bench.hypervisor.progress == 1


def test_a_step_over_a_call_to_the_hypervisor_ends_after_its_answer(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().constant(0, Function.VERSION).emit(a.hvc()).loop()).run(2)
    held = bench.control.step_over("vm0", 0)
    assert held.startswith("stepped over")
    assert (bench.x(0), bench.hypervisor.progress) == (0x1_0001, 3)


def test_a_step_over_an_svc_runs_the_handler(tmp_path: Path) -> None:
    program = Program().set_register(SysReg.VBAR_EL1, RAM_BASE).emit(a.svc()).loop()
    program.at(0x200).emit(a.add(5, 5, 1), a.add(5, 5, 1), a.ERET)
    bench = tiny(tmp_path, program).run(program.words.index(a.svc()))
    assert bench.control.step_over("vm0", 0).startswith("stepped over")
    assert bench.x(5) == 2


@pytest.mark.parametrize("place", [0x100, 0x108])
def test_a_symbol_may_have_any_name(tmp_path: Path, place: int) -> None:
    bench = tiny(tmp_path, recursive())
    bench.vm.symbols = SymbolTable([Symbol(RAM_BASE + 0x100, 0, "operator+")])
    at(bench, place)
    assert bench.control.finish("vm0", 0).startswith("finished")


@pytest.mark.parametrize("offset", [0, 4, 8, 12])
def test_finish_ends_where_this_very_call_returns(tmp_path: Path, offset: int) -> None:
    """From the third level of the recursion, before, inside and after the prologue."""
    program = recursive()
    bench = tiny(tmp_path, program)
    for _ in range(3):
        at(bench, 0x100)
    bench.run(offset // 4)
    assert bench.control.finish("vm0", 0) == f"finished: vm0/0 at {RAM_BASE + program.offset('inner'):#x}"
    assert (bench.x(31), bench.x(4)) == (DATA - 32, 15)


def test_finish_from_an_epilogue(tmp_path: Path) -> None:
    program = recursive()
    bench = tiny(tmp_path, program)
    at(bench, program.offset("end") + 4)
    assert bench.control.finish("vm0", 0).startswith("finished")
    assert bench.x(31) == DATA - 16 * 5


def test_a_breakpoint_on_the_way_wins_and_the_step_is_forgotten(tmp_path: Path) -> None:
    program = recursive()
    bench = tiny(tmp_path, program)
    at(bench, program.offset("back") - 4)
    bench.control.add_breakpoint("vm0", RAM_BASE + program.offset("end"), temporary=True)
    assert bench.control.step_over("vm0", 0).startswith("breakpoint 1")
    assert bench.control.run_on(bench.hypervisor.now + 1000) == ""
    assert bench.vm.core._watches._hooks == []


def test_the_time_ends_a_step_that_never_does(tmp_path: Path) -> None:
    program = Program().bl("away").emit(a.NOP).at(0x100).label("away").loop()
    bench = tiny(tmp_path, program)
    assert bench.control.step_over("vm0", 0, bench.hypervisor.now + 500) == ""
    assert bench.vm.core._watches._hooks == []


def test_another_vm_in_the_same_place_does_not_end_it(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Guest(recursive()), Guest(recursive()))
    program = recursive()
    bench.control.run_to_address("vm1", RAM_BASE + program.offset("back") - 4)
    assert bench.control.step_over("vm1", 0).startswith("stepped over: vm1/0")


def test_a_function_that_returns_to_nowhere(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program(a.NOP, a.RET))
    with pytest.raises(ControlError, match=r"^the function at 0x40000000 returns to nowhere \(0x0\)$"):
        bench.control.finish("vm0", 0)
    bench.control.write_register("vm0", 0, "x29", 0x1000)
    bench.control.write_memory("vm0", 0, RAM_BASE, struct.pack("<3I", CBZ, RESTORE, a.RET))
    with pytest.raises(ControlError, match=r"^cannot tell where the function at 0x40000000 returns to: cannot load 8 "):
        bench.control.finish("vm0", 0)
    bench.control.write_register("vm0", 0, "x29", 0)
    with pytest.raises(ControlError, match=r"^cannot tell where the function at 0x40000000 returns to$"):
        bench.control.finish("vm0", 0)


@pytest.mark.parametrize(
    ("words", "place", "expected"),
    [
        ([a.NOP, a.RET], 0, Return(0x8000, None)),
        ([SAVE, FRAME, a.svc(), RESTORE, a.RET], 0, Return(0x8000, None)),
        ([SAVE, FRAME, a.svc(), RESTORE, a.RET], 2, Return(0x8010, 0x8008)),
        ([SAVE, FRAME, a.svc(), RESTORE, a.RET], 3, Return(0x8010, 0x8008)),
        ([SAVE, FRAME, a.svc(), RESTORE, a.RET], 4, Return(0x8000, None)),
        ([SAVE_LR, a.svc(), RESTORE_LR, a.RET], 1, Return(0x8010, 0x8000)),
        ([SUB_SP_32, 0xF9000BFE, a.svc(), 0xF9400BFE, ADD_SP_32, a.RET], 2, Return(0x8020, 0x8010)),
        ([SUB_SP_32, a.svc(), ADD_SP_32, a.RET], 1, Return(0x8020, None)),
        ([0x6DBE23E9, SAVE, a.svc(), RESTORE, 0x6CC223E9, a.RET], 2, Return(0x8030, 0x8008)),
    ],
)
def test_frames(words: list[int], place: int, expected: Return) -> None:
    """Before each place, with SP 0x8000 there."""
    code = {0x1000 + 4 * n: word for n, word in enumerate(words)}
    # x29 is what the frame says once it is set, else the caller's.
    fp = 0x8000 if FRAME in words[:place] else 0xFFF0
    assert frames.find(code.get, 0x1000 + 4 * place, 0x1000, 0x8000, fp) == expected


def test_without_a_symbol_the_frame_record_tells() -> None:
    code = {0xFFC: a.RET, 0x1000: CBZ, 0x1004: RESTORE, 0x1008: a.RET}
    assert frames.find(code.get, 0x1000, None, 0x7000, 0x8000) == Return(0x8010, 0x8008, exact=False)
    assert frames.find(code.get, 0x1000, None, 0x7000, 0) is None


# --- real code --------------------------------------------------------------------------------------------


def demo() -> Control:
    changes = ["vm0.vcpus=1", "vm1.vcpus=1"]
    return Control(build(config.load(paths.machines_dir() / "two-vms.toml", changes), digest=True))


def _word(control: Control) -> int:
    pc = control.vcpu("vm0", 0).registers.pc
    return int.from_bytes(control.memory("vm0", 0, pc, 4), "little")


def returned(control: Control, limit: int) -> int | None:
    """Step vm0 until the function it is in has returned; PC then, None after too many steps."""
    depth = 0
    for _ in range(limit):
        word = _word(control)
        control.step("vm0", 0)
        if word == a.RET:
            depth -= 1
        elif calls(word) and word >> 24 != 0xD4:
            depth += 1
        if depth < 0:
            return control.vcpu("vm0", 0).registers.pc
    return None


@pytest.mark.parametrize(
    ("function", "symbols"),
    [
        ("string_equal", True),
        ("mmu_map", True),
        ("print_va", True),
        ("uart_putc", True),
        ("string_equal", False),
        ("mmu_map", False),
        ("print_va", False),
    ],
)
def test_finish_agrees_with_counting_calls_in_real_code(
    function: str, symbols: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = 0
    for further in (0, 1, 2, 3, 5, 8, 13, 21):
        stepped, run = demo(), demo()
        for control in (stepped, run):
            control.run_to_address("vm0", function)
            control.run_instructions(further)
        pc = returned(stepped, 1500)
        if pc is None:
            continue
        if not symbols:
            monkeypatch.setattr(stepping, "_start", lambda _vcpu: None)
        assert run.finish("vm0", 0, run.system.hypervisor.now + 400_000) == f"finished: vm0/0 at {pc:#x}"
        assert run.vcpu("vm0", 0).registers.x[31] == stepped.vcpu("vm0", 0).registers.x[31]
        assert run.vcpu("vm0", 0).instructions == stepped.vcpu("vm0", 0).instructions
        checked += 1
    assert checked > 1


def test_guests_do_not_notice_steps() -> None:
    plain, stepped = demo(), demo()
    end = plain.system.hypervisor.cycles_of_ns(300_000_000)
    plain.advance(end)
    stepped.run_to_address("vm0", "guest_main")
    overs = 0
    for _ in range(60):
        overs += stepped.step_over("vm0", 0).startswith("stepped over")
    stepped.run_to_address("vm0", stepped.address("vm0", "guest_main") + 4, end)
    stepped.advance(end)
    assert overs > 3
    assert stepped.digest() == plain.digest()


def test_running_to_where_it_stands_goes_round_once(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    bench.run(1).run(1)
    at(bench, 0)
    assert bench.hypervisor.progress == 4
    end = bench.hypervisor.now + 50
    assert bench.control.run_to_address("vm0", RAM_BASE + 0x100, end) == ""
    assert bench.hypervisor.now == end
