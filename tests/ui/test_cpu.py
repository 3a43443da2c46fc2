"""The CPU page, on real machines at exact instructions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.style import Style
from textual.pilot import Pilot

from engine.debug_views import CodeLine, Frame, FrameSource, MemoryView, PageBytes, StackView, StackWord
from engine.machine import Machine
from hvtui.app import HvtuiApp
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.cpu import CpuPage
from hvtui.widgets.cpu_code import CodeRow, code_lines, first_row, rows_of
from hvtui.widgets.cpu_memory import SeenBytes, memory_rows
from hvtui.widgets.cpu_stack import stack_lines
from hvtui.widgets.text_pane import TextPane
from tests.ui.support import Compare, keys, press, running, settle, still, ticking, until

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.fixture
def ticks() -> Iterator[Machine]:
    machine = still(ticking)
    yield machine
    machine.close()


def cpu(app: HvtuiApp) -> CpuPage:
    page = app.board.pages["cpu"]
    assert isinstance(page, CpuPage)
    return page


def words(line: Line) -> str:
    return "".join(part for part, _ in line)


def text_of(pane: TextPane) -> list[str]:
    return [words(line) for line in pane._lines]


def pc_row(app: HvtuiApp) -> tuple[int, str]:
    """Where the row of PC is, and what it says."""
    (found,) = [(place, line) for place, line in enumerate(text_of(cpu(app).code)) if "▶" in line]
    return found


def follows(app: HvtuiApp) -> bool:
    return cpu(app).code.following


async def go(app: HvtuiApp, pilot: Pilot[None], place: str) -> None:
    cpu(app).go_to(place)
    await settle(pilot)


# --- rows --------------------------------------------------------------------------------------------


def code(address: int, **more: object) -> CodeLine:
    return CodeLine(address=address, word=0xD503201F, mnemonic="nop", operands="", **more)  # type: ignore[arg-type]


def test_labels_have_lines_of_their_own() -> None:
    lines = [code(0), code(4, label="here"), code(8)]
    assert [row.key for row in rows_of(lines)] == [(0, False), (4, True), (4, False), (8, False)]
    assert [words(line).strip() for line in code_lines(rows_of(lines), 40, 8, ())][1] == "here:"


def test_the_gutter_tells_breakpoints_and_pc() -> None:
    lines = [code(0, breakpoints=(1,)), code(4, breakpoints=(2,)), code(8, is_pc=True), code(12)]
    assert [words(line)[:3] for line in code_lines(rows_of(lines), 40, 8, {1})] == ["●  ", "○  ", " ▶ ", "   "]


def test_a_hole_says_once_why() -> None:
    hole = [CodeLine(address, None, "unmapped", "fault") for address in (0, 4, 8)]
    rows = [words(line) for line in code_lines([CodeRow(each) for each in hole], 80, 8, ())]
    assert ["fault" in row for row in rows] == [True, False, False]
    assert all("··" in row for row in rows)


@pytest.mark.parametrize(
    ("at", "top", "margin", "first"),
    [
        pytest.param(50, None, 0, 46, id="anew"),
        pytest.param(50, 45, 2, 45, id="inside"),
        pytest.param(53, 45, 2, 50, id="too near to the end"),
        pytest.param(55, 45, 0, 46, id="one below"),
        pytest.param(60, 45, 0, 51, id="a page below"),
        pytest.param(44, 45, 0, 44, id="one above"),
        pytest.param(30, 45, 0, 27, id="elsewhere"),
        pytest.param(1, 0, 2, 0, id="at the beginning"),
        pytest.param(99, None, 2, 90, id="at the end"),
    ],
)
def test_the_window_moves_only_when_it_has_to(at: int, top: int | None, margin: int, first: int) -> None:
    rows = [CodeRow(code(4 * place)) for place in range(100)]
    assert first_row(rows, at, 10 if at != 50 or top else 12, top, margin) == first


def view(data: bytes, address: int = 0x1000, hole: bool = False) -> MemoryView:
    page = PageBytes(address, len(data), None if hole else address, "no memory there" if hole else "")
    return MemoryView("vm0", 0, "va", address, data, (page,))


def test_bytes_and_characters() -> None:
    (row,) = memory_rows(view(b"Hello, world!\0\x80~"), 16, frozenset(), 80)
    assert words(row) == "00001000 48 65 6c 6c 6f 2c 20 77 6f 72 6c 64 21 00 80 7e  Hello, world!..~"


def test_changed_bytes_are_marked_without_colour() -> None:
    rows = list(memory_rows(view(bytes(32)), 16, frozenset({0x1011}), 80))
    assert [words(row)[8] for row in rows] == [" ", "*"]
    lit = [part for row in rows for part, style in row if style.underline]
    assert lit == ["00"]


def test_holes_say_why_once() -> None:
    rows = [words(row) for row in memory_rows(view(bytes(32), hole=True), 16, frozenset(), 80)]
    assert rows[0].endswith("·· no memory there")
    assert rows[1].split() == ["00001010", "··", "··"]


def test_changes_are_told_from_one_stop_to_the_next() -> None:
    seen = SeenBytes()
    assert seen.changed(view(b"aaaa"), 1, 16, True) == frozenset()
    assert seen.changed(view(b"abaa"), 2, 16, True) == {0x1001}
    assert seen.changed(view(b"abaa"), 2, 16, True) == {0x1001}
    assert seen.changed(view(b"abab"), 3, 16, False) == frozenset()
    assert seen.changed(view(b"abaa"), 4, 16, True) == frozenset()


def test_calls_and_words_of_a_stack() -> None:
    frames = (Frame(0, 0x100, "leaf+0x4", 0x8010, 16, FrameSource.PC), Frame(1, 0x200, "", 0, None, FrameSource.LR))
    stack = StackView("vm0", 0, 0x8000, frames, "the end", (StackWord(0x8000, 0x20, ""), StackWord(0x8010, None, "")))
    narrow = [words(line) for line in stack_lines(stack, 40)]
    assert [line.split() for line in narrow] == [
        ["0", "00000100", "leaf+0x4"],
        ["1", "00000200", "?", "LR"],
        ["the", "end"],
        ["SP", "0x8000"],
        ["+000", "0000000000000020"],
        ["▪+010", "·" * 16],
    ]
    wide = [words(line) for line in stack_lines(stack, 80)]
    assert wide[0].index("SP 0x8000") == 40
    assert len(wide) == 3


# --- the page ----------------------------------------------------------------------------------------


async def test_a_step_moves_pc_and_lights_up_what_changed(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        place, row = pc_row(app)
        assert "48002c08" in row
        await press(pilot, "s")
        next_place, next_row = pc_row(app)
        assert (next_place, "48002c0c" in next_row) == (place + 1, True)
        assert cpu(app).registers.changed == {"PC"}


async def test_a_store_lights_up_its_bytes(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        cpu(app).memory.focus()
        await pilot.pause()
        await go(app, pilot, "0x48024d60")
        await app.board.bridge.request(
            lambda machine: machine.ask(lambda control: control.write_memory("vm0", 0, 0x48024D71, b"\xee"))
        )
        await settle(pilot)
        rows = [line for line in cpu(app).memory._lines if words(line)[8] == "*"]
        assert [words(row)[:16] for row in rows] == ["48024d70*50 ee 0"]
        lit: list[tuple[str, Style]] = [part for part in rows[0] if part[1].underline]
        assert [part for part, _ in lit] == ["ee"]


async def test_guests_write_where_they_are_seen_to(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        cpu(app).memory.focus()
        await pilot.pause()
        await go(app, pilot, "sp")
        await app.board.bridge.request(lambda machine: machine.run_to_time(2_001_000_000))
        await settle(pilot)
        marks = [words(line)[8] for line in cpu(app).memory._lines]
        assert "*" in marks
        assert cpu(app).registers.changed


async def test_everywhere_by_name(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        where = ticks.control.address("vm0", "guest_main")
        app.board.set_focus(None)
        await go(app, pilot, "guest_main+4")
        page = cpu(app)
        assert any("guest_main:" in line for line in text_of(page.code))
        assert page.code.cursor == where + 4
        assert text_of(page.memory)[0].startswith(f"{where & -16:08x}")
        page.here()
        await settle(pilot)
        assert "48002c08" in pc_row(app)[1]
        assert text_of(page.memory)[0].startswith("48024d30")


async def test_the_focused_pane_goes(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        page = cpu(app)
        await go(app, pilot, "guest_main")
        assert not follows(app)
        assert page.memory.base is None
        page.here()
        page.memory.focus()
        await pilot.pause()
        await go(app, pilot, "x30")
        assert follows(app)
        assert text_of(page.memory)[0].startswith("48001e80")
        page.code.focus()
        await pilot.pause()
        with pytest.raises(ValueError, match="virtual addresses only"):
            page.go_to("pa:0x48000000")


async def test_nonsense_is_one_line(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        before = text_of(cpu(app).code)
        await go(app, pilot, "no_such_symbol")
        assert app.board.status.notice.startswith("! expected an address, or a symbol of vm0")
        assert text_of(cpu(app).code) == before
        with pytest.raises(ValueError, match="expected an address"):
            cpu(app).go_to(" ")
        with pytest.raises(ValueError, match="expected va, ipa or pa"):
            cpu(app).space("xy")


async def test_spaces_of_memory(ticks: Machine) -> None:
    """vm0 is mapped one to one, so the same bytes have the same addresses in every space."""
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        page = cpu(app)
        bytes_ = text_of(page.memory)
        for space in ("IPA", "PA", "VA"):
            page.space(None)
            await settle(pilot)
            assert str(page.memory.border_title).startswith(f"memory {space} ")
            assert text_of(page.memory) == bytes_


async def test_the_cursor_scrolls_and_sets_breakpoints(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        page = cpu(app)
        await press(pilot, "down", "enter")
        assert [each.address for each in ticks.view().result().breakpoints] == [0x48002C0C]
        assert any(line.startswith("●  48002c0c") for line in text_of(page.code))
        await press(pilot, "enter")
        assert not ticks.view().result().breakpoints
        assert follows(app)
        await press(pilot, *["pagedown"] * 3)
        assert not follows(app)
        assert "elsewhere" in str(page.code.border_title)
        assert not any("▶" in line for line in text_of(page.code))
        top = page.code._top
        await press(pilot, "down")
        assert page.code._top != top


async def test_a_click_puts_the_cursor_there_and_a_second_one_a_breakpoint(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        page = cpu(app)
        place, _ = pc_row(app)
        await pilot.click(page.code, offset=(10, place + 3))
        await settle(pilot)
        assert page.code.cursor == 0x48002C10
        assert follows(app)
        await pilot.click(page.code, offset=(10, place + 3), times=2)
        await settle(pilot)
        assert [each.address for each in ticks.view().result().breakpoints] == [0x48002C10]


async def test_arrows_scroll_memory_by_rows(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        page = cpu(app)
        page.memory.focus()
        second = text_of(page.memory)[1]
        await press(pilot, "down")
        assert text_of(page.memory)[0] == second
        await press(pilot, "pageup", "up")
        assert text_of(page.memory)[0] < second


async def test_where_room_is_short_panes_take_turns(ticks: Machine) -> None:
    async with running(ticks, (80, 24)) as (app, pilot):
        await press(pilot, "2")
        page = cpu(app)
        panes = {"registers": page.registers, "stack": page.stack, "memory": page.memory}
        for name in ("registers", "stack", "memory"):
            seen = [each for each, pane in panes.items() if pane.region.area]
            assert seen == [name]
            assert "(← →)" in str(panes[name].border_title)
            assert panes[name]._lines
            assert page.code.region.area
            await press(pilot, "right")


async def test_only_what_is_seen_is_asked_for(ticks: Machine) -> None:
    async with running(ticks, (80, 24)) as (app, pilot):
        await press(pilot, "2", "right")
        look = cpu(app).look()
        assert (look.registers, bool(look.words), look.memory) == (False, True, None)  # type: ignore[union-attr]


async def test_guests_that_run_are_marked(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        await pilot.press("space")
        await until(pilot, lambda: "running" in str(cpu(app).code.border_title))
        assert cpu(app).registers.changed == frozenset()
        await press(pilot, "space")
        assert "running" not in str(cpu(app).code.border_title)


async def test_it_follows_the_selected_vcpu(ticks: Machine) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        await go(app, pilot, "guest_main")
        app.board.select("vm1", 0)
        await settle(pilot)
        page = cpu(app)
        pc = ticks.control.vcpu("vm1", 0).registers.pc
        assert f"{pc:08x}" in pc_row(app)[1]
        assert str(page.code.border_title).startswith("code vm1/0")


async def test_lines_that_stay_are_not_painted_again(ticks: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(ticks) as (app, pilot):
        await press(pilot, "2")
        stack = cpu(app).stack
        painted: list[int] = []
        monkeypatch.setattr(stack, "refresh_line", painted.append)
        monkeypatch.setattr(stack, "refresh", lambda *_, **__: painted.append(-1))
        await press(pilot, "s")
        assert painted == [0]


def test_the_style_of_changes_is_more_than_a_colour() -> None:
    changed = [style for row in memory_rows(view(b"a"), 16, frozenset({0x1000}), 80) for _, style in row]
    assert Ink.CHANGED + Style(underline=True) in changed


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    "pressed",
    [
        pytest.param(("2", "down", "down", "down", "enter", "s", "s"), id="stepped"),
        pytest.param(("2", "right", "right", "tab"), id="memory"),
    ],
)
def test_cpu(snap_compare: Compare, ticks: Machine, size: tuple[int, int], pressed: tuple[str, ...]) -> None:
    assert snap_compare(HvtuiApp(ticks), terminal_size=size, run_before=keys(*pressed))


@pytest.mark.parametrize("size", [(40, 12), (120, 24), (80, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_odd_sizes(snap_compare: Compare, ticks: Machine, size: tuple[int, int]) -> None:
    assert snap_compare(HvtuiApp(ticks), terminal_size=size, run_before=keys("2", "right"))
