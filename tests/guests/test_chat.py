"""Two VMs and three secure partitions talk for ever: every kind of conversation, and nothing refused."""

from __future__ import annotations

import re

import pytest

from engine import config, paths
from tests.support.machines import Bench

MACHINE = paths.machines_dir() / "ffa.toml"
MS = 40_000
"""Long enough for every scene of both VMs."""
SAID = (
    r"I am partition 0x000{n} of 5; press \? for keys",
    r"I say 0x(\w+) to sp_hello: it answers 0x\w+",
    r"{peer} has said \d+ lines",
    r"{peer} asks how much I say",
    r"I shared a page with sp_hello: it wrote 0xcafeface",
    r"I shared a page with {peer}: it wrote 0x\w+",
    r"{peer} shares a page with me: I write 0x\w+",
    r"sp_irq waits for its timer: interrupt 29",
    r"sp_relay asks sp_hello for me: 0x\w+",
    r"my page is lent to sp_irq: I cannot read it",
    r"I have it back from sp_irq: it wrote 0xcafeface",
    r"I ring {peer}",
    r"{peer} rings",
    r"sp_hello rings",
    r"I write to {peer}: good day",
    r"{peer} writes: good day",
    r"I write to sp_relay: good day",
    r"sp_irq tries to read my page: it cannot",
    r"sp_hello shares with sp_irq: it read 0xface0001",
)


def talk(*overrides: str) -> Bench:
    return Bench(config.load(MACHINE, overrides)).run_ms(MS)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return talk()


@pytest.mark.parametrize("vm", [0, 1])
@pytest.mark.parametrize("cores", [1, 2, 4])
def test_every_conversation_takes_place(bench: Bench, vm: int, cores: int) -> None:
    text = (bench if cores == 1 else talk(f"board.cores={cores}")).console(vm)
    for line in SAID:
        assert re.search(rf"^\[vm{vm}\] {line.format(n=vm + 1, peer=f'vm{1 - vm}')}$", text, re.MULTILINE), line
    assert "error" not in text


def test_what_two_sides_say_agrees(bench: Bench) -> None:
    for vm in (0, 1):
        written = re.findall(r"shares a page with me: I write (0x\w+)", bench.console(vm))
        read = re.findall(rf"I shared a page with vm{vm}: it wrote (0x\w+)", bench.console(1 - vm))
        assert written == read
        assert len(set(written)) > 1


def test_they_take_their_time(bench: Bench) -> None:
    """A line or two a second from each VM."""
    for vm in (0, 1):
        assert MS // 2000 < len(bench.console(vm).splitlines()) < MS // 400


def test_keys_choose_a_scene() -> None:
    bench = Bench(config.load(MACHINE)).run_ms(10)
    bench.control.type("vm1", b" ")
    bench.run_ms(20)
    assert bench.console(1).endswith("I am quiet until you press the space bar again\n")
    bench.control.type("vm1", b"3")
    bench.run_ms(30)
    assert bench.console(1).endswith("I shared a page with sp_hello: it wrote 0xcafeface\n")
    bench.control.type("vm1", b"?")
    bench.run_ms(40)
    assert bench.console(1).endswith("  space bar: quiet\n")
    bench.control.type("vm1", b" ")
    bench.run_ms(2000)
    assert "I say " in bench.console(1).rpartition("I talk again")[2]


def test_two_runs_are_the_same(bench: Bench) -> None:
    other = Bench(config.load(MACHINE))
    for ms in range(7, MS, 7):
        other.run_ms(ms)
    assert other.run_ms(MS).digest() == bench.digest()
