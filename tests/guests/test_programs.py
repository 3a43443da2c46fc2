"""The self-test and the measuring guest run to their end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.events import Trap
from tests.support.machines import GUESTS, Bench, Guest, machine_config

MB32 = 32 << 20


def boot(tmp_path: Path, name: str, bootargs: str = "", *, cores: int = 1, time_slice_ms: float = 10) -> Bench:
    guest = Guest(GUESTS / f"{name}.elf", vcpus=2, ram_size=MB32, bootargs=bootargs)
    return Bench(machine_config(tmp_path, guest, cores=cores, time_slice_ms=time_slice_ms))


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2])
def test_every_check_passes(tmp_path: Path, cores: int) -> None:
    """One cycle a tick and short time slices, so that its waits are short too."""
    bench = boot(tmp_path, "checks", cores=cores, time_slice_ms=1)
    bench.run(400_000_000)
    lines = bench.console().splitlines()
    assert [line for line in lines if line.startswith("FAIL")] == []
    (verdict,) = [line for line in lines if re.fullmatch(r"ALL \d+ PASSED", line)]
    assert int(verdict.split()[1]) == sum(line.startswith("PASS ") for line in lines) > 400
    assert bench.hypervisor.finished


@pytest.mark.parametrize("cores", [1, 4])
def test_an_interrupt_goes_round_four_vcpus(tmp_path: Path, cores: int) -> None:
    guest = Guest(GUESTS / "bench.elf", vcpus=4, ram_size=MB32, bootargs="mode=ring n=20")
    bench = Bench(machine_config(tmp_path, guest, cores=cores)).run_until_off(50_000_000)
    assert re.search(r"^BENCH ring 20 \d+$", bench.console(), re.MULTILINE)
    sent = sum(isinstance(event, Trap) and event.what == "write ICC_SGI1R_EL1" for event in bench.events())
    assert sent == 80


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("mode", ["alu", "mem", "hvc", "mmio", "counter", "switch", "ipi"])
def test_every_measurement_ends(tmp_path: Path, mode: str, cores: int) -> None:
    bench = boot(tmp_path, "bench", f"mode={mode} n=20", cores=cores).run_until_off(50_000_000)
    (result,) = re.findall(rf"^BENCH {mode} 20 (\d+)$", bench.console(), re.MULTILINE)
    assert int(result) > 0


def test_a_measurement_is_the_same_every_time(tmp_path: Path) -> None:
    consoles = {boot(tmp_path, "bench", "mode=ipi n=50").run_until_off(50_000_000).console() for _ in range(2)}
    assert len(consoles) == 1
