"""A payload at EL2 that has a guest at EL1: list registers, the guest's interface, and what traps to EL2."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.psci import Function
from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE
from engine.monitor.payload import UNMASK_GRAIN
from engine.monitor.payload_gic import PayloadGic
from engine.views import VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Bench, Guest, enable_interrupts, store_result, tiny

GUEST, GUEST_VECTORS, VECTORS = 0x700, 0x800, 0x1000
CURRENT_SPX, IRQ, LOWER, LOWER_IRQ = 0x200, 0x280, 0x400, 0x480
RW, IMO, FMO = 1 << 31, 1 << 4, 1 << 3
EL1H, EL1H_UNMASKED = 0x3C5, 0x345
LISTED = 1 << 62 | 1 << 60 | 0x80 << 48 | 77
"""ICH_LR: INTID 77 pending, group 1, priority 0x80."""
EN, MAINTENANCE = 1, 25
VMCR = 0xFF << 24 | 2
"""ICH_VMCR: the guest masks nothing and takes group 1."""


def payload(tmp_path: Path, program: Program, cycles: int = 20_000) -> Bench:
    return tiny(tmp_path, Guest(program.loop(), el=2)).run(cycles)


def enter_guest(program: Program, hcr: int = RW | IMO | FMO, spsr: int = EL1H) -> Program:
    """ERET to GUEST at EL1, whose vectors are at GUEST_VECTORS."""
    program.set_register(SysReg.VBAR_EL2, RAM_BASE + VECTORS).set_register(SysReg.VBAR_EL1, RAM_BASE + GUEST_VECTORS)
    program.set_register(SysReg.HCR_EL2, hcr).set_register(SysReg.SPSR_EL2, spsr)
    return program.set_register(SysReg.ELR_EL2, RAM_BASE + GUEST).emit(a.ERET)


def listing(entry: int = LISTED, control: int = EN) -> Program:
    """List an interrupt for the guest."""
    program = Program().set_register(SysReg.ICH_HCR_EL2, control).set_register(SysReg.ICH_VMCR_EL2, VMCR)
    return program.set_register(SysReg.ICH_LR0_EL2, entry)


def test_system_registers_are_all_there_is(tmp_path: Path) -> None:
    program = Program().set_register(SysReg.ICC_SRE_EL2, 0).emit(a.mrs(1, SysReg.ICC_SRE_EL2))
    program.emit(a.mrs(2, SysReg.ICH_VTR_EL2))
    bench = payload(tmp_path, store_result(store_result(program, 1, 0), 2, 1))
    assert bench.word(DATA) == 0xF
    assert bench.word(DATA + 8) & 0x1F == 3


def test_a_listed_interrupt_is_the_guests(tmp_path: Path) -> None:
    program = enter_guest(listing(), spsr=EL1H_UNMASKED)
    program.at(GUEST).label("wait").b("wait")
    program.at(GUEST_VECTORS + IRQ).emit(a.mrs(1, SysReg.ICC_IAR1_EL1), a.mrs(2, SysReg.ICC_RPR_EL1))
    program.emit(a.msr(SysReg.ICC_EOIR1_EL1, 1), a.mrs(3, SysReg.ICC_IAR1_EL1), a.hvc())
    program.at(VECTORS + LOWER).emit(a.mrs(4, SysReg.ICH_LR0_EL2), a.mrs(5, SysReg.ICC_HPPIR1_EL1))
    for slot, register in enumerate((1, 2, 3, 4, 5)):
        store_result(program, register, slot)
    bench = payload(tmp_path, program)
    assert bench.words(DATA, 5) == [77, 0x80, 1023, LISTED & ~(1 << 62), 1023]


def test_a_listed_interrupt_waits_until_the_guest_unmasks_it(tmp_path: Path) -> None:
    program = enter_guest(listing())
    program.at(GUEST).constant(2, 3000).label("wait").emit(a.subs(2, 2, 1)).b_cond(a.NE, "wait")
    program.emit(a.UNMASK_IRQ).label("count").emit(a.add(3, 3, 1)).b("count")
    store_result(program.at(GUEST_VECTORS + IRQ), 2, 0)
    bench = payload(tmp_path, store_result(program, 3, 1))
    left, counted = bench.words(DATA, 2)
    assert left == 0
    assert counted <= UNMASK_GRAIN


@pytest.mark.parametrize("control", [0, EN])
def test_without_the_enable_bit_the_guest_takes_nothing(tmp_path: Path, control: int) -> None:
    """ICH_HCR_EL2.En turns off what was on before."""
    program = listing()
    program.constant(2, 2000).label("shown").emit(a.subs(2, 2, 1)).b_cond(a.NE, "shown")
    enter_guest(program.set_register(SysReg.ICH_HCR_EL2, control), spsr=EL1H_UNMASKED)
    program.at(GUEST).label("wait").b("wait")
    program.at(GUEST_VECTORS + IRQ).constant(1, 1)
    bench = payload(tmp_path, store_result(program, 1, 0))
    assert bench.word(DATA) == control


def test_the_payloads_own_interrupt_comes_to_el2(tmp_path: Path) -> None:
    """ICC_* of EL2 is never virtual."""
    program = enable_interrupts(listing(), 9).set_register(SysReg.ICC_SGI1R_EL1, 9 << 24 | 1)
    enter_guest(program).at(GUEST).label("wait").b("wait")
    program.at(VECTORS + LOWER_IRQ).emit(a.mrs(1, SysReg.ICC_IAR1_EL1))
    assert payload(tmp_path, store_result(program, 1, 0)).word(DATA) == 9


def test_an_el1_without_virtual_interrupts_has_the_payloads_interface(tmp_path: Path) -> None:
    program = enter_guest(listing().set_register(SysReg.ICC_PMR_EL1, 0xA0), hcr=RW)
    program.at(GUEST).emit(a.mrs(1, SysReg.ICC_PMR_EL1))
    assert payload(tmp_path, store_result(program, 1, 0)).word(DATA) == 0xA0


def test_an_emptied_list_register_may_interrupt_the_payload(tmp_path: Path) -> None:
    """The EOI bit of a list register asks for the maintenance interrupt (IHI0069 12.4.9)."""
    program = enable_interrupts(listing(LISTED | 1 << 41), MAINTENANCE)
    enter_guest(program, spsr=EL1H_UNMASKED).at(GUEST).label("wait").b("wait")
    program.at(GUEST_VECTORS + IRQ).emit(a.mrs(1, SysReg.ICC_IAR1_EL1), a.msr(SysReg.ICC_EOIR1_EL1, 1)).loop()
    program.at(VECTORS + LOWER_IRQ).emit(a.mrs(2, SysReg.ICC_IAR1_EL1), a.mrs(3, SysReg.ICH_MISR_EL2))
    bench = payload(tmp_path, store_result(store_result(program, 2, 0), 3, 1))
    assert bench.words(DATA, 2) == [MAINTENANCE, 1]


def test_the_end_of_a_hardware_interrupt_deactivates_the_payloads(tmp_path: Path) -> None:
    program = enable_interrupts(Program(), 9, 10).set_register(SysReg.ICC_CTLR_EL1, 2)
    program.set_register(SysReg.ICC_SGI1R_EL1, 9 << 24 | 1).emit(a.mrs(1, SysReg.ICC_IAR1_EL1))
    program.emit(a.msr(SysReg.ICC_EOIR1_EL1, 1)).set_register(SysReg.ICH_HCR_EL2, EN)
    program.set_register(SysReg.ICH_VMCR_EL2, VMCR).set_register(SysReg.ICH_LR0_EL2, LISTED | 1 << 61 | 9 << 32)
    enter_guest(program, spsr=EL1H_UNMASKED).at(GUEST).label("wait").b("wait")
    program.at(GUEST_VECTORS + IRQ).emit(a.mrs(1, SysReg.ICC_IAR1_EL1), a.hvc(), a.msr(SysReg.ICC_EOIR1_EL1, 1))
    program.loop().at(VECTORS + LOWER).emit(a.ERET)
    bench = tiny(tmp_path, Guest(program, el=2))
    seen = [bench.run(20).vm.vgic.is_active(0, 9) for _ in range(200)]
    assert seen[-1] is False
    assert True in seen


@pytest.mark.parametrize("virtual", [True, False])
def test_software_interrupts_of_a_guest_trap(tmp_path: Path, virtual: bool) -> None:
    """EC 0x18 while its interrupts are virtual (Arm ARM D17.2.48, HCR_EL2.IMO)."""
    program = enter_guest(Program(), hcr=RW | IMO if virtual else RW)
    program.at(GUEST).constant(1, 5 << 24).emit(a.msr(SysReg.ICC_SGI1R_EL1, 1), a.hvc())
    program.at(VECTORS + LOWER).emit(a.mrs(4, SysReg.ESR_EL2))
    esr = payload(tmp_path, store_result(program, 4, 0)).word(DATA)
    assert esr >> 26 == (0x18 if virtual else 0x16)
    if virtual:
        assert esr & 0x1FF_FFFF == 3 << 20 | 5 << 17 | 12 << 10 | 1 << 5 | 11 << 1


@pytest.mark.parametrize("register", [SysReg.ICH_HCR_EL2, SysReg.ICH_LR0_EL2, SysReg.ICC_SRE_EL2])
def test_el1_has_no_registers_of_el2(tmp_path: Path, register: SysReg) -> None:
    program = enter_guest(Program())
    program.at(GUEST).emit(a.mrs(1, register)).loop()
    program.at(GUEST_VECTORS + CURRENT_SPX).emit(a.mrs(4, SysReg.ESR_EL1))
    assert payload(tmp_path, store_result(program, 4, 0)).word(DATA) >> 26 == 0


def test_a_reset_empties_the_list_registers(tmp_path: Path) -> None:
    program = listing().emit(a.mrs(1, SysReg.ICH_HCR_EL2))
    bench = payload(tmp_path, store_result(program, 1, 0))
    assert bench.word(DATA) == EN
    gic = bench.vm.vgic
    assert isinstance(gic, PayloadGic)
    gic.reset()
    assert gic.sysreg_read(0, SysReg.ICH_LR0_EL2) == gic.sysreg_read(0, SysReg.ICH_HCR_EL2) == 0
    assert not gic.signalled


def test_every_pe_at_el2_knows_which_it_is(tmp_path: Path) -> None:
    program = Program().emit(a.mrs(1, SysReg.MPIDR_EL1))
    store_result(program, 1, 0).call(Function.CPU_ON | 1 << 30, 1, RAM_BASE + GUEST, conduit=a.smc()).loop()
    program.at(GUEST).emit(a.mrs(1, SysReg.MPIDR_EL1))
    bench = tiny(tmp_path, Guest(store_result(program, 1, 1).loop(), vcpus=2, el=2), cores=2).run_ms(1)
    assert bench.words(DATA, 2) == [1 << 31, 1 << 31 | 1]


def test_a_fetch_from_nowhere_ends_the_payload_alone(tmp_path: Path) -> None:
    program = Program().set_register(SysReg.VBAR_EL2, 0).constant(1, 0x1000).emit(a.br(1))
    bench = payload(tmp_path, program)
    assert bench.vm.state is VmRunState.CRASHED
    assert "cannot fetch at 0x200" in bench.vm.detail
