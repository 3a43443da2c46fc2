"""Bytes with holes: pages that are not there, devices, and what others have by now."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import inspect
from engine.arch.paging import PAGE
from engine.board.memory_map import RAM_BASE, UART_BASE
from engine.control import ControlError
from engine.debug.memory_window import LARGEST
from tests.support.machines import DATA, RAM_SIZE, spin, tiny
from tests.unit.engine.debug.guests import shared, standing

END = RAM_BASE + RAM_SIZE


def test_a_hole_in_the_middle_is_no_error(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    bench.system.memory.write(bench.vm.physical(END - 4), b"last")
    view = inspect.memory(bench.control, "vm0", 0, END - 6, 16)
    assert view.data == b"\0\0last" + bytes(10)
    assert [(page.address, page.size, page.physical) for page in view.pages] == [
        (END - 6, 6, bench.vm.physical(END - 6)),
        (END, 10, None),
    ]
    assert [page.problem for page in view.pages] == ["", "translation fault level 2 of stage 2"]
    assert [view.byte(n) for n in (0, 2, 5, 6, 15)] == [0, ord("l"), ord("t"), None, None]
    for outside in (-1, 16):
        with pytest.raises(IndexError):
            view.byte(outside)


@pytest.mark.parametrize("space", ["va", "ipa", "pa"])
def test_every_space(tmp_path: Path, space: str) -> None:
    bench = tiny(tmp_path, spin(), spin())
    where = bench.system.vms[1].physical(DATA) if space == "pa" else DATA
    bench.system.memory.write(bench.system.vms[1].physical(DATA), b"mine")
    view = inspect.memory(bench.control, "vm1", 0, where, 4, space)
    assert (view.data, view.space) == (b"mine", space)
    assert view.pages[0].physical == bench.system.vms[1].physical(DATA)


def test_a_device_is_not_touched_by_looking(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    view = inspect.memory(bench.control, "vm0", 0, UART_BASE, 16)
    assert (view.pages[0].problem, view.data) == ("device pl011", bytes(16))


def test_what_is_lent_is_a_hole_for_its_owner() -> None:
    control, record = shared("ffa.toml", "lend", (0x8002, "retrieved"))
    address = record.ranges[0][0]
    owner = inspect.memory(control, "vm0", 0, address, 8)
    assert (owner.pages[0].physical, owner.pages[0].problem) == (None, "permission fault level 3 of stage 2")
    borrower = inspect.memory(control, "sp_irq", 0, record.borrowers[0].ranges[0][0], 8)
    assert borrower.pages[0].physical == control.system.vms[0].physical(address)
    on_board = inspect.memory(control, "vm0", 0, control.system.vms[0].physical(address), 8, "pa")
    assert on_board.data == borrower.data


def test_code_by_the_guests_own_tables() -> None:
    control = standing("two-vms.toml")
    pc = control.vcpu("vm0", 0).registers.pc
    view = inspect.memory(control, "vm0", 0, pc, 4)
    assert view.data == control.memory("vm0", 0, pc, 4)


def test_the_end_of_the_address_space(tmp_path: Path) -> None:
    view = inspect.memory(tiny(tmp_path, spin()).control, "vm0", 0, (1 << 64) - 3, 64)
    assert (len(view.data), view.pages[0].problem) == (3, "address size fault level 0 of stage 1")


@pytest.mark.parametrize(
    ("address", "size", "space", "expected"),
    [
        (RAM_BASE, LARGEST + 1, "va", "expected a size up to 4096 bytes"),
        (RAM_BASE, -1, "va", "expected a size"),
        (-1, 1, "va", "expected an address of 64 bits"),
        (1 << 64, 1, "pa", "expected an address of 64 bits"),
        (RAM_BASE, 1, "bus", "expected the address space"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, address: int, size: int, space: str, expected: str) -> None:
    control = tiny(tmp_path, spin()).control
    with pytest.raises(ControlError, match=expected):
        inspect.memory(control, "vm0", 0, address, size, space)


def test_the_largest_view_may_lie_in_two_pages(tmp_path: Path) -> None:
    view = inspect.memory(tiny(tmp_path, spin()).control, "vm0", 0, RAM_BASE + 8, LARGEST)
    assert [page.size for page in view.pages] == [PAGE - 8, 8]
    assert len(view.data) == LARGEST
