"""The secure world's test client passes every test, owning EL2 and under the hypervisor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine import config, paths
from engine.spmc.states import ContextState
from engine.views import VmRunState
from hvtui.cli import run_cli
from tests.support.machines import Bench

MACHINES = {"tfa": "NS-EL2", "tfa-el1": "NS-EL1"}
TESTS = 73
LONGEST_MS = 100
FIRST_TWENTY = """FFA_VERSION; FFA_ID_GET; FFA_FEATURES(VERSION); FFA_FEATURES(0xDEAD); PARTITION_INFO_GET;
DIRECT_REQ echo; DIRECT_REQ real SP; RXTX + PARTITION_INFO; Preemption + FFA_RUN; Multi-SP DIRECT_REQ;
Secure vIRQ injection; MEM_SHARE + RECLAIM; MEM_SHARE lifecycle E2E; Alternating SP1/SP2; MEM_SHARE E2E (SP2);
MEM_LEND lifecycle E2E; SP->SP relay chain; Cycle detection; SP-to-SP MEM_SHARE; SP-to-SP MEM_RECLAIM"""
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
    assert len(verdicts) == TESTS
    assert [name for name, _ in verdicts.values()][:20] == [name.strip() for name in FIRST_TWENTY.split(";")]
    first, *_, complete, summary = bench.console().splitlines()
    assert first == f"BL33 FF-A Test Client ({MACHINES[bench.system.config.name]})"
    assert complete == "  All tests complete."
    assert summary == f"{len(verdicts)} PASS of {len(verdicts)}"
    assert bench.vm.state is VmRunState.OFF


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "overrides",
    [
        ("board.cores=4",),
        ("board.time_slice_ms=0.1", "secure.owner_access_on_share=read-write"),
        ("secure.npi=5", "secure.sri=6"),
        ("machine.cycles_per_tick=64",),
    ],
)
def test_every_test_passes_on_other_machines(machine: str, overrides: tuple[str, ...]) -> None:
    assert run(machine, *overrides).console().splitlines()[-1] == f"{TESTS} PASS of {TESTS}"


def test_partitions_introduce_themselves(bench: Bench) -> None:
    consoles = [each.console.since(0)[0].decode().splitlines() for each in bench.system.partitions if each.secure]
    assert tuple(lines[0] for lines in consoles) == _BANNERS


def test_the_end_is_as_it_should_be(bench: Bench) -> None:
    """Two partitions were made to fail; what they had went back, and nothing else is left of the run."""
    secure = bench.system.secure
    assert secure is not None
    partitions = secure.spmc.partitions.values()
    states = [each.contexts[0].state for each in partitions]
    assert states == [ContextState.ABORTED, ContextState.IDLE, ContextState.ABORTED]
    assert not secure.spmc.manager.table.records
    assert not secure.spmc.manager.table.reserved
    assert all(each.held is None for each in bench.hypervisor.cores)


def test_the_last_words_of_a_partition_are_logged(bench: Bench) -> None:
    assert bench.system.partition("sp_relay").console.since(0)[0].endswith(b"asked to fail\r\n")


def test_two_runs_are_the_same(bench: Bench) -> None:
    """However often one of them is stopped."""
    other = Bench(config.load(bench.system.config.file))
    for tenths in range(1, 10 * LONGEST_MS + 1):
        other.run_ms(tenths / 10)
    assert other.digest() == bench.digest()


def test_every_test_passes_from_a_fip(tmp_path: Path) -> None:
    """Packages and client in one file, as `hvtui fip create` makes it."""
    guests = paths.machines_dir() / "guests"
    packages = (f"--sp={guests / name}.spkg" for name in ("sp_hello", "sp_irq", "sp_relay"))
    client = f"--part=BL33={guests / 'tfa_client.elf'}"
    assert run_cli(["fip", "create", "--out", str(tmp_path / "m.fip"), *packages, client]) == 0
    vm = '[[vm]]\nname = "bl33"\nel = 2\nram_size = "32M"\nimage = "fip:bl33"\n'
    (tmp_path / "m.toml").write_text(f'[secure]\nfip = "m.fip"\n{vm}')
    bench = Bench(config.load(tmp_path / "m.toml")).run_ms(LONGEST_MS)
    assert bench.console().splitlines()[-1] == f"{TESTS} PASS of {TESTS}"
    assert [each.name for each in bench.system.partitions] == ["bl33", "sp1", "sp2", "sp3"]
