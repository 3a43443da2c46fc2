"""One machine, one input, one trace: whoever runs it, however often he stops to look."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import config, paths
from engine.board.memory_map import RAM_BASE
from engine.debug.goals import Goal
from engine.machine_config import MachineConfig
from engine.views import RunState, VcpuState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import GUESTS, Bench, Guest, machine_config

FOREVER = 1 << 62
MB32 = 32 << 20
ROOT = Path(__file__).resolve().parents[2]
TWO_VMS = config.load(paths.machines_dir() / "two-vms.toml")
SECOND = 500_000_000
"""Cycles, at the default of 8 a tick."""


def typed_run(machine: MachineConfig) -> Bench:
    """Two virtual seconds with a word typed to each guest."""
    bench = Bench(machine).run_ms(300)
    bench.control.type("vm0", b"to be\r")
    bench.run_ms(1300)
    bench.control.type("vm1", b"or not\r")
    return bench.run_ms(2000)


def test_two_runs_are_the_same() -> None:
    first, second = typed_run(TWO_VMS), typed_run(TWO_VMS)
    assert first.events() == second.events()
    assert first.digest() == second.digest()


def test_two_processes_are_the_same() -> None:
    """With different hash seeds, so that no set or dictionary decides an order."""
    code = "from tests.guests import test_determinism as t; print(t.typed_run(t.TWO_VMS).digest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert digests == {typed_run(TWO_VMS).digest() + "\n"}


@pytest.mark.parametrize(
    "change",
    ["board.time_slice_ms=0.1", "machine.cycles_per_tick=4", "vm0.vcpus=1", "board.cores=2", "vm1.bootargs=name=vm1"],
)
def test_another_machine_has_another_digest(change: str) -> None:
    changed = Bench(config.load(paths.machines_dir() / "two-vms.toml", [change])).run_ms(1500)
    assert changed.digest() != Bench(TWO_VMS).run_ms(1500).digest()


def test_other_input_has_another_digest() -> None:
    def run(text: bytes, at_ms: int) -> str:
        bench = Bench(TWO_VMS).run_ms(at_ms)
        bench.control.type("vm0", text)
        return bench.run_ms(700).digest()

    assert len({run(b"a", 300), run(b"b", 300), run(b"a", 301)}) == 3


# --- replay -----------------------------------------------------------------------------------------


def inject(bench: Bench, rng: random.Random) -> None:
    vm = rng.choice(["vm0", "vm1"])
    bench.control.inject(vm, rng.choice([1, 27, 33]), rng.randrange(2))


def type_word(bench: Bench, rng: random.Random) -> None:
    bench.control.type(rng.choice(["vm0", "vm1"]), rng.choice([b"x", b"word\r", b"\r", b"\x7f"]))


def reset(bench: Bench, rng: random.Random) -> None:
    bench.control.reset(rng.choice(["vm0", "vm1"]))


def step(bench: Bench, rng: random.Random) -> None:
    runnable = [vcpu for vm in bench.system.vms for vcpu in vm.vcpus if vcpu.runnable]
    if runnable:
        vcpu = rng.choice(runnable)
        for _ in range(rng.randrange(1, 4)):
            if vcpu.state in (VcpuState.READY, VcpuState.RUNNING):
                bench.control.step(vcpu.vm.name, vcpu.index)


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("actions", [[type_word], [inject], [reset], [step], [type_word, inject, reset, step]])
def test_recorded_inputs_give_the_same_trace_again(
    cores: int, actions: list[Callable[[Bench, random.Random], None]]
) -> None:
    machine = config.load(paths.machines_dir() / "two-vms.toml", [f"board.cores={cores}", "board.time_slice_ms=1"])
    original, rng = Bench(machine), random.Random(7)
    for _ in range(40):
        original.control.run_instructions(rng.choice([1, 10, 1000, 20_000]))
        rng.choice(actions)(original, rng)
    end = original.hypervisor.now + 1_000_000
    original.control.advance(end)
    again = Bench(machine)
    again.control.replay(original.control.inputs)
    again.control.advance(end)
    assert again.control.inputs == original.control.inputs
    assert again.events() == original.events()
    assert again.digest() == original.digest()


# --- slicing ----------------------------------------------------------------------------------------


def chopped(bench: Bench, until: int, progress: int, rng: random.Random) -> Bench:
    """Run as far as one call of `advance` would, in pieces, looking around in between."""
    hypervisor = bench.hypervisor
    while not hypervisor.finished and hypervisor.now < until and hypervisor.progress < progress:
        way = rng.randrange(4)
        if way == 0:
            hypervisor.advance(until, min(progress, hypervisor.progress + rng.choice([1, 2, 17, 1000, 30_000])))
        elif way == 1:
            hypervisor.advance(min(until, hypervisor.now + rng.choice([1, 500, 10_000, 2_000_000])), progress)
        elif way == 2:
            bench.system.goals.set(rng.choice(list(Goal)))
            hypervisor.advance(until, progress)
            bench.system.goals.set(None)
            hypervisor.stop_requested = False
        else:
            hypervisor.advance(until, min(progress, hypervisor.progress + rng.randrange(1, 200_000)))
        if rng.random() < 0.2:
            look(bench)
    hypervisor.advance(until, progress)
    return bench


def look(bench: Bench) -> None:
    """As a front end does between two slices."""
    bench.control.view(RunState.PAUSED, "")
    for vm in bench.system.vms:
        for vcpu in vm.vcpus:
            bench.control.registers(vm.name, vcpu.index)
        bench.control.memory(vm.name, 0, vm.config.ram_base, 64, "ipa")


def compare(machine: MachineConfig, until: int, progress: int, seeds: int) -> None:
    whole = Bench(machine)
    whole.hypervisor.advance(until, progress)
    for seed in range(seeds):
        pieces = chopped(Bench(machine), until, progress, random.Random(seed))
        differ = next((pair for pair in zip(whole.events(), pieces.events(), strict=False) if pair[0] != pair[1]), None)
        assert differ is None
        assert pieces.hypervisor.progress == whole.hypervisor.progress
        assert pieces.digest() == whole.digest()


CORES = [1, 2]


@pytest.mark.parametrize("cores", CORES)
def test_stopping_does_not_change_the_demo(cores: int) -> None:
    machine = config.load(paths.machines_dir() / "two-vms.toml", [f"board.cores={cores}"])
    compare(machine, int(1.2 * SECOND), FOREVER, 6)


def guest_machine(tmp_path: Path, name: str, cores: int, bootargs: str = "") -> MachineConfig:
    guest = Guest(GUESTS / f"{name}.elf", vcpus=2, ram_size=MB32, bootargs=bootargs)
    return machine_config(tmp_path, guest, cores=cores, time_slice_ms=0.5)


@pytest.mark.parametrize("cores", CORES)
@pytest.mark.parametrize("mode", ["ipi", "switch", "mmio", "mem"])
def test_stopping_does_not_change_a_measurement(tmp_path: Path, mode: str, cores: int) -> None:
    compare(guest_machine(tmp_path, "bench", cores, f"mode={mode} n=20"), FOREVER, 3_000_000, 2)


@pytest.mark.slow
@pytest.mark.parametrize("cores", CORES)
def test_stopping_does_not_change_the_checks(tmp_path: Path, cores: int) -> None:
    compare(guest_machine(tmp_path, "checks", cores), FOREVER, 8_000_000, 3)


@pytest.mark.parametrize(("name", "instructions"), [("nowhere", 200_000), ("exloop", 105_000), ("badstore", 200_000)])
def test_stopping_does_not_change_what_goes_wrong(tmp_path: Path, name: str, instructions: int) -> None:
    compare(guest_machine(tmp_path, name, 1), FOREVER, instructions, 3)


def test_stopping_at_an_ic_instruction_does_not_change_the_time(tmp_path: Path) -> None:
    program = Program().constant(1, RAM_BASE).label("again").emit(a.ic_ivau(1), a.add(0, 0, 1)).b("again")
    machine = machine_config(tmp_path, program)
    whole, pieces = Bench(machine).run(3001), Bench(machine)
    for _ in range(3001):
        pieces.run(1)
    assert pieces.x(0) == whole.x(0)
