"""A payload that owns EL2: its own vectors, devices without a stage 2, interrupts at EL2, and SMCs to EL3."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.psci import Function
from engine.arch.sysreg import SysReg
from engine.board import memory_map
from engine.board.memory_map import RAM_BASE
from engine.views import VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Bench, Guest, enable_interrupts, machine_config, store_result, tiny

VECTORS = 0x1000
CURRENT_SPX, IRQ = 0x200, 0x280


def payload(tmp_path: Path, program: Program, cycles: int = 20_000) -> Bench:
    return tiny(tmp_path, Guest(program.loop(), el=2)).run(cycles)


def with_vectors(program: Program) -> Program:
    return program.set_register(SysReg.VBAR_EL2, RAM_BASE + VECTORS)


def test_starts_at_el2_with_the_device_tree(tmp_path: Path) -> None:
    program = store_result(Program().emit(a.mov(1, 0), a.mrs(2, SysReg.CURRENTEL)), 2, 0)
    store_result(program, 1, 1)
    bench = payload(tmp_path, program)
    assert bench.words(DATA, 2) == [2 << 2, bench.system.vms[0].images.dtb]


def test_devices_answer_without_a_stage_2(tmp_path: Path) -> None:
    program = Program().constant(8, memory_map.UART_BASE).constant(9, ord("!")).emit(a.str32(9, 8))
    store_result(program.emit(a.ldr32(3, 8, 0x18)), 3, 0)
    bench = payload(tmp_path, program)
    assert bench.console() == "!"
    assert bench.word(DATA) == 0x90


def test_what_nothing_answers_is_an_external_abort_at_el2(tmp_path: Path) -> None:
    """Secure RAM is nothing to the normal world (Arm ARM D7.4, EC 0x25, DFSC 0b010000)."""
    program = with_vectors(Program()).constant(8, memory_map.SPMC_BASE).emit(a.ldr(3, 8)).loop()
    program.at(VECTORS + CURRENT_SPX).emit(a.mrs(4, SysReg.ESR_EL2), a.mrs(5, SysReg.FAR_EL2))
    store_result(program, 4, 0)
    store_result(program, 5, 1)
    bench = payload(tmp_path, program)
    assert bench.words(DATA, 2) == [0x25 << 26 | 1 << 25 | 0x10, memory_map.SPMC_BASE]


@pytest.mark.parametrize(("instruction", "ec"), [(a.svc(7), 0x15), (a.hvc(7), 0x16), (a.UDF, 0)])
def test_its_exceptions_go_to_its_own_vectors(tmp_path: Path, instruction: int, ec: int) -> None:
    program = with_vectors(Program()).emit(instruction).loop()
    program.at(VECTORS + CURRENT_SPX).emit(a.mrs(4, SysReg.ESR_EL2))
    bench = payload(tmp_path, store_result(program, 4, 0))
    assert bench.word(DATA) == ec << 26 | 1 << 25 | (7 if ec else 0)


def test_smc_reaches_el3(tmp_path: Path) -> None:
    program = store_result(Program().call(Function.VERSION, conduit=a.smc()), 0, 0)
    bench = payload(tmp_path, store_result(program.call(0xC400_00FF, conduit=a.smc()), 0, 1))
    assert bench.words(DATA, 2) == [0x0001_0001, (1 << 64) - 1]


def test_system_off(tmp_path: Path) -> None:
    bench = payload(tmp_path, Program().call(Function.SYSTEM_OFF, conduit=a.smc()))
    assert bench.vm.state is VmRunState.OFF


def hypervisor_timer(*, unmask: int) -> Program:
    """The EL2 timer interrupts after 1,000 ticks; then `unmask` loops go by before PSTATE.I is cleared."""
    program = enable_interrupts(with_vectors(Program()), 26)
    program.constant(1, 1000).emit(a.msr(SysReg.CNTHP_TVAL_EL2, 1)).constant(1, 1)
    program.emit(a.msr(SysReg.CNTHP_CTL_EL2, 1)).constant(2, unmask)
    program.label("wait").emit(a.subs(2, 2, 1)).b_cond(a.NE, "wait").emit(a.UNMASK_IRQ).loop()
    program.at(VECTORS + IRQ).emit(a.mrs(4, SysReg.ICC_IAR1_EL1), a.mrs(5, SysReg.CNTPCT_EL0))
    store_result(program, 4, 0)
    return store_result(program, 5, 1)


def test_its_timer_interrupts_at_el2(tmp_path: Path) -> None:
    bench = payload(tmp_path, hypervisor_timer(unmask=1))
    intid, when = bench.words(DATA, 2)
    assert intid == 26
    assert 1000 <= when < 1100


def test_an_interrupt_waits_until_it_is_unmasked(tmp_path: Path) -> None:
    bench = payload(tmp_path, hypervisor_timer(unmask=2000))
    intid, when = bench.words(DATA, 2)
    assert intid == 26
    assert 4000 <= when < 4000 + 512


def test_where_somebody_stops_changes_nothing(tmp_path: Path) -> None:
    """Masked interrupts are looked at again at fixed cycles only."""
    whole = payload(tmp_path, hypervisor_timer(unmask=2000), 8000)
    pieces = tiny(tmp_path, Guest(hypervisor_timer(unmask=2000).loop(), el=2))
    for _ in range(80):
        pieces.run(100)
    assert pieces.digest() == whole.digest()


def self_interrupted() -> Program:
    """It sends itself SGI 9 while interrupts are masked, unmasks them a little later, and counts in x2 for ever."""
    program = enable_interrupts(with_vectors(Program()), 9)
    program.set_register(SysReg.ICC_SGI1R_EL1, 9 << 24 | 1).constant(2, 20)
    program.label("wait").emit(a.subs(2, 2, 1)).b_cond(a.NE, "wait").emit(a.UNMASK_IRQ)
    program.label("count").emit(a.add(2, 2, 1)).b("count")
    program.at(VECTORS + IRQ).emit(a.mrs(4, SysReg.ICC_IAR1_EL1))
    store_result(program, 4, 0)
    return store_result(program, 2, 1).loop()


def test_an_interrupt_from_within_a_slice_is_taken_soon(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Guest(self_interrupted(), el=2)).run(20_000)
    intid, count = bench.words(DATA, 2)
    assert intid == 9
    assert count <= 256
    pieces = tiny(tmp_path, Guest(self_interrupted(), el=2))
    for _ in range(2000):
        pieces.run(10)
    assert pieces.digest() == bench.digest()


def test_wfi_waits_for_the_timer(tmp_path: Path) -> None:
    program = enable_interrupts(Program(), 26)
    program.constant(1, 1_000_000).emit(a.msr(SysReg.CNTHP_TVAL_EL2, 1)).constant(1, 1)
    program.emit(a.msr(SysReg.CNTHP_CTL_EL2, 1), a.WFI, a.mrs(5, SysReg.CNTPCT_EL0))
    bench = payload(tmp_path, store_result(program, 5, 0), 1000)
    assert bench.word(DATA) >= 1_000_000


def test_el1_under_the_payload(tmp_path: Path) -> None:
    """ERET to EL1; its HVC comes to EL2, through the vector for a lower level."""
    program = with_vectors(Program()).set_register(SysReg.HCR_EL2, 1 << 31).set_register(SysReg.SPSR_EL2, 0x3C5)
    program.set_register(SysReg.ELR_EL2, RAM_BASE + 0x800).emit(a.ERET)
    program.at(0x800).emit(a.hvc(5)).loop()
    program.at(VECTORS + 0x400).emit(a.mrs(4, SysReg.ESR_EL2), a.mrs(5, SysReg.SPSR_EL2))
    store_result(program, 4, 0)
    bench = payload(tmp_path, store_result(program, 5, 1))
    assert bench.words(DATA, 2) == [0x16 << 26 | 1 << 25 | 5, 0x3C5]


def test_it_has_the_normal_world_to_itself(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"vm\[0\].el: expected 1 where there are several VMs"):
        machine_config(tmp_path, Guest(Program().loop(), el=2), Guest(Program().loop()))
