"""Requests of two VMs through chains of three partitions, with interrupts between any two instructions.

Whatever is preempted, every request is answered exactly once, and links and states agree at every stop.
"""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE
from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.spmc.call_chain import Context
from engine.spmc.paravirt import Hypercall
from engine.spmc.states import ContextState, RuntimeModel
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Guest, enable_interrupts
from tests.support.secure import SP_BASE, SP_SIZE, SecureBench, Sp, respond, secure, wait

EXAMPLES = int(os.environ.get("SPMC_EXAMPLES", "25"))
REQ, RESP = Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_RESP_32
INTERRUPT, RUN, ERROR = Function.INTERRUPT, Function.RUN, Function.ERROR
SPI, SGI = 40, 3
POSTED, ANSWERED, PATH, FUNCTION, STATUS, HOPS = (8 * n for n in range(6))
FAILED = 0x100
ALLOWED_ERRORS = {Code.BUSY & 0xFFFF_FFFF, Code.INVALID_PARAMETERS & 0xFFFF_FFFF}


def and_15(rd: int, rn: int) -> int:
    return 0x92400C00 | rn << 5 | rd


def lsr_4(rd: int, rn: int) -> int:
    return 0xD344FC00 | rn << 5 | rd


def clear(program: Program, *registers: int) -> Program:
    return program.emit(*(a.movz(register, 0) for register in registers))


def compare(program: Program, value: int) -> Program:
    return program.constant(9, value).emit(a.cmp(0, 9))


def client(vm: int) -> Program:
    """Waits for a posted path, asks the first partition of it, resumes as often as need be, keeps the answer."""
    program = enable_interrupts(Program(), SGI).set_register(SysReg.VBAR_EL1, RAM_BASE + 0x1000).emit(a.UNMASK_IRQ)
    program.constant(19, DATA).label("idle").emit(a.ldr(20, 19, POSTED), a.ldr(21, 19, ANSWERED), a.cmp(20, 21))
    program.b_cond(a.EQ, "idle").emit(a.ldr(22, 19, PATH), and_15(23, 22), lsr_4(4, 22))
    program.constant(0, REQ).constant(1, id_pair(vm, 0x8000)).emit(a.add_register(1, 1, 23))
    clear(program, 2, 3, 5, 6, 7).emit(a.smc())
    compare(program.label("again"), INTERRUPT).b_cond(a.NE, "done").constant(0, RUN)
    clear(program, 2, 3, 4, 5, 6, 7).emit(a.smc()).b("again")
    program.label("done").emit(a.str_(0, 19, FUNCTION), a.str_(2, 19, STATUS), a.str_(5, 19, HOPS))
    program.emit(a.add(21, 21, 1), a.str_(21, 19, ANSWERED)).b("idle")
    program.at(0x1280).emit(a.mrs(28, SysReg.ICC_IAR1_EL1), a.msr(SysReg.ICC_EOIR1_EL1, 28), a.ERET)
    return program


def worker(number: int) -> Program:
    """Works a little; passes the request on while there are hops left; answers with the hops that were made."""
    me = 0x8000 + number
    program = Program().set_register(SysReg.VBAR_EL1, SP_BASE + (number - 1) * SP_SIZE + 0x6000)
    for register, value in ((0, Hypercall.INTERRUPT_ENABLE), (1, SPI + number), (2, 1), (3, 0)):
        program.constant(register, value)
    wait(program.emit(a.hvc(), a.UNMASK_IRQ))
    compare(program.label("serve"), INTERRUPT).b_cond(a.EQ, "wait")
    program.emit(a.mov(20, 1), a.mov(21, 4)).constant(9, 20)
    program.label("work").emit(a.subs(9, 9, 1)).b_cond(a.NE, "work")
    program.emit(and_15(22, 21)).cbz(22, "last")
    program.constant(0, REQ).constant(1, id_pair(me, 0x8000)).emit(a.add_register(1, 1, 22), lsr_4(4, 21))
    clear(program, 2, 3, 5, 6, 7).emit(a.smc())
    compare(program.label("again"), INTERRUPT).b_cond(a.NE, "back").constant(0, RUN)
    program.constant(1, 0x8000).emit(a.add_register(1, 1, 22), 0xD3700000 | 47 << 10 | 1 << 5 | 1)
    clear(program, 2, 3, 4, 5, 6, 7).emit(a.smc()).b("again")
    compare(program.label("back"), RESP).b_cond(a.EQ, "passed").emit(a.mov(6, 2)).constant(5, FAILED).b("answer")
    program.label("last").emit(a.movz(5, 0)).label("passed").emit(a.add(5, 5, 1))
    program.label("answer").emit(a.mov(1, 20), a.mov(24, 5), a.mov(25, 6))
    program.label("retry").emit(a.mov(1, 20), a.mov(5, 24), a.mov(6, 25))
    respond(program)
    compare(program, INTERRUPT).b_cond(a.NE, "serve").cbz(2, "retry").b("wait")
    program.at(0x2280).emit(a.mov(10, 0), a.mov(11, 1), a.mov(12, 2)).constant(0, Hypercall.INTERRUPT_GET)
    program.emit(a.hvc(), a.mov(1, 0), a.mov(2, 0)).constant(0, Hypercall.INTERRUPT_DEACTIVATE)
    return program.emit(a.hvc(), a.add(26, 26, 1), a.mov(0, 10), a.mov(1, 11), a.mov(2, 12), a.ERET)


class Calls(RuleBasedStateMachine):
    """A VM has at most one request under way."""

    @initialize(cores=st.sampled_from([1, 2]), slice_ms=st.sampled_from([0.1, 0.25]))
    def build(self, cores: int, slice_ms: float) -> None:
        self.directory = tempfile.TemporaryDirectory()
        sps = [Sp(worker(n), interrupts=(SPI + n,)) for n in (1, 2, 3)]
        guests = [Guest(client(n)) for n in (1, 2)]
        path = Path(self.directory.name)
        self.bench: SecureBench = secure(path, sps, *guests, el=1, cores=cores, time_slice_ms=slice_ms)
        self.posted = [0, 0]
        self.raised = [0, 0, 0]
        self.bench.run(2500)

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.settle()
            self.directory.cleanup()
            del self.bench
            gc.collect()  # engines are in reference cycles, and dear

    @rule(vm=st.integers(0, 1), path=st.lists(st.integers(1, 3), min_size=1, max_size=4))
    def post(self, vm: int, path: list[int]) -> None:
        """Ask the first partition, which asks the second, and so on."""
        if self.word(vm, ANSWERED) != self.posted[vm]:
            return
        self.check_answer(vm)
        self.posted[vm] += 1
        self.write(vm, PATH, sum(hop << 4 * index for index, hop in enumerate(path)))
        self.write(vm, POSTED, self.posted[vm])
        self.path = path

    @rule(vm=st.integers(0, 1))
    def interrupt_normal(self, vm: int) -> None:
        self.bench.control.inject(f"vm{vm}", SGI)

    @rule(sp=st.integers(1, 3))
    def interrupt_secure(self, sp: int) -> None:
        if SPI + sp not in self.bench.sp(sp).interrupts.pending(0):
            self.raised[sp - 1] += 1
        self.bench.control.inject(f"sp{sp}", SPI + sp)

    @rule(count=st.integers(1, 400))
    def run(self, count: int) -> None:
        self.bench.run(count)

    @rule(count=st.integers(1, 12))
    def step(self, count: int) -> None:
        """An instruction at a time, looking at everything between any two."""
        for _ in range(count):
            self.bench.run(1)
            self.links_and_states_agree()

    @invariant()
    def links_and_states_agree(self) -> None:
        if not hasattr(self, "bench"):
            return
        for context in self.contexts():
            self.check_context(context)
        for pcore in self.bench.hypervisor.cores:
            assert pcore.held is None or self.of(pcore.held).state is ContextState.RUNNING

    def check_context(self, context: Context) -> None:
        state = context.state
        held = context.vcpu.pcore.held is context.vcpu
        assert held is (state is ContextState.RUNNING), (context.endpoint, state)
        assert context.callee is None or context.callee.caller is context
        assert context.caller is None or context.caller.callee is context
        if state is ContextState.BLOCKED:
            assert context.callee is not None
        if state is ContextState.IDLE:
            assert context.caller is context.callee is context.interrupted is None
            assert context.requester is None
        if context.callee is not None:
            assert state in (ContextState.BLOCKED, ContextState.PREEMPTED, ContextState.RUNNING)
        assert context.requester is None or context.model is not RuntimeModel.INIT

    def settle(self) -> None:
        """Left alone, everybody gets an answer, and every interrupt was taken once."""
        for _ in range(60):
            if all(self.word(vm, ANSWERED) == self.posted[vm] for vm in (0, 1)):
                break
            self.bench.run(3000)
        self.bench.run(3000)
        for vm in (0, 1):
            assert self.word(vm, ANSWERED) == self.posted[vm]
            self.check_answer(vm)
        for context in self.contexts():
            assert context.state is ContextState.IDLE, context.endpoint
        for number in (1, 2, 3):
            assert self.bench.sp(number).interrupts.pending(0) == ()
            assert self.context_x(number, 26) == self.raised[number - 1]

    def check_answer(self, vm: int) -> None:
        """A response with the number of hops, or with a refusal somewhere on the way: a cycle, or somebody busy."""
        if not self.posted[vm]:
            return
        function = self.word(vm, FUNCTION)
        assert function in (RESP, ERROR)
        if function == ERROR:
            assert self.word(vm, STATUS) in ALLOWED_ERRORS

    def contexts(self) -> list[Context]:
        return [self.bench.context(number) for number in (1, 2, 3)]

    def of(self, vcpu: object) -> Context:
        return next(context for context in self.contexts() if context.vcpu is vcpu)

    def context_x(self, number: int, register: int) -> int:
        return self.bench.context(number).vcpu.registers.x[register]

    def word(self, vm: int, offset: int) -> int:
        return self.bench.word(DATA + offset, vm)

    def write(self, vm: int, offset: int, value: int) -> None:
        machine = self.bench.system.vms[vm]
        machine.memory.write_u64(machine.physical(DATA + offset), value)


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=EXAMPLES, stateful_step_count=30)
