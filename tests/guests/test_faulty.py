"""Guests that misbehave: the machine stays, tells in one line, and the neighbour does not notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.events import Trap, VmState
from engine.views import RunState, VmRunState
from tests.support.machines import GUESTS, Bench, Guest, machine_config, spin

MB32 = 32 << 20


def beside_a_counter(tmp_path: Path, name: str) -> Bench:
    """The faulty guest on a core that it shares with a guest that counts in x0."""
    return Bench(machine_config(tmp_path, Guest(GUESTS / f"{name}.elf", ram_size=MB32), spin(), time_slice_ms=1))


def neighbour_goes_on(bench: Bench) -> None:
    before = bench.x(0, vm=1)
    bench.run(500_000)
    assert bench.x(0, vm=1) > before + 50_000
    assert bench.system.vms[1].state is VmRunState.RUNNING


def can_be_looked_at(bench: Bench) -> None:
    view = bench.control.view(RunState.PAUSED, "")
    assert len(view.vms) == 2
    registers = bench.control.registers("vm0", 0)
    assert registers.value("PC") == view.vms[0].vcpus[0].pc
    assert len(bench.control.memory("vm0", 0, bench.vm.config.ram_base, 4096, "ipa")) == 4096


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("nowhere", "nowhere: jumping to 0xb000000 without exception vectors", "0xb000200"),
        ("notables", "notables: clearing my own translation tables", "0x4000"),
    ],
)
def test_a_guest_that_cannot_fetch_any_more_has_crashed(tmp_path: Path, name: str, text: str, place: str) -> None:
    bench = beside_a_counter(tmp_path, name).run(1_000_000)
    assert bench.vm.state is VmRunState.CRASHED
    assert bench.vm.detail.startswith(f"exceptions in exceptions: cannot fetch at {place}")
    assert bench.vm.detail.isprintable()
    assert bench.console().splitlines() == [text]
    (crash,) = [event for event in bench.events() if isinstance(event, VmState) and event.state == "crashed"]
    assert crash.detail == bench.vm.detail
    neighbour_goes_on(bench)
    can_be_looked_at(bench)


def test_a_crashed_guest_can_be_reset(tmp_path: Path) -> None:
    bench = beside_a_counter(tmp_path, "nowhere").run(1_000_000)
    bench.control.reset("vm0")
    states = [bench.vm.state]
    bench.run(1_000_000)
    states.append(bench.vm.state)
    assert bench.console().count("nowhere: jumping") == 2
    assert states == [VmRunState.RUNNING, VmRunState.CRASHED]


def test_endless_exceptions_take_no_more_than_their_share(tmp_path: Path) -> None:
    bench = beside_a_counter(tmp_path, "exloop").run(250_000)
    assert bench.console().startswith("exloop: an exception whose handler takes the same exception")
    assert bench.vm.state is VmRunState.RUNNING
    can_be_looked_at(bench)
    before = [vm.vcpus[0].instructions for vm in bench.system.vms]
    bench.run(125_000)
    first, second = (vm.vcpus[0].instructions - b for vm, b in zip(bench.system.vms, before, strict=True))
    assert min(first, second) >= 60_000


def test_endless_exceptions_can_be_stopped_and_stepped(tmp_path: Path) -> None:
    bench = beside_a_counter(tmp_path, "exloop").run(200_000)
    if bench.vcpu.pcore.current is not bench.vcpu:
        bench.control.step("vm0", 0)
    place = bench.vcpu.registers.pc
    for _ in range(10):
        instructions = bench.vcpu.instructions
        bench.control.step("vm0", 0)
        assert bench.vcpu.instructions == instructions + 1
    assert bench.vcpu.registers.pc == place


def test_a_store_to_nothing_is_an_external_abort_the_guest_can_take(tmp_path: Path) -> None:
    bench = beside_a_counter(tmp_path, "badstore").run(1_000_000)
    assert bench.console().splitlines() == [
        "badstore: storing to 0xb000010",
        "caught external abort at 0xb000010",
        "still alive",
    ]
    assert bench.vm.state is VmRunState.OFF
    assert "stage-2 data abort" in {event.what for event in bench.events() if isinstance(event, Trap)}
    neighbour_goes_on(bench)
