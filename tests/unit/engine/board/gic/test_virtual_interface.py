"""List registers, ICH_* and the ICV_* view (IHI0069 chapter 6, 12.3 and 12.4)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arch.sysreg import SysReg
from engine.board.gic import list_register as lr
from engine.board.gic.virtual_interface import VirtualInterface

LR0 = int(SysReg.ICH_LR0_EL2)
EOI_COUNT_SHIFT = 27


class Bench:
    """A virtual interface that is on, with both groups enabled and nothing masked."""

    def __init__(self, list_registers: int = 4) -> None:
        self.ended: list[int] = []
        self.view = VirtualInterface(list_registers, self.ended.append)
        self.view.write_ich(SysReg.ICH_HCR_EL2, 1)
        self.view.write_ich(SysReg.ICH_VMCR_EL2, 0xFF << 24 | 3)

    def list(self, index: int, value: int) -> None:
        assert self.view.write_ich(LR0 + index, value)

    def ich(self, key: int) -> int:
        value = self.view.read_ich(key)
        assert value is not None
        return value

    def state(self, index: int) -> int:
        return lr.state(self.ich(LR0 + index))

    def take(self) -> int | None:
        return self.view.read(SysReg.ICC_IAR1_EL1)

    def end(self, intid: int) -> None:
        self.view.write(SysReg.ICC_EOIR1_EL1, intid)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_list_register_holds_what_was_built(bench: Bench) -> None:
    value = lr.build(27, 0xA0)
    assert (lr.state(value), lr.vintid(value), lr.priority(value)) == (lr.PENDING, 27, 0xA0)
    assert value == 1 << 62 | 1 << 60 | 0xA0 << 48 | 27
    assert bench.ich(SysReg.ICH_VTR_EL2) & 0x1F == 3
    assert bench.ich(SysReg.ICH_ELRSR_EL2) == 0b1111
    bench.list(0, value)
    assert bench.ich(LR0) == value
    assert bench.ich(SysReg.ICH_ELRSR_EL2) == 0b1110
    bench.list(0, 0)
    assert bench.ich(SysReg.ICH_ELRSR_EL2) == 0b1111


def test_hardware_layout() -> None:
    value = lr.build(27, 0x80, group1=False, pintid=0x1ABC, state=lr.ACTIVE)
    assert value == 2 << 62 | 1 << 61 | 0x80 << 48 | 0x1ABC << 32 | 27
    assert lr.pintid(value) == 0x1ABC


def test_life_of_a_virtual_interrupt(bench: Bench) -> None:
    bench.list(2, lr.build(27, 0xA0))
    assert (bench.view.virq(), bench.view.vfiq()) == (True, False)
    assert bench.view.read(SysReg.ICC_HPPIR1_EL1) == 27
    assert bench.take() == 27
    assert bench.state(2) == lr.ACTIVE
    assert bench.view.read(SysReg.ICC_RPR_EL1) == 0xA0
    assert bench.ich(SysReg.ICH_AP1R0_EL2) == 1 << 20
    assert not bench.view.virq()
    bench.end(27)
    assert bench.state(2) == 0
    assert bench.view.read(SysReg.ICC_RPR_EL1) == 0xFF


def test_active_and_pending_comes_back_after_its_end(bench: Bench) -> None:
    bench.list(0, lr.build(5, 0xA0))
    bench.take()
    bench.list(0, lr.build(5, 0xA0, state=3))
    assert not bench.view.virq()
    bench.end(5)
    assert bench.state(0) == lr.PENDING
    assert bench.view.virq()


def test_highest_priority_first_and_nesting(bench: Bench) -> None:
    bench.list(0, lr.build(40, 0xA0))
    bench.list(1, lr.build(41, 0x80))
    assert bench.take() == 41
    assert bench.take() == 1023
    bench.list(2, lr.build(42, 0x40))
    assert bench.take() == 42
    bench.end(42)
    bench.end(41)
    assert bench.take() == 40


def test_group_0_is_vfiq(bench: Bench) -> None:
    bench.list(0, lr.build(40, 0xA0, group1=False))
    assert (bench.view.virq(), bench.view.vfiq()) == (False, True)
    assert bench.take() == 1023
    assert bench.view.read(SysReg.ICC_HPPIR0_EL1) == 40
    assert bench.view.read(SysReg.ICC_IAR0_EL1) == 40
    assert bench.view.write(SysReg.ICC_EOIR0_EL1, 40)
    assert bench.state(0) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (SysReg.ICH_HCR_EL2, 0),
        (SysReg.ICH_VMCR_EL2, 0xFF << 24 | 1),
        (SysReg.ICH_VMCR_EL2, 0xA0 << 24 | 3),
        (SysReg.ICH_AP1R0_EL2, 1 << 20),
    ],
)
def test_what_holds_an_interrupt_back(bench: Bench, key: int, value: int) -> None:
    bench.list(0, lr.build(40, 0xA0))
    bench.view.write_ich(key, value)
    assert not bench.view.virq()
    assert bench.take() == 1023
    assert bench.state(0) == lr.PENDING


def test_split_end_and_hardware_deactivation(bench: Bench) -> None:
    bench.view.write(SysReg.ICC_CTLR_EL1, 2)
    bench.list(0, lr.build(27, 0xA0, pintid=30))
    bench.take()
    bench.end(27)
    assert (bench.state(0), bench.ended) == (lr.ACTIVE, [])
    bench.view.write(SysReg.ICC_DIR_EL1, 27)
    assert (bench.state(0), bench.ended) == (0, [30])


def test_ends_without_a_list_register_are_counted(bench: Bench) -> None:
    bench.list(0, lr.build(40, 0xA0))
    bench.take()
    bench.list(0, 0)
    bench.view.write_ich(SysReg.ICH_HCR_EL2, 1 << 2 | 1)
    assert not bench.view.maintenance()
    bench.end(40)
    assert bench.ich(SysReg.ICH_HCR_EL2) >> EOI_COUNT_SHIFT == 1
    assert bench.ich(SysReg.ICH_MISR_EL2) == 1 << 2
    assert bench.view.maintenance()
    assert bench.view.read(SysReg.ICC_RPR_EL1) == 0xFF


def test_an_end_with_nothing_active_is_not_counted(bench: Bench) -> None:
    bench.end(40)
    bench.end(1023)
    assert bench.ich(SysReg.ICH_HCR_EL2) == 1


def test_end_of_interrupt_maintenance(bench: Bench) -> None:
    bench.list(1, lr.build(40, 0xA0) | lr.EOI_MAINTENANCE)
    bench.take()
    assert bench.ich(SysReg.ICH_EISR_EL2) == 0
    bench.end(40)
    assert bench.ich(SysReg.ICH_EISR_EL2) == 0b10
    assert bench.ich(SysReg.ICH_ELRSR_EL2) == 0b1101
    assert bench.ich(SysReg.ICH_MISR_EL2) == 1


def test_maintenance_conditions(bench: Bench) -> None:
    bench.view.write_ich(SysReg.ICH_HCR_EL2, 0xFB)
    assert bench.ich(SysReg.ICH_MISR_EL2) == 0b0101_1010
    bench.list(0, lr.build(40, 0xA0))
    bench.list(1, lr.build(41, 0xA0))
    bench.view.write_ich(SysReg.ICH_VMCR_EL2, 0)
    assert bench.ich(SysReg.ICH_MISR_EL2) == 0b1010_0000


def test_vmcr_is_the_guests_registers(bench: Bench) -> None:
    bench.view.write_ich(SysReg.ICH_VMCR_EL2, 0x88 << 24 | 3 << 21 | 5 << 18 | 1 << 9 | 2)
    assert bench.view.read(SysReg.ICC_PMR_EL1) == 0x88
    assert bench.view.read(SysReg.ICC_BPR0_EL1) == 3
    assert bench.view.read(SysReg.ICC_BPR1_EL1) == 5
    assert bench.view.read(SysReg.ICC_IGRPEN0_EL1) == 0
    assert bench.view.read(SysReg.ICC_IGRPEN1_EL1) == 1
    assert bench.view.read(SysReg.ICC_CTLR_EL1) == 1 << 18 | 1 << 15 | 4 << 8 | 2
    bench.view.write(SysReg.ICC_CTLR_EL1, 1)
    assert bench.view.read(SysReg.ICC_BPR1_EL1) == 4
    assert bench.ich(SysReg.ICH_VMCR_EL2) == 0x88 << 24 | 3 << 21 | 5 << 18 | 1 << 4 | 1 << 3 | 2


def test_a_listed_special_intid_just_goes_away(bench: Bench) -> None:
    bench.list(0, lr.build(1022, 0xA0))
    assert bench.take() == 1023
    assert bench.state(0) == 0
    assert bench.view.read(SysReg.ICC_RPR_EL1) == 0xFF


def test_registers_that_do_not_exist(bench: Bench) -> None:
    assert bench.view.read_ich(LR0 + 4) is None
    assert bench.view.read_ich(SysReg.ICH_AP0R1_EL2) is None
    assert not bench.view.write_ich(SysReg.ICH_VTR_EL2, 0)
    assert not bench.view.write_ich(LR0 + 4, 0)
    assert bench.view.read(SysReg.ICC_DIR_EL1) is None
    assert bench.view.read(SysReg.ICC_AP1R1_EL1) is None
    assert not bench.view.write(SysReg.ICC_RPR_EL1, 0)


def test_state_round_trip(bench: Bench) -> None:
    bench.list(0, lr.build(40, 0xA0))
    bench.take()
    bench.list(1, lr.build(41, 0x40))
    other = Bench()
    other.view.restore(bench.view.save())
    assert other.view.save() == bench.view.save()
    assert other.take() == 41


ICH = [int(key) for key in SysReg if key.name.startswith("ICH_")]
ICC = [int(key) for key in SysReg if key.name.startswith("ICC_")]


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(st.sampled_from(ICH + ICC), st.booleans(), st.integers(0, (1 << 64) - 1)),
        max_size=60,
    )
)
def test_any_access_is_safe(accesses: list[tuple[int, bool, int]]) -> None:
    view = VirtualInterface(4, lambda _: None)
    view.write_ich(SysReg.ICH_HCR_EL2, 1)
    for key, is_write, value in accesses:
        if is_write:
            view.write_ich(key, value)
            view.write(key, value)
        else:
            for result in (view.read_ich(key), view.read(key)):
                assert result is None or 0 <= result < 1 << 64
        assert not (view.virq() and view.vfiq())
        assert view.maintenance() in (True, False)
    again = VirtualInterface(4, lambda _: None)
    again.restore(view.save())
    assert again.save() == view.save()
