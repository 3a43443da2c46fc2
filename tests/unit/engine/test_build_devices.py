"""Watchdogs and timer frames that a machine file places, driven by guest code in either world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.arch.psci import Function as Psci
from engine.arch.sysreg import SysReg
from engine.board import memory_map
from engine.config import ConfigError
from engine.events import VmState
from engine.spmc.paravirt import Hypercall
from engine.views import VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Bench, Guest, store_result, tiny
from tests.support.secure import SP_BASE, SP_DATA, Sp, echo, secure, wait

BASE, INTID = 0x0A10_0000, 50
VECTORS = 0x1000


def device(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "base": BASE, "intid": INTID, **more}


def store(program: Program, address: int, value: int) -> Program:
    return program.constant(8, address).constant(9, value).emit(a.str32(9, 8))


def listening(el: int) -> Program:
    """Interrupt INTID comes as an IRQ to vectors at +0x1000, where IAR and the counter are kept."""
    program = Program().set_register(SysReg.VBAR_EL2 if el == 2 else SysReg.VBAR_EL1, memory_map.RAM_BASE + VECTORS)
    for offset, value in ((0, 0x12), (0x80 + INTID // 32 * 4, 0xFFFF_FFFF), (0x100 + INTID // 32 * 4, 1 << INTID % 32)):
        store(program, memory_map.GICD_BASE + offset, value)
    return program.set_register(SysReg.ICC_PMR_EL1, 0xFF).set_register(SysReg.ICC_IGRPEN1_EL1, 1)


def taken(program: Program) -> Program:
    program.emit(a.UNMASK_IRQ).label("wait").b("wait")
    program.at(VECTORS + 0x280).emit(a.mrs(4, SysReg.ICC_IAR1_EL1), a.mrs(5, SysReg.CNTPCT_EL0))
    return store_result(store_result(program, 4, 0), 5, 1).label("stay").b("stay")


def run(tmp_path: Path, program: Program, kind: str, el: int, cycles: int) -> Bench:
    return tiny(tmp_path, Guest(program, el=el), devices=[device(kind, vm="vm0")]).run(cycles)


@pytest.mark.parametrize("el", [1, 2])
def test_a_timer_frame_interrupts_to_the_tick(tmp_path: Path, el: int) -> None:
    program = listening(el).constant(8, BASE).emit(a.ldr(6, 8, 0x00))
    program = store(store(program, BASE + 0x28, 5000), BASE + 0x2C, 1)
    bench = run(tmp_path, taken(store_result(program, 6, 2)), "timer-frame", el, 10_000)
    intid, when, armed = bench.words(DATA, 3)
    assert intid == INTID
    assert 5000 <= when - armed < 5060


@pytest.mark.parametrize("el", [1, 2])
def test_an_sp805_interrupts_after_its_period(tmp_path: Path, el: int) -> None:
    """100 ticks of 1 MHz are 6,250 of the counter's 62.5 MHz."""
    program = store(store(listening(el), BASE, 100), BASE + 8, 1)
    bench = run(tmp_path, taken(program), "sp805", el, 10_000)
    intid, when = bench.words(DATA, 2)
    assert intid == INTID
    assert 6250 <= when < 6450


def test_an_sp805_that_nobody_serves_resets_the_vm(tmp_path: Path) -> None:
    program = store(store(Program(), BASE, 100), BASE + 8, 3).label("stay").b("stay")
    bench = run(tmp_path, program, "sp805", 1, 14_000)
    assert [event.detail for event in bench.events() if isinstance(event, VmState)][-1] == "sp805"
    assert bench.vm.state is VmRunState.RUNNING


def test_a_locked_sp805_ignores_writes(tmp_path: Path) -> None:
    program = store(store(Program(), BASE + 0xC00, 1), BASE, 77).constant(8, BASE)
    program.emit(a.ldr32(4, 8), a.ldr32(5, 8, 0xC00))
    bench = run(tmp_path, store_result(store_result(program, 4, 0), 5, 1).loop(), "sp805", 1, 1000)
    assert bench.words(DATA, 2) == [0xFFFF_FFFF, 1]


def test_a_generic_watchdog_signals_then_resets(tmp_path: Path) -> None:
    program = taken(store(store(listening(1), BASE + 8, 3000), BASE, 1))
    bench = run(tmp_path, program, "sbsa-watchdog", 1, 5000)
    intid, when = bench.words(DATA, 2)
    assert intid == INTID
    assert 3000 <= when < 3200
    bench.run(2000)
    assert [event.detail for event in bench.events() if isinstance(event, VmState)][-1] == "sbsa-watchdog"


def test_a_refresh_keeps_the_generic_watchdog_quiet(tmp_path: Path) -> None:
    program = store(store(Program(), BASE + 8, 3000), BASE, 1).constant(8, BASE + 0x1_0000).label("again")
    program.constant(9, 500).label("count").emit(a.subs(9, 9, 1)).b_cond(a.NE, "count").emit(a.str32(9, 8)).b("again")
    bench = run(tmp_path, program, "sbsa-watchdog", 1, 40_000)
    assert len([event for event in bench.events() if isinstance(event, VmState)]) == 1


@pytest.mark.parametrize("el", [1, 2])
@pytest.mark.parametrize("kind", ["sp805", "sbsa-watchdog"])
def test_after_a_reset_a_watchdog_is_off(tmp_path: Path, kind: str, el: int) -> None:
    """The first run arms it and resets; the later ones count themselves in memory that no image is loaded to."""
    program = Program().constant(19, DATA).emit(a.ldr(20, 19), a.add(21, 20, 1), a.str_(21, 19), a.movz(22, 0))
    program.emit(a.cmp(20, 22)).b_cond(a.NE, "stay")
    store(store(program, BASE + 8, 3), BASE, 100) if kind == "sp805" else store(store(program, BASE + 8, 3000), BASE, 1)
    bench = run(tmp_path, program.call(Psci.SYSTEM_RESET, conduit=a.smc()).label("stay").b("stay"), kind, el, 80_000)
    assert bench.word(DATA) == 2


def owner(ticks: int) -> Program:
    """A partition that starts the timer frame while it initializes, and keeps the INTID of its interrupt."""
    program = Program().set_register(SysReg.VBAR_EL1, SP_BASE + 0x4000 + 0x2000)
    program.constant(0, Hypercall.INTERRUPT_ENABLE).constant(1, INTID).constant(2, 1).constant(3, 0).emit(a.hvc())
    store(store(program, BASE + 0x28, ticks), BASE + 0x2C, 1).emit(a.UNMASK_IRQ)
    wait(program).b("wait")
    program.at(0x2280).constant(0, Hypercall.INTERRUPT_GET).emit(a.hvc()).constant(10, SP_BASE + SP_DATA)
    store(program.emit(a.str_(0, 10), a.mov(1, 0), a.mov(2, 0)), BASE + 0x2C, 0)
    return program.constant(0, Hypercall.INTERRUPT_DEACTIVATE).emit(a.hvc(), a.ERET)


def test_a_partition_has_the_device_that_its_manifest_names(tmp_path: Path) -> None:
    sp = Sp(owner(2000), device=(BASE, INTID))
    bench = secure(tmp_path, [sp, Sp(echo())], Program().loop(), devices=[device("timer-frame")]).run(4000)
    assert bench.sp_word(1, SP_DATA) == INTID
    assert bench.hypervisor.cores[0].held is None


def test_nobody_else_reaches_it(tmp_path: Path) -> None:
    """The payload's load is an external abort."""
    client = (
        Program().set_register(SysReg.VBAR_EL2, memory_map.RAM_BASE + VECTORS).constant(8, BASE).emit(a.ldr32(3, 8))
    )
    client.at(VECTORS + 0x200).emit(a.mrs(4, SysReg.ESR_EL2))
    sp = Sp(owner(1 << 40), device=(BASE, INTID))
    bench = secure(tmp_path, [sp], store_result(client, 4, 0).loop(), devices=[device("timer-frame")]).run(2000)
    assert bench.word(DATA) == 0x25 << 26 | 1 << 25 | 0x10


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (device("sp805"), r"device\[0\].vm: expected a VM, or a partition with a device region at 0xa100000"),
        (device("sp805", vm="vm7"), r"device\[0\].vm: expected the name of a VM"),
        (device("sp805", vm="vm0") | {"base": memory_map.UART_BASE}, r"device\[0\].base: expected a free place"),
        (device("sp806", vm="vm0"), r"device\[0\].kind: expected one of sp805, timer-frame, sbsa-watchdog"),
    ],
)
def test_devices_that_cannot_be_placed(tmp_path: Path, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        tiny(tmp_path, Guest(Program().loop()), devices=[given])
