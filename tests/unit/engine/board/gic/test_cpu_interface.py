"""The physical CPU interface with one security state."""

from __future__ import annotations

import pytest

from engine.arch.sysreg import SysReg
from engine.board.gic.cpu_interface import CpuInterface
from engine.board.gic.distributor import Distributor

ISENABLER0, IPRIORITYR, IGROUPR0 = 0x10100, 0x10400, 0x10080


class Bench:
    """Four PEs whose SGIs and PPIs are all enabled, in Group 1, at priority 0xA0."""

    def __init__(self) -> None:
        self.gic = Distributor(4)
        self.cpus = [CpuInterface(self.gic, pe) for pe in range(4)]
        self.gic.write(0, 4, 3)
        for pe, cpu in enumerate(self.cpus):
            base = 0x20000 * pe
            self.gic.region.write(base + ISENABLER0, 4, 0xFFFF_FFFF)
            self.gic.region.write(base + IGROUPR0, 4, 0xFFFF_FFFF)
            for intid in range(32):
                self.gic.region.write(base + IPRIORITYR + intid, 1, 0xA0)
            cpu.write(SysReg.ICC_PMR_EL1, 0xFF)
            cpu.write(SysReg.ICC_IGRPEN0_EL1, 1)
            cpu.write(SysReg.ICC_IGRPEN1_EL1, 1)

    def pend(self, intid: int, priority: int) -> None:
        self.gic.region.write(IPRIORITYR + intid, 1, priority)
        self.gic.set_pending(intid)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_reset_state_is_closed() -> None:
    cpu = CpuInterface(Distributor(1), 0)
    assert cpu.read(SysReg.ICC_PMR_EL1) == 0
    assert cpu.read(SysReg.ICC_IGRPEN1_EL1) == 0
    assert cpu.read(SysReg.ICC_RPR_EL1) == 0xFF
    assert cpu.read(SysReg.ICC_IAR1_EL1) == 1023
    assert cpu.read(SysReg.ICC_SRE_EL1) == 7
    assert cpu.read(SysReg.ICC_CTLR_EL1) == 1 << 18 | 1 << 15 | 4 << 8
    assert cpu.read(SysReg.ICC_BPR0_EL1) == 2
    assert cpu.read(SysReg.ICC_BPR1_EL1) == 3


def test_higher_priority_preempts_and_priorities_stack(bench: Bench) -> None:
    cpu = bench.cpus[0]
    for intid, priority in ((20, 0xA0), (21, 0x80), (22, 0x40)):
        bench.pend(intid, priority)
        assert cpu.irq()
        assert cpu.read(SysReg.ICC_IAR1_EL1) == intid
        assert cpu.read(SysReg.ICC_RPR_EL1) == priority
    assert cpu.read(SysReg.ICC_AP1R0_EL1) == 1 << 20 | 1 << 16 | 1 << 8
    for intid, running in ((22, 0x80), (21, 0xA0), (20, 0xFF)):
        cpu.write(SysReg.ICC_EOIR1_EL1, intid)
        assert cpu.read(SysReg.ICC_RPR_EL1) == running


def test_equal_priority_does_not_preempt_and_the_lower_intid_is_first(bench: Bench) -> None:
    cpu = bench.cpus[0]
    bench.pend(21, 0xA0)
    bench.pend(20, 0xA0)
    assert cpu.read(SysReg.ICC_IAR1_EL1) == 20
    assert not cpu.irq()
    assert cpu.read(SysReg.ICC_HPPIR1_EL1) == 21
    assert cpu.read(SysReg.ICC_IAR1_EL1) == 1023


def test_the_binary_point_groups_priorities(bench: Bench) -> None:
    cpu = bench.cpus[0]
    cpu.write(SysReg.ICC_BPR1_EL1, 7)
    bench.pend(20, 0xA0)
    cpu.read(SysReg.ICC_IAR1_EL1)
    assert cpu.read(SysReg.ICC_RPR_EL1) == 0x80
    bench.pend(21, 0x88)
    assert not cpu.irq()
    bench.pend(22, 0x78)
    assert cpu.irq()


def test_the_common_binary_point(bench: Bench) -> None:
    cpu = bench.cpus[0]
    cpu.write(SysReg.ICC_BPR0_EL1, 5)
    cpu.write(SysReg.ICC_CTLR_EL1, 1)
    assert cpu.read(SysReg.ICC_BPR1_EL1) == 6
    cpu.write(SysReg.ICC_BPR1_EL1, 3)
    assert cpu.read(SysReg.ICC_BPR1_EL1) == 6
    cpu.write(SysReg.ICC_BPR0_EL1, 7)
    assert cpu.read(SysReg.ICC_BPR1_EL1) == 7


def test_binary_points_have_a_minimum(bench: Bench) -> None:
    cpu = bench.cpus[0]
    cpu.write(SysReg.ICC_BPR0_EL1, 0)
    cpu.write(SysReg.ICC_BPR1_EL1, 0)
    assert (cpu.read(SysReg.ICC_BPR0_EL1), cpu.read(SysReg.ICC_BPR1_EL1)) == (2, 3)


def test_the_mask_is_exclusive(bench: Bench) -> None:
    cpu = bench.cpus[0]
    bench.pend(20, 0xA0)
    cpu.write(SysReg.ICC_PMR_EL1, 0xA0)
    assert not cpu.irq()
    assert cpu.read(SysReg.ICC_IAR1_EL1) == 1023
    cpu.write(SysReg.ICC_PMR_EL1, 0xA8)
    assert cpu.irq()


def test_group_0_is_fiq(bench: Bench) -> None:
    cpu = bench.cpus[0]
    bench.gic.region.write(IGROUPR0, 4, 0)
    bench.pend(20, 0x40)
    assert (cpu.irq(), cpu.fiq()) == (False, True)
    assert cpu.read(SysReg.ICC_IAR1_EL1) == 1023
    assert cpu.read(SysReg.ICC_HPPIR0_EL1) == 20
    assert cpu.read(SysReg.ICC_IAR0_EL1) == 20
    cpu.write(SysReg.ICC_EOIR1_EL1, 20)
    assert cpu.read(SysReg.ICC_RPR_EL1) == 0x40
    cpu.write(SysReg.ICC_EOIR0_EL1, 20)
    assert cpu.read(SysReg.ICC_RPR_EL1) == 0xFF


def test_split_end(bench: Bench) -> None:
    cpu = bench.cpus[0]
    cpu.write(SysReg.ICC_DIR_EL1, 27)
    cpu.write(SysReg.ICC_CTLR_EL1, 2)
    assert cpu.read(SysReg.ICC_CTLR_EL1) == 1 << 18 | 1 << 15 | 4 << 8 | 2
    bench.gic.set_line(27, True)
    assert cpu.read(SysReg.ICC_IAR1_EL1) == 27
    cpu.write(SysReg.ICC_EOIR1_EL1, 27)
    assert cpu.read(SysReg.ICC_RPR_EL1) == 0xFF
    assert not cpu.irq()
    cpu.write(SysReg.ICC_DIR_EL1, 27)
    assert cpu.irq()


def test_deactivate_is_ignored_without_split_end(bench: Bench) -> None:
    cpu = bench.cpus[0]
    bench.gic.set_line(27, True)
    cpu.read(SysReg.ICC_IAR1_EL1)
    cpu.write(SysReg.ICC_DIR_EL1, 27)
    assert not cpu.irq()


@pytest.mark.parametrize(
    ("value", "reached"),
    [
        (5 << 24 | 0b1010, {1, 3}),
        (5 << 24 | 1 << 40, {0, 1, 3}),
        (5 << 24 | 1 << 16 | 0b1111, set()),
        (5 << 24 | 1 << 32 | 0b1111, set()),
        (5 << 24 | 1 << 48 | 0b1111, set()),
        (5 << 24 | 1 << 44 | 0b1111, set()),
        (5 << 24 | 0xFFFF, {0, 1, 2, 3}),
    ],
)
def test_sgi_targets(bench: Bench, value: int, reached: set[int]) -> None:
    bench.cpus[2].write(SysReg.ICC_SGI1R_EL1, value)
    assert {pe for pe in range(4) if bench.gic.pending(pe) == (5,)} == reached


def test_range_selector_reaches_pes_from_16() -> None:
    gic = Distributor(20, group1=True)
    gic.send_sgi(0, SysReg.ICC_SGI1R_EL1, 1 << 44 | 0b1001 | 3 << 24)
    assert [pe for pe in range(20) if gic.pending(pe)] == [16, 19]


def test_sgis_reach_only_the_groups_they_may(bench: Bench) -> None:
    bench.gic.region.write(IGROUPR0, 4, ~(1 << 3))
    for key in (SysReg.ICC_SGI0R_EL1, SysReg.ICC_ASGI1R_EL1):
        bench.cpus[1].write(key, 3 << 24 | 0b1111)
        assert [bench.gic.pending(pe) for pe in range(4)] == [(3,), (), (), ()]
        bench.gic.region.write(0x10280, 4, 0xFFFF_FFFF)
    bench.cpus[1].write(SysReg.ICC_SGI1R_EL1, 3 << 24 | 0b11)
    assert [bench.gic.pending(pe) for pe in range(4)] == [(3,), (3,), (), ()]


def test_registers_that_do_not_exist(bench: Bench) -> None:
    cpu = bench.cpus[0]
    assert cpu.read(SysReg.ICC_AP1R1_EL1) is None
    assert cpu.read(SysReg.ICC_EOIR1_EL1) is None
    assert cpu.read(SysReg.SCTLR_EL1) is None
    assert cpu.read(SysReg.ICC_SRE_EL2) is None
    assert cpu.read(SysReg.ICC_SRE_EL2, el=2) == 0xF
    assert not cpu.write(SysReg.ICC_IAR1_EL1, 0)
    assert not cpu.write(SysReg.ICC_CTLR_EL3, 0, secure=True, el=2)


def test_spurious_ends_are_harmless(bench: Bench) -> None:
    cpu = bench.cpus[0]
    for value in (1023, 27, 5000, 0xFFFF_FFFF_FFFF_FFFF):
        assert cpu.write(SysReg.ICC_EOIR1_EL1, value)
    assert cpu.read(SysReg.ICC_RPR_EL1) == 0xFF


def test_warm_reset(bench: Bench) -> None:
    cpu = bench.cpus[0]
    bench.gic.set_line(27, True)
    cpu.read(SysReg.ICC_IAR1_EL1)
    cpu.reset()
    assert cpu.read(SysReg.ICC_RPR_EL1) == 0xFF
    assert bench.gic.ready(0) == 0
