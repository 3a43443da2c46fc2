"""Partitions at S-EL0: SVC is their conduit, they protect their own memory, and any exception ends them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.paging import S2AP
from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.images.dtb import Value
from engine.views import VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, store_result
from tests.support.secure import SP_BASE, SP_DATA, SecureBench, Sp, secure

REQ, RESP = Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_RESP_32
GET, SET = Function.MEM_PERM_GET_32, Function.MEM_PERM_SET_32
LEVEL: dict[str, Value] = {"exception-level": (1,)}
RO_XN, RW_XN, RX, RWX = 7, 5, 3, 1
INVALID, DENIED = Code.INVALID_PARAMETERS & 0xFFFF_FFFF, Code.DENIED & 0xFFFF_FFFF


def call(program: Program, function: int, *values: int) -> Program:
    return program.call(function, *values, *(0,) * (7 - len(values)), conduit=a.svc())


def keep(program: Program, slot: int, *registers: int) -> Program:
    program.constant(10, SP_BASE + SP_DATA + 8 * slot)
    return program.emit(*(a.str_(register, 10, 8 * n) for n, register in enumerate(registers)))


def serve(program: Program) -> Program:
    """Answers for ever; x4 + 0x1000."""
    call(program.label("wait"), Function.MSG_WAIT).label("serve").emit(a.movz(9, 0x1000), a.add_register(4, 4, 9))
    program.emit(a.mov(8, 1)).constant(0, RESP)
    return program.emit(0x1380_0000 | 8 << 16 | 16 << 10 | 8 << 5 | 1, a.movz(2, 0), a.svc()).b("serve")


def client() -> Program:
    program = Program().call(REQ, id_pair(1, 0x8001), 0, 0, 5, conduit=a.smc())
    return store_result(store_result(store_result(program, 0, 0), 4, 1), 2, 2).loop()


def run(tmp_path: Path, program: Program) -> SecureBench:
    return secure(tmp_path, [Sp(program, LEVEL)], client()).run(4000)


def test_it_serves_requests_by_svc(tmp_path: Path) -> None:
    bench = run(tmp_path, serve(Program()))
    assert bench.words(DATA, 2) == [RESP, 0x1005]
    assert bench.context().vcpu.registers.el == 0


def test_it_protects_its_memory_while_it_initializes(tmp_path: Path) -> None:
    page = SP_BASE + 0x1_0000
    program = keep(call(Program(), GET, page), 0, 2)
    keep(call(program, SET, page, 2, RO_XN), 1, 0)
    keep(call(program, GET, page + 0x1000), 2, 2)
    keep(call(program, SET, page, 1, RX), 3, 0)
    keep(call(program, GET, page), 4, 2)
    bench = run(tmp_path, serve(program))
    told = [bench.sp_word(1, SP_DATA + 8 * n) for n in range(5)]
    assert told == [RWX, Function.SUCCESS_32, RO_XN, Function.SUCCESS_32, RX]
    leaves = [bench.sp(1).stage2.lookup(page + n * 0x1000) for n in range(3)]
    found = [(leaf.access, leaf.execute) for leaf in leaves if leaf is not None]
    assert found == [(S2AP.READ, True), (S2AP.READ, False), (S2AP.READ_WRITE, True)]


@pytest.mark.parametrize(
    "wrong",
    [
        (SET, SP_BASE + 0x1_0000, 1, RWX),
        (SET, SP_BASE + 0x1_0000, 1, 0),
        (SET, SP_BASE + 0x1_0000, 0, RO_XN),
        (SET, SP_BASE + 0x1_0800, 1, RO_XN),
        (SET, SP_BASE + 0xF_F000, 2, RO_XN),
        (SET, 0x4000_0000, 1, RO_XN),
        (GET, SP_BASE + 0x1_0800),
        (GET, 0x0E10_0000),
    ],
)
def test_what_it_may_not_ask(tmp_path: Path, wrong: tuple[int, ...]) -> None:
    bench = run(tmp_path, serve(keep(call(Program(), *wrong), 0, 0, 2)))
    assert [bench.sp_word(1, SP_DATA + 8 * n) for n in range(2)] == [Function.ERROR, INVALID]


def test_not_after_its_initialization(tmp_path: Path) -> None:
    program = call(Program(), Function.MSG_WAIT)
    keep(call(program, GET, SP_BASE), 0, 0, 2)
    bench = run(tmp_path, program.loop())
    assert [bench.sp_word(1, SP_DATA + 8 * n) for n in range(2)] == [Function.ERROR, DENIED]


def test_only_at_s_el0(tmp_path: Path) -> None:
    program = Program().call(GET, SP_BASE, *(0,) * 6, conduit=a.smc())
    keep(program, 0, 0, 2).call(Function.FEATURES, GET, *(0,) * 6, conduit=a.smc())
    bench = secure(tmp_path, [Sp(keep(program, 2, 2).loop())], client()).run(2000)
    assert [bench.sp_word(1, SP_DATA + 8 * n) for n in range(3)] == [Function.ERROR, 0xFFFF_FFFF, 0xFFFF_FFFF]


@pytest.mark.parametrize(("instruction", "ec"), [(a.UDF, 0), (a.brk(), 0x3C), (a.ldr(3, 8), 0x24), (a.br(8), 0x20)])
def test_an_exception_ends_it(tmp_path: Path, instruction: int, ec: int) -> None:
    program = call(Program(), Function.MSG_WAIT).constant(8, 0x7000_0000).emit(instruction).loop()
    bench = run(tmp_path, program)
    assert bench.sp(1).state is VmRunState.CRASHED
    assert bench.sp(1).detail.startswith(f"exception class {ec:#x} at ")
    assert (bench.word(DATA), bench.word(DATA + 16)) == (Function.ERROR, Code.ABORTED & 0xFFFF_FFFF)
