"""The virtual GIC of a VM as its hypervisor and its guest see it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arch.sysreg import SysReg
from engine.board.bus import Bus
from engine.board.gic import list_register as lr
from engine.hypervisor.vgic import VGic

IAR, EOIR, DIR = SysReg.ICC_IAR1_EL1, SysReg.ICC_EOIR1_EL1, SysReg.ICC_DIR_EL1
FRAME, SGI = 0x20000, 0x10000
GICD, GICR = 0x0800_0000, 0x080A_0000


class Bench:
    """A VM whose guest has set up its GIC: everything enabled, in Group 1, at priority 0xA0."""

    def __init__(self, vcpus: int = 2) -> None:
        self.changed: list[int] = []
        self.ended: list[tuple[int, int]] = []
        self.vgic = VGic(vcpus, on_change=self.changed.append, deactivate_physical=self.note_end)
        self.vgic.gicd.write(0, 4, 0x12)
        for n in range(1, 9):
            self.vgic.gicd.write(0x100 + 4 * n, 4, 0xFFFF_FFFF)
        for intid in range(32, 288):
            self.vgic.gicd.write(0x400 + intid, 1, 0xA0)
        for vcpu in range(vcpus):
            self.vgic.gicr.write(FRAME * vcpu + SGI + 0x100, 4, 0xFFFF_FFFF)
            for intid in range(32):
                self.vgic.gicr.write(FRAME * vcpu + SGI + 0x400 + intid, 1, 0xA0)
            self.open(vcpu)

    def open(self, vcpu: int) -> None:
        self.vgic.sysreg_write(vcpu, SysReg.ICC_PMR_EL1, 0xFF)
        self.vgic.sysreg_write(vcpu, SysReg.ICC_IGRPEN1_EL1, 1)

    def note_end(self, vcpu: int, pintid: int) -> None:
        self.ended.append((vcpu, pintid))

    def take(self, vcpu: int = 0) -> int | None:
        return self.vgic.sysreg_read(vcpu, IAR)

    def end(self, intid: int, vcpu: int = 0) -> None:
        assert self.vgic.sysreg_write(vcpu, EOIR, intid)

    def serve(self, vcpu: int = 0) -> list[int]:
        """Take and end until nothing is signalled."""
        served = []
        while self.vgic.virq(vcpu):
            intid = self.take(vcpu)
            assert intid is not None
            assert intid < 1020
            self.end(intid, vcpu)
            served.append(intid)
        return served


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_guest_finds_affinity_routing_and_its_redistributors() -> None:
    vgic, bus = VGic(4), Bus()
    bus.attach(GICD, vgic.gicd)
    bus.attach(GICR, vgic.gicr)
    assert bus.find(GICR + 3 * FRAME + 8, 8) == (vgic.gicr, 3 * FRAME + 8)
    assert vgic.gicd.read(0, 4) == 0x50
    assert vgic.gicr.read(3 * FRAME + 8, 8) == 3 << 32 | 3 << 8 | 1 << 4
    assert vgic.gicr.read(SGI + 0x80, 4) == 0xFFFF_FFFF


def test_nothing_is_signalled_after_reset() -> None:
    vgic = VGic(1)
    vgic.set_line(27, True)
    vgic.inject(5)
    assert not vgic.virq(0)
    assert not vgic.wakes(0)
    assert vgic.pending(0) == (5, 27)
    assert vgic.sysreg_read(0, IAR) == 1023


def test_a_timer_line_interrupts_until_it_falls(bench: Bench) -> None:
    bench.vgic.set_line(27, True, vcpu=1)
    assert (bench.vgic.virq(0), bench.vgic.virq(1)) == (False, True)
    assert bench.take(1) == 27
    assert bench.vgic.is_active(1, 27)
    assert not bench.vgic.virq(1)
    bench.end(27, 1)
    assert bench.take(1) == 27
    bench.vgic.set_line(27, False, vcpu=1)
    bench.end(27, 1)
    assert not bench.vgic.virq(1)
    assert not bench.vgic.is_active(1, 27)


def test_a_line_that_falls_before_it_is_taken_is_withdrawn(bench: Bench) -> None:
    bench.vgic.set_line(33, True)
    assert bench.vgic.virq(0)
    bench.vgic.set_line(33, False)
    assert not bench.vgic.virq(0)
    assert bench.take() == 1023


def test_more_pending_than_list_registers(bench: Bench) -> None:
    for intid in range(40, 60):
        bench.vgic.gicd.write(0x400 + intid, 1, 0xA0 - 8 * (intid & 3))
        bench.vgic.inject(intid)
    served = bench.serve()
    assert sorted(served) == list(range(40, 60))
    assert served == sorted(served, key=lambda intid: (0xA0 - 8 * (intid & 3), intid))


def test_nested_interrupts_deeper_than_the_list_registers(bench: Bench) -> None:
    intids = list(range(40, 48))
    for depth, intid in enumerate(intids):
        bench.vgic.gicd.write(0x400 + intid, 1, 0xA0 - 16 * depth)
        bench.vgic.set_line(intid, True)
        assert bench.take() == intid
        bench.vgic.set_line(intid, False)
    for intid in reversed(intids):
        assert bench.vgic.is_active(0, intid)
        bench.end(intid)
        assert not bench.vgic.is_active(0, intid)
    assert bench.vgic.sysreg_read(0, SysReg.ICC_RPR_EL1) == 0xFF
    assert not bench.vgic.virq(0)


def test_split_end_with_many_still_active(bench: Bench) -> None:
    bench.vgic.sysreg_write(0, SysReg.ICC_CTLR_EL1, 2)
    for intid in range(40, 50):
        bench.vgic.inject(intid)
    assert sorted(bench.serve()) == list(range(40, 50))
    assert all(bench.vgic.is_active(0, intid) for intid in range(40, 50))
    for intid in range(40, 50):
        bench.vgic.sysreg_write(0, DIR, intid)
    assert not any(bench.vgic.is_active(0, intid) for intid in range(40, 50))


def test_a_hardware_interrupt_ends_its_physical_half_once(bench: Bench) -> None:
    bench.vgic.inject_hw(1, 27, 26)
    assert bench.vgic.virq(1)
    entry = bench.vgic.interfaces[1].entries[0]
    assert entry & lr.HW
    assert lr.pintid(entry) == 26
    assert bench.take(1) == 27
    assert bench.ended == []
    bench.end(27, 1)
    assert bench.ended == [(1, 26)]
    assert not bench.vgic.virq(1)


def test_an_evicted_hardware_interrupt_ends_its_physical_half_too(bench: Bench) -> None:
    bench.vgic.inject_hw(0, 27, 26)
    assert bench.take() == 27
    for depth, intid in enumerate(range(40, 46)):
        bench.vgic.gicd.write(0x400 + intid, 1, 0x90 - 16 * depth)
        bench.vgic.inject(intid)
        assert bench.take() == intid
    for intid in (45, 44, 43, 42, 41, 40, 27):
        bench.end(intid)
    assert bench.ended == [(0, 26)]


@pytest.mark.parametrize(("pend", "offset"), [(True, 0x280), (False, 0x380)])
def test_a_cancelled_hardware_interrupt_frees_its_physical_half(bench: Bench, pend: bool, offset: int) -> None:
    bench.vgic.inject_hw(0, 27, 26)
    if not pend:
        bench.take()
    bench.vgic.gicr.write(SGI + offset, 4, 1 << 27)
    assert not bench.vgic.virq(0)
    assert bench.ended == [(0, 26)]


def test_a_hardware_spi_ends_wherever_it_is_routed(bench: Bench) -> None:
    bench.vgic.gicd.write(0x6000 + 8 * 40, 8, 1)
    bench.vgic.inject_hw(0, 40, 40)
    assert bench.serve(1) == [40]
    assert bench.ended == [(1, 40)]


def test_sgis_between_vcpus(bench: Bench) -> None:
    bench.changed.clear()
    assert bench.vgic.sysreg_write(0, SysReg.ICC_SGI1R_EL1, 3 << 24 | 0b10)
    assert bench.changed == [1]
    assert (bench.vgic.virq(0), bench.vgic.wakes(1)) == (False, True)
    assert bench.serve(1) == [3]
    bench.vgic.send_sgi(1, SysReg.ICC_SGI1R_EL1, 4 << 24 | 1 << 40)
    assert bench.serve(0) == [4]


def test_an_spi_moves_with_its_route(bench: Bench) -> None:
    bench.vgic.set_line(33, True)
    assert bench.vgic.virq(0)
    bench.vgic.gicd.write(0x6000 + 8 * 33, 8, 1)
    assert (bench.vgic.virq(0), bench.vgic.virq(1)) == (False, True)
    assert bench.vgic.pending(1) == (33,)


def test_an_spi_deactivated_by_another_vcpu_leaves_no_trace(bench: Bench) -> None:
    for vcpu in range(2):
        bench.vgic.sysreg_write(vcpu, SysReg.ICC_CTLR_EL1, 2)
    bench.vgic.inject(40)
    bench.take(0)
    bench.end(40, 0)
    bench.vgic.sysreg_write(1, DIR, 40)
    assert bench.vgic.interfaces[0].entries == [0, 0, 0, 0]
    bench.vgic.inject(40)
    assert bench.take(0) == 40


def test_wakes_ignores_the_priority_mask_but_not_the_enables(bench: Bench) -> None:
    bench.vgic.sysreg_write(0, SysReg.ICC_PMR_EL1, 0)
    bench.vgic.set_line(27, True)
    assert (bench.vgic.virq(0), bench.vgic.wakes(0)) == (False, True)
    bench.vgic.gicr.write(SGI + 0x180, 4, 1 << 27)
    assert not bench.vgic.wakes(0)
    bench.vgic.gicr.write(SGI + 0x100, 4, 1 << 27)
    bench.vgic.sysreg_write(0, SysReg.ICC_IGRPEN1_EL1, 0)
    assert not bench.vgic.wakes(0)


def test_group_0_is_vfiq(bench: Bench) -> None:
    bench.vgic.gicd.write(0, 4, 3)
    bench.vgic.sysreg_write(0, SysReg.ICC_IGRPEN0_EL1, 1)
    bench.vgic.gicr.write(SGI + 0x80, 4, ~(1 << 5))
    bench.vgic.inject(5)
    assert (bench.vgic.virq(0), bench.vgic.vfiq(0)) == (False, True)
    assert bench.vgic.sysreg_read(0, SysReg.ICC_IAR0_EL1) == 5
    bench.vgic.sysreg_write(0, SysReg.ICC_EOIR0_EL1, 5)
    assert not bench.vgic.is_active(0, 5)


def test_registers_that_do_not_exist_in_a_vm(bench: Bench) -> None:
    for key in (SysReg.ICC_AP0R1_EL1, SysReg.ICC_SRE_EL2, SysReg.ICC_IGRPEN1_EL3, SysReg.SCTLR_EL1, EOIR):
        assert bench.vgic.sysreg_read(0, key) is None
    for key in (SysReg.ICC_AP0R1_EL1, SysReg.ICC_SRE_EL2, SysReg.ICC_RPR_EL1, IAR, SysReg.ICH_LR0_EL2):
        assert not bench.vgic.sysreg_write(0, key, 0)
    assert bench.vgic.sysreg_read(0, SysReg.ICC_SRE_EL1) == 7
    assert bench.vgic.sysreg_write(0, SysReg.ICC_SRE_EL1, 0)


def test_hosts_cannot_inject_what_does_not_exist(bench: Bench) -> None:
    for intid in (-1, 288, 1023):
        with pytest.raises(ValueError, match="does not exist"):
            bench.vgic.inject(intid)
        with pytest.raises(ValueError, match="does not exist"):
            bench.vgic.inject_hw(0, intid, 30)
    assert bench.vgic.pending(0) == ()


def test_vcpu_reset_forgets_its_private_interrupts(bench: Bench) -> None:
    bench.vgic.set_line(27, True)
    bench.vgic.inject(5)
    assert bench.take() == 5
    bench.vgic.reset_vcpu(0)
    assert not bench.vgic.wakes(0)
    assert not bench.vgic.is_active(0, 5)
    assert bench.vgic.pending(0) == (27,)
    assert bench.vgic.sysreg_read(0, SysReg.ICC_PMR_EL1) == 0
    bench.vgic.inject(3, vcpu=1)
    assert bench.serve(1) == [3]


def test_vm_reset_is_like_new_but_for_the_lines(bench: Bench) -> None:
    bench.vgic.inject(40)
    bench.take()
    bench.vgic.reset()
    assert bench.vgic.save() == VGic(2).save()
    bench.vgic.set_line(33, True)
    bench.vgic.reset()
    assert bench.vgic.pending(0) == (33,)


def test_snapshot_in_the_middle_of_an_interrupt(bench: Bench) -> None:
    bench.vgic.inject_hw(0, 27, 26)
    bench.vgic.inject(40)
    bench.take()
    other = Bench()
    other.vgic.restore(bench.vgic.save())
    other.end(27)
    assert other.ended == [(0, 26)]
    assert other.serve() == [40]
    assert bench.vgic.is_active(0, 27)


def test_changes_are_announced_to_the_vcpu_they_concern(bench: Bench) -> None:
    bench.changed.clear()
    bench.vgic.set_line(33, True)
    bench.vgic.set_line(33, True)
    bench.vgic.inject(27, vcpu=1)
    assert bench.changed == [0, 1]
    bench.vgic.sysreg_write(1, SysReg.ICC_PMR_EL1, 0)
    assert bench.changed == [0, 1, 1]


ICC = [int(key) for key in SysReg if key.name.startswith(("ICC_", "ICH_"))]
ANYTHING = st.tuples(
    st.sampled_from(["read", "write", "load", "store", "line", "inject", "hw", "reset"]),
    st.integers(0, 1),
    st.one_of(st.sampled_from(ICC), st.integers(0, 0xFFFF)),
    st.one_of(st.integers(0, 0x40010), st.integers(0, 0xD80), st.integers(0x10000, 0x10D80)),
    st.sampled_from([1, 2, 4, 8]),
    st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1)),
)


@settings(max_examples=80)
@given(st.lists(ANYTHING, max_size=60))
def test_nothing_a_guest_does_raises(steps: list[tuple[str, int, int, int, int, int]]) -> None:
    bench = Bench()
    vgic = bench.vgic
    for what, vcpu, key, offset, size, value in steps:
        if what == "read":
            result = vgic.sysreg_read(vcpu, key)
            assert result is None or 0 <= result < 1 << 32
        elif what == "write":
            vgic.sysreg_write(vcpu, key, value)
        elif what == "load":
            assert 0 <= vgic.gicd.read(offset & 0xFFFF, size) < 1 << 8 * size
            assert 0 <= vgic.gicr.read(offset, size) < 1 << 8 * size
        elif what == "store":
            vgic.gicd.write(offset & 0xFFFF, size, value)
            vgic.gicr.write(offset, size, value)
        elif what == "line":
            vgic.set_line(16 + value % 272, value & 1 != 0, vcpu)
        elif what == "inject":
            vgic.inject(value % 288, vcpu)
        elif what == "hw":
            vgic.inject_hw(vcpu, value % 288, 30)
        elif value & 7 == 0:
            vgic.reset_vcpu(vcpu)
        assert not (vgic.virq(vcpu) and vgic.vfiq(vcpu))
        assert not vgic.virq(vcpu) or vgic.wakes(vcpu)
        assert vgic.gicr.register(offset)
