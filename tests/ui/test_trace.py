"""The Trace page: the log, lanes, filters, searches and jumps, on real machines and on a million events."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from engine import config, paths
from engine.events import EventRing, FfaCall, Trap
from engine.machine import Machine
from hvtui.app import TRACED_EVENTS, HvtuiApp
from hvtui.places import Spot
from hvtui.widgets.memory import MemoryPage
from hvtui.widgets.trace import TracePage
from hvtui.widgets.trace_log import TraceLog
from tests.ui.support import SECOND, Advance, Compare, keys, press, running, settle, still, until

SIZES = [(80, 24), (120, 40), (200, 60)]


def talked(machine: Machine) -> None:
    """Both VMs have asked a secure partition, and one the other."""
    machine.control.advance(2 * SECOND)


def checked(machine: Machine) -> None:
    """The script of checks is done."""
    machine.control.advance(SECOND // 3)


def ffa(advance: Advance = talked) -> Machine:
    return still(advance, "ffa.toml")


def page(app: HvtuiApp) -> TracePage:
    found = app.board.pages["trace"]
    assert isinstance(found, TracePage)
    return found


def shown(app: HvtuiApp) -> list[str]:
    """The lines of the pane, its heading first."""
    pane = page(app).pane
    return [pane.render_line(y).text.rstrip() for y in range(pane.rows)]


def chosen(app: HvtuiApp) -> str:
    (line,) = [line for line in shown(app) if line.startswith("▌")]
    return line


def title(app: HvtuiApp) -> str:
    return str(page(app).pane.border_title)


def details(app: HvtuiApp) -> str:
    detail = page(app).detail
    return "\n".join(detail.draw_line(y, 60).text.rstrip() for y in range(detail.virtual_size.height))


def ring(app: HvtuiApp) -> EventRing:
    """Only while the machine stands still."""
    return app.board.machine.control.system.events


async def monitor(pilot: Pilot[None], line: str) -> None:
    app = pilot.app
    assert isinstance(app, HvtuiApp)
    app.board.obey(line)
    await settle(pilot)


# --- the log -----------------------------------------------------------------------------------------


async def test_it_follows_the_newest_event_and_tells_all_about_it() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5")
        assert page(app).pane.following
        assert "700165071" in chosen(app)
        assert "1.400330142" in chosen(app)
        assert chosen(app).endswith("vm0/0      ◇ ff-a      MSG_WAIT waits")
        assert shown(app)[-1] == chosen(app)
        assert "caller     1 (vm0) vCPU 0" in details(app)
        assert "x0  000000008400006b  -" in details(app)


async def test_console_traffic_is_hidden_on_demand_only() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5")
        few = page(app).pane.virtual_size.height
        assert any('console   "[vm1] vm0 asks how much I say\\r\\n"' in line for line in shown(app))
        assert not any("UARTDR" in line for line in shown(app))
        await press(pilot, "o")
        assert page(app).pane.virtual_size.height == ring(app).total + 1 > few
        assert any("UARTDR" in line for line in shown(app))
        assert "console traffic, too (o)" in title(app)
        await press(pilot, "o")
        assert page(app).pane.virtual_size.height == few


async def test_moving_holds_the_view_and_the_title_counts_what_comes_below() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5", "pageup", "pageup", "up")
        assert not page(app).pane.following
        rows, below = shown(app), page(app).pane.below
        assert f"{below} below (h)" in title(app)
        await pilot.press("space")
        await until(pilot, lambda: page(app).pane.below > below)
        await press(pilot, "space")
        assert shown(app) == rows
        assert f"{page(app).pane.below:,} below (h)" in title(app)
        await press(pilot, "h")
        assert page(app).pane.following
        assert "below" not in title(app)
        assert shown(app)[-1] == chosen(app)


async def test_home_end_and_the_mouse_wheel() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5", "home")
        assert chosen(app) == shown(app)[1]
        assert "BL1" in chosen(app)
        await press(pilot, "end")
        assert page(app).pane.following
        pane = page(app).pane
        for _ in range(3):
            pane._on_mouse_scroll_up(_wheel(pane))
        await settle(pilot)
        assert not pane.following
        assert pane.top <= pane.cursor < pane.top + pane.room
        for _ in range(9):
            pane._on_mouse_scroll_down(_wheel(pane))
        await settle(pilot)
        assert pane.following


def _wheel(pane: TraceLog):  # type: ignore[no-untyped-def]
    from textual.events import MouseScrollUp

    return MouseScrollUp(pane, 1, 1, 0, -1, 0, False, False, False)


async def test_enter_reads_the_details_and_escape_comes_back() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5", "up", "enter")
        assert page(app).detail.has_focus
        await press(pilot, "escape")
        assert page(app).pane.has_focus


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "trap ICC_IAR1_EL1",
            ["class      system register access (EC 0x18)", "PC         0x480034ec gic_dispatch+0xc"],
        ),
        ("interrupt vm0", ["INTID      27, PPI", "from       timer"]),
        ("boot bl1", ["stage      BL1"]),
        ("world", ["is now in  the normal world"]),
        ("console", ['printed    "[vm0] vm1 has said 2 lines\\r\\n"']),
        ("switch", ["core       0 runs it from now on"]),
        ("ffa vm0 waits direct_req", ["MSG_SEND_DIRECT_RESP_32 2 -> 1", "answered"]),
    ],
)
async def test_details_of_every_kind(words: str, says: list[str]) -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5")
        await monitor(pilot, f"filter {words}")
        for each in says:
            assert each in details(app)


# --- filter, search, jump --------------------------------------------------------------------------------


async def test_a_filter_by_kind_and_place() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5")
        await monitor(pilot, "filter ffa vm1")
        calls = [event for event in ring(app).since(0) if type(event).__name__.startswith("Ffa") and event.vm == "vm1"]
        assert page(app).pane.virtual_size.height == len(calls) + 1
        assert all("vm1/0" in line for line in shown(app)[1:] if line)
        assert "filter ffa vm1 (F)" in title(app)
        await monitor(pilot, "filter")
        assert "filter" not in title(app)


async def test_the_key_asks_for_words() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5", "F")
        assert app.board.monitor_line.value == "filter "
        await press(pilot, *"psci", "enter")
        assert "no row matches the filter" in shown(app)[1]
        assert app.focused is page(app).pane
        await press(pilot, "slash")
        assert app.board.monitor_line.value == "search "


async def test_another_choice_keeps_the_event_under_the_cursor() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5")
        await monitor(pilot, "filter ffa sp_hello")
        await press(pilot, "up")
        held = chosen(app)
        await monitor(pilot, "filter")
        assert chosen(app) == held
        await press(pilot, "o")
        assert chosen(app) == held


async def test_search_goes_to_older_matches_one_after_the_other() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5")
        found = []
        for _ in range(3):
            await monitor(pilot, "search MSG_SEND_DIRECT_RESP")
            found.append(chosen(app))
        assert all("MSG_SEND_DIRECT_RESP" in line for line in found)
        assert len(set(found)) == 3
        assert not page(app).pane.following
        assert "instruction" in app.board.status.notice
        held = chosen(app)
        await monitor(pilot, "search no_such_thing")
        assert "no older row has no_such_thing" in app.board.status.notice
        assert chosen(app) == held
        await monitor(pilot, "search MSG_WAIT")
        first = chosen(app)
        await monitor(pilot, "search")
        assert "MSG_WAIT" in chosen(app) != first


async def test_a_jump_to_an_instruction_count() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5")
        await monitor(pilot, "address 150160990")
        assert " 150160998 " in chosen(app)
        assert "instruction 150160998" in app.board.status.notice
        await monitor(pilot, "address 0x1")
        assert "Hello from S-EL1" in chosen(app)
        await monitor(pilot, "address 9_000_000_000")
        assert "nothing is shown after 9000000000" in app.board.status.notice
        assert page(app).pane.following
        await monitor(pilot, "address guest_main")
        assert "expected an instruction count" in app.board.status.notice


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("lanes", "lanes are on the trace"),
        ("filter x", "the trace screen has a filter"),
        ("here", "follows nothing"),
        ("address 5", "CPU, memory and trace"),
        ("search x", "consoles and the trace"),
    ],
)
async def test_pages_without_these_say_so(line: str, says: str) -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "6")
        await monitor(pilot, line)
        assert says in app.board.status.notice


async def test_the_same_actions_work_on_other_pages() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "3", "a")
        assert app.board.monitor_line.value == "address "
        await press(pilot, "escape")
        memory = app.board.pages["memory"]
        assert isinstance(memory, MemoryPage)
        await monitor(pilot, "address 0x48000040")
        assert not app.board.status.notice
        places = [memory._base]
        await press(pilot, "M")
        assert memory._space == "ipa"
        await monitor(pilot, "here")
        places.append(memory._base)
        assert places == [Spot("va", 0x48000040), None]
        await monitor(pilot, "address [")
        assert app.board.status.notice.startswith("!")


# --- lanes -------------------------------------------------------------------------------------------


async def test_lanes_show_who_calls_whom() -> None:
    async with running(ffa(), size=(80, 24)) as (app, pilot):
        await press(pilot, "5", "l")
        heading, *rows = shown(app)
        assert heading.split() == ["TIME", "vm0", "vm1", "EL2", "S-EL2", "sp_hello", "sp_irq", "sp_relay"]
        (request,) = [row for row in rows if "0.900537" in row and "REQ" in row]
        (response,) = [row for row in rows if "0.900543" in row and "RESP" in row]
        assert request.index("┃") < request.index("▶│") < heading.index("sp_irq")
        assert response.index("◀") < response.index("┃")
        assert response.index("┃") == request.index("▶") + 1
        await press(pilot, "l")
        assert "INSTRUCTION" in shown(app)[0]


async def test_lanes_of_virtual_machines_show_refusals_and_traps_on_demand() -> None:
    async with running(still(checked, "ffa-vms.toml")) as (app, pilot):
        await press(pilot, "5", "l")
        assert any("✗ ERROR DENIED" in row for row in shown(app))
        assert any("● off: SYSTEM_OFF" in row for row in shown(app))
        few = page(app).pane.virtual_size.height
        calls = [event for event in ring(app).since(0) if isinstance(event, FfaCall) and event.result]
        assert few > 2 * len(calls)
        await press(pilot, "o")
        assert page(app).pane.virtual_size.height > 2 * few


async def test_a_call_and_its_answer_are_two_rows_of_one_event() -> None:
    async with running(ffa()) as (app, pilot):
        await press(pilot, "5", "l")
        await monitor(pilot, "filter id_get vm1")
        call, answer = shown(app)[1:3]
        assert "ID_GET" in call
        assert "SUCCESS_32 2" in answer
        assert "call       ID_GET" in details(app)
        await press(pilot, "up")
        assert "call       ID_GET" in details(app)


async def test_lanes_scroll_sideways_where_they_have_no_room() -> None:
    async with running(ffa(), size=(60, 24)) as (app, pilot):
        await press(pilot, "5", "l")
        assert shown(app)[0].split() == ["TIME", "vm0", "vm1", "EL2", "S-EL2", "▸"]
        await press(pilot, "right", "right", "right", "right")
        assert shown(app)[0].split() == ["TIME", "◂", "S-EL2", "sp_hello", "sp_irq", "sp_relay"]
        await press(pilot, "left")
        assert shown(app)[0].split()[1] == "◂"


# --- a million events ----------------------------------------------------------------------------------


def crowded() -> Machine:
    """A machine whose ring is full, and has lost its oldest events."""
    machine = Machine(config.load(paths.machines_dir() / "two-vms.toml"), events=TRACED_EVENTS)
    events = machine.control.system.events
    first = machine.control.system.hypervisor.now + 1000
    vms = ("vm0", "vm1")
    for n in range(events.total, TRACED_EVENTS + 5000):
        events.emit(Trap(first + 10 * n, vms[n % 2], n % 2, 0x16, 0x48001000 + n % 1009, "HVC PSCI_VERSION", n))
    machine.start(running=False)
    return machine


async def test_a_million_events_scroll_jump_and_filter() -> None:
    async with running(crowded()) as (app, pilot):
        pane = page(app).pane
        await press(pilot, "5")
        await until(pilot, lambda: "%" not in title(app), 120)
        events, newest = ring(app), chosen(app)
        assert events.total - events.first == TRACED_EVENTS
        assert pane.virtual_size.height == TRACED_EVENTS + 1
        await press(pilot, "pageup", "pageup", "home")
        first = events.between(events.first, events.first + pane.room)
        for line, event in zip(shown(app)[1:], first, strict=True):
            assert f" {event.cycle} " in line
        await press(pilot, "pagedown", "down", "down")
        assert pane.top - pane._first == pane.cursor - pane._first + 1 - pane.room
        await monitor(pilot, f"address {first[0].cycle + 5_000_003}")
        assert f" {first[0].cycle + 5_000_010} " in chosen(app)
        pane.scroll_to(y=250_000, animate=False, immediate=True, force=True)
        await settle(pilot)
        assert f" {first[0].cycle + 2_500_000} " in shown(app)[1]
        await monitor(pilot, "filter vm1 0x48001005")
        await until(pilot, lambda: "%" not in title(app), 120)
        assert all("0x48001005" in line and "vm1/1" in line for line in shown(app)[1:])
        assert 480 < pane.virtual_size.height < 510
        await monitor(pilot, "filter")
        await press(pilot, "end")
        await until(pilot, lambda: "%" not in title(app), 120)
        assert chosen(app) == newest


# --- pictures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("pressed", "advance"),
    [pytest.param(("5",), talked, id="log"), pytest.param(("5", "l"), talked, id="lanes")],
)
def test_pictures(
    snap_compare: Compare, size: tuple[int, int], pressed: tuple[str, ...], advance: Callable[[Machine], object]
) -> None:
    machine = ffa(advance)
    try:
        assert snap_compare(HvtuiApp(machine), terminal_size=size, run_before=keys(*pressed))
    finally:
        machine.close()
