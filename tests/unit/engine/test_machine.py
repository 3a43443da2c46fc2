"""The machine on its thread: it answers while a guest spins, and stops from every state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.arch.psci import Function
from engine.build import build
from engine.control import Control, ControlError
from engine.debug.goals import Goal
from engine.events import Trap
from engine.machine import Machine, Pace
from engine.views import MachineView, RunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import Guest, enable_interrupts, machine_config, spin

PATIENCE = 20
"""Seconds until a test gives up; never what is measured."""

Start = Callable[..., Machine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes machines on threads, and stops them afterwards."""
    machines: list[Machine] = []

    def make(
        *guests: Guest | Program, running: bool = True, pace: Pace = Pace.MAX, time_slice_ms: float = 10
    ) -> Machine:
        machine = Machine(machine_config(tmp_path, *guests, time_slice_ms=time_slice_ms), pace=pace, digest=True)
        machines.append(machine)
        machine.start(running)
        return machine

    yield make
    for machine in machines:
        machine.close()
        assert not machine._thread.is_alive()


def view(machine: Machine) -> MachineView:
    return machine.view().result(PATIENCE)


def wait_for(machine: Machine, *states: RunState) -> MachineView:
    deadline = time.monotonic() + PATIENCE
    while (seen := view(machine)).state not in states:
        assert time.monotonic() < deadline, seen
        time.sleep(0.002)
    return seen


def trapper() -> Program:
    """A trap now and then, for ever."""
    return Program().label("again").constant(0, Function.VERSION).emit(a.hvc(), *[a.NOP] * 1000).b("again")


OFF = Program().call(Function.SYSTEM_OFF)


def test_a_machine_can_start_paused(start: Start) -> None:
    machine = start(spin(), running=False)
    seen = view(machine)
    assert (seen.state, seen.detail, seen.instructions) == (RunState.PAUSED, "powered on", 0)


def test_guests_run_at_once(start: Start) -> None:
    machine = start(spin())
    first = view(machine)
    assert first.state is RunState.RUNNING
    deadline = time.monotonic() + PATIENCE
    while view(machine).instructions <= first.instructions:
        assert time.monotonic() < deadline


def test_a_pause_holds_everything_still(start: Start) -> None:
    machine = start(spin())
    machine.pause().result(PATIENCE)
    first = view(machine)
    time.sleep(0.02)
    assert view(machine) == first
    assert (first.state, first.detail) == (RunState.PAUSED, "paused")
    machine.resume().result(PATIENCE)
    assert wait_for(machine, RunState.RUNNING).instructions >= first.instructions


@pytest.mark.parametrize("program", [spin(), trapper()], ids=["spinning", "trapping"])
def test_a_pause_is_answered_at_once(start: Start, program: Program) -> None:
    """Within 20 ms on a host with time to spare; one good try out of many is enough to tell."""
    machine = start(program, time_slice_ms=1000)
    best = float(PATIENCE)
    for _ in range(20):
        time.sleep(0.003)
        begun = time.perf_counter()
        machine.pause().result(PATIENCE)
        best = min(best, time.perf_counter() - begun)
        machine.resume().result(PATIENCE)
        if best < 0.02:
            break
    assert best < 0.02


def test_a_step_pauses_and_executes_one_instruction(start: Start) -> None:
    machine = start(spin())
    machine.step("vm0", 0).result(PATIENCE)
    first = view(machine)
    assert (first.state, first.detail) == (RunState.PAUSED, "stepped")
    machine.step("vm0", 0).result(PATIENCE)
    assert view(machine).instructions == first.instructions + 1


def test_run_to_trap_stops_right_after_the_next_one(start: Start) -> None:
    machine = start(trapper(), running=False)
    machine.run_to(Goal.TRAP).result(PATIENCE)
    seen = wait_for(machine, RunState.PAUSED)
    assert seen.detail == "trap: vm0/0 HVC VERSION"
    assert seen.vms[0].vcpus[0].exits == 1


def test_a_second_run_to_a_trap_waits_for_a_new_one(start: Start) -> None:
    """Requests that come meanwhile, such as a front end's look at it, do not end it."""
    machine = start(Program().call(Function.VERSION).label("x").emit(a.add(5, 5, 1)).b("x"), running=False)
    machine.run_to(Goal.TRAP).result(PATIENCE)
    wait_for(machine, RunState.PAUSED)
    machine.run_to(Goal.TRAP).result(PATIENCE)
    assert {view(machine).state for _ in range(10)} == {RunState.RUNNING}


def test_an_idle_machine_at_full_pace_still_takes_input(start: Start) -> None:
    program = enable_interrupts(Program(), 3).emit(a.WFI).call(Function.SYSTEM_OFF)
    machine = start(program)
    time.sleep(0.05)
    machine.inject("vm0", 3).result(PATIENCE)
    deadline = time.monotonic() + 1
    while view(machine).state is not RunState.OFF:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_resume_after_run_to_trap_does_not_stop_again(start: Start) -> None:
    machine = start(trapper(), running=False)
    machine.run_to(Goal.TRAP).result(PATIENCE)
    wait_for(machine, RunState.PAUSED)
    machine.resume().result(PATIENCE)
    exits = view(machine).vms[0].vcpus[0].exits
    deadline = time.monotonic() + PATIENCE
    while view(machine).vms[0].vcpus[0].exits < exits + 5:
        assert time.monotonic() < deadline
    assert view(machine).state is RunState.RUNNING


def test_a_pause_ends_a_run_to_a_trap_that_never_comes(start: Start) -> None:
    machine = start(spin(), running=False)
    machine.run_to(Goal.TRAP).result(PATIENCE)
    assert view(machine).state is RunState.RUNNING
    machine.pause().result(PATIENCE)
    assert view(machine).state is RunState.PAUSED
    machine.resume().result(PATIENCE)
    assert view(machine).state is RunState.RUNNING


def test_a_machine_whose_guests_are_off_says_why(start: Start) -> None:
    seen = wait_for(start(OFF, OFF), RunState.OFF)
    assert seen.detail == "vm0: SYSTEM_OFF; vm1: SYSTEM_OFF"


def test_a_machine_that_is_off_can_be_reset_and_goes_on(start: Start) -> None:
    machine = start(OFF)
    wait_for(machine, RunState.OFF)
    machine.reset("vm0").result(PATIENCE)
    assert view(machine).state is RunState.PAUSED
    machine.resume().result(PATIENCE)
    assert wait_for(machine, RunState.OFF).instructions > 3


def test_errors_of_requests_go_to_who_asked(start: Start) -> None:
    machine = start(spin())
    with pytest.raises(ControlError, match="no partition"):
        machine.step("nobody", 0).result(PATIENCE)
    with pytest.raises(ControlError, match="INTID"):
        machine.inject("vm0", 5000).result(PATIENCE)
    assert machine.failure == ""


def test_a_request_may_be_anything(start: Start) -> None:
    machine = start(spin())
    assert machine.ask(lambda control: control.system.config.name).result(PATIENCE) == "machine"
    assert machine.ask(lambda _: threading.current_thread().name).result(PATIENCE) == "machine machine"


def test_events_and_console_from_another_thread(start: Start) -> None:
    program = Program().constant(1, 0x0900_0000).constant(2, ord("x")).emit(a.str32(2, 1)).call(Function.SYSTEM_OFF)
    machine = start(program)
    wait_for(machine, RunState.OFF)
    assert machine.console_since("vm0", 0).result(PATIENCE) == (b"x", 1)
    first, events = machine.events_since(0).result(PATIENCE)
    assert first == 0
    assert "write pl011 UARTDR" in {event.what for event in events if isinstance(event, Trap)}


def test_an_error_in_the_engine_fails_the_machine_but_not_its_thread(start: Start) -> None:
    machine = start(trapper(), running=False)

    def sabotage(control: Control) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError("on purpose")

        control.system.hypervisor.after_trap = fail  # type: ignore[method-assign,assignment]

    machine.ask(sabotage).result(PATIENCE)
    machine.resume().result(PATIENCE)
    seen = wait_for(machine, RunState.FAILED)
    assert seen.detail == "ZeroDivisionError: on purpose"
    assert "Traceback" in machine.failure
    assert machine.registers("vm0", 0).result(PATIENCE).value("PC") > 0
    machine.resume().result(PATIENCE)
    assert view(machine).state is RunState.FAILED


@pytest.mark.parametrize("state", ["new", "running", "paused", "stepped", "off", "idle", "failed"])
def test_it_closes_from_every_state(start: Start, tmp_path: Path, state: str) -> None:
    if state == "new":
        Machine(machine_config(tmp_path, spin())).close()
        return
    program = {"off": OFF, "idle": Program(a.WFI)}.get(state, spin())
    machine = start(program, pace=Pace.REAL if state == "idle" else Pace.MAX)
    if state == "paused":
        machine.pause().result(PATIENCE)
    elif state == "stepped":
        machine.step("vm0", 0).result(PATIENCE)
    elif state == "off":
        wait_for(machine, RunState.OFF)
    elif state == "failed":
        machine._hypervisor.advance = None  # type: ignore[method-assign,assignment]
        wait_for(machine, RunState.FAILED)
    machine.close(PATIENCE)
    assert not machine._thread.is_alive()
    machine.close()


def test_a_request_to_a_closed_machine_does_not_hang(start: Start) -> None:
    machine = start(spin())
    machine.close(PATIENCE)
    assert not machine.pause().done()


def test_in_real_time_guests_never_run_ahead_of_the_wall_clock(start: Start) -> None:
    """Checked against a clock that started before the machine did."""
    begun = time.monotonic_ns()
    machine = start(Program(a.WFI), pace=Pace.REAL)
    for _ in range(10):
        time.sleep(0.01)
        nanoseconds = view(machine).nanoseconds
        assert nanoseconds <= time.monotonic_ns() - begun


def test_in_real_time_an_idle_machine_does_get_on(start: Start) -> None:
    machine = start(Program(a.WFI), pace=Pace.REAL)
    deadline = time.monotonic() + PATIENCE
    while view(machine).nanoseconds < 50_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_pause_is_not_made_up_for(start: Start) -> None:
    machine = start(Program(a.WFI), pace=Pace.REAL)
    machine.pause().result(PATIENCE)
    paused_at = view(machine).nanoseconds
    time.sleep(0.08)
    resumed = time.monotonic_ns()
    machine.resume().result(PATIENCE)
    time.sleep(0.02)
    assert view(machine).nanoseconds - paused_at <= time.monotonic_ns() - resumed


@pytest.mark.parametrize("pace", Pace)
def test_pacing_and_pauses_do_not_change_the_trace(start: Start, pace: Pace) -> None:
    """Wherever it got to: running there in one go gives the same."""
    machine = start(trapper(), spin(), pace=pace)
    for _ in range(5):
        time.sleep(0.004)
        machine.pause().result(PATIENCE)
        machine.resume().result(PATIENCE)
    machine.pause().result(PATIENCE)
    again = Control(build(machine.config, digest=True))
    again.run_instructions(view(machine).instructions)
    assert again.digest() == machine.ask(Control.digest).result(PATIENCE)


def test_running_to_a_time_stops_there(start: Start) -> None:
    machine = start(spin(), running=False)
    machine.run_to_time(3_000_000).result(PATIENCE)
    seen = wait_for(machine, RunState.PAUSED)
    assert (seen.detail, seen.nanoseconds) == ("the time has come", 3_000_000)
    machine.run_to_time(1_000_000).result(PATIENCE)
    assert wait_for(machine, RunState.PAUSED).nanoseconds == 3_000_000
    machine.resume().result(PATIENCE)
    assert view(machine).state is RunState.RUNNING
