"""Breakpoints stop exactly, every time, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import config, paths
from engine.board.memory_map import RAM_BASE
from engine.build import build
from engine.control import Control, ControlError
from engine.hypervisor.virtual_time import NO_LIMIT
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import Guest, tiny


def counting() -> Program:
    """x1 and x2 count rounds of four instructions for ever, from RAM_BASE on."""
    return Program().label("start").emit(a.add(1, 1, 1), a.add(2, 2, 1), a.NOP).b("start")


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5, 7, 1000])
def test_it_stops_before_the_instruction_each_time_round(tmp_path: Path, chunk: int) -> None:
    """However slices fall: also where one ends right before the place."""
    bench = tiny(tmp_path, counting())
    bench.control.add_breakpoint("vm0", RAM_BASE + 4)
    hypervisor = bench.system.hypervisor
    stops = []
    for _ in range(40):
        limit = hypervisor.progress + chunk
        hypervisor.halted = ""
        hypervisor.stop_requested = False
        hypervisor.advance(NO_LIMIT, limit)
        if hypervisor.halted:
            registers = bench.vcpu.registers
            stops.append((hypervisor.progress, registers.pc - RAM_BASE, registers.x[1] - registers.x[2]))
    assert stops == [(1 + 4 * n, 4, 1) for n in range(len(stops))]
    assert len(stops) >= (hypervisor.progress - 1) // 4 > 6


def test_hits_are_counted_and_a_removed_one_is_forgotten(tmp_path: Path) -> None:
    bench = tiny(tmp_path, counting())
    first = bench.control.add_breakpoint("vm0", RAM_BASE)
    second = bench.control.add_breakpoint("vm0", RAM_BASE + 8)
    stops = [bench.control.run_on(NO_LIMIT) for _ in range(4)]
    names = [f"breakpoint 1: vm0/0 at {RAM_BASE:#x}", f"breakpoint 2: vm0/0 at {RAM_BASE + 8:#x}"]
    assert stops == names * 2
    bench.control.remove_breakpoint(1)
    assert bench.control.run_on(NO_LIMIT) == names[1]
    assert (first.hits, second.hits) == (2, 3)
    bench.control.remove_breakpoint(2)
    assert bench.control.run_on(bench.system.hypervisor.now + 1000) == ""
    with pytest.raises(ControlError, match=r"^there is no breakpoint 2 \(set: none\)$"):
        bench.control.remove_breakpoint(2)


def test_a_step_goes_over_it(tmp_path: Path) -> None:
    bench = tiny(tmp_path, counting())
    bench.control.add_breakpoint("vm0", RAM_BASE)
    bench.control.step("vm0", 0)
    assert bench.vcpu.registers.pc == RAM_BASE + 4
    assert bench.control.run_on(NO_LIMIT).startswith("breakpoint 1")
    assert bench.vcpu.registers.x[1] == 1


def test_only_its_own_partition_stops(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Guest(counting()), Guest(counting()))
    bench.control.add_breakpoint("vm1", RAM_BASE + 4)
    assert bench.control.run_on(NO_LIMIT) == f"breakpoint 1: vm1/0 at {RAM_BASE + 4:#x}"


@pytest.mark.parametrize("address", [-4, 2, 1 << 64])
def test_addresses_that_no_instruction_has(tmp_path: Path, address: int) -> None:
    with pytest.raises(ControlError, match=r"^expected the address of an instruction"):
        tiny(tmp_path, counting()).control.add_breakpoint("vm0", address)


def _run(breakpoints: bool) -> tuple[str, int]:
    """Digest of a second of two guests with two vCPUs each, and how often a breakpoint held them."""
    control = Control(build(config.load(paths.machines_dir() / "two-vms.toml"), digest=True))
    end = control.system.hypervisor.cycles_of_ns(1_100_000_000)
    held = 0
    if breakpoints:
        for vm in control.system.vms:
            address = vm.images.symbols.address("dispatch_irq")
            assert address is not None
            control.add_breakpoint(vm.name, address)
    while control.run_on(end):
        held += 1
    return control.digest(), held


def test_guests_do_not_notice() -> None:
    plain, _ = _run(breakpoints=False)
    digest, held = _run(breakpoints=True)
    assert held > 2
    assert digest == plain


@pytest.mark.parametrize(
    ("text", "address"),
    [("0x40001000", 0x4000_1000), ("64", 64), ("guest_main", None), (" guest_main + 0x10", None)],
)
def test_places_by_name(text: str, address: int | None) -> None:
    control = Control(build(config.load(paths.machines_dir() / "two-vms.toml")))
    main = control.system.vms[0].images.symbols.address("guest_main")
    assert main is not None
    assert control.address("vm0", text) == (address if address is not None else main + (0x10 if "+" in text else 0))


@pytest.mark.parametrize("text", ["", "nobody", "guest_main+x", "+4", "0x"])
def test_what_names_no_place(text: str) -> None:
    control = Control(build(config.load(paths.machines_dir() / "two-vms.toml")))
    with pytest.raises(ControlError, match=r"^expected an address, or a symbol of vm0 \(got "):
        control.add_breakpoint("vm0", text)
