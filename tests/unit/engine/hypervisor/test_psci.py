"""PSCI and SMCCC as a guest sees them: every function and every error (DEN0022, DEN0028)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.psci import SMC64, AffinityState, Function, Result, Smccc
from engine.board.memory_map import RAM_BASE
from engine.events import PsciCall, VmState
from engine.views import VcpuState, VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, RAM_SIZE, Guest, store_result, tiny

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1
Call = tuple[int, ...]


def w(result: int) -> int:
    """A result as a 32-bit call returns it."""
    return result & MASK32


def x(result: int) -> int:
    """A result as a 64-bit call returns it."""
    return result & MASK64


def answers(tmp_path: Path, *calls: Call, conduit: int = a.hvc(), vcpus: int = 2) -> list[int]:
    """x0 after each of some calls."""
    program = Program()
    for slot, call in enumerate(calls):
        store_result(program.call(*call, conduit=conduit), 0, slot)
    bench = tiny(tmp_path, Guest(program.loop(), vcpus=vcpus)).run(100_000)
    return bench.words(DATA, len(calls))


EXPECTED: dict[Call, int] = {
    (Function.VERSION,): 0x0001_0001,
    (Function.MIGRATE_INFO_TYPE,): 2,
    (Function.MIGRATE, 0): x(Result.NOT_SUPPORTED),
    (Function.MIGRATE_INFO_UP_CPU,): x(Result.NOT_SUPPORTED),
    (Function.VERSION | SMC64,): x(Result.NOT_SUPPORTED),
    (Function.CPU_OFF | SMC64,): x(Result.NOT_SUPPORTED),
    (0x8400_00FF,): x(Result.NOT_SUPPORTED),
    (0xC400_00FF,): x(Result.NOT_SUPPORTED),
    (0x1234_5678,): x(Result.NOT_SUPPORTED),
    (Function.AFFINITY_INFO, 0, 0): AffinityState.ON,
    (Function.AFFINITY_INFO, 1, 0): AffinityState.OFF,
    (Function.AFFINITY_INFO | SMC64, 1, 0): AffinityState.OFF,
    (Function.AFFINITY_INFO, 2, 0): w(Result.INVALID_PARAMETERS),
    (Function.AFFINITY_INFO, 0x100, 0): w(Result.INVALID_PARAMETERS),
    (Function.AFFINITY_INFO | SMC64, 1 << 32, 0): x(Result.INVALID_PARAMETERS),
    (Function.AFFINITY_INFO, 1 << 31, 0): w(Result.INVALID_PARAMETERS),
    (Function.AFFINITY_INFO, 0, 1): w(Result.INVALID_PARAMETERS),
    (Function.CPU_ON | SMC64, 0, RAM_BASE, 0): x(Result.ALREADY_ON),
    (Function.CPU_ON, 0, RAM_BASE, 0): w(Result.ALREADY_ON),
    (Function.CPU_ON | SMC64, 5, RAM_BASE, 0): x(Result.INVALID_PARAMETERS),
    (Function.CPU_ON | SMC64, 1, 0x1000, 0): x(Result.INVALID_ADDRESS),
    (Function.CPU_ON | SMC64, 1, RAM_BASE + RAM_SIZE, 0): x(Result.INVALID_ADDRESS),
    (Function.CPU_ON | SMC64, 1, RAM_BASE + 2, 0): x(Result.INVALID_ADDRESS),
    (Function.SYSTEM_RESET2, 1, 0): w(Result.INVALID_PARAMETERS),
    (Function.SYSTEM_RESET2 | SMC64, 0x8000_0001, 0): x(Result.INVALID_PARAMETERS),
    (Function.FEATURES, Smccc.VERSION): Result.SUCCESS,
    (Function.FEATURES, Function.MIGRATE): w(Result.NOT_SUPPORTED),
    (Function.FEATURES, Function.VERSION | SMC64): w(Result.NOT_SUPPORTED),
    (Function.FEATURES, 0x8400_00FF): w(Result.NOT_SUPPORTED),
    (Function.FEATURES | SMC64, Function.VERSION): x(Result.NOT_SUPPORTED),
    (Smccc.VERSION,): 0x0001_0002,
    (Smccc.ARCH_FEATURES, Smccc.VERSION): 0,
    (Smccc.ARCH_FEATURES, Smccc.ARCH_FEATURES): 0,
    (Smccc.ARCH_FEATURES, 0x8400_0000): w(-1),
    (Smccc.ARCH_FEATURES, Smccc.ARCH_SOC_ID): w(-1),
}


@pytest.mark.parametrize("conduit", [a.hvc(), a.smc()], ids=["hvc", "smc"])
def test_calls_that_change_nothing(tmp_path: Path, conduit: int) -> None:
    found = answers(tmp_path, *EXPECTED, conduit=conduit)
    assert dict(zip(EXPECTED, found, strict=True)) == EXPECTED


@pytest.mark.parametrize(
    "function",
    [
        Function.VERSION,
        Function.CPU_SUSPEND,
        Function.CPU_OFF,
        Function.CPU_ON,
        Function.AFFINITY_INFO,
        Function.MIGRATE_INFO_TYPE,
        Function.SYSTEM_OFF,
        Function.SYSTEM_RESET,
        Function.FEATURES,
        Function.SYSTEM_RESET2,
        Function.CPU_SUSPEND | SMC64,
        Function.CPU_ON | SMC64,
        Function.AFFINITY_INFO | SMC64,
        Function.SYSTEM_RESET2 | SMC64,
    ],
)
def test_features_knows_what_is_there(tmp_path: Path, function: int) -> None:
    assert answers(tmp_path, (Function.FEATURES, function)) == [Result.SUCCESS]


@pytest.mark.parametrize("conduit", [a.hvc(1), a.smc(0xFFFF)])
def test_a_call_with_an_immediate_is_unknown(tmp_path: Path, conduit: int) -> None:
    assert answers(tmp_path, (Function.VERSION,), conduit=conduit) == [x(-1)]


def test_calls_leave_other_registers_alone(tmp_path: Path) -> None:
    program = Program()
    for register in range(1, 31):
        program.constant(register, 0x100 + register)
    program.constant(0, Function.VERSION).emit(a.hvc(), a.smc())
    bench = tiny(tmp_path, program.loop()).run(200)
    assert [bench.x(register) for register in range(1, 31)] == [0x100 + register for register in range(1, 31)]


@pytest.mark.parametrize(
    ("state", "entry", "result"),
    [
        (0x0001_0000, 0x1000, Result.INVALID_ADDRESS),
        (0x0001_0000, RAM_BASE + 1, Result.INVALID_ADDRESS),
        (0x0400_0000, RAM_BASE, Result.INVALID_PARAMETERS),
        (0x8000_0000, RAM_BASE, Result.INVALID_PARAMETERS),
        (0x0002_0000, RAM_BASE, Result.INVALID_PARAMETERS),
    ],
)
def test_suspend_refuses(tmp_path: Path, state: int, entry: int, result: int) -> None:
    assert answers(tmp_path, (Function.CPU_SUSPEND | SMC64, state, entry, 0)) == [x(result)]


def test_suspend_waits_like_wfi(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().call(Function.CPU_SUSPEND, 0).emit(a.movz(5, 1)).loop()).run(1000)
    assert (bench.vcpu.state, bench.x(5)) == (VcpuState.BLOCKED, 0)


# --- turning vCPUs on and off -----------------------------------------------------------------------------


def test_cpu_on_starts_in_reset_state_with_the_context_id(tmp_path: Path) -> None:
    program = Program().call(Function.CPU_ON | SMC64, 1, RAM_BASE + 0x800, 0x1122_3344_5566_7788).loop()
    bench = tiny(tmp_path, Guest(program.at(0x800).emit(a.NOP).loop(), vcpus=2), cores=2).run(30_000)
    second = bench.vm.vcpus[1]
    assert second.registers.x[0] == 0x1122_3344_5566_7788
    assert list(second.registers.x[1:]) == [0] * 31
    assert (second.registers.el, second.registers.spsel, second.registers.irq_masked) == (1, 1, True)
    assert second.registers.pc == RAM_BASE + 0x804


def test_a_32_bit_cpu_on_uses_32_bits_of_its_arguments(tmp_path: Path) -> None:
    program = Program().call(Function.CPU_ON, 1, 0xABCD << 32 | RAM_BASE + 0x800, 0x1122_3344_5566_7788).loop()
    bench = tiny(tmp_path, Guest(program.at(0x800).loop(), vcpus=2), cores=2).run(30_000)
    assert bench.vm.vcpus[1].registers.x[0] == 0x5566_7788


def on_pending_program() -> Program:
    program = Program()
    for slot, call in enumerate(
        [
            (Function.CPU_ON | SMC64, 1, RAM_BASE + 0x800, 0),
            (Function.CPU_ON | SMC64, 1, RAM_BASE + 0x800, 0),
            (Function.AFFINITY_INFO, 1, 0),
        ]
    ):
        store_result(program.call(*call), 0, slot)
    return program


def test_a_vcpu_that_has_not_run_yet_is_on_pending(tmp_path: Path) -> None:
    """On one core the caller runs on, so the new one cannot have started."""
    bench = tiny(tmp_path, Guest(on_pending_program().loop().at(0x800).loop(), vcpus=2)).run(1000)
    assert bench.words(DATA, 3) == [0, x(Result.ON_PENDING), AffinityState.ON_PENDING]


def test_a_vcpu_that_has_run_is_already_on(tmp_path: Path) -> None:
    program = Program().call(Function.CPU_ON | SMC64, 1, RAM_BASE + 0x800, 0).constant(5, 1_000_000)
    program.label("wait").emit(a.subs(5, 5, 1)).b_cond(a.NE, "wait")
    store_result(program.call(Function.CPU_ON | SMC64, 1, RAM_BASE + 0x800, 0), 0, 0)
    store_result(program.call(Function.AFFINITY_INFO | SMC64, 1, 0), 0, 1)
    bench = tiny(tmp_path, Guest(program.loop().at(0x800).loop(), vcpus=2)).run(6_000_000)
    assert bench.words(DATA, 2) == [x(Result.ALREADY_ON), AffinityState.ON]


def test_a_vcpu_can_go_off_and_on_again(tmp_path: Path) -> None:
    """Three times, each with another context id; it finds itself in reset state every time."""
    program = Program().constant(20, 3).constant(21, 0x100)
    program.label("again").constant(0, Function.CPU_ON | SMC64).constant(1, 1).constant(2, RAM_BASE + 0x800)
    program.emit(a.mov(3, 21), a.hvc()).cbnz(0, "again").emit(a.add(21, 21, 1))
    program.label("wait").call(Function.AFFINITY_INFO | SMC64, 1, 0).emit(a.cmp(0, 20))
    program.emit(a.subs(0, 0, AffinityState.OFF)).cbnz(0, "wait")
    program.emit(a.subs(20, 20, 1)).b_cond(a.NE, "again").loop()
    program.at(0x800).constant(1, DATA).emit(a.ldr(2, 1), a.add_register(2, 2, 0), a.str_(2, 1))
    program.emit(a.ldr(3, 1, 8), a.add_register(3, 3, 9), a.str_(3, 1, 8), a.movz(9, 7))
    program.call(Function.CPU_OFF).loop()
    bench = tiny(tmp_path, Guest(program, vcpus=2)).run(20_000_000)
    assert bench.words(DATA, 2) == [0x100 + 0x101 + 0x102, 0]
    assert bench.vm.vcpus[1].state is VcpuState.OFF


def test_the_vm_is_off_when_its_last_vcpu_is(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().call(Function.CPU_OFF).loop()).run_until_off(1000)
    assert bench.vm.state is VmRunState.OFF


def test_system_off(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().call(Function.SYSTEM_OFF).emit(a.movz(5, 1)).loop()).run_until_off(1000)
    assert (bench.vm.state, bench.vm.detail) == (VmRunState.OFF, "SYSTEM_OFF")
    assert bench.x(5) == 0


def test_system_off_of_one_vm_leaves_the_other(tmp_path: Path) -> None:
    other = Program().label("x").emit(a.add(0, 0, 1)).b("x")
    bench = tiny(tmp_path, Program().call(Function.SYSTEM_OFF), other).run(100_000)
    assert [vm.state for vm in bench.system.vms] == [VmRunState.OFF, VmRunState.RUNNING]
    assert bench.x(0, vm=1) > 40_000


@pytest.mark.parametrize(
    "call", [(Function.SYSTEM_RESET,), (Function.SYSTEM_RESET2, 0, 0), (Function.SYSTEM_RESET2 | SMC64, 0, 0)]
)
def test_reset_starts_over(tmp_path: Path, call: Call) -> None:
    """Code that the guest changed is as in the image again; the third boot goes off."""
    program = Program().label("entry").emit(a.mov(19, 0)).constant(1, DATA).emit(a.ldr(2, 1), a.add(2, 2, 1))
    program.emit(a.str_(2, 1), a.str_(19, 1, 8), a.subs(3, 2, 3)).b_cond(a.NE, "reset").call(Function.SYSTEM_OFF)
    program.label("reset").constant(4, RAM_BASE + 0x800).emit(a.ldr(5, 4), a.str_(5, 1, 16), a.str_(a.XZR, 4))
    program.call(*call).loop().at(0x800).emit(a.NOP, a.NOP)
    bench = tiny(tmp_path, program).run_until_off(10_000)
    count, device_tree, reloaded = bench.words(DATA, 3)
    assert count == 3
    assert device_tree == bench.vm.images.dtb
    assert reloaded == a.NOP << 32 | a.NOP
    assert [event.state for event in bench.events() if isinstance(event, VmState)] == [
        "started",
        "reset",
        "started",
        "reset",
        "started",
        "off",
    ]


def test_reset_turns_the_other_vcpus_off(tmp_path: Path) -> None:
    program = Program().constant(1, DATA).emit(a.ldr(2, 1), a.add(2, 2, 1), a.str_(2, 1), a.subs(3, 2, 2))
    program.b_cond(a.EQ, "second").call(Function.CPU_ON | SMC64, 1, RAM_BASE + 0x800, 0).constant(5, 50_000)
    program.label("wait").emit(a.subs(5, 5, 1)).b_cond(a.NE, "wait").call(Function.SYSTEM_RESET).label("second")
    store_result(program.call(Function.AFFINITY_INFO, 1, 0), 0, 1).loop().at(0x800).loop()
    bench = tiny(tmp_path, Guest(program, vcpus=2), cores=2).run(600_000)
    assert bench.words(DATA, 2) == [2, AffinityState.OFF]


def test_calls_are_events_with_their_results(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().call(Function.CPU_ON | SMC64, 9, RAM_BASE, 7).loop()).run(100)
    (call,) = [event for event in bench.events() if isinstance(event, PsciCall)]
    assert (call.function, call.args, call.result) == ("CPU_ON", (9, RAM_BASE, 7), Result.INVALID_PARAMETERS)
