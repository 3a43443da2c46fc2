"""What a debugger changes takes effect, is recorded, and is the same in a replay."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from engine import config, paths
from engine.arch.controls import PSTATE_DAIF, PSTATE_EL0T, PSTATE_EL1H
from engine.board.memory_map import RAM_BASE
from engine.build import build
from engine.control import Control, ControlError
from engine.events import HostInput
from engine.views import VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, RAM_SIZE, Bench, machine_config, spin, tiny

EL1T = PSTATE_EL1H & ~1


def test_registers_are_what_the_guest_runs_on_with(tmp_path: Path) -> None:
    program = spin().at(0x100).emit(a.mov(5, 7), a.add(6, a.SP, 0)).loop()
    bench = tiny(tmp_path, program).run(7)
    for name, value in (("x7", 1 << 63), ("SP", 0x9000), ("pc", RAM_BASE + 0x100), ("tpidr_el1", 77), ("X30", 3)):
        bench.control.write_register("vm0", 0, name, value)
    bench.run(2)
    assert (bench.x(5), bench.x(6), bench.x(30)) == (1 << 63, 0x9000, 3)
    assert bench.control.evaluate("vm0", 0, "tpidr_el1") == 77
    assert [event.kind for event in bench.control.inputs] == ["register"] * 5


def test_the_stack_pointer_goes_with_the_mode(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin()).run(1)
    write = bench.control.write_register
    write("vm0", 0, "SP", 0x1000)
    write("vm0", 0, "SP_EL0", 0x2000)
    write("vm0", 0, "PSTATE", EL1T | 1 << 30)
    assert bench.control.evaluate("vm0", 0, "sp == 0x2000 && sp_el1 == 0x1000") == 1
    write("vm0", 0, "SP_EL0", 0x3000)
    write("vm0", 0, "PSTATE", PSTATE_EL0T)
    assert bench.control.evaluate("vm0", 0, "sp == 0x3000 && el == 0 && sp_el1 == 0x1000") == 1


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("x31", 0, "expected X0 to X30, SP, PC, PSTATE or a plain EL1 register (got 'X31')"),
        ("w3", 0, "expected X0 to X30, SP, PC, PSTATE or a plain EL1 register (got 'W3')"),
        ("hcr_el2", 0, "expected X0 to X30, SP, PC, PSTATE or a plain EL1 register (got 'HCR_EL2')"),
        ("x0", 1 << 64, "expected a 64-bit value for X0 (got 0x10000000000000000)"),
        ("x0", -1, "expected a 64-bit value for X0 (got -0x1)"),
        ("pc", 2, "expected a multiple of 4 for PC (got 0x2)"),
        (
            "pstate",
            PSTATE_DAIF | 9,
            "expected flags, interrupt masks and a mode of 0x0, 0x4, 0x5 for PSTATE (got 0x3c9)",
        ),
        ("pstate", 0x10, "expected flags, interrupt masks and a mode of 0x0, 0x4, 0x5 for PSTATE (got 0x10)"),
        (
            "pstate",
            1 << 21 | 5,
            "expected flags, interrupt masks and a mode of 0x0, 0x4, 0x5 for PSTATE (got 0x200005)",
        ),
    ],
)
def test_registers_that_cannot_be_written(tmp_path: Path, name: str, value: int, problem: str) -> None:
    bench = tiny(tmp_path, spin())
    before = bench.digest()
    with pytest.raises(ControlError) as caught:
        bench.control.write_register("vm0", 0, name, value)
    assert str(caught.value) == problem
    assert (bench.digest(), bench.control.inputs) == (before, [])


@pytest.mark.parametrize(("space", "base"), [("va", RAM_BASE), ("ipa", RAM_BASE), ("pa", RAM_BASE + RAM_SIZE)])
def test_code_that_is_written_runs_at_once(tmp_path: Path, space: str, base: int) -> None:
    bench = tiny(tmp_path, spin(), spin()).run(1000)
    bench.control.step("vm1", 0)
    bench.control.step("vm1", 0)
    bench.control.write_memory("vm1", 0, base, struct.pack("<I", a.add(9, 9, 1)), space)
    for _ in range(4):
        bench.control.step("vm1", 0)
    assert (bench.x(9, vm=1), bench.x(9)) == (2, 0)


def test_memory_across_pages(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    data = bytes(n & 0xFF for n in range(4096))
    bench.control.write_memory("vm0", 0, DATA + 0x801, data)
    assert bench.control.memory("vm0", 0, DATA + 0x800, 4098) == b"\0" + data + b"\0"


@pytest.mark.parametrize(
    ("address", "size", "space", "problem"),
    [
        (DATA, 0, "va", "expected 1 to 4096 bytes (got 0)"),
        (DATA, 4097, "va", "expected 1 to 4096 bytes (got 4097)"),
        (RAM_BASE + RAM_SIZE - 4, 8, "ipa", f"there is no RAM at ipa {RAM_BASE + RAM_SIZE:#x}"),
        (0x0900_0000, 4, "va", "there is no RAM at va 0x9000000"),
        (0x0900_0000, 4, "pa", "there is no RAM at pa 0x9000000"),
        (-1, 4, "pa", "expected a 64-bit address (got -0x1)"),
        (DATA, 4, "xa", "expected the address space va, ipa or pa (got 'xa')"),
    ],
)
def test_memory_that_cannot_be_written(tmp_path: Path, address: int, size: int, space: str, problem: str) -> None:
    bench = tiny(tmp_path, spin())
    before = bench.control.memory("vm0", 0, RAM_BASE + RAM_SIZE - 64, 64)
    with pytest.raises(ControlError) as caught:
        bench.control.write_memory("vm0", 0, address, b"x" * size, space)
    assert str(caught.value) == problem
    assert bench.control.memory("vm0", 0, RAM_BASE + RAM_SIZE - 64, 64) == before
    assert bench.control.inputs == []


def test_powering_off(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin(), spin()).run(100)
    bench.control.power_off("vm0")
    assert (bench.vm.state, bench.vm.detail) == (VmRunState.OFF, "powered off")
    with pytest.raises(ControlError, match=r"^vm0 is off already$"):
        bench.control.power_off("vm0")
    bench.run(100)
    bench.control.reset("vm0")
    assert bench.vm.state is VmRunState.RUNNING


def test_a_replay_of_it_all_is_the_same(tmp_path: Path) -> None:
    counter = Program().constant(1, DATA).label("again").emit(a.ldr(2, 1), a.add(2, 2, 1), a.str_(2, 1)).b("again")
    machine = machine_config(tmp_path, counter, counter, time_slice_ms=1)
    first = Bench(machine).run(777)
    first.control.write_memory("vm1", 0, DATA, struct.pack("<Q", 1 << 40))
    first.run(12_345)
    first.control.write_register("vm0", 0, "X2", 5)
    first.control.write_memory("vm0", 0, RAM_BASE + 8, struct.pack("<I", a.add(2, 2, 2)), "ipa")
    first.run(2_345_678)
    first.control.power_off("vm1")
    first.run(1000)
    again = Bench(machine)
    again.control.replay(first.control.inputs)
    again.run(1000)
    assert again.control.inputs == first.control.inputs
    assert again.word(DATA, vm=1) == first.word(DATA, vm=1) > 1 << 40
    assert again.digest() == first.digest()


@pytest.mark.parametrize("kind", ["", "read va", "offset"])
def test_a_replay_leaves_no_input_out(tmp_path: Path, kind: str) -> None:
    bench = tiny(tmp_path, spin())
    with pytest.raises(ControlError, match=f"^expected an input that can be given again .got '{kind}'.$"):
        bench.control.replay([HostInput(0, "vm0", 0, kind, b"", 0, 0)])


def test_secure_partitions_are_open_to_the_debugger() -> None:
    def run(control: Control) -> Control:
        control.advance(control.system.hypervisor.cycles_of_ns(350_000_000))
        return control

    machine = config.load(paths.machines_dir() / "ffa.toml")
    control = Control(build(machine, digest=True))
    control.advance(control.system.hypervisor.cycles_of_ns(50_000_000))
    end = control.vm("sp_hello").ram_base + control.vm("sp_hello").ram_size
    control.write_memory("sp_hello", 0, end - 16, b"seen", "va")
    control.write_register("sp_hello", 0, "x20", 20)
    assert control.memory("sp_hello", 0, end - 16, 4, "pa") == b"seen"
    with pytest.raises(ControlError, match=r"there is no RAM at pa"):
        control.write_memory("vm0", 0, end - 16, b"seen", "pa")
    with pytest.raises(ControlError, match=r"^sp_hello is secure"):
        control.power_off("sp_hello")
    again = Control(build(machine, digest=True))
    again.replay(control.inputs)
    assert run(again).digest() == run(control).digest()
