"""The secure world's test client passes every test, owning EL2 and under the hypervisor."""

from __future__ import annotations

import re

import pytest

from engine import config, paths
from engine.views import VmRunState
from tests.support.machines import Bench

MACHINES = {"tfa": "NS-EL2", "tfa-el1": "NS-EL1"}
NUMBERED = 20
LONGEST_MS = 1000
_LINE = re.compile(r"  Test (\d+): (.+) \.\.\. (PASS|FAIL.*)")
_BANNERS = ("[SP] Hello from S-EL1!", "[SP2] Hello from S-EL1!", "[SP3] Hello from S-EL1 (sp_relay)")


def run(machine: str, *overrides: str) -> Bench:
    return Bench(config.load(paths.machines_dir() / f"{machine}.toml", overrides)).run_ms(LONGEST_MS)


def results(bench: Bench) -> dict[int, tuple[str, str]]:
    """Name and verdict by number."""
    found = (_LINE.fullmatch(line) for line in bench.console().splitlines())
    return {int(each[1]): (each[2], each[3]) for each in found if each is not None}


@pytest.fixture(scope="module", params=MACHINES)
def bench(request: pytest.FixtureRequest) -> Bench:
    return run(request.param)


def test_every_test_passes(bench: Bench) -> None:
    verdicts = results(bench)
    assert [f"{number} {name}: {verdict}" for number, (name, verdict) in verdicts.items() if verdict != "PASS"] == []
    assert list(verdicts) == list(range(1, len(verdicts) + 1))
    assert len(verdicts) >= NUMBERED
    first, *_, complete, summary = bench.console().splitlines()
    assert first == f"BL33 FF-A Test Client ({MACHINES[bench.system.config.name]})"
    assert complete == "  All tests complete."
    assert summary == f"{len(verdicts)} PASS of {len(verdicts)}"
    assert bench.vm.state is VmRunState.OFF


def test_partitions_introduce_themselves(bench: Bench) -> None:
    consoles = [each.console.since(0)[0].decode().splitlines() for each in bench.system.partitions if each.secure]
    assert tuple(lines[0] for lines in consoles) == _BANNERS


def test_two_runs_are_the_same(bench: Bench) -> None:
    assert run(bench.system.config.name).digest() == bench.digest()
