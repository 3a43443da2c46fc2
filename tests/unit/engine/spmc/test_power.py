"""Cores that a payload turns on and off: warm boot and power management messages (DEN0077A v1.2, 18.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.arch.psci import SMC64, AffinityState
from engine.arch.psci import Function as Psci
from engine.arch.psci import Result as PsciResult
from engine.board.memory_map import RAM_BASE
from engine.events import FfaAnswer, FfaCall, PsciCall
from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.images.dtb import Value
from engine.spmc.paravirt import Hypercall
from engine.spmc.power import POWER_REQUEST, POWER_RESPONSE
from engine.spmc.states import ContextState
from engine.views import VcpuState, VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Guest, store_result
from tests.support.secure import IMAGE, SP_BASE, SP_DATA, SP_SIZE, SecureBench, Sp, respond, secure, swap, wait
from tests.unit.engine.spmc.standing import (
    HYPERVISOR,
    REQ2,
    REQ32,
    RESP2,
    RESP32,
    RESP64,
    SP1,
    SP2,
    SP3,
    VM1,
    Standing,
    status,
)

SPMC = 0x8000
WIDE: dict[str, Value] = {"execution-ctx-count": (2,)}
TOLD: dict[str, Value] = WIDE | {"power-management-messages": (1,)}
REGISTERED, CORE, INITS, POWER, TOLDS = range(SP_DATA, SP_DATA + 40, 8)
"""Words of `server`: the answer to its registration; of other contexts: x4 at entry, how many initialized; x3 of the
last power message, and how many came."""
SECOND = 4
"""Offset of the other entry point, of partitions and of payloads."""
OFF_CALL = Psci.CPU_OFF
S = ContextState


def count(program: Program, address: int) -> Program:
    return program.constant(10, address).emit(a.ldr(11, 10), a.add(11, 11, 1), a.str_(11, 10))


def server(index: int, *, status: int = 0, fails: bool = False, registers: bool = True) -> Program:
    """An echo of several contexts, which answers power messages with a status."""
    base = SP_BASE + index * SP_SIZE
    program = Program().b("first").label("second")
    count(program.constant(10, base + CORE).emit(a.str_(4, 10)), base + INITS)
    if fails:
        program.call(Function.ERROR, 0, Code.NO_MEMORY & 0xFFFF_FFFF, conduit=a.smc())
    program.b("wait").label("first")
    if registers:
        entry = base + IMAGE + SECOND
        program.call(Function.SECONDARY_EP_REGISTER_64, entry, *(0,) * 6, conduit=a.smc())
        program.constant(10, base + REGISTERED).emit(a.str_(0, 10))
    else:
        count(program, base + INITS)
    wait(program).label("serve").constant(9, POWER_REQUEST).emit(a.cmp(2, 9)).b_cond(a.EQ, "power")
    respond(program.emit(a.add(4, 4, 1))).b("serve")
    count(program.label("power").constant(10, base + POWER).emit(a.str_(3, 10)), base + TOLDS)
    program.emit(a.mov(8, 1)).constant(0, RESP32).emit(*swap(1, 8)).constant(2, POWER_RESPONSE)
    return program.constant(3, status & 0xFFFF_FFFF).emit(a.smc()).b("serve")


def payload(second: Program, *, rounds: int = 1) -> Guest:
    """Core 0 turns core 1 on, waits until it is off, and so on; core 1 runs `second` and goes off."""
    program = Program().b("first").emit(*second.words).call(OFF_CALL, conduit=a.smc()).loop()
    program.label("first")
    for turn in range(rounds):
        program.call(Psci.CPU_ON | SMC64, 1, RAM_BASE + SECOND, 0x77 + turn, conduit=a.smc())
        store_result(program, 0, 8)
        program.label(f"off{turn}").call(Psci.AFFINITY_INFO | SMC64, 1, 0, conduit=a.smc())
        program.emit(a.subs(0, 0, AffinityState.OFF)).cbnz(0, f"off{turn}")
    return Guest(store_result(program.constant(1, 0xD0E), 1, 9).loop(), vcpus=2, el=2)


def visit(*receivers: int) -> Program:
    """Keeps the context id, and asks each partition for something."""
    program = store_result(Program(), 0, 0)
    for slot, receiver in enumerate(receivers, 1):
        program.call(REQ32, id_pair(1, receiver), 0, 0, 0x100 * slot, conduit=a.smc())
        store_result(program, 4, slot)
    return program


def two_cores(directory: Path, sps: Sequence[Sp], guest: Guest) -> SecureBench:
    return secure(directory, sps, guest, cores=2).run(400_000)


def messages(bench: SecureBench) -> list[tuple[int, int]]:
    """Endpoint and context of each power message, in order."""
    answers = [event for event in bench.events() if isinstance(event, FfaAnswer) and len(event.result) > 3]
    told = [each for each in answers if each.result[0] == REQ32 and each.result[2] == POWER_REQUEST]
    assert all(each.result[1] == id_pair(SPMC, each.endpoint) for each in told)
    assert all(each.result[3:8] == (OFF_CALL, 0, 0, 0, 0) for each in told)
    return [(each.endpoint, each.vcpu) for each in told]


def refusals(bench: SecureBench) -> list[tuple[str, int, int]]:
    """What partitions said to CPU_OFF, other than success."""
    calls = [event for event in bench.events() if isinstance(event, PsciCall) and event.vm.startswith("sp")]
    assert all(each.function == "CPU_OFF" for each in calls)
    return [(each.vm, each.vcpu, each.result) for each in calls]


# --- warm boot -------------------------------------------------------------------------------------------------


def test_other_contexts_stay_off_until_their_core_is_on(tmp_path: Path) -> None:
    still = Guest(Program().loop(), vcpus=2, el=2)
    bench = two_cores(tmp_path, [Sp(server(0), WIDE)], still)
    assert [bench.context(1, n).state for n in (0, 1)] == [S.IDLE, S.RESET]
    assert bench.sp_word(1, REGISTERED) == Function.SUCCESS_32
    assert bench.sp_word(1, INITS) == 0


def test_partitions_initialize_on_a_core_before_the_payload_starts_there(tmp_path: Path) -> None:
    """At the entry point that was registered, with the core's index in x4; then the payload has its context id."""
    bench = two_cores(tmp_path, [Sp(server(0), WIDE), Sp(server(1), WIDE)], payload(visit(SP1)))
    for number in (1, 2):
        assert [bench.sp_word(number, word) for word in (CORE, INITS)] == [1, 1]
    assert bench.words(DATA, 2) == [0x77, 0x101]
    calls = [(event.vm, event.vcpu) for event in bench.events() if isinstance(event, FfaCall) and event.vcpu == 1]
    assert calls == [("sp1", 1), ("sp2", 1), ("vm0", 1), ("sp1", 1)]


def test_the_context_of_a_core_serves_it(tmp_path: Path) -> None:
    bench = secure(tmp_path, [Sp(server(0), WIDE)], payload(visit(SP1, SP1)), cores=2)
    bench.run(1_000)
    before = bench.context(1, 0).vcpu.instructions
    bench.run(400_000)
    assert bench.words(DATA + 8, 2) == [0x101, 0x201]
    assert bench.context(1, 0).vcpu.instructions == before > 0
    assert bench.context(1, 1).core.index == 1


def test_without_a_registration_all_contexts_begin_at_the_first_ones_entry(tmp_path: Path) -> None:
    bench = two_cores(tmp_path, [Sp(server(0, registers=False), WIDE)], payload(visit(SP1)))
    assert bench.sp_word(1, INITS) == 2
    assert bench.word(DATA + 8) == 0x101


def test_under_the_hypervisor_all_cores_are_on_from_the_start(tmp_path: Path) -> None:
    bench = secure(tmp_path, [Sp(server(0), TOLD)], Program().loop(), el=1, cores=2).run(100_000)
    assert [bench.context(1, n).state for n in (0, 1)] == [S.IDLE] * 2
    assert bench.sp_word(1, INITS) == 1


def test_a_context_initializes_once(tmp_path: Path) -> None:
    """Off and on again: it waits as it did, and serves."""
    bench = two_cores(tmp_path, [Sp(server(0), TOLD)], payload(visit(SP1), rounds=3))
    assert bench.word(DATA + 8 * 9) == 0xD0E
    assert bench.words(DATA, 2) == [0x79, 0x101]
    assert [bench.sp_word(1, word) for word in (INITS, TOLDS)] == [1, 3]


def test_a_partition_that_fails_on_a_core_stops_neither_others_nor_the_core(tmp_path: Path) -> None:
    program = visit(SP2).call(REQ32, id_pair(1, SP1), *(0,) * 5, conduit=a.smc())
    store_result(program, 2, 2)
    sps = [Sp(server(0, fails=True), TOLD), Sp(server(1), TOLD)]
    bench = two_cores(tmp_path, sps, payload(program))
    assert bench.sp(1).state is VmRunState.CRASHED
    assert [bench.context(1, n).state for n in (0, 1)] == [S.ABORTED] * 2
    assert bench.words(DATA, 3) == [0x77, 0x101, Code.ABORTED & 0xFFFF_FFFF]
    assert messages(bench) == [(SP2, 1)]


def test_a_partition_that_fails_on_one_core_ends_on_the_others(tmp_path: Path) -> None:
    """It serves a request on core 0, for ever, while core 1 comes on."""
    hangs = server(0, fails=True)
    hangs.words[hangs.offset("serve") // 4] = 0x1400_0000
    program = Program().b("first").emit(a.NOP).loop().label("first")
    program.call(Psci.CPU_ON | SMC64, 1, RAM_BASE + SECOND, 0, conduit=a.smc())
    program.call(REQ32, id_pair(1, SP1), *(0,) * 5, conduit=a.smc())
    store_result(store_result(program, 0, 0), 2, 1)
    bench = two_cores(tmp_path, [Sp(hangs, WIDE)], Guest(program.loop(), vcpus=2, el=2))
    assert bench.words(DATA, 2) == [Function.ERROR, Code.ABORTED & 0xFFFF_FFFF]


# --- going off ----------------------------------------------------------------------------------------------------


def test_each_subscribed_partition_is_told_in_boot_order(tmp_path: Path) -> None:
    """Not those of one context, nor those that did not ask for it."""
    sps = [
        Sp(server(0), TOLD | {"boot-order": (5,)}),
        Sp(server(1), WIDE),
        Sp(server(2), {"power-management-messages": (1,)}),
        Sp(server(3), TOLD | {"boot-order": (4,)}),
    ]
    bench = two_cores(tmp_path, sps, payload(visit()))
    assert messages(bench) == [(0x8004, 1), (SP1, 1)]
    assert [bench.sp_word(number, TOLDS) for number in (1, 2, 3, 4)] == [1, 0, 0, 1]
    assert bench.sp_word(1, POWER) == OFF_CALL
    assert refusals(bench) == []
    assert bench.vm.vcpus[1].state is VcpuState.OFF
    assert bench.word(DATA + 8 * 9) == 0xD0E
    assert all(bench.context(number, 1).state is S.IDLE for number in (1, 4))


def test_a_refusal_is_told_of_and_stops_nothing(tmp_path: Path) -> None:
    sps = [Sp(server(0, status=PsciResult.DENIED), TOLD), Sp(server(1), TOLD)]
    bench = two_cores(tmp_path, sps, payload(visit()))
    assert messages(bench) == [(SP1, 1), (SP2, 1)]
    assert refusals(bench) == [("sp1", 1, PsciResult.DENIED)]
    assert bench.vm.vcpus[1].state is VcpuState.OFF


def test_the_last_core_goes_off(tmp_path: Path) -> None:
    guest = Guest(Program().call(OFF_CALL, conduit=a.smc()).loop(), vcpus=2, el=2)
    bench = two_cores(tmp_path, [Sp(server(0), TOLD)], guest)
    assert messages(bench) == [(SP1, 0)]
    assert bench.vm.state is VmRunState.OFF
    assert bench.hypervisor.finished


def test_runs_are_equal_whole_and_in_pieces(tmp_path: Path) -> None:
    def bench() -> SecureBench:
        sps = [Sp(server(0), TOLD), Sp(server(1, status=-1), TOLD)]
        return secure(tmp_path, sps, payload(visit(SP1, SP2), rounds=2), cores=2)

    whole, pieces = bench().run_ms(5), bench()
    for piece in range(1, 501):
        pieces.run_ms(piece / 100)
    assert len(messages(whole)) == 4
    assert whole.digest() == pieces.digest()


# --- while it is told -------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    """SP1 and SP2 hear of CPU_OFF; SP3 has one context and an interrupt."""
    return Standing(tmp_path, cores=2, properties={1: TOLD, 2: TOLD}, own={3: (40,)})


def go_off(machine: Standing) -> None:
    machine.psci(OFF_CALL, core=1)


def answer(machine: Standing, endpoint: int) -> None:
    machine.raw(endpoint, RESP32, id_pair(endpoint, SPMC), POWER_RESPONSE, core=1)


def state(machine: Standing) -> VcpuState:
    return machine.vcpu(HYPERVISOR, 1).state


def test_one_after_the_other(machine: Standing) -> None:
    go_off(machine)
    assert [machine.state(each, 1) for each in (SP1, SP2)] == [S.RUNNING, S.IDLE]
    answer(machine, SP1)
    assert [machine.state(each, 1) for each in (SP1, SP2)] == [S.IDLE, S.RUNNING]
    assert machine.registers(SP2, 4, core=1) == [REQ32, id_pair(SPMC, SP2), POWER_REQUEST, OFF_CALL]
    assert state(machine) is VcpuState.CALLING
    answer(machine, SP2)
    assert (machine.state(SP2, 1), state(machine)) == (S.IDLE, VcpuState.OFF)
    assert machine.bench.hypervisor.cores[1].held is None


@pytest.mark.parametrize(
    ("function", "receiver", "kind", "code"),
    [
        (RESP32, SPMC, 0, Code.INVALID_PARAMETERS),
        (RESP32, SPMC, POWER_REQUEST, Code.INVALID_PARAMETERS),
        (RESP32, VM1, POWER_RESPONSE, Code.DENIED),
        (RESP64, SPMC, POWER_RESPONSE, Code.DENIED),
        (RESP2, SPMC, 0, Code.DENIED),
    ],
)
def test_answers_that_are_none(machine: Standing, function: int, receiver: int, kind: int, code: Code) -> None:
    go_off(machine)
    assert status(machine.raw(SP1, function, id_pair(SP1, receiver), kind, core=1)) == code
    answer(machine, SP1)


def test_no_other_request_is_answered_like_that(machine: Standing) -> None:
    machine.enter(SP1, core=1)
    response = (RESP32, id_pair(SP1, VM1), POWER_RESPONSE)
    assert status(machine.raw(SP1, *response, core=1)) == Code.INVALID_PARAMETERS
    machine.respond(SP1, core=1)


def test_it_gives_its_core_to_nobody(machine: Standing) -> None:
    """DEN0077A v1.2, 8.3: no YIELD, no FFA_RUN and no request while a power management message is handled."""
    go_off(machine)
    for call in ((Function.YIELD,), (Function.RUN, SP3 << 16), (REQ32, id_pair(SP1, SP3)), (REQ2, id_pair(SP1, SP3))):
        assert status(machine.raw(SP1, *call, core=1)) == Code.DENIED
    machine.preempt(core=1)
    assert machine.state(SP1, 1) is S.RUNNING
    answer(machine, SP1)


def test_a_partition_that_fails_meanwhile_is_left_out(machine: Standing) -> None:
    go_off(machine)
    machine.bench.hypervisor.stop_vm(machine.sp(SP1), VmRunState.CRASHED, "test")
    assert machine.state(SP2, 1) is S.RUNNING
    answer(machine, SP2)
    assert state(machine) is VcpuState.OFF


def test_a_context_in_the_middle_of_something_is_not_told(machine: Standing) -> None:
    machine.enter(SP1, core=1)
    machine.preempt(core=1)
    go_off(machine)
    assert [machine.state(each, 1) for each in (SP1, SP2)] == [S.PREEMPTED, S.RUNNING]
    answer(machine, SP2)
    assert refusals(machine.bench) == [("sp1", 1, PsciResult.DENIED)]
    assert state(machine) is VcpuState.OFF


def test_a_core_that_is_told_of_is_still_on(machine: Standing) -> None:
    go_off(machine)
    machine.psci(Psci.CPU_ON, 1, RAM_BASE, 0)
    last = [event for event in machine.bench.events() if isinstance(event, PsciCall)][-1]
    assert last.result == PsciResult.ALREADY_ON


def test_a_reset_meanwhile_has_the_last_word(machine: Standing) -> None:
    """The board starts over and the payload turns the core on again: nobody is to be told any more."""
    go_off(machine)
    machine.psci(Psci.SYSTEM_RESET)
    machine.bench.run(100_000)
    assert state(machine) is not VcpuState.OFF
    assert [machine.state(each, 1) for each in (SP1, SP2)] == [S.IDLE, S.IDLE]
    go_off(machine)
    answer(machine, SP1)
    answer(machine, SP2)
    assert state(machine) is VcpuState.OFF
    assert machine.bench.hypervisor.cores[1].held is None


def test_an_interrupt_of_a_partition_whose_core_is_off_comes_on_another(machine: Standing) -> None:
    assert machine.hypercall(SP3, Hypercall.INTERRUPT_ENABLE, 40, 1, 0) == 0
    machine.enter(SP3, core=1)
    machine.respond(SP3, core=1)
    assert machine.context(SP3).core.index == 1
    go_off(machine)
    machine.sp(SP3).interrupts.set_line(40, level=True)
    assert machine.state(SP3) is S.IDLE
    answer(machine, SP1)
    answer(machine, SP2)
    assert (machine.state(SP3), machine.context(SP3).core.index) == (S.RUNNING, 0)


def test_a_context_of_one_core_does_not_keep_another_from_being_served(machine: Standing) -> None:
    machine.enter(SP1, core=0)
    assert machine.status(HYPERVISOR, REQ32, id_pair(VM1, SP1), core=0) == Code.BUSY
    machine.enter(SP1, core=1)
    assert machine.registers(SP1, 2, core=1) == [REQ32, id_pair(VM1, SP1)]
    assert machine.run(SP1, 0, core=1) == Code.DENIED
    machine.respond(SP1, core=0)
    machine.respond(SP1, core=1)


def test_a_partition_that_fails_while_it_waits_holds_up_nobody(tmp_path: Path) -> None:
    """Its context asked SP2 for something while it initialized; SP2 answers when it has failed: SP3 is next."""
    asks = Program().b("first").call(REQ32, id_pair(SP1, SP2), *(0,) * 6, conduit=a.smc()).label("first")
    asks = wait(asks.call(Function.SECONDARY_EP_REGISTER_64, SP_BASE + IMAGE + SECOND, *(0,) * 6, conduit=a.smc()))
    sps = [Sp(asks.b("wait"), WIDE), Sp(wait(Program()).loop()), Sp(server(2), WIDE)]
    bench = two_cores(tmp_path, sps, payload(visit()))
    assert [bench.context(1, 1).state, bench.context(2).state] == [S.BLOCKED, S.RUNNING]
    bench.hypervisor.stop_vm(bench.sp(1), VmRunState.CRASHED, "test")
    registers = bench.context(2).vcpu.registers
    for number, value in enumerate((RESP32, id_pair(SP2, SP1), *(0,) * 6)):
        registers.x[number] = value
    assert bench.spmc.call(bench.context(2).vcpu, hvc=False)
    bench.run(100_000)
    assert bench.context(3, 1).state is S.IDLE
    assert bench.word(DATA) == 0x77
