"""Views of a system that stands still: right for vCPUs that are on an engine and for those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import observe
from engine.arch.esr import EC
from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE
from engine.errors import MachineError
from engine.events import ExceptionInjected
from engine.views import RunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, RAM_SIZE, Guest, spin, start_vcpu, tiny

UNMAPPED = 0x2000_0000
SECOND = 0x400
"""Offset of the second vCPU's code."""


def test_registers_are_the_vcpus_own_whoever_is_loaded(tmp_path: Path) -> None:
    program = start_vcpu(Program(), 1, SECOND).constant(5, 0x1111).loop()
    program.at(SECOND).constant(5, 0x2222).loop()
    bench = tiny(tmp_path, Guest(program, vcpus=2))
    bench.control.advance(20_000_000)
    values = {n: bench.control.registers("vm0", n).value("X5") for n in (0, 1, 0)}
    assert values == {0: 0x1111, 1: 0x2222}


def test_looking_changes_nothing(tmp_path: Path) -> None:
    digests = []
    for looks in (0, 5):
        bench = tiny(tmp_path, spin())
        for _ in range(5):
            bench.control.run_instructions(10_001)
            for _ in range(looks):
                bench.control.view(RunState.PAUSED, "")
                bench.control.registers("vm0", 0)
                bench.control.memory("vm0", 0, RAM_BASE, 64)
        digests.append(bench.control.digest())
    assert digests[0] == digests[1]


@pytest.mark.parametrize("space", ["va", "ipa", "pa"])
def test_memory_in_every_address_space(tmp_path: Path, space: str) -> None:
    bench = tiny(tmp_path, spin())
    assert bench.control.memory("vm0", 0, RAM_BASE, 8, space) == spin().code[:8].ljust(8, b"\0")


def test_an_ipa_is_not_a_physical_address(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin(), Program().constant(1, 0x77).loop())
    second = bench.control.memory("vm1", 0, RAM_BASE, 16, "ipa")
    assert second == bench.control.memory("vm0", 0, RAM_BASE + RAM_SIZE, 16, "pa")
    assert second != bench.control.memory("vm0", 0, RAM_BASE, 16, "ipa")


@pytest.mark.parametrize(
    ("address", "size", "space", "expected"),
    [
        (UNMAPPED, 4, "va", "nothing is mapped at va 0x20000000"),
        (UNMAPPED, 4, "ipa", "nothing is mapped at ipa 0x20000000"),
        (1 << 63, 4, "ipa", "nothing is mapped at ipa"),
        (UNMAPPED, 4, "pa", "nothing is mapped at pa 0x20000000"),
        (RAM_BASE + RAM_SIZE - 2, 4, "ipa", "nothing is mapped at ipa 0x40400000"),
        (RAM_BASE, observe.LONGEST_READ + 1, "ipa", "expected a size"),
        (RAM_BASE, -1, "ipa", "expected a size"),
        (RAM_BASE, 4, "bus", "expected the address space"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, address: int, size: int, space: str, expected: str) -> None:
    bench = tiny(tmp_path, spin())
    with pytest.raises(MachineError, match=expected):
        bench.control.memory("vm0", 0, address, size, space)


def test_dc_zva_clears_its_block_although_it_is_trapped(tmp_path: Path) -> None:
    program = Program().constant(1, DATA).constant(2, 0xFFFF)
    program.emit(*(a.str_(2, 1, 8 * n) for n in range(17))).emit(a.dc_zva(1)).loop()
    bench = tiny(tmp_path, program)
    bench.control.run_instructions(100)
    expected = bytes(64) + (0xFFFF).to_bytes(8, "little") * 9
    assert bench.control.memory("vm0", 0, DATA, len(expected), "ipa") == expected


def test_dc_zva_on_nothing_is_an_abort_at_the_instruction(tmp_path: Path) -> None:
    program = Program().set_register(SysReg.VBAR_EL1, DATA).constant(1, UNMAPPED).label("zva").emit(a.dc_zva(1)).loop()
    bench = tiny(tmp_path, program)
    bench.control.run_instructions(30)
    aborts = [event for event in bench.control.system.events.since(0) if isinstance(event, ExceptionInjected)]
    assert aborts[0].esr >> 26 == EC.DATA_ABORT_SAME
    assert aborts[0].far == UNMAPPED
    assert aborts[0].pc == RAM_BASE + program.offset("zva")
