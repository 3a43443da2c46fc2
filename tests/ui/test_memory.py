"""The Memory page: walks, maps, and pages seen from every partition's side, on real machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from engine import inspect
from engine.debug_views import IpaKind, IpaRange
from engine.machine import Machine
from hvtui.app import HvtuiApp
from hvtui.items import Line
from hvtui.places import Spot
from hvtui.widgets.memory import MemoryPage
from hvtui.widgets.memory_look import MemoryLook, MemoryPicture
from hvtui.widgets.memory_map import caret, legend, strip_cells
from hvtui.widgets.memory_walk import walk_lines
from tests.ui.ffa_machine import ELSEWHERE, PAGES, ffa_machine, ram, retrieved
from tests.ui.support import Compare, keys, press, running, settle, still, ticking, until

SIZES = [(80, 24), (120, 40), (200, 60)]
SHARED, LENT = ram(1) + PAGES, ram(1) + PAGES + 0x1000


@pytest.fixture
def ticks() -> Iterator[Machine]:
    machine = still(ticking)
    yield machine
    machine.close()


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[Machine]:
    """vm0 has shared a page with vm1 and vm2, and lent another one."""
    machine = ffa_machine(tmp_path, retrieved)
    yield machine
    machine.close()


def memory(app: HvtuiApp) -> MemoryPage:
    page = app.board.pages["memory"]
    assert isinstance(page, MemoryPage)
    return page


def words(line: Line) -> str:
    return "".join(part for part, _ in line)


def walk(app: HvtuiApp) -> str:
    return "\n".join(words(line) for line in memory(app).walk._lines)


async def go(app: HvtuiApp, pilot: Pilot[None], place: str) -> None:
    memory(app).go_to(place)
    await settle(pilot)


def looked(machine: Machine, place: Spot, space: str | None = None, access: str = "read") -> MemoryPicture:
    """Straight from the machine, of its first vCPU."""
    return MemoryLook("vm0", 0, place, space or place.space, access, None)(machine.control)


# --- lines -------------------------------------------------------------------------------------------


def ranges(*parts: tuple[int, IpaKind]) -> list[IpaRange]:
    """One after the other, by pages."""
    found: list[IpaRange] = []
    at = 0
    for pages, kind in parts:
        physical = None if kind is IpaKind.NOTHING else at
        found.append(IpaRange(at, pages << 12, physical, "rwx", "", kind))
        at += pages << 12
    return found


def test_the_strip_is_to_scale_but_for_holes() -> None:
    parts = ranges((100, IpaKind.NOTHING), (1, IpaKind.SHARED), (1 << 20, IpaKind.NOTHING), (30, IpaKind.OWN))
    cells = strip_cells(parts, 40)
    assert [cells.count(place) for place in range(4)] == [1, 2, 1, 36]
    assert cells == sorted(cells)


@pytest.mark.parametrize("width", [0, 1, 3, 4, 5, 77])
def test_the_strip_always_fits(width: int) -> None:
    parts = ranges((1, IpaKind.OWN), (5, IpaKind.NOTHING), (1, IpaKind.LENT), (9, IpaKind.BORROWED))
    assert len(strip_cells(parts, width)) == width
    assert strip_cells([], width) == []


def test_a_caret_points_into_the_strip() -> None:
    parts = ranges((1, IpaKind.NOTHING), (100, IpaKind.OWN))
    cells = strip_cells(parts, 60)
    middle, end = (caret(parts, cells, address << 12, 62) for address in (11, 99))
    assert words(middle).index("▲") == 2 + 59 * 10 // 100
    assert words(middle).endswith("IPA 0xb000, own memory")
    assert words(end).startswith(" " * 10)
    assert words(end).endswith("IPA 0x63000, own memory ▲")
    assert "no IPA" in words(caret(parts, cells, None, 62))


def test_the_legend_names_what_is_there() -> None:
    shown = " ".join(words(legend(ranges((1, IpaKind.OWN), (1, IpaKind.LENT)))).split())
    assert shown == "█ own memory ░ lent out"


def test_a_walk_through_both_stages(ticks: Machine) -> None:
    lines = [words(line).strip() for line in walk_lines(looked(ticks, Spot("va", 0x48002C08)), 100)]
    assert lines[0] == "VA 0x48002c08  uart_putc+0x8  read at EL1 by vm0/0"
    (first, second) = (place for place, line in enumerate(lines) if line.startswith("Stage"))
    assert lines[first].startswith("Stage 1  TTBR0_EL1 0x48007000  4 KB granule")
    assert lines[first + 1].startswith("L1 table 0x48007000 entry 1 at 0x48007008  0x")
    assert lines[first + 1].endswith(" table")
    assert "→ IPA 0x48002c08  r-x" in lines[first:second]
    assert lines[second].startswith("Stage 2  VTTBR_EL2 0x")
    assert lines[-2:] == ["Outcome  PA 0x48002c08", "r-x of both stages  RAM"]


def test_narrow_walks_wrap(ticks: Machine) -> None:
    for width in (40, 52, 80):
        lines = walk_lines(looked(ticks, Spot("va", 0x48002C08)), width)
        assert all(len(words(line).rstrip()) <= max(width, 56) for line in lines)
        assert "\n".join(map(words, lines)).count("Normal write-back") == 2


def test_terse_walks_leave_out_what_says_nothing(ticks: Machine) -> None:
    picture = looked(ticks, Spot("va", 0x48002C08))
    full, terse = ("\n".join(words(line) for line in walk_lines(picture, 80, short)) for short in (False, True))
    assert "PXN 0" in full
    assert "PXN 0" not in terse
    assert "UXN 1" in terse
    assert all(walk_lines(picture, 80, True))


def test_a_write_where_only_reads_are_allowed(ticks: Machine) -> None:
    picture = looked(ticks, Spot("va", 0x48002C08), access="write")
    text = "\n".join(words(line) for line in walk_lines(picture, 80))
    assert "permission fault level 3 of stage 1" in text
    assert "DFSC 0x0f (0b001111), ISS 0x4f" in text
    assert "Stage 2  not reached" in text
    assert picture.owners is not None
    assert [each.partition for each in picture.owners.mappings] == ["vm0"]


def test_a_fetch_from_nowhere_has_an_ifsc(ticks: Machine) -> None:
    text = "\n".join(words(line) for line in walk_lines(looked(ticks, Spot("ipa", 0), access="execute"), 80))
    assert "translation fault level" in text
    assert "IFSC 0x0" in text


def test_a_physical_address_that_another_one_maps(ticks: Machine) -> None:
    other = ticks.config.vms[1].base_pa
    picture = looked(ticks, Spot("pa", other))
    assert (picture.translation, picture.ipa) == (None, None)
    assert picture.owners is not None
    assert [each.partition for each in picture.owners.mappings] == ["vm1"]
    assert words(walk_lines(picture, 80)[-1]).startswith("vm0 does not map it")


def test_a_fault_on_the_way_to_a_table_says_so(ticks: Machine) -> None:
    picture = looked(ticks, Spot("ipa", 0))
    assert picture.translation is not None
    assert picture.translation.fault is not None
    fault = msgspec.structs.replace(picture.translation.fault, on_walk=True)
    walked = msgspec.structs.replace(picture.translation, fault=fault)
    lines = walk_lines(replace(picture, translation=walked), 100)
    assert "S1PTW" in "\n".join(words(line) for line in lines)


# --- the page ----------------------------------------------------------------------------------------


async def test_it_begins_at_pc_and_follows_it(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "3")
        page = memory(app)
        assert walk(app).startswith("VA 0x48002c08")
        assert page.map.chosen is not None
        assert page.map.chosen.kind is IpaKind.OWN
        await press(pilot, "s")
        assert walk(app).startswith("VA 0x48002c0c")
        await go(app, pilot, "guest_main")
        await press(pilot, "s")
        assert walk(app).startswith(f"VA {ticks.control.address('vm0', 'guest_main'):#x}")
        page.here()
        await settle(pilot)
        assert walk(app).startswith("VA 0x48002c10")


async def test_the_map_chooses_the_address(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "3", "home", "down")
        page = memory(app)
        assert walk(app).startswith("IPA 0x8000000")
        assert "what is there: GICD" in walk(app)
        assert page.map.chosen is not None
        assert page.map.chosen.detail == "GICD"
        assert page.owners.chosen is None


async def test_a_click_on_the_strip_chooses_a_range(sharing: Machine) -> None:
    async with running(sharing) as (app, pilot):
        await press(pilot, "3")
        await pilot.click(memory(app).strip, offset=(2, 0))
        await settle(pilot)
        assert walk(app).startswith("IPA 0x8000000")
        await pilot.click(memory(app).strip, offset=(1, 0))
        await settle(pilot)
        assert walk(app).startswith("IPA 0x0 ")


async def test_every_range_of_the_map_is_named(sharing: Machine) -> None:
    async with running(sharing) as (app, pilot):
        await press(pilot, "3")
        rows = {row.item.ipa: words(memory(app).map.parts(row.item, 120)) for row in memory(app).map._rows}
        assert "▒ shared out  to vm1, vm2 (handle 0x8000000000000001)" in rows[SHARED]
        assert "░ lent out  to sp1 (handle 0x8000000000000002)" in rows[LENT]
        assert "█ own memory  RAM" in rows[ram(1)]
        view = sharing.ask(lambda control: inspect.ipa_map(control, "vm0")).result()
        assert list(rows) == [each.ipa for each in view.ranges]


async def test_a_shared_page_from_both_sides(sharing: Machine) -> None:
    async with running(sharing) as (app, pilot):
        await press(pilot, "3")
        await go(app, pilot, f"ipa:{SHARED:#x}")
        page = memory(app)
        owners = [(row.item.partition, row.item.ipa, row.item.permissions) for row in page.owners._rows]
        assert owners == [("vm0", SHARED, "r-x"), ("vm1", SHARED, "r--"), ("vm2", ELSEWHERE, "rw-")]
        assert "given to others" in walk(app)
        physical = page._picture.physical if page._picture is not None else None
        page.owners.focus()
        await press(pilot, "down", "down", "enter")
        assert app.board.bridge.selected == ("vm2", 0)
        assert walk(app).startswith(f"IPA {ELSEWHERE:#x}  read at EL1 by vm2/0")
        assert "borrowed" in walk(app)
        assert page.map.chosen is not None
        assert page.map.chosen.kind is IpaKind.BORROWED
        assert page._picture is not None
        assert page._picture.physical == physical
        assert [row.item.partition for row in page.owners._rows] == ["vm0", "vm1", "vm2"]


async def test_what_was_lent_out_cannot_be_touched(sharing: Machine) -> None:
    async with running(sharing) as (app, pilot):
        await press(pilot, "3")
        await go(app, pilot, f"ipa:{LENT:#x}")
        assert "permission fault level 3 of stage 2" in walk(app)
        assert [row.item.permissions for row in memory(app).owners._rows] == ["---"]


async def test_left_and_right_change_the_access(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "3", "enter")
        assert memory(app).walk.has_focus
        for key, access in (("right", "write"), ("right", "execute"), ("right", "read"), ("left", "execute")):
            await press(pilot, key)
            assert f"{access} at EL1 by vm0/0" in walk(app)
        await press(pilot, "escape")
        assert memory(app).map.has_focus


async def test_spaces_keep_the_place(sharing: Machine) -> None:
    async with running(sharing) as (app, pilot):
        await press(pilot, "3")
        await go(app, pilot, f"{SHARED:#x}")
        starts = []
        for _ in range(4):
            starts.append(walk(app).split("\n")[0].split("  ")[0])
            memory(app).space(None)
            await settle(pilot)
        assert starts == [f"VA {SHARED:#x}", f"IPA {SHARED:#x}", f"PA {0x40000000 + PAGES:#x}", f"VA {SHARED:#x}"]
        with pytest.raises(ValueError, match="expected va, ipa or pa"):
            memory(app).space("what")


@pytest.mark.parametrize("place", ["no_such_symbol", "ipa:0xffffffffffffffff"])
async def test_nonsense_is_one_line(ticks: Machine, place: str) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "3")
        before = walk(app)
        await go(app, pilot, place)
        assert app.board.status.notice.startswith("! expected a")
        assert walk(app) == before
        await press(pilot, "s")
        assert walk(app) != before


async def test_a_number_that_the_space_cannot_have(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "3")
        await go(app, pilot, "0xffff800000000000")
        assert "fault level" in walk(app)
        memory(app).space("ipa")
        await settle(pilot)
        assert "expected a virtual address of 64 bits or an IPA of 52" in walk(app).replace("\n", " ")
        assert not memory(app).owners._rows


async def test_where_room_is_short_the_tables_take_turns(ticks: Machine) -> None:
    async with running(ticks, (80, 24)) as (app, pilot):
        await press(pilot, "3")
        page = memory(app)
        for table in (page.map, page.owners, page.map):
            assert [each for each in (page.map, page.owners) if each.region.area] == [table]
            assert app.board.focused is table
            assert page.walk.region.area
            await press(pilot, "right")


@pytest.mark.parametrize("vm", ["vm0", "sp_hello"])
async def test_partitions_of_both_worlds(vm: str) -> None:
    machine = still(lambda each: each.control.run_instructions(400_000), "ffa.toml")
    async with running(machine) as (app, pilot):
        app.board.select(vm, 0)
        await settle(pilot)
        await press(pilot, "3")
        secure = vm == "sp_hello"
        assert ("(secure)" in str(memory(app).map.border_title)) is secure
        assert ("Stage 1  off" in walk(app)) is secure
        assert ("(secure RAM)" in str(memory(app).owners.border_title)) is secure
        assert [row.item.partition for row in memory(app).owners._rows] == [vm]


async def test_guests_that_run_are_marked(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "3")
        await pilot.press("space")
        await until(pilot, lambda: "running" in str(memory(app).map.border_title))
        await press(pilot, "space")
        assert "running" not in str(memory(app).map.border_title)


def opened(place: str) -> Callable[[Pilot[None]], object]:
    async def run(pilot: Pilot[None]) -> None:
        await keys("3")(pilot)  # type: ignore[misc]
        assert isinstance(pilot.app, HvtuiApp)
        await go(pilot.app, pilot, place)

    return run


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_memory(snap_compare: Compare, ticks: Machine, size: tuple[int, int]) -> None:
    assert snap_compare(HvtuiApp(ticks), terminal_size=size, run_before=keys("3"))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("address", [SHARED, LENT], ids=["shared", "lent"])
def test_sharing(snap_compare: Compare, sharing: Machine, size: tuple[int, int], address: int) -> None:
    assert snap_compare(HvtuiApp(sharing), terminal_size=size, run_before=opened(f"ipa:{address:#x}"))


@pytest.mark.parametrize("size", [(40, 12), (120, 24), (80, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_odd_sizes(snap_compare: Compare, ticks: Machine, size: tuple[int, int]) -> None:
    assert snap_compare(HvtuiApp(ticks), terminal_size=size, run_before=keys("3", "right"))
