"""The language of conditions: what it means, and what it refuses in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import config, paths
from engine.board.memory_map import RAM_BASE
from engine.build import build
from engine.control import Control, ControlError
from engine.debug.conditions import DEEPEST, LONGEST, ExpressionError, parse
from engine.debug.registers import VcpuScope
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, spin, tiny


class Scope:
    """Two names, and memory whose bytes are their addresses."""

    def value(self, name: str) -> int | None:
        return {"x0": 5, "top": (1 << 64) - 1}.get(name)

    def load(self, address: int, size: int) -> int:
        if address > 0xFF:
            raise ExpressionError(f"nothing at {address:#x}")
        return int.from_bytes(bytes((address + n) & 0xFF for n in range(size)), "little")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("0x1F + 0b11", 34),
        ("x0 & 1 == 1", 1),
        ("1 | 2 ^ 3 & 1", 3),
        ("2 + 3 * 4 - 1", 13),
        ("10 - 3 - 2", 5),
        ("1 << 4 >> 2", 4),
        ("1 << 64", 0),
        ("top >> 64", 0),
        ("-1", (1 << 64) - 1),
        ("top + 2", 1),
        ("- -3", 3),
        ("~0 == top", 1),
        ("!x0", 0),
        ("!0", 1),
        ("0 || 0 && nobody", 0),
        ("1 || nobody", 1),
        ("-1 > 1", 1),
        ("(1 < 2) == (3 >= 3)", 1),
        ("u8[3]", 3),
        ("u16 [ 1 + 1 ]", 0x302),
        ("U32[0]", 0x03020100),
        ("[x0 - 5] == u64[0]", 1),
    ],
)
def test_values(text: str, value: int) -> None:
    assert parse(text).evaluate(Scope()) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a number, a register, a symbol, [ or ( at character 1 (got the end)"),
        ("1 +", "expected a number, a register, a symbol, [ or ( at character 4 (got the end)"),
        ("(1", "expected ) at character 3 (got the end)"),
        ("[1)", "expected ] at character 3 (got ))"),
        ("1 2", "expected an operator or the end at character 3 (got 2)"),
        ("1 < 2 < 3", "expected brackets around one of two comparisons at character 7 (got <)"),
        ("x0 = 1", "expected a number, a name or an operator at character 4 (got =)"),
        ("0x", "expected a number, a name or an operator at character 1 (got 0)"),
        ("12ab", "expected a number, a name or an operator at character 1 (got 1)"),
        ("0x1_0000_0000_0000_0000".replace("_", ""), "expected a number of at most 64 bits at character 1 (got 0x1"),
        ("(" * (DEEPEST + 2), f"expected at most {DEEPEST} brackets and signs within each other"),
        ("-" * (DEEPEST + 2) + "1", f"expected at most {DEEPEST} brackets and signs within each other"),
        ("1" * (LONGEST + 1), f"expected an expression of at most {LONGEST} characters (got {LONGEST + 1})"),
        ("__import__('os')", "expected a number, a name or an operator at character 12 (got ')"),
    ],
)
def test_what_is_no_expression(text: str, problem: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(("text", "problem"), [("nobody", "got 'nobody'"), ("[256]", "nothing at 0x100")])
def test_what_has_no_value(text: str, problem: str) -> None:
    with pytest.raises(ExpressionError, match=problem):
        parse(text).evaluate(Scope())


def test_the_longest_chain_is_no_trouble() -> None:
    assert parse("+".join(["1"] * 128)).evaluate(Scope()) == 128


def test_every_register_that_is_shown_has_its_value(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin()).run(33)
    scope = VcpuScope(bench.vcpu, bench.hypervisor.cycles_per_tick)
    shown = [row for group in bench.control.registers("vm0", 0).groups for row in group.registers]
    assert len(shown) > 60
    for name, value, _ in shown:
        assert scope.value(name) == scope.value(name.lower()) == value, name
    assert (scope.value("el"), scope.value("X31"), scope.value("x01"), scope.value("q0")) == (1, None, None, None)


def test_memory_of_a_guest(tmp_path: Path) -> None:
    program = Program().constant(1, DATA).constant(2, 0xFFEEDDCCBBAA9988).emit(a.str_(2, 1)).loop()
    bench = tiny(tmp_path, program).run(20)
    assert bench.control.evaluate("vm0", 0, "u16[x1 + 7 - 1] << 16 | w2 & 0xffff") == 0xFFEE9988
    assert bench.control.evaluate("vm0", 0, f"[{DATA:#x}] == x2") == 1
    with pytest.raises(ControlError, match=r"^cannot load 8 bytes at 0x1000: no memory is mapped at 0x1000$"):
        bench.control.evaluate("vm0", 0, "[0x1000]")
    with pytest.raises(ControlError, match=r"^expected a register, or a symbol of vm0 \(got 'nobody'\)$"):
        bench.control.evaluate("vm0", 0, "0 && nobody")


# --- on breakpoints ---------------------------------------------------------------------------------


def counting() -> Program:
    return Program().label("start").emit(a.add(1, 1, 1), a.add(2, 2, 1), a.NOP).b("start")


def test_a_condition_sees_the_state_before_the_instruction(tmp_path: Path) -> None:
    bench = tiny(tmp_path, counting())
    stop = bench.control.add_breakpoint("vm0", RAM_BASE + 4, "x1 == 7 && x2 == 6 && pc == 0x40000004")
    assert bench.control.run_on(10_000) == f"breakpoint 1: vm0/0 at {RAM_BASE + 4:#x}"
    assert (bench.x(1), bench.x(2), stop.hits) == (7, 6, 1)
    assert bench.control.run_on(10_000) == ""


def test_hits_may_be_ignored_and_a_temporary_one_goes(tmp_path: Path) -> None:
    bench = tiny(tmp_path, counting())
    stop = bench.control.add_breakpoint("vm0", RAM_BASE + 4, "x1 & 1 == 0", ignore=3, temporary=True)
    assert bench.control.run_on(10_000).startswith("breakpoint 1")
    assert (bench.x(1), stop.hits, list(bench.system.breakpoints)) == (8, 4, [])
    assert bench.vm.core._watches._hooks == []


def test_a_condition_without_a_value_stops_and_says_so(tmp_path: Path) -> None:
    bench = tiny(tmp_path, counting())
    bench.control.add_breakpoint("vm0", RAM_BASE + 4, "[x1] == 0")
    problem = "whose condition '[x1] == 0' has no value: cannot load 8 bytes at 0x1: no memory is mapped at 0x1"
    assert bench.control.run_on(10_000) == f"breakpoint 1: vm0/0 at {RAM_BASE + 4:#x}, {problem}"


def test_a_breakpoint_can_be_changed(tmp_path: Path) -> None:
    bench = tiny(tmp_path, counting())
    bench.control.add_breakpoint("vm0", RAM_BASE + 4)
    bench.control.change_breakpoint(1, enabled=False)
    assert bench.control.run_on(1000) == ""
    bench.control.change_breakpoint(1, enabled=True, condition="x1 == 500", ignore=0)
    assert bench.control.run_on(10_000).startswith("breakpoint 1")
    assert bench.x(1) == 500
    (view,) = bench.system.breakpoints.view()
    assert (view.condition, view.enabled, view.kind, view.hits) == ("x1 == 500", True, "breakpoint", 1)
    with pytest.raises(ControlError, match="got 'nobody'"):
        bench.control.change_breakpoint(1, condition="nobody")
    bench.control.change_breakpoint(1, condition="")
    assert bench.control.run_on(10_000).startswith("breakpoint 1")


def test_guests_do_not_notice_conditions() -> None:
    """Also those that look at memory and timers, in the middle of a slice."""
    plain, asked = (Control(build(config.load(paths.machines_dir() / "two-vms.toml"), digest=True)) for _ in range(2))
    end = plain.system.hypervisor.cycles_of_ns(1_100_000_000)
    plain.advance(end)
    for vm in ("vm0", "vm1"):
        asked.add_breakpoint(vm, "dispatch_irq", "[sp] | 1 && cntvct_el0 && (cntv_ctl_el0 & 1 || el == 1)")
        asked.add_breakpoint(vm, "uart_putc", "u8[sp + x0] * 0 || ttbr0_el1 == 1")
    held = 0
    while asked.run_on(end):
        held += 1
    assert held > 2
    assert [stop.hits for stop in asked.system.breakpoints][1::2] == [0, 0]
    assert asked.digest() == plain.digest()
