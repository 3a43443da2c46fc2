"""What a direct request costs: from the normal world to a partition and back, and from one partition to another."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.ffa.abi import Function, id_pair
from tests.bench.table import Table
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA
from tests.support.secure import SecureBench, Sp, echo, respond, secure, wait

pytestmark = pytest.mark.bench
GROUP = "FF-A direct requests, there and back"
ROUNDS, RUNS = 5000, 3
REQ = Function.MSG_SEND_DIRECT_REQ_32


def rounds(program: Program, sender: int, receiver: int) -> Program:
    """ROUNDS direct requests, one after the other; the count goes to x28."""
    program.emit(a.movz(28, 0)).constant(27, ROUNDS).label("round")
    program.call(REQ, id_pair(sender, receiver), conduit=a.smc())
    return program.emit(a.add(28, 28, 1), a.cmp(28, 27)).b_cond(a.NE, "round")


def client() -> Program:
    program = rounds(Program(), 1, 0x8001).constant(10, DATA).emit(a.str_(28, 10))
    return program.loop()


def asking() -> Program:
    """A partition that serves one request by ROUNDS of its own."""
    return respond(rounds(wait(Program()).label("serve"), 0x8001, 0x8002).constant(1, id_pair(1, 0x8001))).b("serve")


def once() -> Program:
    program = Program().call(REQ, id_pair(1, 0x8001), conduit=a.smc()).emit(a.movz(28, 1))
    return program.constant(10, DATA).emit(a.str_(28, 10)).loop()


def per_second(make: Callable[[Path], SecureBench], directory: Path) -> float:
    return max(_measure(make, directory / str(n)) for n in range(RUNS))


def _measure(make: Callable[[Path], SecureBench], directory: Path) -> float:
    directory.mkdir()
    bench = make(directory)
    started = time.perf_counter()
    while not bench.word(DATA):
        bench.run(100_000)
    return ROUNDS / (time.perf_counter() - started)


def test_from_a_payload_at_el2(table: Table, tmp_path: Path) -> None:
    speed = per_second(lambda path: secure(path, [Sp(echo())], client()), tmp_path)
    table.speed(GROUP, "payload at EL2 to SP", "/s", speed)


def test_from_a_vm(table: Table, tmp_path: Path) -> None:
    speed = per_second(lambda path: secure(path, [Sp(echo())], client(), el=1), tmp_path)
    table.speed(GROUP, "VM through the relayer to SP", "/s", speed)


def test_from_partition_to_partition(table: Table, tmp_path: Path) -> None:
    speed = per_second(lambda path: secure(path, [Sp(asking()), Sp(echo())], once()), tmp_path)
    table.speed(GROUP, "SP to SP", "/s", speed)
