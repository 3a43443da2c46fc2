"""Waits for text and events: exactly at the trap that brings them, with and without a thread."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import config, paths
from engine.arch.psci import Function
from engine.board import memory_map
from engine.build import build
from engine.control import Control, ControlError
from engine.debug.goals import LONGEST_LINE, AnyGoal, ConsoleText, EventMatch, Goal
from engine.events import ConsoleOutput
from engine.machine import Machine, Pace
from engine.views import RunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import Bench, machine_config, spin, tiny

PATIENCE = 20
SECOND = 1_000_000_000
TWO_VMS = config.load(paths.machines_dir() / "two-vms.toml")


def text(pattern: str, console: str | None = None) -> ConsoleText:
    return ConsoleText(console, re.compile(pattern, re.MULTILINE))


def printer(said: str) -> Program:
    program = Program().constant(1, memory_map.UART_BASE).constant(3, 0x301).emit(a.str32(3, 1, 0x30))
    for character in said:
        program.constant(2, ord(character)).emit(a.str32(2, 1), *[a.NOP] * 50)
    return program.call(Function.SYSTEM_OFF)


def test_it_stops_at_the_character_that_completes_the_text(tmp_path: Path) -> None:
    bench = tiny(tmp_path, printer("one two one"))
    assert bench.control.wait_for(text("two"), SECOND) == "vm0 shows 'two'"
    assert bench.console() == "one two"
    assert [event.data for event in bench.events() if isinstance(event, ConsoleOutput)][-1] == b"o"


def test_each_wait_uses_up_what_it_matched(tmp_path: Path) -> None:
    bench = tiny(tmp_path, printer("one two one")).run(300)
    progress = bench.hypervisor.progress
    assert bench.control.wait_for(text("one"), SECOND) == "vm0 shows 'one'"
    assert bench.hypervisor.progress == progress
    bench.control.wait_for(text("one", "vm0"), SECOND)
    assert bench.console() == "one two one"
    with pytest.raises(ControlError, match=r"^waiting for 'one' on any console: every guest is off$"):
        bench.control.wait_for(text("one"), SECOND)


def test_a_wait_that_is_too_long(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    with pytest.raises(ControlError, match=r"^waiting for 'x' on vm0: it did not come within 0.002 s$"):
        bench.control.wait_for(text("x", "vm0"), 2_000_000)
    assert bench.hypervisor.ns_of_cycles(bench.hypervisor.now) == 2_000_000
    with pytest.raises(ControlError, match=r"there is no console 'nobody'"):
        bench.control.wait_for(text("x", "nobody"), SECOND)


def test_events_by_kind_and_words() -> None:
    control = Control(build(TWO_VMS, digest=True))
    words = control.wait_for(EventMatch("psci", re.compile("CPU_ON")), SECOND)
    assert words.startswith("psci vm0/0 CPU_ON")
    words = control.run_on(1 << 60, EventMatch("", re.compile(r"^interrupt vm1/\d INTID 27")))
    assert "virtual timer" in words


def test_of_a_long_line_only_the_beginning_is_searched() -> None:
    wanted = EventMatch("console", re.compile("here"))
    room = LONGEST_LINE - len('console vm0 "here')
    for size, found in ((room, True), (room + 1, False)):
        assert wanted.takes(ConsoleOutput(0, "vm0", -1, b"." * size + b"here")) is found


@pytest.mark.parametrize("goal", [text("tick"), text("tick", "vm1"), EventMatch("psci", re.compile("vm1.*CPU_ON"))])
def test_waits_change_nothing(goal: AnyGoal) -> None:
    plain, held = Control(build(TWO_VMS, digest=True)), Control(build(TWO_VMS, digest=True))
    end = plain.system.hypervisor.cycles_of_ns(1_200_000_000)
    plain.advance(end)
    times = 0
    while held.run_on(end, goal):
        times += 1
    assert times
    assert held.digest() == plain.digest()
    assert all(held.system.goals._printed not in console.listeners for console in held.system.consoles)


# --- on a thread ------------------------------------------------------------------------------------------


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine(TWO_VMS, pace=Pace.MAX, digest=True)
    made.start(False)
    yield made
    made.close()


@pytest.mark.parametrize("goal", [text("tick", "vm1"), EventMatch("psci", re.compile("vm1.*CPU_ON"))])
def test_a_thread_stops_at_the_same_instruction(machine: Machine, goal: AnyGoal) -> None:
    words = machine.wait_for(goal, 3 * SECOND).result(PATIENCE)
    control = Control(build(TWO_VMS, digest=True))
    assert control.wait_for(goal, 3 * SECOND) == words
    view = machine.view().result(PATIENCE)
    assert (view.state, view.detail, view.instructions) == (RunState.PAUSED, words, control.system.hypervisor.progress)
    assert machine.ask(Control.digest).result(PATIENCE) == control.digest()


def test_the_time_limit_is_the_same_instruction_too(machine: Machine) -> None:
    with pytest.raises(ControlError, match=r"did not come within 0.05 s"):
        machine.wait_for(text("never"), SECOND // 20).result(PATIENCE)
    control = Control(build(TWO_VMS, digest=True))
    with pytest.raises(ControlError):
        control.wait_for(text("never"), SECOND // 20)
    assert machine.ask(Control.digest).result(PATIENCE) == control.digest()


def test_pauses_steps_and_breakpoints_do_not_lose_a_wait(machine: Machine) -> None:
    machine.add_breakpoint("vm0", "guest_main", temporary=True).result(PATIENCE)
    future = machine.wait_for(text("tick", "vm1"), 3 * SECOND)
    deadline = time.monotonic() + PATIENCE
    while machine.view().result(PATIENCE).state is not RunState.PAUSED:
        assert time.monotonic() < deadline
    assert not future.done()
    machine.step("vm0", 0).result(PATIENCE)
    machine.step_over("vm0", 0).result(PATIENCE)
    machine.run_to(Goal.TRAP).result(PATIENCE)
    machine.pause().result(PATIENCE)
    machine.resume().result(PATIENCE)
    if not future.done():
        machine.resume().result(PATIENCE)
    while not future.done():
        assert time.monotonic() < deadline
        if machine.view().result(PATIENCE).state is RunState.PAUSED and not future.done():
            machine.resume().result(PATIENCE)
    assert "shows" in future.result(0)


def test_giving_up_cancels(tmp_path: Path) -> None:
    machine = Machine(machine_config(tmp_path, spin()), pace=Pace.MAX)
    machine.start(False)
    future = machine.wait_for(text("never"), 10_000 * SECOND)
    with pytest.raises(ControlError, match=r"^waiting for 'never' on any console already$"):
        machine.wait_for(text("x"), SECOND).result(PATIENCE)
    machine.give_up().result(PATIENCE)
    assert future.cancelled()
    assert machine.view().result(PATIENCE).state is RunState.RUNNING
    last = machine.wait_for(text("never"), 10_000 * SECOND)
    machine.view().result(PATIENCE)
    machine.close(PATIENCE)
    assert last.cancelled()


def test_debugging_on_the_thread(tmp_path: Path) -> None:
    program = Program().label("again").emit(a.add(1, 1, 1), a.str_(1, 3)).b("again")
    machine = Machine(machine_config(tmp_path, program), pace=Pace.MAX)
    machine.start(False)
    machine.write_register("vm0", 0, "x3", 0x4030_0000).result(PATIENCE)
    machine.run_to_address("vm0", 0x4000_0004).result(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while (view := machine.view().result(PATIENCE)).state is not RunState.PAUSED:
        assert time.monotonic() < deadline
    assert view.detail == "arrived: vm0/0 at 0x40000004"
    machine.add_watchpoint("vm0", 0x4030_0000, condition="x1 == 9").result(PATIENCE)
    machine.resume().result(PATIENCE)
    while not (view := machine.view().result(PATIENCE)).detail.startswith("watchpoint 1"):
        assert time.monotonic() < deadline
    assert machine.evaluate("vm0", 0, "[x3]").result(PATIENCE) == 9
    machine.write_memory("vm0", 0, 0x4030_0000, b"\x05").result(PATIENCE)
    machine.change_breakpoint(1, enabled=False).result(PATIENCE)
    assert machine.memory("vm0", 0, 0x4030_0000, 1).result(PATIENCE) == b"\x05"
    machine.power_off("vm0").result(PATIENCE)
    assert machine.view().result(PATIENCE).vms[0].detail == "powered off"
    machine.close()


def test_a_bench_knows_both(tmp_path: Path) -> None:
    """A run's goal and a wait at once: whichever comes first holds, and the other goes on."""
    bench: Bench = tiny(tmp_path, printer("abc"))
    reached: list[str] = []
    bench.system.goals.wait(text("b"), reached.append)
    assert bench.control.run_on(1 << 60, text("a")) == "vm0 shows 'a'"
    assert reached == []
    assert bench.control.run_on(1 << 60) == "vm0 shows 'b'"
    assert reached == ["vm0 shows 'b'"]
