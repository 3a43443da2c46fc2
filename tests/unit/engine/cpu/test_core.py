"""The CPU core by itself: exact slices, contexts, fresh translations, faults. No hypervisor above it."""

from __future__ import annotations

import pytest

from engine.arch.controls import HCR_IMO, HCR_RW, HCR_TSC, HCR_TWI, HCR_VI
from engine.arch.esr import EC, EC_SHIFT
from engine.arch.sysreg import SysReg
from engine.cpu.core import Core
from engine.cpu.state import XZR
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.cores import BASE, CODE, DATA, SIZE, Rig

PSTATE_EL1H_UNMASKED = 0x005
VIRTUAL_IRQ = HCR_RW | HCR_IMO | HCR_VI


def counting_loop() -> Program:
    return Program().label("again").emit(a.add(0, 0, 1)).b("again")


def guarded(core: Core, flags: int = 0) -> None:
    """No virtual interrupt, and these traps."""
    core.write(SysReg.HCR_EL2, HCR_RW | flags)


# --- slices ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100, 4096, 99_999])
def test_a_slice_runs_exactly_its_count(rig: Rig, count: int) -> None:
    core = rig.load(counting_loop())
    assert core.run(count) == count
    assert core.state.x[0] == (count + 1) // 2
    assert core.state.pc == CODE + 4 * (count % 2)


def test_slices_add_up_however_they_are_cut(rig: Rig) -> None:
    core = rig.load(counting_loop())
    for count in (1, 1, 5, 1000, 1, 992):
        assert core.run(count) == count
    assert (core.state.x[0], core.state.pc) == (1000, CODE)


def test_single_steps_go_through_every_instruction_once(rig: Rig) -> None:
    core = rig.load(Program(*[a.add(0, 0, 1)] * 50, a.NOP))
    for n in range(50):
        assert core.state.pc == CODE + 4 * n
        assert core.run(1) == 1
        assert core.state.x[0] == n + 1


def test_nothing_is_executing_between_slices(rig: Rig) -> None:
    core = rig.load(counting_loop())
    core.run(10)
    assert core.executed == 0


def test_a_stop_between_slices_is_forgotten(rig: Rig) -> None:
    core = rig.load(counting_loop())
    core.stop()
    assert core.run(10) == 10


@pytest.mark.parametrize("count", [20, 21])
def test_callbacks_see_how_many_instructions_have_begun(rig: Rig, count: int) -> None:
    """The instruction that called back is counted itself."""
    rig.client.timer = {SysReg.CNTVCT_EL0: 1}
    rig.client.on_trap = lambda _: None
    read, write = a.mrs(1, SysReg.CNTVCT_EL0), a.msr(SysReg.CNTV_CTL_EL0, 1)
    core = rig.load(Program(a.NOP, a.NOP, read, a.NOP, write, a.NOP, a.hvc(), read, a.NOP, *[a.NOP] * 40))
    assert core.run(count) == count
    assert rig.client.counts == [3, 5, 7, 8]


def test_a_stop_in_a_callback_ends_the_slice_after_that_instruction(rig: Rig) -> None:
    core = rig.load(Program(a.NOP, a.NOP, a.hvc(), a.NOP, a.NOP))
    assert core.run(100) == 3
    assert core.state.pc == CODE + 12


def test_a_stop_in_a_timer_write_is_exact(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    core = rig.load(Program(a.NOP, a.msr(SysReg.CNTV_CVAL_EL0, 3), a.NOP, a.NOP))

    def stop(*_: int) -> bool:
        core.stop()
        return True

    monkeypatch.setattr(rig.client, "on_timer_write", stop)
    assert core.run(100) == 2
    assert core.state.pc == CODE + 8


def test_what_a_callback_raises_comes_out_of_run(rig: Rig) -> None:
    def fail(_: Core) -> None:
        raise ZeroDivisionError("from the callback")

    rig.client.on_trap = fail
    core = rig.load(Program(a.NOP, a.hvc(), a.NOP, *[a.NOP] * 20))
    with pytest.raises(ZeroDivisionError, match="from the callback"):
        core.run(10)
    assert core.run(5) == 5  # the error is gone and the core can go on


@pytest.mark.parametrize("register", [SysReg.CNTVCT_EL0, SysReg.CNTV_CTL_EL0])
def test_what_a_register_callback_raises_comes_out_of_run(
    rig: Rig, register: SysReg, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: int) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(rig.client, "on_timer_read", fail)
    monkeypatch.setattr(rig.client, "on_timer_write", fail)
    read = register is SysReg.CNTVCT_EL0
    core = rig.load(Program(a.NOP, a.mrs(0, register) if read else a.msr(register, 0), a.NOP))
    with pytest.raises(ZeroDivisionError):
        core.run(3)


# --- system registers -------------------------------------------------------------------------------


def test_a_read_of_the_counter_gets_the_clients_value(rig: Rig) -> None:
    rig.client.timer = {SysReg.CNTVCT_EL0: 0x1234_5678_9ABC_DEF0}
    core = rig.load(Program(a.mrs(3, SysReg.CNTVCT_EL0), a.mrs(XZR, SysReg.CNTVCT_EL0), a.mov(4, XZR)))
    core.state.x[31] = DATA
    core.run(3)
    assert core.state.x[3] == 0x1234_5678_9ABC_DEF0
    assert core.state.x[4] == 0
    assert core.state.x[31] == DATA


@pytest.mark.parametrize("register", [0, 17, 28, 29, 30])
def test_every_general_register_can_take_and_give_a_timer_value(rig: Rig, register: int) -> None:
    rig.client.timer = {SysReg.CNTPCT_EL0: 77}
    core = rig.load(Program(a.mrs(register, SysReg.CNTPCT_EL0), a.msr(SysReg.CNTP_CVAL_EL0, register)))
    core.run(2)
    assert core.state.x[register] == 77
    assert rig.client.written == [(SysReg.CNTP_CVAL_EL0, 77)]


def test_a_register_the_client_does_not_answer_comes_from_the_model(rig: Rig) -> None:
    core = rig.load(Program(a.mrs(0, SysReg.MIDR_EL1)))
    core.run(1)
    assert core.state.x[0] >> 4 & 0xFFF == 0xD08  # Cortex-A72


def test_registers_outside_the_timer_and_id_space_are_not_the_clients(rig: Rig) -> None:
    core = rig.load(Program(a.movz(0, 0x55), a.msr(SysReg.TPIDR_EL1, 0), a.mrs(1, SysReg.TPIDR_EL1)))
    core.run(3)
    assert (core.state.x[1], rig.client.written, rig.client.counts) == (0x55, [], [])


def test_read_and_write_by_encoding(rig: Rig) -> None:
    core = rig.load(Program(a.NOP))
    core.write(SysReg.VBAR_EL1, 0x8000)
    assert core.read(SysReg.VBAR_EL1) == 0x8000


def test_vector_registers_keep_all_their_bits(rig: Rig) -> None:
    core = rig.load(Program(a.NOP))
    value = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210
    core.write_vector(31, value)
    assert core.read_vector(31) == value


# --- exceptions as Unicorn reports them -------------------------------------------------------------


def test_hvc_reports_the_next_instruction_and_smc_its_own(rig: Rig) -> None:
    core = rig.load(Program(a.hvc(0x77), a.smc(0x99)))
    guarded(core, HCR_TSC)
    core.run(1)
    core.run(1)
    assert rig.client.exceptions == [
        (11, EC.HVC64 << EC_SHIFT | 1 << 25 | 0x77, CODE + 4, 2),
        (12, EC.SMC64 << EC_SHIFT | 1 << 25 | 0x99, CODE + 4, 2),
    ]


def test_svc_reports_its_immediate_and_returns_after_itself(rig: Rig) -> None:
    core = rig.load(Program(a.svc(0x1234)))
    core.run(1)
    assert rig.client.exceptions == [(2, 0x5600_1234, CODE + 4, 1)]


def test_wfi_traps_at_its_own_address(rig: Rig) -> None:
    core = rig.load(Program(a.NOP, a.WFI, a.NOP))
    guarded(core, HCR_TWI)
    assert core.run(10) == 2
    assert [(number, esr >> EC_SHIFT, pc, el) for number, esr, pc, el in rig.client.exceptions] == [
        (1, EC.WFX, CODE + 4, 2)
    ]


def test_wfe_is_a_hint_that_never_traps(rig: Rig) -> None:
    """Whatever HCR_EL2.TWE says: so nobody can be made to yield by it."""
    core = rig.load(Program(a.NOP, a.WFE, a.NOP))
    guarded(core, 1 << 14)
    assert core.run(3) == 3
    assert rig.client.exceptions == []


def test_an_undefined_instruction_is_reported_at_its_address(rig: Rig) -> None:
    core = rig.load(Program(a.NOP, a.UDF))
    core.run(5)
    (_, esr, pc, _) = rig.client.exceptions[0]
    assert (esr >> EC_SHIFT, pc) == (EC.UNKNOWN, CODE + 4)


@pytest.mark.parametrize("register", [SysReg.ICC_IAR1_EL1, SysReg.ICC_PMR_EL1, SysReg.ICH_HCR_EL2])
def test_the_interrupt_controllers_registers_are_undefined(rig: Rig, register: SysReg) -> None:
    core = rig.load(Program(a.mrs(0, register)))
    core.run(1)
    assert rig.client.exceptions[0][1] >> EC_SHIFT == EC.UNKNOWN
    assert rig.client.exceptions[0][2] == CODE


# --- virtual interrupts -------------------------------------------------------------------------------


def test_a_virtual_irq_is_taken_before_the_next_instruction(rig: Rig) -> None:
    core = rig.load(counting_loop().at(0x800 + 0x280).emit(a.movz(5, 1)))
    core.write(SysReg.VBAR_EL1, CODE + 0x800)
    core.pstate = PSTATE_EL1H_UNMASKED
    core.run(10)
    core.write(SysReg.HCR_EL2, VIRTUAL_IRQ)
    assert core.run(1) == 1
    assert (core.state.x[0], core.state.x[5]) == (5, 1)
    assert core.read(SysReg.ELR_EL1) == CODE
    assert core.state.irq_masked


def test_a_masked_virtual_irq_waits_for_the_unmask(rig: Rig) -> None:
    program = Program(a.NOP, a.NOP, a.UNMASK_IRQ, a.movz(6, 1), a.movz(6, 2)).at(0x800 + 0x280).emit(a.NOP).loop()
    core = rig.load(program)
    core.write(SysReg.VBAR_EL1, CODE + 0x800)
    core.write(SysReg.HCR_EL2, VIRTUAL_IRQ)
    core.run(5)
    assert core.read(SysReg.ELR_EL1) == CODE + 12
    assert core.state.x[6] == 0


def test_withdrawing_the_virtual_irq_leaves_no_trace(rig: Rig) -> None:
    core = rig.load(counting_loop())
    core.write(SysReg.HCR_EL2, VIRTUAL_IRQ)
    core.run(4)
    guarded(core)
    core.pstate = PSTATE_EL1H_UNMASKED
    assert core.run(4) == 4
    assert core.state.x[0] == 4


# --- exclusives ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 3])
def test_exclusives_succeed_however_short_the_slices_are(rig: Rig, step: int) -> None:
    program = Program().label("again").emit(a.ldxr(2, 1), a.add(2, 2, 1), a.stxr(3, 2, 1)).cbnz(3, "again").b("again")
    core = rig.load(program)
    rig.memory.write_u64(DATA, 0)
    core.state.x[1] = DATA
    for _ in range(0, 300, step):
        core.run(step)
    assert rig.memory.read_u64(DATA) == 60


def test_an_exclusive_store_fails_after_another_store_to_the_place(rig: Rig) -> None:
    """Two vCPUs of one engine take turns between a load and a store: the second store must not win."""
    core = rig.load(Program(a.ldxr(2, 1), a.add(2, 2, 1), a.stxr(3, 2, 1)))
    rig.memory.write_u64(DATA, 10)
    core.state.x[1] = DATA
    core.run(2)
    waiting, other = core.new_context(), core.new_context()
    core.save(waiting)
    core.reset()
    core.state.pc, core.state.x[1] = CODE, DATA
    core.run(3)
    assert (core.state.x[3], rig.memory.read_u64(DATA)) == (0, 11)
    core.save(other)
    core.load(waiting)
    core.run(1)
    assert (core.state.x[3], rig.memory.read_u64(DATA)) == (1, 11)


# --- contexts -----------------------------------------------------------------------------------------


def test_contexts_keep_two_vcpus_apart(rig: Rig) -> None:
    core = rig.load(counting_loop())
    first, second = core.new_context(), core.new_context()
    core.write(SysReg.TPIDR_EL1, 1)
    core.write_vector(3, 111)
    core.run(10)
    core.save(first)
    core.reset()
    core.state.pc = CODE
    core.write(SysReg.TPIDR_EL1, 2)
    core.run(20)
    core.save(second)
    for context, x0, tpidr, vector in ((first, 5, 1, 111), (second, 10, 2, 0), (first, 5, 1, 111)):
        core.load(context)
        assert (core.state.x[0], core.read(SysReg.TPIDR_EL1), core.read_vector(3)) == (x0, tpidr, vector)


def test_a_saved_context_can_be_read_and_changed_in_place(rig: Rig) -> None:
    core = rig.load(counting_loop())
    core.run(6)
    context = core.new_context()
    core.save(context)
    assert (context.state.x[0], context.state.pc, context.state.el, context.state.spsel) == (3, CODE, 1, 1)
    context.state.x[0] = 100
    context.state.pc = CODE + 4
    core.run(20)
    core.load(context)
    core.run(2)
    assert core.state.x[0] == 101


def test_a_context_can_be_copied(rig: Rig) -> None:
    core = rig.load(counting_loop())
    core.run(8)
    original, copy = core.new_context(), core.new_context()
    core.save(original)
    copy.copy_from(original)
    core.run(100)
    core.load(copy)
    assert (core.state.x[0], core.state.pc) == (4, CODE)


def test_reset_state(rig: Rig) -> None:
    core = rig.load(counting_loop())
    core.run(9)
    core.write(SysReg.SCTLR_EL1, core.read(SysReg.SCTLR_EL1) | 1)
    core.reset()
    assert list(core.state.x) == [0] * 32
    assert core.pstate & 0x3FF == 0x3C5
    assert not core.read(SysReg.SCTLR_EL1) & 1


# --- memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [False, True])
def test_an_access_that_nothing_answers_is_an_external_abort(rig: Rig, write: bool) -> None:
    hole = 0x0B00_0010
    core = rig.load(Program(a.NOP, a.str_(0, 1, 8) if write else a.ldr(0, 1, 8), a.NOP))
    core.state.x[0], core.state.x[1] = 42, hole
    assert core.run(10) == 2
    assert rig.client.aborts == [hole + 8]
    assert core.state.pc == CODE + 4
    assert list(core.state.x[0:2]) == [42, hole]


def test_ram_beyond_its_end_is_an_external_abort_too(rig: Rig) -> None:
    core = rig.load(Program(a.ldr(0, 1)))
    core.state.x[1] = BASE + SIZE
    core.run(1)
    assert rig.client.aborts == [BASE + SIZE]


def test_translate_without_an_mmu_is_the_identity(rig: Rig) -> None:
    core = rig.load(Program(a.NOP))
    assert core.translate(DATA + 5) == DATA + 5


def test_instruction_reads_the_word_at_pc(rig: Rig) -> None:
    core = rig.load(Program(a.NOP, a.hvc(5)))
    assert core.instruction() == a.NOP
    core.run(1)
    assert core.instruction() == a.hvc(5)


def test_writes_for_the_guest_drop_code_translated_from_there(rig: Rig) -> None:
    """A write in a trap handler, over an instruction that has run before."""
    program = Program().label("again").emit(a.add(0, 0, 1), a.hvc()).b("again")
    core = rig.load(program)
    core.run(4)
    assert core.state.x[0] == 1
    replaced = a.add(0, 0, 100).to_bytes(4, "little")
    rig.client.on_trap = lambda core: core.write_physical(CODE, replaced)
    core.run(3)
    rig.client.on_trap = Core.stop
    before = core.state.x[0]
    core.run(3)
    assert core.state.x[0] == before + 100


@pytest.mark.parametrize("invalidate", ["ivau", "iallu"])
def test_code_written_by_the_guest_is_fresh_after_its_ic_instruction(rig: Rig, invalidate: str) -> None:
    """The guest calls a function, rewrites it, invalidates and calls again: as a JIT or a patcher does."""
    function = CODE + 0x1000
    program = Program()
    program.label("again").constant(5, function).emit(a.blr(5))
    program.emit(a.ldr32(6, 7), a.str32(6, 5), a.dc_cvau(5), a.DSB_SY)
    program.emit(a.ic_ivau(5) if invalidate == "ivau" else a.IC_IALLU, a.DSB_SY, a.ISB).b("again")
    program.at(0x1000).emit(a.add(0, 0, 1), a.RET)
    core = rig.load(program)
    rig.memory.write(DATA, a.add(0, 0, 1000).to_bytes(4, "little"))
    core.state.x[7] = DATA
    core.run(14 + 2 * 14)
    assert core.state.x[0] in (1001, 2001)
