"""What people type for a place, on a real machine, and how addresses are written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine import config, inspect, paths
from engine.control import Control
from engine.errors import MachineError
from engine.machine import Machine
from hvtui import places
from hvtui.places import Place, Spot


@pytest.fixture(scope="module")
def control() -> Iterator[Control]:
    machine = Machine(config.load(paths.machines_dir() / "ffa-vms.toml"))
    machine.control.advance(250_000_000)
    yield machine.control
    machine.close()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("0x48000000", Place("0x48000000", None)),
        (" guest_main+0x10 ", Place("guest_main+0x10", None)),
        ("pa:0x40000000", Place("0x40000000", "pa")),
        ("IPA : 12", Place("12", "ipa")),
    ],
)
def test_a_place_and_its_space(text: str, place: Place) -> None:
    assert places.parse(text) == place


@pytest.mark.parametrize("text", ["", "  ", "pa:", "va: "])
def test_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        places.parse(text)


def test_spaces_take_turns() -> None:
    assert [places.next_space(now, None) for now in ("va", "ipa", "pa")] == ["ipa", "pa", "va"]
    assert places.next_space("va", "pa") == "pa"
    with pytest.raises(ValueError, match="expected va, ipa or pa"):
        places.next_space("va", "xa")


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "0"),
        (1023, "1023"),
        (4096, "4K"),
        (4608, "4.5K"),
        (15859712, "15.1M"),
        (32 << 20, "32M"),
        (1 << 64, "16E"),
    ],
)
def test_sizes(number: int, written: str) -> None:
    assert places.size(number) == written


@pytest.mark.parametrize(("highest", "digits"), [(0, 8), (0xFFFF_FFFF, 8), (1 << 32, 12), (1 << 48, 16), (1 << 63, 16)])
def test_columns_of_addresses(highest: int, digits: int) -> None:
    assert places.digits(highest) == digits


def test_names_are_virtual_and_numbers_are_of_the_space_that_is_looked_at(control: Control) -> None:
    vm = control.system.partitions[0].name
    where = control.address(vm, "guest_main")
    pc = control.vcpu(vm, 0).registers.pc
    assert places.resolve(control, vm, 0, places.parse("guest_main+0x10"), "pa") == Spot("va", where + 16)
    assert places.resolve(control, vm, 0, places.parse("pc"), "pa") == Spot("va", pc)
    assert places.resolve(control, vm, 0, places.parse("0x1000"), "ipa") == Spot("ipa", 0x1000)
    assert places.resolve(control, vm, 0, places.parse("pa:0x1000"), "va") == Spot("pa", 0x1000)


@pytest.mark.parametrize("text", ["nowhere_at_all", "0x10000000000000000", "1+"])
def test_a_place_that_is_nowhere(control: Control, text: str) -> None:
    with pytest.raises(MachineError):
        places.resolve(control, control.system.partitions[0].name, 0, places.parse(text), "va")


def test_the_same_memory_in_another_space(control: Control) -> None:
    vm = control.system.config.vms[0]
    assert vm.ram_base != vm.base_pa
    spot = Spot("va", control.address(vm.name, "guest_main"))
    physical = places.seen_in(control, vm.name, 0, spot, "pa")
    assert physical.address == spot.address - vm.ram_base + vm.base_pa
    data = [inspect.memory(control, vm.name, 0, each.address, 64, each.space).data for each in (spot, physical)]
    assert data[0] == data[1] != bytes(64)
    assert places.seen_in(control, vm.name, 0, physical, "va") == Spot("va", physical.address)
    assert places.seen_in(control, vm.name, 0, Spot("va", 0), "pa") == Spot("pa", 0)
