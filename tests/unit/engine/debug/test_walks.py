"""Both walks of an address as people see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import inspect
from engine.arch.paging import S2AP, PageState
from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE, UART_BASE
from engine.control import ControlError
from engine.debug.walks import translation_view
from engine.debug_views import StepView, WalkView
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Guest, spin, tiny
from tests.unit.engine.debug.guests import shared, standing

TABLE = RAM_BASE + 0x10_0000


def last(walk: WalkView | None) -> StepView:
    assert walk is not None
    return walk.steps[-1]


def test_code_of_a_guest_entry_by_entry() -> None:
    control = standing("ffa-vms.toml")
    vcpu = control.vcpu("vm1", 0)
    view = translation_view(vcpu, vcpu.registers.pc, "va", "execute")
    assert (view.el, view.permissions, view.place, view.fault) == (1, "r-x", "RAM", None)
    assert view.stage1 is not None
    assert (view.stage1.register, view.stage1.granule, view.stage1.input_bits) == ("TTBR0_EL1", 4096, 39)
    assert [(step.level, step.kind) for step in view.stage1.steps] == [(1, "table"), (2, "table"), (3, "page")]
    memory, config = vcpu.vm.memory, control.system.vms[1].config
    for step in view.stage1.steps:
        assert step.physical == step.address - config.ram_base + config.base_pa
        assert step.descriptor == memory.read_u64(step.physical)
    assert dict(last(view.stage1).attributes) == {
        "AP": "RO, none at EL0",
        "UXN": "1",
        "PXN": "0",
        "Attr1": "Normal write-back",
        "SH": "inner",
        "AF": "1",
        "nG": "0",
        "NS": "0",
        "Contiguous": "0",
        "SW": "0x0",
    }
    assert view.ipa == vcpu.registers.pc
    assert last(view.stage2).kind == "block"
    assert view.stage2 is not None
    assert view.stage2.root == vcpu.vm.stage2.root
    assert view.physical == vcpu.vm.stage2.translate(vcpu.registers.pc)


def test_what_a_device_is_to_its_driver() -> None:
    """Mapped by the guest, and a fault of stage 2: that is how the hypervisor hears of it."""
    control = standing("two-vms.toml")
    view = inspect.translation(control, "vm0", 0, UART_BASE, "va", "write")
    assert (view.ipa, view.physical, view.place) == (UART_BASE, None, "pl011")
    assert view.fault is not None
    assert (view.fault.words, view.fault.status, view.fault.iss) == ("translation fault level 1 of stage 2", 5, 0x45)
    assert dict(last(view.stage1).attributes)["AP"] == "RW, none at EL0"
    assert "Device-nGnR" in str(last(view.stage1).attributes)


def test_a_permission_of_stage_1() -> None:
    control = standing("two-vms.toml")
    pc = control.vcpu("vm0", 0).registers.pc
    view = inspect.translation(control, "vm0", 0, pc, access="write")
    assert view.fault is not None
    assert (view.fault.words, view.fault.status) == ("permission fault level 3 of stage 1", 0xF)
    assert (view.permissions, view.stage2, view.ipa, view.place) == ("r-x", None, None, "")
    at_el0 = inspect.translation(control, "vm0", 0, pc, access="read", el=0)
    assert (at_el0.permissions, at_el0.el) == ("---", 0)


def test_with_the_mmu_off_addresses_are_flat(tmp_path: Path) -> None:
    view = inspect.translation(tiny(tmp_path, spin()).control, "vm0", 0, RAM_BASE + 4)
    assert (view.stage1, view.ipa, view.physical, view.permissions) == (None, RAM_BASE + 4, RAM_BASE + 4, "rwx")


@pytest.mark.parametrize(("el", "reached"), [(1, None), (2, 0x2000_0000)])
def test_where_there_is_nothing(tmp_path: Path, el: int, reached: int | None) -> None:
    control = tiny(tmp_path, Guest(spin(), el=el)).control
    view = inspect.translation(control, "vm0", 0, 0x2000_0000)
    assert (view.physical, view.place) == (reached, "nothing")
    assert inspect.translation(control, "vm0", 0, UART_BASE).place == "pl011"


def test_what_the_owner_lent_and_what_the_borrower_has() -> None:
    control, record = shared("ffa.toml", "lend", (0x8002, "retrieved"))
    (ipa, _), borrowed = record.ranges[0], record.borrowers[0].ranges[0][0]
    owner = inspect.translation(control, "vm0", 0, ipa, "ipa")
    assert owner.fault is not None
    assert (owner.fault.words, owner.place) == ("permission fault level 3 of stage 2", "")
    assert dict(last(owner.stage2).attributes)["S2AP"] == S2AP.NONE.name.lower()
    assert dict(last(owner.stage2).attributes)["SW"] == "0x1 (given to others)"
    borrower = inspect.translation(control, "sp_irq", 0, borrowed, access="write")
    assert (borrower.fault, borrower.stage1, borrower.permissions) == (None, None, "rw-")
    assert dict(last(borrower.stage2).attributes)["SW"] == f"{PageState.SHARED_BORROWED:#x} (borrowed)"
    assert borrower.physical == control.system.vms[0].physical(ipa)


def own_table(program: Program) -> Program:
    """EL2's own stage 1, of one gigabyte block."""
    program.constant(1, TABLE).constant(2, RAM_BASE | 1 << 10 | 3 << 8 | 1).emit(a.str_(2, 1, 8))
    program.set_register(SysReg.MAIR_EL2, 0x44).set_register(SysReg.TTBR0_EL2, TABLE)
    program.set_register(SysReg.TCR_EL2, 25).set_register(SysReg.SCTLR_EL2, 0x30C5_1839)
    return program.emit(a.ISB).loop()


def test_whoever_owns_el2_has_one_stage_of_its_own(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Guest(own_table(Program()), el=2)).run(200)
    view = inspect.translation(bench.control, "vm0", 0, DATA, access="write")
    assert view.stage1 is not None
    assert (view.stage1.register, view.stage2, view.el, view.physical) == ("TTBR0_EL2", None, 2, DATA)
    assert dict(last(view.stage1).attributes)["Attr0"] == "Normal non-cacheable"
    assert dict(last(view.stage1).attributes)["XN"] == "0"


def test_a_stage_2_that_somebody_else_made_has_no_states_of_ours(tmp_path: Path) -> None:
    program = Program().constant(1, TABLE).constant(2, RAM_BASE | 1 << 10 | 0x3FD | 1 << 55).emit(a.str_(2, 1, 8))
    program.set_register(SysReg.VTTBR_EL2, TABLE).set_register(SysReg.VTCR_EL2, 1 << 6 | 25)
    program.set_register(SysReg.HCR_EL2, 1 << 31 | 1).loop()
    bench = tiny(tmp_path, Guest(program, el=2)).run(200)
    view = inspect.translation(bench.control, "vm0", 0, DATA, el=1)
    assert (view.stage1, view.physical) == (None, DATA)
    assert (last(view.stage2).kind, dict(last(view.stage2).attributes)["SW"]) == ("block", "0x1")


@pytest.mark.parametrize(
    ("address", "space", "access", "el", "expected"),
    [
        (1 << 64, "va", "read", None, "expected a virtual address of 64 bits"),
        (-1, "va", "read", None, "expected a virtual address of 64 bits"),
        (1 << 52, "ipa", "read", None, "or an IPA of 52"),
        (0, "bus", "read", None, "expected a virtual address"),
        (0, "va", "jump", None, "expected the access read, write or execute"),
        (0, "va", "read", 3, "expected an exception level from 0 to 2"),
    ],
)
def test_what_cannot_be_asked(
    tmp_path: Path, address: int, space: str, access: str, el: int | None, expected: str
) -> None:
    control = tiny(tmp_path, spin()).control
    with pytest.raises(ControlError, match=expected):
        inspect.translation(control, "vm0", 0, address, space, access, el)
