"""The benchmark guest in this process, without a thread or a front end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from engine import config
from engine.board.memory_map import RAM_BASE
from engine.hypervisor.hypervisor import Hypervisor
from engine.hypervisor.vcpu import Vcpu
from engine.hypervisor.virtual_time import NO_LIMIT
from engine.machine_config import MachineConfig
from tests.support.machines import GUESTS, Bench, Guest, machine_config

IMAGE: Final = GUESTS / "bench.elf"
FFA_IMAGE: Final = GUESTS / "ffa_bench.elf"
_RAM_SIZE: Final = 32 << 20
_CYCLES_PER_TICK: Final = 8
_FOREVER: Final = 1_000_000_000
_STEPS: Final = 100


@dataclass(frozen=True)
class Sample:
    """One run of the benchmark guest, from power-on to power-off; or the difference of two."""

    seconds: float
    instructions: int
    switches: int

    def minus(self, other: Sample) -> Sample:
        """What this run took beyond another one."""
        return Sample(
            self.seconds - other.seconds, self.instructions - other.instructions, self.switches - other.switches
        )


def rounds(directory: Path, mode: str, n: int, runs: int, *, vcpus: int = 2, cores: int = 1) -> Sample:
    """What `n` rounds of a mode took, without the guest's own start: the best of several runs."""

    def run(count: int) -> Sample:
        machine = _machine(directory, f"mode={mode} n={count}", vcpus=vcpus, cores=cores)
        return _run(machine, f"{mode} {count} ")

    return _beyond_one(run, n, runs)


def ffa_rounds(directory: Path, mode: str, n: int, runs: int) -> Sample:
    """The same for the FF-A guest; its modes are in machines/guests/ffa/bench.c."""

    def run(count: int) -> Sample:
        machine = _ffa_machine(directory, f"mode={mode} n={count}")
        return _run(machine, f"{mode.split()[0]} {count} of {count} ")

    return _beyond_one(run, n, runs)


def _beyond_one(run: Callable[[int], Sample], n: int, runs: int) -> Sample:
    """What `n` rounds take, from runs of one round and of one more."""
    base = _best(run(1) for _ in range(runs))
    return _best(run(n + 1) for _ in range(runs)).minus(base)


def switch_seconds(directory: Path, vms: int, runs: int) -> float:
    """Wall time of one vCPU switch, in one VM or between two: steps that alternate, less steps that do not.

    The median of many short comparisons, since the difference is small beside what it is taken from.
    """
    bench = Bench(_machine(directory, f"mode=switch n={_FOREVER}", vms), digest=False)
    bench.run_ms(100)
    first = bench.system.vms[0].vcpus[0]
    second = bench.system.vms[1].vcpus[0] if vms > 1 else bench.system.vms[0].vcpus[1]
    assert first.runnable
    assert second.runnable
    return median(_difference(bench.hypervisor, first, second) for _ in range(runs))


def _best(samples: Iterable[Sample]) -> Sample:
    return min(samples, key=lambda sample: sample.seconds)


def _machine(directory: Path, bootargs: str, vms: int = 1, vcpus: int = 2, cores: int = 1) -> MachineConfig:
    guest = Guest(IMAGE, vcpus=vcpus, ram_size=_RAM_SIZE, bootargs=bootargs)
    return machine_config(directory, *[guest] * vms, cores=cores, cycles_per_tick=_CYCLES_PER_TICK)


def _ffa_machine(directory: Path, bootargs: str) -> MachineConfig:
    """A client and a peer under the FF-A relayer, each with RAM at IPAs of its own."""
    vms = [
        {
            "name": role,
            "image": str(FFA_IMAGE),
            "ram_base": 0x4800_0000 + n * 0x2000_0000,
            "ram_size": _RAM_SIZE,
            "base_pa": RAM_BASE + n * _RAM_SIZE,
            "bootargs": f"role={role} {bootargs}",
        }
        for n, role in enumerate(("client", "peer"))
    ]
    raw = {"machine": {"cycles_per_tick": _CYCLES_PER_TICK}, "vm": vms, "ffa": {}}
    return config.from_tables(raw, directory / "machine.toml")


def _run(machine: MachineConfig, verdict: str) -> Sample:
    """From power-on until nothing will ever happen any more; the first VM says `verdict`."""
    bench = Bench(machine, digest=False)
    started = time.perf_counter()
    bench.control.advance(NO_LIMIT)
    seconds = time.perf_counter() - started
    assert f"BENCH {verdict}" in bench.console(), bench.console()
    return Sample(seconds, bench.hypervisor.progress, bench.hypervisor.cores[0].switches)


def _difference(hypervisor: Hypervisor, first: Vcpu, second: Vcpu) -> float:
    """By how much a step takes longer when another vCPU made the one before."""
    alike = _step([first] * _STEPS, hypervisor) + _step([second] * _STEPS, hypervisor)
    return (_step([first, second] * _STEPS, hypervisor) - alike) / (2 * _STEPS)


def _step(order: Iterable[Vcpu], hypervisor: Hypervisor) -> float:
    """Wall time of single steps of these vCPUs in turn."""
    started = time.perf_counter()
    for vcpu in order:
        hypervisor.step(vcpu)
    return time.perf_counter() - started
