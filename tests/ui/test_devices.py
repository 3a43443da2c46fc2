"""The Devices and Interrupts pages, on real machines at exact instructions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.machine import Machine
from hvtui.app import HvtuiApp
from hvtui.widgets.devices import DevicesPage
from hvtui.widgets.interrupts import InterruptsPage
from tests.support.machines import Guest, machine_config
from tests.support.net_guest import answering, sending
from tests.ui.support import Compare, keys, press, settle, still, ticking

SIZES = [(80, 24), (120, 40), (200, 60)]
A, B = bytes.fromhex("525400000001"), bytes.fromhex("525400000002")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Machine]:
    """Two guests that have exchanged frames for a while; the first has a disk that it never looked at."""
    nic: list[dict[str, Any]] = [{}]
    guests = (
        Guest(sending(B, A, pause=1000), virtio={"nic": nic, "rng": True}),
        Guest(answering(A, B), virtio={"nic": nic}),
    )
    machine = Machine(machine_config(tmp_path, *guests, time_slice_ms=0.1))
    machine.control.run_instructions(100_000)
    machine.start(running=False)
    yield machine
    machine.close()


@pytest.fixture
def ticks() -> Iterator[Machine]:
    machine = still(ticking)
    yield machine
    machine.close()


def devices(app: HvtuiApp) -> DevicesPage:
    page = app.board.pages["devices"]
    assert isinstance(page, DevicesPage)
    return page


def interrupts(app: HvtuiApp) -> InterruptsPage:
    page = app.board.pages["interrupts"]
    assert isinstance(page, InterruptsPage)
    return page


async def test_a_machine_without_devices_has_no_such_page(ticks: Machine) -> None:
    app = HvtuiApp(ticks)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "devices" not in app.board.pages
        await press(pilot, "7")
        assert app.board.page is None


async def test_every_slot_port_and_station_is_listed(network: Machine) -> None:
    app = HvtuiApp(network)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "7")
        page = devices(app)
        view = network.control.view(app.board.bridge.state, "").devices
        assert view is not None
        assert [row.item.name for row in page.devices._rows] == ["virtio-net0", "virtio-rng", "virtio-net0"]
        assert [row.item.port for row in page.ports._rows] == list(view.networks[0].ports)
        assert [row.item.station.port for row in page.stations._rows] == ["vm0", "vm1"]
        shown = "\n".join(strip.text for strip in (page.detail.render_line(y) for y in range(30)))
        assert "virtio-net0 of vm0" in shown
        assert "Queue 1" in shown


async def test_it_is_asked_for_only_while_the_page_is_open(network: Machine) -> None:
    app = HvtuiApp(network)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key, part in (("7", "devices"), ("6", "interrupts")):
            await press(pilot, key)
            assert app.board.frame is not None
            assert getattr(app.board.frame.view, part) is not None
        await press(pilot, "1")
        assert app.board.page is None
        frame = app.board.frame
        assert frame is not None
        assert frame.view.devices is None
        assert frame.view.interrupts is None


async def test_what_is_cut_off_says_so(network: Machine) -> None:
    app = HvtuiApp(network)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "7")
        page = devices(app)
        whole = page.devices.draw_line(0, 200).text.rstrip()
        assert page.devices.draw_line(0, len(whole)).text == whole
        assert page.devices.draw_line(0, len(whole) - 1).text == f"{whole[:-2]}…"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_details_are_not_hidden_by_their_scrollbar(network: Machine, size: tuple[int, int]) -> None:
    app = HvtuiApp(network)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "7")
        detail = devices(app).detail
        assert detail.show_vertical_scrollbar is (detail.virtual_size.height > detail.size.height)
        widest = max(sum(len(part) for part, _ in line) for line in detail._lines)
        assert widest <= detail.scrollable_content_region.width


async def test_the_interrupts_of_every_vcpu(ticks: Machine) -> None:
    app = HvtuiApp(ticks)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "6")
        page = interrupts(app)
        listed = {(row.item.target, row.item.interrupt.intid) for row in page.interrupts._rows}
        assert {("vm0/0", 27), ("vm1/0", 27), ("vm0/0", 33), ("vm0/1", 1)} <= listed
        assert [row.key for row in page.interfaces._rows] == [("vm0", 0), ("vm0", 1), ("vm1", 0), ("vm1", 1)]
        (active,) = [row.item for row in page.interrupts._rows if row.item.interrupt.active]
        assert (active.vm, active.interrupt.intid) == ("vm0", 27)
        assert page.interfaces._rows[0].item.interface.list_registers[0].state == "active"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("pressed", [("7",), ("7", "up", "enter")], ids=["devices", "details"])
def test_devices(snap_compare: Compare, network: Machine, size: tuple[int, int], pressed: tuple[str, ...]) -> None:
    assert snap_compare(HvtuiApp(network), terminal_size=size, run_before=keys(*pressed))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_interrupts(snap_compare: Compare, ticks: Machine, size: tuple[int, int]) -> None:
    assert snap_compare(HvtuiApp(ticks), terminal_size=size, run_before=keys("6", "down", "down"))


@pytest.mark.parametrize("size", [*SIZES, (40, 12)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_opening_a_page_selects_no_other_vcpu(ticks: Machine, size: tuple[int, int]) -> None:
    """The focus must not pass through another guest's console on its way."""
    app = HvtuiApp(ticks)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in ("6", "1"):
            await press(pilot, key)
            assert app.board.bridge.selected == ("vm0", 0)
