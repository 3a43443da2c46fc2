"""Two security states: what Non-secure software sees and reaches, and where each group is signalled."""

from __future__ import annotations

import pytest

from engine.arch.sysreg import SysReg
from engine.board.gic.cpu_interface import CpuInterface
from engine.board.gic.distributor import Distributor

SGI = 0x10000
G0_INTID, G1S_INTID, G1NS_INTID = 8, 29, 30


class Bench:
    """One PE; INTID 8 is Group 0, 29 Secure Group 1, 30 Non-secure Group 1, each enabled at priority 0xA0."""

    def __init__(self) -> None:
        self.gic = Distributor(2, security=True)
        self.cpu = CpuInterface(self.gic, 0)
        self.gic.write(0, 4, 7, secure=True)
        for pe in range(2):
            self.secure_write(pe, 0x080, 1 << G1NS_INTID | 2)
            self.secure_write(pe, 0xD00, 1 << G1S_INTID | 4)
            self.secure_write(pe, 0x100, 0xFFFF_FFFF)
            for intid in range(0, 32, 4):
                self.secure_write(pe, 0x400 + intid, 0xA0A0_A0A0)
        self.cpu.write(SysReg.ICC_PMR_EL1, 0xFF, secure=True, el=3)
        self.cpu.write(SysReg.ICC_IGRPEN0_EL1, 1, secure=True, el=3)
        self.cpu.write(SysReg.ICC_IGRPEN1_EL3, 3, secure=True, el=3)

    def secure_write(self, pe: int, offset: int, value: int) -> None:
        self.gic.region.write(0x20000 * pe + SGI + offset, 4, value, secure=True)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_control_register_views(bench: Bench) -> None:
    assert bench.gic.read(0, 4, secure=True) == 0x37
    assert bench.gic.read(0, 4) == 0x12
    bench.gic.write(0, 4, 0)
    assert bench.gic.read(0, 4, secure=True) == 0x35
    assert bench.gic.read(4, 4) & 1 << 10


def test_secure_interrupts_are_hidden_from_nonsecure_accesses(bench: Bench) -> None:
    gicr = bench.gic.region
    assert gicr.read(SGI + 0x100, 4) == 1 << G1NS_INTID | 2
    gicr.write(SGI + 0x180, 4, 0xFFFF_FFFF)
    gicr.write(SGI + 0x200, 4, 0xFFFF_FFFF)
    assert gicr.read(SGI + 0x100, 4, secure=True) == 0xFFFF_FFFF & ~(1 << G1NS_INTID | 2)
    assert bench.gic.pending(0) == (1, G1NS_INTID)


def test_groups_belong_to_the_secure_state(bench: Bench) -> None:
    gicr = bench.gic.region
    for offset in (SGI + 0x080, SGI + 0xD00):
        gicr.write(offset, 4, 0xFFFF_FFFF)
        assert gicr.read(offset, 4) == 0
    assert gicr.read(SGI + 0x080, 4, secure=True) == 1 << G1NS_INTID | 2


def test_nonsecure_priorities_are_the_lower_half(bench: Bench) -> None:
    gicr = bench.gic.region
    assert gicr.read(SGI + 0x400 + G1NS_INTID, 1) == 0x40
    gicr.write(SGI + 0x400 + G1NS_INTID, 1, 0x80)
    assert gicr.read(SGI + 0x400 + G1NS_INTID, 1, secure=True) == 0xC0
    gicr.write(SGI + 0x400 + G0_INTID, 1, 0)
    assert gicr.read(SGI + 0x400 + G0_INTID, 1) == 0
    assert gicr.read(SGI + 0x400 + G0_INTID, 1, secure=True) == 0xA0


def test_waker_and_routing_are_secure(bench: Bench) -> None:
    bench.gic.region.write(0x14, 4, 0)
    assert bench.gic.region.read(0x14, 4) == 0
    assert bench.gic.region.read(0x14, 4, secure=True) == 6
    bench.gic.write(0x6100, 8, 1)
    assert bench.gic.route(32) == 0


@pytest.mark.parametrize(
    ("intid", "nonsecure", "secure", "el3"),
    [(G0_INTID, "fiq", "fiq", "fiq"), (G1S_INTID, "fiq", "irq", "fiq"), (G1NS_INTID, "irq", "fiq", "fiq")],
)
def test_signalling(bench: Bench, intid: int, nonsecure: str, secure: str, el3: str) -> None:
    bench.gic.set_pending(intid)
    for where, expected in (((False, False), nonsecure), ((True, False), secure), ((True, True), el3)):
        assert (bench.cpu.irq(*where), bench.cpu.fiq(*where)) == (expected == "irq", expected == "fiq")


@pytest.mark.parametrize(("intid", "at_el3"), [(G1S_INTID, 1020), (G1NS_INTID, 1021)])
def test_el3_learns_whose_group_1_is_pending(bench: Bench, intid: int, at_el3: int) -> None:
    bench.gic.set_pending(intid)
    assert bench.cpu.read(SysReg.ICC_IAR0_EL1, secure=True, el=3) == at_el3
    assert bench.cpu.read(SysReg.ICC_IAR0_EL1, secure=True, el=1) == 1023
    assert bench.cpu.read(SysReg.ICC_RPR_EL1, secure=True, el=3) == 0xFF


def test_each_state_acknowledges_its_own(bench: Bench) -> None:
    cpu = bench.cpu
    bench.gic.set_pending(G1S_INTID)
    assert cpu.read(SysReg.ICC_IAR1_EL1) == 1023
    assert cpu.read(SysReg.ICC_IAR0_EL1) == 1023
    assert cpu.read(SysReg.ICC_IAR1_EL1, secure=True) == G1S_INTID
    cpu.write(SysReg.ICC_EOIR1_EL1, G1S_INTID)
    assert cpu.read(SysReg.ICC_RPR_EL1, secure=True) == 0xA0
    cpu.write(SysReg.ICC_EOIR1_EL1, G1S_INTID, secure=True)
    assert cpu.read(SysReg.ICC_RPR_EL1, secure=True) == 0xFF


def test_secure_el1_does_not_see_nonsecure_group_1(bench: Bench) -> None:
    bench.gic.set_pending(G1NS_INTID)
    assert bench.cpu.read(SysReg.ICC_IAR1_EL1, secure=True) == 1023
    assert bench.cpu.read(SysReg.ICC_IAR1_EL1) == G1NS_INTID
    assert bench.cpu.read(SysReg.ICC_RPR_EL1) == 0x40
    assert bench.cpu.read(SysReg.ICC_AP1R0_EL1) == 1 << 20
    assert bench.cpu.read(SysReg.ICC_AP1R0_EL1, secure=True) == 0


def test_nonsecure_priority_mask(bench: Bench) -> None:
    cpu = bench.cpu
    cpu.write(SysReg.ICC_PMR_EL1, 0x80)
    assert cpu.read(SysReg.ICC_PMR_EL1) == 0x80
    assert cpu.read(SysReg.ICC_PMR_EL1, secure=True) == 0xC0
    cpu.write(SysReg.ICC_PMR_EL1, 0x40, secure=True)
    assert cpu.read(SysReg.ICC_PMR_EL1) == 0
    cpu.write(SysReg.ICC_PMR_EL1, 0xFF)
    assert cpu.read(SysReg.ICC_PMR_EL1, secure=True) == 0x40


def test_group_1_registers_are_banked(bench: Bench) -> None:
    cpu = bench.cpu
    assert cpu.read(SysReg.ICC_BPR1_EL1, secure=True) == 2
    assert cpu.read(SysReg.ICC_BPR1_EL1) == 3
    cpu.write(SysReg.ICC_IGRPEN1_EL1, 0)
    assert cpu.read(SysReg.ICC_IGRPEN1_EL3, secure=True, el=3) == 2
    cpu.write(SysReg.ICC_CTLR_EL1, 2)
    assert cpu.read(SysReg.ICC_CTLR_EL1, secure=True) == 1 << 18 | 1 << 15 | 4 << 8
    assert cpu.read(SysReg.ICC_CTLR_EL3, secure=True, el=3) == 1 << 18 | 1 << 17 | 1 << 15 | 4 << 8 | 1 << 4
    cpu.write(SysReg.ICC_CTLR_EL3, 0b1101, secure=True, el=3)
    assert cpu.read(SysReg.ICC_CTLR_EL1, secure=True) == 1 << 18 | 1 << 15 | 4 << 8 | 3
    assert cpu.read(SysReg.ICC_CTLR_EL1) == 1 << 18 | 1 << 15 | 4 << 8


def test_group_0_registers_are_nothing_to_nonsecure(bench: Bench) -> None:
    cpu = bench.cpu
    for key in (SysReg.ICC_BPR0_EL1, SysReg.ICC_AP0R0_EL1, SysReg.ICC_IGRPEN0_EL1):
        cpu.write(key, 7)
        assert cpu.read(key) == 0
    assert cpu.read(SysReg.ICC_IGRPEN0_EL1, secure=True) == 1


@pytest.mark.parametrize(
    ("key", "secure", "reached"),
    [
        (SysReg.ICC_SGI1R_EL1, False, {1}),
        (SysReg.ICC_ASGI1R_EL1, False, set()),
        (SysReg.ICC_SGI0R_EL1, False, set()),
        (SysReg.ICC_SGI1R_EL1, True, {2, 3}),
        (SysReg.ICC_ASGI1R_EL1, True, {1}),
        (SysReg.ICC_SGI0R_EL1, True, {3}),
    ],
)
def test_sgis_across_the_states(bench: Bench, key: SysReg, secure: bool, reached: set[int]) -> None:
    """SGI 1 is Non-secure Group 1, SGI 2 Secure Group 1, SGI 3 Group 0."""
    for intid in (1, 2, 3):
        bench.cpu.write(key, intid << 24 | 2, secure=secure)
    assert set(bench.gic.pending(1)) == reached


def test_nonsecure_software_cannot_deactivate_a_secure_interrupt(bench: Bench) -> None:
    cpu = bench.cpu
    cpu.write(SysReg.ICC_CTLR_EL1, 2)
    bench.gic.set_pending(G1S_INTID)
    cpu.read(SysReg.ICC_IAR1_EL1, secure=True)
    cpu.write(SysReg.ICC_DIR_EL1, G1S_INTID)
    assert bench.gic.redistributors[0].bank.active == 1 << G1S_INTID


def test_secure_message_spis(bench: Bench) -> None:
    bench.gic.write(0x40, 4, 40)
    bench.gic.write(0x50, 4, 40)
    assert bench.gic.pending(0) == ()
    bench.gic.write(0x50, 4, 40, secure=True)
    assert bench.gic.pending(0) == (40,)
    bench.gic.write(0x58, 4, 40, secure=True)
    assert bench.gic.pending(0) == ()
