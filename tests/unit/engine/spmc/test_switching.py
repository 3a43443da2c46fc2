"""Preemption, call chains and secure interrupts (DEN0077A v1.2, 8 and 9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.sysreg import SysReg
from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.images.dtb import Value
from engine.spmc.paravirt import Hypercall
from engine.spmc.states import ContextState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Guest, enable_interrupts, store_result
from tests.support.secure import SP_BASE, SP_DATA, Sp, echo, respond, secure, wait

REQ, RESP = Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_RESP_32
INTERRUPT, RUN = Function.INTERRUPT, Function.RUN
WORD1, WORD2 = 0x8001 << 16, 0x8002 << 16
S, P, B = ContextState.IDLE, ContextState.PREEMPTED, ContextState.BLOCKED


def slow(loops: int = 3000) -> Program:
    """Counts down before it answers."""
    program = wait(Program()).label("serve").constant(9, loops)
    program.label("count").emit(a.subs(9, 9, 1)).b_cond(a.NE, "count").emit(a.add(4, 4, 0x111))
    return respond(program).b("serve")


def relay(me: int, receiver: int) -> Program:
    """Passes every request on to another partition; x3 of the answer is that one's function id, x6 its w2."""
    program = wait(Program()).label("serve").emit(a.mov(20, 1)).constant(0, REQ)
    program.constant(1, id_pair(me, receiver)).emit(a.movz(2, 0), a.smc())
    program.emit(a.mov(3, 0), a.mov(6, 2), a.mov(1, 20))
    return respond(program).b("serve")


def with_timer(program: Program, ticks: int) -> Program:
    """The payload's EL2 timer will interrupt after so many ticks; interrupts stay masked."""
    enable_interrupts(program, 26)
    program.constant(1, ticks).emit(a.msr(SysReg.CNTHP_TVAL_EL2, 1)).constant(1, 1)
    return program.emit(a.msr(SysReg.CNTHP_CTL_EL2, 1))


def timer_off(program: Program) -> Program:
    return program.emit(a.movz(1, 0), a.msr(SysReg.CNTHP_CTL_EL2, 1))


def keep(program: Program, slot: int, *registers: int) -> Program:
    """Store registers in words slot, slot + 1, ..."""
    for offset, register in enumerate(registers):
        store_result(program, register, slot + offset)
    return program


def ask(program: Program, receiver: int, x4: int = 0) -> Program:
    return program.call(REQ, id_pair(1, receiver), 0, 0, x4, conduit=a.smc())


def test_a_normal_interrupt_preempts_and_run_resumes(tmp_path: Path) -> None:
    client = keep(ask(with_timer(Program(), 500), 0x8001, 5), 0, 0, 1)
    client = timer_off(client).call(RUN, WORD1, conduit=a.smc())
    bench = secure(tmp_path, [Sp(slow())], keep(client, 2, 0, 4).loop()).run(2000)
    assert bench.words(DATA, 2) == [INTERRUPT, WORD1]
    assert bench.context().state is ContextState.RUNNING
    bench.run(20_000)
    assert bench.words(DATA + 16, 2) == [RESP, 0x116]
    assert bench.context().state is S


def test_a_chain_is_preempted_and_resumed_as_a_whole(tmp_path: Path) -> None:
    client = keep(ask(with_timer(Program(), 500), 0x8001, 5), 0, 0, 1)
    client = keep(client.call(RUN, WORD1, conduit=a.smc()), 2, 0, 2)
    client = timer_off(client).call(RUN, WORD2, conduit=a.smc())
    sps = [Sp(relay(0x8001, 0x8002)), Sp(slow())]
    bench = secure(tmp_path, sps, keep(client, 4, 0, 3, 4).loop()).run(700)
    assert bench.words(DATA, 2) == [INTERRUPT, WORD2]
    assert bench.words(DATA + 16, 2) == [Function.ERROR, Code.DENIED & 0xFFFF_FFFF]
    bench.run(20_000)
    assert bench.words(DATA + 32, 3) == [RESP, RESP, 0x116]
    assert [bench.context(n).state for n in (1, 2)] == [S, S]


def test_a_chain_is_preempted_twice(tmp_path: Path) -> None:
    client = ask(with_timer(Program(), 500), 0x8001)
    with_timer(keep(client, 0, 1), 1000).call(RUN, WORD2, conduit=a.smc())
    timer_off(keep(client, 1, 0, 1)).call(RUN, WORD2, conduit=a.smc())
    sps = [Sp(relay(0x8001, 0x8002)), Sp(slow())]
    bench = secure(tmp_path, sps, keep(client, 3, 0, 4).loop()).run(30_000)
    assert bench.words(DATA, 5) == [WORD2, INTERRUPT, WORD2, RESP, 0x111]


def test_cycles_and_depth(tmp_path: Path) -> None:
    """1 -> 2 -> 1 is a cycle: BUSY; 1 -> 1 is INVALID_PARAMETERS."""
    sps = [Sp(relay(0x8001, 0x8002)), Sp(relay(0x8002, 0x8001)), Sp(relay(0x8003, 0x8003))]
    client = keep(ask(Program(), 0x8001), 0, 0, 3)
    bench = secure(tmp_path, sps, keep(ask(client, 0x8003), 2, 3, 6).loop()).run(3000)
    assert bench.words(DATA, 2) == [RESP, RESP]
    assert bench.words(DATA + 16, 2) == [Function.ERROR, Code.INVALID_PARAMETERS & 0xFFFF_FFFF]


def test_busy_while_preempted_for_another_chain(tmp_path: Path) -> None:
    client = timer_off(keep(ask(with_timer(Program(), 500), 0x8002), 0, 0))
    client = keep(ask(client, 0x8002), 1, 0, 2)
    client = keep(ask(client, 0x8001), 3, 3, 6)
    client = keep(ask(client, 0x8003, 7), 5, 0, 4)
    sps = [Sp(relay(0x8001, 0x8002)), Sp(slow()), Sp(echo())]
    bench = secure(tmp_path, sps, client.loop()).run(5000)
    busy = Code.BUSY & 0xFFFF_FFFF
    assert bench.words(DATA, 7) == [INTERRUPT, Function.ERROR, busy, Function.ERROR, busy, RESP, 0x1007]
    assert bench.context(2).state is P


@pytest.mark.parametrize("action", [0, 2])
def test_queued_interrupts_wait_until_the_partition_is_done(tmp_path: Path, action: int) -> None:
    client = keep(ask(with_timer(Program(), 500), 0x8001), 0, 0)
    sps = [Sp(slow(), {"ns-interrupts-action": (action,)})]
    bench = secure(tmp_path, sps, client.loop()).run(20_000)
    assert bench.word(DATA) == (INTERRUPT if action else RESP)


def interrupted(body: Program) -> Program:
    """A partition with an IRQ vector at +0x2280: takes the interrupt, keeps its INTID in x25, ends it."""
    body.at(0x2280).constant(0, Hypercall.INTERRUPT_GET).emit(a.hvc(), a.mov(25, 0))
    body.emit(a.mov(1, 0), a.mov(2, 0)).emit(a.movz(9, 0), a.msr(SysReg.CNTPS_CTL_EL1, 9))
    body.constant(0, Hypercall.INTERRUPT_DEACTIVATE).emit(a.hvc(), a.mov(26, 0), a.ERET)
    return body


def timed(ticks: int) -> Program:
    """Owns INTID 29: a request starts the secure timer, and is answered when its interrupt came; x5 is the INTID."""
    program = Program().set_register(SysReg.VBAR_EL1, SP_BASE + 0x4000 + 0x2000)
    program.constant(0, Hypercall.INTERRUPT_ENABLE).constant(1, 29).constant(2, 1).constant(3, 0).emit(a.hvc())
    wait(program).label("serve").emit(a.movz(25, 0), a.mov(20, 1))
    program.constant(9, ticks).emit(a.msr(SysReg.CNTPS_TVAL_EL1, 9)).constant(9, 1)
    program.emit(a.msr(SysReg.CNTPS_CTL_EL1, 9), a.UNMASK_IRQ)
    program.label("poll").cbz(25, "poll").emit(a.mov(5, 25), a.mov(1, 20))
    respond(program).b("serve")
    return interrupted(program)


def test_the_secure_timer_interrupts_its_owner(tmp_path: Path) -> None:
    client = keep(ask(Program(), 0x8001), 0, 0, 5)
    bench = secure(tmp_path, [Sp(timed(700), interrupts=(29,))], client.loop()).run(5000)
    assert bench.words(DATA, 2) == [RESP, 29]


def test_only_the_owner_has_the_secure_timer(tmp_path: Path) -> None:
    """CNTPS_CTL_EL1 is UNDEFINED for others: the exception goes to their own vector."""
    program = Program().set_register(SysReg.VBAR_EL1, SP_BASE + 0x4000 + 0x2000)
    program.emit(a.msr(SysReg.CNTPS_CTL_EL1, 9)).loop()
    program.at(0x2200).emit(a.mrs(4, SysReg.ESR_EL1)).constant(10, SP_BASE + SP_DATA).emit(a.str_(4, 10)).loop()
    bench = secure(tmp_path, [Sp(program)], Program().loop()).run(1000)
    assert bench.sp_word(1, SP_DATA) == 1 << 25


def armed(ticks: int) -> Program:
    """Starts the secure timer in its initialization, then waits; keeps x0 of each return of MSG_WAIT."""
    program = Program().set_register(SysReg.VBAR_EL1, SP_BASE + 0x4000 + 0x2000)
    program.constant(0, Hypercall.INTERRUPT_ENABLE).constant(1, 29).constant(2, 1).constant(3, 0).emit(a.hvc())
    program.constant(9, ticks).emit(a.msr(SysReg.CNTPS_TVAL_EL1, 9)).constant(9, 1)
    program.emit(a.msr(SysReg.CNTPS_CTL_EL1, 9), a.movz(25, 0), a.UNMASK_IRQ)
    program.constant(10, SP_BASE + SP_DATA)
    wait(program, "again").emit(a.str_(0, 10), a.str_(2, 10, 8), a.str_(25, 10, 16)).b("again")
    return interrupted(program)


def test_a_secure_interrupt_takes_the_core_from_the_normal_world(tmp_path: Path) -> None:
    client = Program().label("count").emit(a.add(0, 0, 1)).b("count")
    bench = secure(tmp_path, [Sp(armed(2000), interrupts=(29,))], client).run(5000)
    assert bench.sp_word(1, SP_DATA + 16) == 29
    assert bench.context().state is S
    assert bench.hypervisor.cores[0].held is None
    before = bench.x(0)
    assert bench.run(100).x(0) > before


def test_a_secure_interrupt_preempts_another_partition(tmp_path: Path) -> None:
    client = keep(ask(Program(), 0x8002, 5), 0, 0, 4)
    sps = [Sp(armed(2000), interrupts=(29,)), Sp(slow())]
    bench = secure(tmp_path, sps, client.loop()).run(3000)
    assert bench.sp_word(1, SP_DATA + 16) == 29
    assert bench.context(2).state is ContextState.RUNNING
    bench.run(10_000)
    assert bench.words(DATA, 2) == [RESP, 0x116]


def test_a_vm_gets_its_own_interrupt_while_its_call_is_served(tmp_path: Path) -> None:
    """Under the relayer: the VM's virtual timer ends the call with FFA_INTERRUPT; only that VM may resume it."""
    client = enable_interrupts(Program(), 27)
    client.constant(1, 500).emit(a.msr(SysReg.CNTV_TVAL_EL0, 1)).constant(1, 1).emit(a.msr(SysReg.CNTV_CTL_EL0, 1))
    keep(ask(client, 0x8001, 5), 0, 0, 1).emit(a.movz(1, 0), a.msr(SysReg.CNTV_CTL_EL0, 1))
    client.label("resume").call(RUN, WORD1, conduit=a.smc()).constant(9, INTERRUPT).emit(a.cmp(0, 9))
    keep(client.b_cond(a.EQ, "resume"), 2, 0, 4)
    other = Program().constant(9, 1500).label("count").emit(a.subs(9, 9, 1)).b_cond(a.NE, "count")
    keep(other.call(RUN, WORD1, conduit=a.smc()), 0, 0, 2)
    guests = (Guest(client.loop()), Guest(other.loop()))
    bench = secure(tmp_path, [Sp(slow(6000))], *guests, el=1, time_slice_ms=0.1).run(60_000)
    assert bench.words(DATA, 4) == [INTERRUPT, WORD1, RESP, 0x116]
    assert bench.words(DATA, 2, vm=1) == [Function.ERROR, Code.DENIED & 0xFFFF_FFFF]


def test_runs_do_not_depend_on_where_they_are_stopped(tmp_path: Path) -> None:
    def machine(directory: Path) -> tuple[list[Sp], Program]:
        directory.mkdir()
        client = ask(with_timer(Program(), 500), 0x8001)
        with_timer(keep(client, 0, 1), 1000).call(RUN, WORD2, conduit=a.smc())
        timer_off(client).call(RUN, WORD2, conduit=a.smc())
        return [Sp(relay(0x8001, 0x8002)), Sp(slow())], client.loop()

    whole = secure(tmp_path / "a", *machine(tmp_path / "a")).run(12_000)
    pieces = secure(tmp_path / "b", *machine(tmp_path / "b"))
    for _ in range(120):
        pieces.run(100)
    assert pieces.digest() == whole.digest()


def leaving(vector: int) -> Program:
    """Works long, and answers early when its managed exit interrupt comes, with the INTID in x5."""
    program = Program().set_register(SysReg.VBAR_EL1, SP_BASE + 0x4000 + 0x2000)
    program.constant(0, Hypercall.INTERRUPT_ENABLE).constant(1, 4).constant(2, 1).constant(3, 0).emit(a.hvc())
    wait(program).label("serve").emit(a.movz(25, 0), a.mov(20, 1), UNMASK_IRQ_FIQ).constant(9, 20_000)
    program.label("count").emit(a.subs(9, 9, 1)).cbz(9, "done").cbz(25, "count")
    respond(program.label("done").emit(a.mov(5, 25), a.mov(1, 20))).b("serve")
    return program.at(0x2000 + vector).constant(0, Hypercall.INTERRUPT_GET).emit(a.hvc(), a.mov(25, 0), a.ERET)


UNMASK_IRQ_FIQ = 0xD50343FF
"""MSR DAIFClr, #3."""


@pytest.mark.parametrize(("vector", "virq"), [(0x300, False), (0x280, True)])
def test_a_managed_exit_asks_the_partition_to_leave(tmp_path: Path, vector: int, virq: bool) -> None:
    """It comes as a vFIQ, or as a vIRQ where the manifest says so; the direct response ends the exit."""
    client = keep(ask(with_timer(Program(), 1000), 0x8001), 0, 0, 5)
    properties: dict[str, Value] = {"ns-interrupts-action": (1,), "managed-exit": None}
    properties |= {"managed-exit-virq": None} if virq else {}
    bench = secure(tmp_path, [Sp(leaving(vector), properties)], client.loop()).run(4000)
    assert bench.words(DATA, 2) == [RESP, 4]
    assert not bench.context().leaving


def test_secure_interrupts_of_others_wait_where_the_manifest_queues_them(tmp_path: Path) -> None:
    client = keep(ask(Program(), 0x8002, 5), 0, 0, 4)
    queued: dict[str, Value] = {"other-s-interrupts-action": (0,), "ns-interrupts-action": (0,)}
    sps = [Sp(armed(2000), interrupts=(29,)), Sp(slow(), queued)]
    bench = secure(tmp_path, sps, client.loop()).run(4000)
    assert bench.sp_word(1, SP_DATA + 16) == 0
    assert bench.context(2).state is ContextState.RUNNING
    bench.run(10_000)
    assert bench.words(DATA, 2) == [RESP, 0x116]
    assert bench.sp_word(1, SP_DATA + 16) == 29


def test_the_least_permissive_action_of_a_chain_counts(tmp_path: Path) -> None:
    """The first partition queues Non-secure interrupts, so the second one is not preempted on its behalf."""
    client = keep(ask(with_timer(Program(), 500), 0x8001), 0, 0)
    sps = [Sp(relay(0x8001, 0x8002), {"ns-interrupts-action": (0,)}), Sp(slow())]
    bench = secure(tmp_path, sps, client.loop()).run(20_000)
    assert bench.word(DATA) == RESP
