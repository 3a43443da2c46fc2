"""Virtual time and who gets it, seen from tiny guests."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE
from engine.cpu.timer import TimerPpi
from engine.events import Switch
from engine.views import VcpuState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import (
    DATA,
    Bench,
    Guest,
    enable_interrupts,
    spin,
    start_vcpu,
    store_result,
    tiny,
)

MS = 62_500
"""Cycles of a millisecond at one cycle a tick."""
SLICE = 10 * MS


def switches(bench: Bench) -> list[tuple[int, str]]:
    return [(event.cycle, f"{event.vm}/{event.vcpu}") for event in bench.events() if isinstance(event, Switch)]


def smp_spin(vcpus: int) -> Program:
    """Every vCPU counts in its own x0."""
    program = Program()
    for vcpu in range(1, vcpus):
        start_vcpu(program, vcpu, 0x800)
    return program.constant(0, 0).b("spin").at(0x800).label("spin").emit(a.add(0, 0, 1)).b("spin")


# --- one core ----------------------------------------------------------------------------------------


def test_vms_take_turns_and_in_each_its_vcpus(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Guest(smp_spin(2), vcpus=2), spin(), Guest(smp_spin(2), vcpus=2)).run_ms(150)
    order = [name for _, name in switches(bench)]
    assert order[:3] == ["vm0/0", "vm1/0", "vm2/0"]
    assert order[3:12] == ["vm0/1", "vm1/0", "vm2/1", "vm0/0", "vm1/0", "vm2/0", "vm0/1", "vm1/0", "vm2/1"]


@pytest.mark.parametrize("cycles_per_tick", [1, 3])
@pytest.mark.parametrize("slice_ms", [10, 0.5])
def test_preemption_comes_at_the_end_of_the_slice_to_the_instruction(
    tmp_path: Path, cycles_per_tick: int, slice_ms: float
) -> None:
    bench = tiny(tmp_path, spin(), spin(), cycles_per_tick=cycles_per_tick, time_slice_ms=slice_ms)
    bench.run_ms(8 * slice_ms)
    times = [cycle for cycle, _ in switches(bench)]
    assert times == [n * int(slice_ms * MS * cycles_per_tick) for n in range(len(times))]
    assert len(times) == 8


def test_time_is_shared_fairly(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin(), spin()).run_ms(200)
    counts = [vm.vcpus[0].instructions for vm in bench.system.vms]
    assert counts[0] == counts[1] == 100 * MS


def test_a_lone_vcpu_is_never_switched(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin()).run_ms(100)
    assert len(switches(bench)) == 1
    assert bench.vcpu.instructions == 100 * MS


def test_who_waits_in_wfi_gets_nothing(tmp_path: Path) -> None:
    waiting = Program().label("again").emit(a.WFI).b("again")
    bench = tiny(tmp_path, waiting, spin()).run_ms(50)
    assert bench.vcpu.state is VcpuState.BLOCKED
    assert bench.vcpu.instructions == 1
    assert bench.system.vms[1].vcpus[0].instructions == 50 * MS - 1


def test_who_wakes_another_one_soon_makes_way_for_it(tmp_path: Path) -> None:
    """A hundredth of a slice later, since it probably waits for it."""
    bench = tiny(tmp_path, Guest(smp_spin(2), vcpus=2)).run_ms(30)
    (_, (woken, name), (back, _), *_) = switches(bench)
    assert name == "vm0/1"
    assert SLICE // 100 < woken < SLICE // 100 + 20
    assert back == woken + SLICE


def test_wfe_alone_does_not_stop_a_lone_vcpu(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().label("again").emit(a.WFE, a.add(5, 5, 1)).b("again")).run(3000)
    assert bench.x(5) == 1000


# --- time ---------------------------------------------------------------------------------------------


def sleeper(period: int, rounds: int) -> Program:
    """Sleeps `rounds` times until a tick, keeping what the counter read on waking; then counts in x0."""
    program = enable_interrupts(Program(), TimerPpi.VIRTUAL).constant(12, 0).constant(11, DATA)
    program.constant(13, rounds)
    program.label("again").constant(9, period).emit(a.add_register(12, 12, 9))
    program.emit(a.msr(SysReg.CNTV_CVAL_EL0, 12)).set_register(SysReg.CNTV_CTL_EL0, 1)
    program.emit(a.WFI, a.mrs(3, SysReg.CNTVCT_EL0), a.str_(3, 11), a.add(11, 11, 8))
    program.set_register(SysReg.CNTV_CTL_EL0, 0)
    program.emit(a.mrs(4, SysReg.ICC_IAR1_EL1), a.msr(SysReg.ICC_EOIR1_EL1, 4))
    return program.emit(a.subs(13, 13, 1)).b_cond(a.NE, "again").constant(0, 0).label("x").emit(a.add(0, 0, 1)).b("x")


@pytest.mark.parametrize("cycles_per_tick", [1, 8])
def test_an_idle_machine_skips_to_the_tick_exactly(tmp_path: Path, cycles_per_tick: int) -> None:
    period = 1_000_000
    bench = tiny(tmp_path, sleeper(period, 5), cycles_per_tick=cycles_per_tick)
    bench.control.advance(cycles_per_tick * (5 * period + 500))
    woken = bench.words(DATA, 5)
    late = 1 if cycles_per_tick == 1 else 0
    assert woken == [(n + 1) * period + late for n in range(5)]
    assert bench.hypervisor.progress < 10_000


def test_time_stands_at_the_limit_when_everybody_sleeps(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program(a.WFI)).run_ms(1234)
    assert bench.hypervisor.now == 1234 * MS
    assert bench.hypervisor.progress == 1


def test_a_limit_is_kept_to_the_instruction(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    for until in (1, 2, 1000, 1001, 54_321):
        bench.control.advance(until)
        assert (bench.hypervisor.now, bench.hypervisor.progress) == (until, until)


def test_the_counter_counts_instructions(tmp_path: Path) -> None:
    read = a.mrs(0, SysReg.CNTVCT_EL0)
    bench = tiny(tmp_path, Program(read, a.NOP, a.mrs(1, SysReg.CNTVCT_EL0), a.mrs(2, SysReg.CNTPCT_EL0))).run(4)
    assert [bench.x(n) for n in range(3)] == [1, 3, 4]


def test_a_timer_interrupts_at_its_tick_to_the_instruction(tmp_path: Path) -> None:
    """Interrupts open, a loop of two instructions: the handler's return address tells where it was."""
    target = 5000
    program = enable_interrupts(Program(), TimerPpi.VIRTUAL).set_register(SysReg.VBAR_EL1, RAM_BASE + 0x800)
    program.set_register(SysReg.CNTV_CVAL_EL0, target).set_register(SysReg.CNTV_CTL_EL0, 1)
    program.emit(a.UNMASK_IRQ).label("again").emit(a.add(0, 0, 1)).b("again")
    store_result(program.at(0x800 + 0x280).emit(a.mrs(3, SysReg.CNTVCT_EL0)), 3, 0).loop()
    bench = tiny(tmp_path, program).run(target + 100)
    assert bench.word(DATA) == target + 1


def test_a_masked_timer_does_not_wake_anybody(tmp_path: Path) -> None:
    program = enable_interrupts(Program(), TimerPpi.VIRTUAL).set_register(SysReg.CNTV_CVAL_EL0, 5000)
    program.set_register(SysReg.CNTV_CTL_EL0, 3).emit(a.WFI, a.movz(0, 1)).loop()
    bench = tiny(tmp_path, program).run_ms(50)
    assert bench.vcpu.state is VcpuState.BLOCKED


def test_a_timer_in_the_past_fires_at_once(tmp_path: Path) -> None:
    program = enable_interrupts(Program(), TimerPpi.PHYSICAL).set_register(SysReg.CNTP_CVAL_EL0, 0)
    program.set_register(SysReg.CNTP_CTL_EL0, 1).emit(a.WFI, a.mrs(0, SysReg.ICC_IAR1_EL1)).loop()
    bench = tiny(tmp_path, program).run(1000)
    assert bench.x(0) == TimerPpi.PHYSICAL


def test_the_timer_of_a_preempted_vcpu_still_fires(tmp_path: Path) -> None:
    """Its interrupt waits for its turn, and no other guest sees it."""
    bench = tiny(tmp_path, sleeper(3 * MS, 2), spin()).run_ms(40)
    first, second = bench.words(DATA, 2)
    assert 3 * MS <= first <= 12 * MS
    assert second >= 6 * MS
    assert bench.system.vms[1].vgic.pending(0) == ()


# --- several cores --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cores", [2, 4])
def test_cores_stay_together(tmp_path: Path, cores: int) -> None:
    bench = tiny(tmp_path, Guest(smp_spin(cores), vcpus=cores), cores=cores)
    bench.run(200_000)
    for _ in range(30):
        bench.run(7_777)
        cycles = [core.cycles for core in bench.hypervisor.cores]
        assert max(cycles) - min(cycles) <= 20_000
    assert min(bench.x(0, vcpu=n) for n in range(cores)) > 0


def test_cores_run_at_the_same_time(tmp_path: Path) -> None:
    """Two cores give two vCPUs twice the instructions in the same virtual time."""
    bench = tiny(tmp_path, Guest(smp_spin(2), vcpus=2), cores=2).run_ms(10)
    assert all(abs(vcpu.instructions - 10 * MS) < 20_000 for vcpu in bench.vm.vcpus)


def test_the_counter_never_goes_back_between_cores(tmp_path: Path) -> None:
    """Each vCPU keeps the last reading of any of them, and no later reading may be smaller."""
    program = Program()
    for vcpu in (1, 2):
        start_vcpu(program, vcpu, 0x800)
    program.b("go").at(0x800).label("go").constant(1, DATA).constant(5, DATA + 64)
    program.label("again").emit(a.ldr(2, 1), a.mrs(3, SysReg.CNTVCT_EL0), a.cmp(3, 2)).b_cond(a.HS, "fine")
    program.emit(a.str_(3, 5)).label("fine").emit(a.str_(3, 1), a.ldr(6, 5, 8), a.add(6, 6, 1), a.str_(6, 5, 8))
    program.b("again")
    bench = tiny(tmp_path, Guest(program, vcpus=3), cores=3).run(600_000)
    assert bench.word(DATA + 64) == 0
    assert bench.word(DATA + 72) > 10_000


def test_vcpus_on_a_core_each_wake_each_other_by_sgi(tmp_path: Path) -> None:
    """A round trip between two sleeping cores takes no longer than a few instructions of both."""
    program = enable_interrupts(Program(), 1)
    start_vcpu(program, 1, 0x800)
    program.constant(9, 1 << 24 | 2).emit(a.msr(SysReg.ICC_SGI1R_EL1, 9))
    program.emit(a.WFI, a.mrs(0, SysReg.ICC_IAR1_EL1), a.mrs(3, SysReg.CNTVCT_EL0)).loop()
    program.at(0x800)
    enable_interrupts(program, 1, vcpu=1).emit(a.WFI, a.mrs(0, SysReg.ICC_IAR1_EL1))
    program.constant(9, 1 << 24 | 1).emit(a.msr(SysReg.ICC_SGI1R_EL1, 9)).loop()
    bench = tiny(tmp_path, Guest(program, vcpus=2), cores=2).run(100_000)
    assert (bench.x(0), bench.x(0, vcpu=1)) == (1, 1)
    assert bench.x(3) < 45_000


def test_a_core_without_work_does_not_hold_the_others_back(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Guest(spin(), affinity=[0]), Guest(Program(a.WFI), affinity=[1]), cores=2).run_ms(30)
    assert bench.vcpu.instructions >= 30 * MS - 20_000


def test_who_spins_for_another_core_does_not_wait_for_ever(tmp_path: Path) -> None:
    """The other core was idle when this one's turn began; now it has work, and gets its turn."""
    program = start_vcpu(Program(), 1, 0x800).constant(1, DATA).label("again").emit(a.ldr(2, 1)).cbz(2, "again")
    program.emit(a.movz(5, 1)).loop().at(0x800).constant(1, DATA).constant(2, 1).emit(a.str_(2, 1)).loop()
    bench = tiny(tmp_path, Guest(program, vcpus=2), cores=2).run(150_000)
    assert bench.x(5) == 1


def test_a_limit_takes_no_time_from_a_core_that_is_behind(tmp_path: Path) -> None:
    """The first core ends its slices early and is beyond the limit when the second has not had its turn yet."""
    first = Program().set_register(SysReg.CNTV_CTL_EL0, 1).constant(1, 1 << 40)
    first.label("again").emit(a.msr(SysReg.CNTV_CVAL_EL0, 1), *[a.NOP] * 50).b("again")
    machine = tiny(tmp_path, first, Guest(spin(), affinity=[1]), cores=2)
    machine.control.advance(200_000)
    pieces = tiny(tmp_path, first, Guest(spin(), affinity=[1]), cores=2)
    for until in range(100, 200_001, 100):
        pieces.control.advance(until)
    assert pieces.system.vms[1].vcpus[0].instructions == machine.system.vms[1].vcpus[0].instructions
    assert pieces.digest() == machine.digest()


def ticket(hint: int) -> Program:
    """Two vCPUs hand a word to each other for ever, waiting in a loop with a hint; x0 counts the rounds."""
    program = start_vcpu(Program(), 1, 0x800)
    for vcpu, offset in ((0, program.here), (1, 0x800)):
        program.at(offset).constant(0, 0).constant(1, DATA).constant(2, vcpu)
        program.label(f"wait{vcpu}").emit(hint, a.ldr(3, 1), a.subs(4, 3, vcpu)).cbnz(4, f"wait{vcpu}")
        program.constant(5, 1 - vcpu).emit(a.str_(5, 1), a.add(0, 0, 1)).b(f"wait{vcpu}")
    return program


WFE, YIELD, NOP = 0xD503_205F, 0xD503_203F, 0xD503_201F


@pytest.mark.parametrize(("hint", "rounds"), [(WFE, 40), (YIELD, 40), (NOP, 4)])
def test_a_vcpu_that_only_spins_gives_way(tmp_path: Path, hint: int, rounds: int) -> None:
    """Without a hint in its loop nobody can know, and a handover costs a time slice."""
    bench = tiny(tmp_path, Guest(ticket(hint), vcpus=2)).run_ms(80)
    counted = [vcpu.registers.x[0] for vcpu in bench.vm.vcpus]
    assert rounds <= min(counted) <= rounds * 3


def test_a_vcpu_alone_may_spin(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program(WFE).loop()).run_ms(50)
    assert len(switches(bench)) == 1


@pytest.mark.parametrize("pc", [RAM_BASE + 2, RAM_BASE + 0xFFE, RAM_BASE + 0x1000, 0x1000, 0x0900_0000, (1 << 64) - 2])
def test_looking_for_a_spinning_vcpu_stands_any_pc(tmp_path: Path, pc: int) -> None:
    bench = tiny(tmp_path, spin(), spin()).run(10)
    bench.vm.load(bench.vcpu)
    bench.vm.core.state.pc = pc
    assert bench.vm.core.spins() is False
