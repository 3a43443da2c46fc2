"""Whatever a guest executes, the engine does not raise, its neighbour runs, and it can be looked at."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.arch.sysreg import SysReg, encode
from engine.board import memory_map
from engine.board.memory_map import RAM_BASE
from engine.build import System
from engine.control import Control
from engine.hypervisor.vm import Vm
from engine.images.image import Segment
from engine.views import RunState, VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import Bench, Guest, machine_config, spin

INSTRUCTIONS = 3000
CODE_WORDS = 64
DEVICES = [
    memory_map.GICD_BASE,
    memory_map.GICR_BASE,
    memory_map.GICR_BASE + 0x1_0000,
    memory_map.UART_BASE,
    memory_map.RTC_BASE,
    0x0B00_0000,
    RAM_BASE,
    RAM_BASE + (4 << 20) - 8,
]

register = st.integers(0, 31)
any_word = st.integers(0, (1 << 32) - 1)
field, number = st.integers(0, 7), st.integers(0, 15)
any_register = st.one_of(
    st.sampled_from([int(key) for key in SysReg]),
    st.builds(encode, st.integers(2, 3), field, number, number, field),
)
system_instruction = st.one_of(
    st.builds(a.mrs, register, any_register),
    st.builds(a.msr, any_register, register),
    st.builds(lambda low: 0xD5080000 | low, st.integers(0, (1 << 19) - 1)),  # SYS: IC, DC, AT, TLBI
    st.builds(lambda low: 0xD5000000 | low, st.integers(0, (1 << 19) - 1)),  # MSR immediate, hints, barriers
    st.builds(lambda kind, immediate: 0xD4000000 | immediate << 5 | kind, st.integers(0, 3), st.integers(0, 0xFFFF)),
    st.sampled_from([a.ERET, a.WFI, a.WFE, a.SEV, a.ISB, a.IC_IALLU, a.TLBI_VMALLE1, a.SPSEL_0, a.UNMASK_IRQ, a.UDF]),
)
load_or_store = st.builds(
    lambda word, group: word & ~0x38000000 | group, any_word, st.sampled_from([0x38000000, 0x28000000, 0x08000000])
)
small_branch = st.builds(lambda distance: 0x14000000 | distance & 0x3FFFFFF, st.integers(-32, 32))
biased_word = st.one_of(system_instruction, system_instruction, load_or_store, small_branch, any_word)
interesting = st.one_of(
    st.sampled_from(DEVICES),
    st.builds(lambda base, offset: base + offset, st.sampled_from(DEVICES), st.integers(0, 0xFFFF)),
    st.sampled_from([0, 1, 0x8400_0000, 0x8400_0003, 0x8400_0009, 0xC400_0003, 0x8000_0001, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
)
registers = st.lists(interesting, min_size=31, max_size=31)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Two VMs: the first is given new code for every example, the second counts for ever."""
    directory = tmp_path_factory.mktemp("random")
    return Bench(machine_config(directory, Guest(Program(a.NOP), vcpus=2), spin(), time_slice_ms=0.1), digest=False)


def give_code(vm: Vm, words: list[int]) -> None:
    """Replace the image, as if the machine file had named another one."""
    code = struct.pack(f"<{len(words)}I", *words)
    segments = (Segment(RAM_BASE, code, len(code)), *vm.images.segments[1:])
    vm.images = msgspec.structs.replace(vm.images, segments=segments)


def survives(bench: Bench, words: list[int], values: list[int]) -> None:
    system, control = bench.system, bench.control
    bench.vm.memory.fill_zero(bench.vm.config.base_pa, bench.vm.config.ram_size)
    give_code(bench.vm, words)
    control.reset("vm0")
    for number, value in enumerate(values):
        bench.vcpu.registers.x[number] = value
    neighbour = system.vms[1].vcpus[0]
    before, start = neighbour.instructions, bench.hypervisor.progress
    control.run_instructions(INSTRUCTIONS)
    look(system, control)
    control.advance(bench.hypervisor.now + 20_000)
    assert system.vms[1].state is VmRunState.RUNNING
    assert neighbour.instructions > before
    assert bench.hypervisor.progress > start
    look(system, control)


def look(system: System, control: Control) -> None:
    """Everything that a front end would show."""
    view = control.view(RunState.PAUSED, "")
    assert len(view.vms) == 2
    for vm in view.vms:
        assert vm.detail.isprintable() or not vm.detail
        for vcpu in vm.vcpus:
            assert control.registers(vm.name, vcpu.index).value("PC") == vcpu.pc
    assert len(control.memory("vm0", 0, RAM_BASE, 256, "ipa")) == 256
    assert control.memory("vm1", 0, RAM_BASE, 8, "ipa") == spin().code
    list(system.vms[0].stage2.leaves())


RANDOM = settings(max_examples=100, suppress_health_check=list(HealthCheck))


@RANDOM
@given(words=st.lists(any_word, min_size=1, max_size=CODE_WORDS), values=registers)
def test_random_words(bench: Bench, words: list[int], values: list[int]) -> None:
    survives(bench, words, values)


@settings(RANDOM, max_examples=200)
@given(words=st.lists(biased_word, min_size=4, max_size=CODE_WORDS), values=registers)
def test_random_system_instructions_and_device_accesses(bench: Bench, words: list[int], values: list[int]) -> None:
    survives(bench, [*words, 0x14000000 | -len(words) & 0x3FFFFFF], values)


@settings(RANDOM, max_examples=50)
@given(words=st.lists(biased_word, min_size=4, max_size=16), values=registers)
def test_random_code_that_handles_its_exceptions(bench: Bench, words: list[int], values: list[int]) -> None:
    """Vectors that skip whatever faulted, so that far more of the code is executed."""
    program = Program().set_register(SysReg.VBAR_EL1, RAM_BASE + 0x800).emit(*words)
    program.emit(0x14000000 | -len(program.words) & 0x3FFFFFF)
    for vector in range(16):
        program.at(0x800 + 0x80 * vector).emit(
            a.mrs(9, SysReg.ELR_EL1), a.add(9, 9, 4), a.msr(SysReg.ELR_EL1, 9), a.ERET
        )
    survives(bench, program.words, values)


def test_the_rest_of_the_machine_is_as_before(tmp_path: Path) -> None:
    """A machine after many crashes of one VM still runs that VM properly."""
    made = Bench(machine_config(tmp_path, Guest(Program(a.NOP)), spin(), time_slice_ms=0.1))
    for _ in range(20):
        survives_crash(made)
    give_code(made.vm, [a.movz(5, 0x1234), 0x14000000])
    made.control.reset("vm0")
    made.run(20_000)
    assert made.x(5) == 0x1234


def survives_crash(made: Bench) -> None:
    give_code(made.vm, [a.UDF])
    made.control.reset("vm0")
    made.run(50_000)
    assert made.vm.state is VmRunState.CRASHED
