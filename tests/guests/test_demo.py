"""The default machine: two guests that print, tick, interrupt each other's vCPUs and echo what is typed."""

from __future__ import annotations

import re

import pytest

from engine import config, paths
from engine.views import VmRunState
from tests.support.machines import Bench

SECOND = 1000


@pytest.fixture(scope="module")
def two_vms() -> Bench:
    """Three virtual seconds of it, with a line typed to each guest after the first."""
    bench = Bench(config.load(paths.machines_dir() / "two-vms.toml"))
    bench.run_ms(1.5 * SECOND)
    bench.control.type("vm0", b"hello there\r")
    bench.control.type("vm1", b"abX\x7fc\n")
    return bench.run_ms(3.5 * SECOND)


@pytest.mark.parametrize("vm", [0, 1])
def test_a_banner_with_what_the_machine_file_says(two_vms: Bench, vm: int) -> None:
    text = two_vms.console(vm)
    base = 0x48000000 if vm == 0 else 0x68000000
    assert f"[vm{vm}] Hello! I am vm{vm}, a small program on a virtual Arm machine." in text
    assert f"[vm{vm}] CurrentEL: EL1   vCPUs: 2   RAM: 32 MB at {base:#x}" in text
    assert f"[vm{vm}] cpu1 is up, context id 0x1234" in text


@pytest.mark.parametrize("vm", [0, 1])
def test_a_tick_a_second_and_an_interrupt_to_the_other_vcpu(two_vms: Bench, vm: int) -> None:
    text = two_vms.console(vm)
    assert re.findall(r"tick (\d+) at (\d+)\.000 s, cpu0 -> cpu1 IPI (\d+)", text) == [
        (str(n), str(n), str(n)) for n in (1, 2, 3)
    ]
    assert re.findall(r"cpu1 got IPI (\d+)", text) == ["1", "2", "3"]


def test_what_is_typed_is_answered_by_the_guest_it_was_typed_to(two_vms: Bench) -> None:
    assert "[vm0] you typed: hello there\n" in two_vms.console(0)
    assert "[vm1] you typed: abc\n" in two_vms.console(1)
    assert "you typed" not in two_vms.console(0).replace("you typed: hello there", "")


def test_idle_guests_cost_few_instructions(two_vms: Bench) -> None:
    assert two_vms.hypervisor.progress < 2_000_000
    assert all(vm.state is VmRunState.RUNNING for vm in two_vms.system.vms)


def test_symbols_name_where_it_waits(two_vms: Bench) -> None:
    symbol = two_vms.vm.images.symbols.lookup(two_vms.vcpu.registers.pc)
    assert re.match(r"\w+(\+0x[0-9a-f]+)?$", symbol)


def test_an_injected_interrupt_reaches_the_guest() -> None:
    """The guest's SGI handler of vCPU 1 prints: an injected SGI makes it do so without vCPU 0."""
    bench = Bench(config.load(paths.machines_dir() / "two-vms.toml")).run_ms(500)
    assert "got IPI" not in bench.console(1)
    bench.control.inject("vm1", 1, 1)
    assert "cpu1 got IPI 0" in bench.run_ms(600).console(1)
    assert "got IPI" not in bench.console(0)


def test_a_reset_vm_starts_over_and_the_other_goes_on() -> None:
    bench = Bench(config.load(paths.machines_dir() / "two-vms.toml")).run_ms(1100)
    bench.control.reset("vm0")
    bench.run_ms(2200)
    assert bench.console(0).count("Hello!") == 2
    assert re.findall(r"tick (\d+) at", bench.console(0)) == ["1", "1"]
    assert re.findall(r"tick (\d+) at", bench.console(1)) == ["1", "2"]
