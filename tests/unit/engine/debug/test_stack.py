"""Calls by frame records, and the ways in which a chain of them ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import inspect
from engine.board.memory_map import RAM_BASE
from engine.control import Control
from engine.debug.stack import MOST_FRAMES, MOST_WORDS, stack_view
from engine.debug_views import FrameSource, StackView
from engine.images.symbols import Symbol, SymbolTable
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import Bench, tiny
from tests.unit.engine.debug.guests import standing

STACK = RAM_BASE + 0x20_0000
OUTER, LEAF = RAM_BASE, RAM_BASE + 0x100
UNMAPPED = 0x2000_0000


def calling(directory: Path, symbols: bool = True) -> Bench:
    """`outer` calls `leaf`, which makes no record, for ever."""
    program = Program().label("outer").emit(a.NOP, 0x9400_003F).b("outer").at(0x100).emit(a.NOP, a.NOP, a.RET)
    bench = tiny(directory, program)
    if symbols:
        bench.vm.symbols = SymbolTable([Symbol(OUTER, 12, "outer"), Symbol(LEAF, 12, "leaf")])
    state = bench.vcpu.registers
    state.x[31], state.x[29] = STACK, STACK + 16
    put(bench, STACK + 16, 0, 0)
    return bench


def put(bench: Bench, address: int, *values: int) -> None:
    for n, value in enumerate(values):
        bench.system.memory.write_u64(address + 8 * n, value)


def told(view: StackView) -> list[tuple[str, FrameSource]]:
    return [(frame.symbol, frame.source) for frame in view.frames]


def test_a_real_guest_from_the_innermost_to_its_entry() -> None:
    control = standing("two-vms.toml")
    view = inspect.stack(control, "vm0", 0)
    names = [frame.symbol.partition("+")[0] for frame in view.frames]
    assert names == ["guest_main", "boot_primary", "primary_entry"]
    assert [frame.level for frame in view.frames] == [0, 1, 2]
    assert [frame.offset for frame in view.frames] == [view.frames[0].fp - view.sp, view.frames[1].fp - view.sp, None]
    assert view.end == "the frame pointer is 0: the first function"
    assert len(view.words) == 16
    assert [word.address for word in view.words] == [view.sp + 8 * n for n in range(16)]
    assert "boot_primary+0x54" in [word.symbol for word in view.words]


def callers(control: Control) -> list[str]:
    frames = inspect.stack(control, "vm0", 0).frames
    return [frame.symbol.partition("+")[0] for frame in frames]


def test_every_step_of_a_real_guest_knows_who_called() -> None:
    """Whether a function has its record yet, or no more, or never makes one: the outermost is the same."""
    control = standing("two-vms.toml", 0)
    main = control.vm("vm0").symbols.address("guest_main")
    assert main is not None
    control.add_breakpoint("vm0", main)
    assert control.run_on(1 << 40).startswith("breakpoint 1")
    previous: list[str] = []
    leaves = 0
    for _ in range(400):
        control.step("vm0", 0)
        names = callers(control)
        assert names[-2:] == ["boot_primary", "primary_entry"]
        assert "guest_main" in names
        assert abs(len(names) - len(previous)) <= 1 or not previous
        leaves += inspect.stack(control, "vm0", 0).frames[1].source is FrameSource.LR
        previous = names
    assert leaves > 10


@pytest.mark.parametrize("symbols", [True, False])
def test_a_leaf_is_called_by_whom_lr_names(tmp_path: Path, symbols: bool) -> None:
    bench = calling(tmp_path, symbols)
    kinds = []
    for _ in range(6):
        bench.control.step("vm0", 0)
        view = stack_view(bench.vcpu)
        kinds.append([frame.pc for frame in view.frames])
    back = OUTER + 8
    assert kinds == [[OUTER + 4], [LEAF, back], [LEAF + 4, back], [LEAF + 8, back], [back], [OUTER]]


def test_a_call_that_is_a_functions_last_instruction(tmp_path: Path) -> None:
    bench = calling(tmp_path)
    bench.vm.symbols = SymbolTable([Symbol(OUTER, 8, "outer"), Symbol(OUTER + 8, 4, "next"), Symbol(LEAF, 12, "leaf")])
    bench.run(2)
    assert told(stack_view(bench.vcpu)) == [("leaf", FrameSource.PC), ("outer+0x8", FrameSource.LR)]


@pytest.mark.parametrize(
    ("fp", "record", "frames", "end"),
    [
        (0, (), 1, "the frame pointer is 0: the first function"),
        (STACK + 4, (), 1, f"the frame pointer {STACK + 4:#x} is misaligned"),
        (UNMAPPED, (), 1, f"nothing is mapped at the frame pointer {UNMAPPED:#x}"),
        (STACK, (0, 0), 1, "the return address is 0: the first function"),
        (STACK, (STACK, OUTER + 8), 2, f"the chain loops at {STACK:#x}"),
        (STACK, ((1 << 64) - 8, OUTER + 8), 2, "nothing is mapped at the frame pointer 0xfffffffffffffff8"),
        (STACK, (0, OUTER + 8), 2, "the frame pointer is 0: the first function"),
    ],
)
def test_how_a_chain_ends(tmp_path: Path, fp: int, record: tuple[int, ...], frames: int, end: str) -> None:
    bench = calling(tmp_path)
    bench.vcpu.registers.x[29] = fp
    put(bench, fp, *record)
    view = stack_view(bench.vcpu)
    assert (len(view.frames), view.end) == (frames, end)


def test_no_more_than_was_asked_for(tmp_path: Path) -> None:
    bench = calling(tmp_path)
    bench.vcpu.registers.x[29] = STACK
    for n in range(200):
        put(bench, STACK + 16 * n, STACK + 16 * (n + 1), OUTER + 8)
    for asked, given in ((0, 0), (-1, 0), (1, 1), (7, 7), (1000, MOST_FRAMES)):
        view = stack_view(bench.vcpu, asked)
        assert (len(view.frames), view.end) == (given, f"more than {given} frames")
    assert [len(stack_view(bench.vcpu, 1, words).words) for words in (-1, 0, 5, 1000)] == [0, 0, 5, MOST_WORDS]


def test_a_stack_pointer_that_leads_nowhere(tmp_path: Path) -> None:
    bench = calling(tmp_path)
    bench.vcpu.registers.x[31] = (1 << 64) - 16
    assert [word.value for word in stack_view(bench.vcpu).words] == [None, None]
    bench.vcpu.registers.x[31] = UNMAPPED + 3
    assert [(word.address, word.value) for word in stack_view(bench.vcpu, 1, 1).words] == [(UNMAPPED, None)]
