"""Partitions that fail: in their initialization, and later (DEN0077A v1.2, 5.5 and 7.4)."""

from __future__ import annotations

from pathlib import Path

from engine.arch.sysreg import SysReg
from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.spmc.states import ContextState
from engine.views import VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, store_result
from tests.support.secure import Sp, echo, respond, secure, wait

REQ, RESP, ERROR = Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_RESP_32, Function.ERROR
ABORTED = Code.ABORTED & 0xFFFF_FFFF


def crash(program: Program) -> Program:
    """Jump where nothing is mapped, with the vectors there as well."""
    return program.constant(9, 0x7000_0000).emit(a.msr(SysReg.VBAR_EL1, 9), a.br(9))


def ask(program: Program, receiver: int, slot: int, *registers: int) -> Program:
    program.call(REQ, id_pair(1, receiver), 0, 0, 5, conduit=a.smc())
    for offset, register in enumerate(registers):
        store_result(program, register, slot + offset)
    return program


def test_a_partition_that_fails_to_initialize_is_aborted_and_the_others_live(tmp_path: Path) -> None:
    failing = Program().call(ERROR, 0, Code.NO_MEMORY & 0xFFFF_FFFF, conduit=a.smc()).loop()
    client = ask(Program(), 0x8001, 0, 0, 2)
    bench = secure(tmp_path, [Sp(failing), Sp(echo())], ask(client, 0x8002, 2, 0, 4).loop()).run(2000)
    assert bench.words(DATA, 4) == [ERROR, ABORTED, RESP, 0x1005]
    assert bench.sp(1).state is VmRunState.CRASHED
    assert bench.sp(1).detail == "initialization failed with NO_MEMORY"


def test_a_partition_that_crashes_in_its_initialization(tmp_path: Path) -> None:
    client = ask(ask(Program(), 0x8001, 0, 0, 2), 0x8002, 2, 0, 4)
    bench = secure(tmp_path, [Sp(crash(Program())), Sp(echo())], client.loop()).run(3000)
    assert bench.words(DATA, 4) == [ERROR, ABORTED, RESP, 0x1005]


def test_whoever_waits_for_a_crash_is_told(tmp_path: Path) -> None:
    """In a chain the caller is told, and answers; later requests are refused with ABORTED, too."""
    crashing = crash(wait(Program()))
    relay = wait(Program()).label("serve").emit(a.mov(20, 1)).constant(0, REQ)
    relay.constant(1, id_pair(0x8001, 0x8002)).emit(a.movz(2, 0), a.smc()).emit(a.mov(3, 0), a.mov(6, 2), a.mov(1, 20))
    sps = [Sp(respond(relay).b("serve")), Sp(crashing)]
    client = ask(Program(), 0x8001, 0, 0, 3, 6)
    bench = secure(tmp_path, sps, ask(client, 0x8002, 3, 0, 2).loop()).run(5000)
    assert bench.words(DATA, 5) == [RESP, ERROR, ABORTED, ERROR, ABORTED]
    assert bench.context(2).state is ContextState.ABORTED
    assert bench.sp(2).state is VmRunState.CRASHED


def test_a_crash_under_the_relayer(tmp_path: Path) -> None:
    client = ask(Program(), 0x8001, 0, 0, 1, 2)
    bench = secure(tmp_path, [Sp(crash(wait(Program())))], client.loop(), el=1).run(5000)
    assert bench.words(DATA, 3) == [ERROR, 0x8001 << 16, ABORTED]


def test_nothing_runs_before_the_partitions_have_initialized(tmp_path: Path) -> None:
    """A partition that never finishes keeps the normal world waiting, as on a board."""
    client = store_result(Program().emit(a.movz(1, 7)), 1, 0)
    bench = secure(tmp_path, [Sp(Program().loop())], client.loop()).run(2000)
    assert bench.word(DATA) == 0
    assert bench.vm.state is VmRunState.OFF
