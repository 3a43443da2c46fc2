"""Three guests under the FF-A relayer: every check of the client's script passes, in every policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine import config, paths
from engine.events import FfaAnswer, FfaCall
from engine.ffa import lines
from engine.ffa.abi import Function
from engine.ffa.version import Version
from tests.bench.guests import ffa_rounds
from tests.support.machines import Bench

MACHINE = paths.machines_dir() / "ffa-vms.toml"


def run(*overrides: str) -> Bench:
    bench = Bench(config.load(MACHINE, overrides))
    return bench.run_ms(2000)


def verdict(bench: Bench) -> int:
    lines = bench.console().splitlines()
    assert [line for line in lines if line.startswith("FAIL")] == []
    (found,) = [line for line in lines if re.fullmatch(r"ALL \d+ PASSED", line)]
    assert int(found.split()[1]) == sum(line.startswith("PASS ") for line in lines)
    return int(found.split()[1])


@pytest.mark.parametrize("overrides", [(), ("board.cores=2",), ("board.cores=4", "board.time_slice_ms=10")])
def test_every_check_passes(overrides: tuple[str, ...]) -> None:
    assert verdict(run(*overrides)) >= 423


@pytest.mark.parametrize("overrides", [(), ("ffa.allow_donate=false",)])
def test_all_numbered_checks_are_there_and_pass(overrides: tuple[str, ...]) -> None:
    """`test_ffa 1` to `test_ffa 55`: machines/guests/ffa/numbered.c has them in this order."""
    said = re.findall(r"^(PASS|FAIL) test_ffa (\d+) ", run(*overrides).console(), re.MULTILINE)
    assert {int(number) for _, number in said} == set(range(1, 56))
    assert {verdict for verdict, _ in said} == {"PASS"}


@pytest.mark.parametrize(("version", "vm"), [("1.0", "vm1"), ("1.1", "vm2")])
def test_guests_of_older_versions_share_and_are_refused_what_is_newer(version: str, vm: str) -> None:
    bench = run()
    said = bench.console().splitlines()
    assert f"PASS v{version}: what v1.2 brought is not there" in said
    assert f"PASS v1.2 reads what v{version} wrote" in said
    calls = [event for event in bench.events() if isinstance(event, FfaCall)]
    words = [event.args[1] for event in calls if event.vm == vm and event.args[0] == Function.VERSION]
    assert Version(*map(int, version.split("."))).pack() in words
    made = {event.args[0] for event in calls if event.vm == vm}
    assert made >= {Function.MSG_SEND_DIRECT_RESP2, Function.MSG_SEND_DIRECT_RESP_32, Function.MSG_SEND_DIRECT_RESP_64}


def test_without_donations() -> None:
    assert verdict(run("ffa.allow_donate=false")) >= 409


def test_an_owner_that_may_write_what_it_shares() -> None:
    overrides = ("ffa.owner_access_on_share=read-write", "vm0.bootargs=role=client owner_writes=1")
    assert verdict(run(*overrides)) >= 423


def test_two_runs_are_the_same_and_leave_nothing_behind() -> None:
    first, second = run(), run()
    assert first.digest() == second.digest()
    assert first.system.ffa is not None
    assert not first.system.ffa.relay.table.records
    assert not first.system.ffa.relay.table.reserved


@pytest.mark.parametrize("mode", ["version", "share pages=1", "share pages=512"])
def test_every_measurement_of_calls_ends(tmp_path: Path, mode: str) -> None:
    """All rounds succeed, or the guest's verdict is another one."""
    assert ffa_rounds(tmp_path, mode, 3, runs=1).instructions > 0


def test_every_call_is_an_event() -> None:
    events = run().events()
    calls = [event for event in events if isinstance(event, FfaCall)]
    told = [lines.describe_call(call.args, call.sent, call.version) for call in calls]
    answered = [(call, lines.describe_answer(call.args[0], call.result)) for call in calls if call.result]
    assert any("1 -> 2 pages 300" in line for line in told)
    assert any(text.startswith("SUCCESS_32 handle 0x80000000") for _, text in answered)
    assert all(call.reason for call, text in answered if text.startswith("ERROR"))
    waits = len(calls) - len(answered)
    assert waits >= sum(isinstance(event, FfaAnswer) for event in events) > 100
