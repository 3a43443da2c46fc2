"""The FF-A page: who shares what, mailboxes, notifications, the newest calls, the filter, and all about a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from engine.machine import Machine
from engine.views import FfaView
from hvtui.app import HvtuiApp
from hvtui.ffa_calls import Call
from hvtui.ffa_text import call_page
from hvtui.items import lay_out
from hvtui.screens.help import Help
from hvtui.widgets.ffa import FfaPage
from hvtui.widgets.lines import LinesPane
from hvtui.widgets.table import Table
from tests.ui.ffa_machine import SHARED, TAG, ffa_machine, offered, retrieved, signalled
from tests.ui.support import SECOND, Compare, keys, press, running, settle, still, until

WIDTH = 118


def page(app: HvtuiApp) -> FfaPage:
    page = app.board.pages["ffa"]
    assert isinstance(page, FfaPage)
    return page


def records(app: HvtuiApp) -> FfaView | None:
    """What the newest frame has of them."""
    assert app.board.frame is not None
    return app.board.frame.view.ffa


def focused(app: HvtuiApp) -> Widget | None:
    return app.focused


def has_room(widget: Widget) -> bool:
    """It is on the screen."""
    return widget.region.height > 0


def lines(pane: LinesPane, width: int = WIDTH) -> list[str]:
    count = len(pane._rows) if isinstance(pane, Table) else pane.virtual_size.height
    return [pane.draw_line(number, width).text.rstrip() for number in range(count)]


def details(app: HvtuiApp) -> list[str]:
    shown = page(app).detail
    return [line.rstrip() for line in lines(shown, shown.size.width)]


def cursor(table: Table[Any]) -> str:
    (found,) = [line for line in lines(table) if line.startswith("▌")]
    return found


def screen_line(table: Table[Any]) -> int:
    """Where the cursor is on the screen."""
    return table._cursor - table.scroll_offset.y


def calls(app: HvtuiApp) -> list[Call]:
    return [row.item for row in page(app).calls._rows]


async def run_on(pilot: Pilot[None], reached: Callable[[], bool]) -> None:
    """Let the guests of a machine that stands still go on until the app shows what came of it, then hold them."""
    await pilot.press("space")
    await until(pilot, reached)
    await press(pilot, "space")


# --- coming and going -------------------------------------------------------------------------------


async def test_the_page_is_there_only_with_ffa(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "question_mark")
        assert isinstance(app.screen, Help)
        assert "ffa_filter" in [action.name for action in app.screen._actions]
    async with running(still()) as (app, pilot):
        assert "ffa" not in app.board.pages
        await press(pilot, "4", "x")
        assert app.board.event_log.display
        assert "this machine has no FF-A" in app.board.status.notice
        await press(pilot, "question_mark")
        assert isinstance(app.screen, Help)
        assert "ffa_filter" not in [action.name for action in app.screen._actions]


async def test_nothing_is_asked_for_before_somebody_looks(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        assert records(app) is None
        assert lines(page(app).calls) == lines(page(app).endpoints) == []
        await press(pilot, "4")
        assert records(app) is not None
        assert focused(app) is page(app).calls
        assert not has_room(app.board.event_log)
        assert not has_room(app.board.partitions)
        assert len(lines(page(app).calls)) == len(calls(app)) == 23
        await press(pilot, "1")
        assert records(app) is None
        assert has_room(app.board.event_log)
        assert not has_room(page(app))


@pytest.mark.parametrize("key", ["e", "g", "1", "alt+1"])
async def test_other_panes_leave_the_page(tmp_path: Path, key: str) -> None:
    async with running(ffa_machine(tmp_path, retrieved), size=(80, 24)) as (app, pilot):
        await press(pilot, "4", key)
        assert not page(app).display
        left = focused(app)
        assert left is not None
        assert left.region.width > 0
        await press(pilot, "4")
        assert focused(app) is page(app).calls


async def test_enter_reads_and_escape_comes_back(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "up", "enter")
        assert focused(app) is page(app).detail
        await press(pilot, "end")
        assert page(app).detail.scroll_offset.y > 0
        await press(pilot, "escape")
        assert focused(app) is page(app).calls
        await press(pilot, "up")
        assert page(app).detail.scroll_offset.y == 0


async def test_enter_and_escape_go_between_rows_and_details_that_have_all_the_room(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved), size=(80, 24)) as (app, pilot):
        await press(pilot, "4", "z", "enter")
        assert focused(app) is page(app).detail
        assert page(app).detail.region.height == 22
        await press(pilot, "escape")
        assert focused(app) is page(app).calls
        assert page(app).calls.region.height == 22


async def test_any_pane_of_the_page_can_have_all_of_it(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "enter", "z")
        assert page(app).detail.size.width == WIDTH
        assert not page(app).calls.region.width
        await press(pilot, "shift+tab")
        await press(pilot, "z", "shift+tab", "z")
        assert page(app).calls.region.height == 38
        await press(pilot, "1")
        assert app.board.partitions.region.height > 0
        assert app.board.consoles.region.height > 0


# --- tables ------------------------------------------------------------------------------------------


async def test_a_share_appears_when_it_is_made(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, offered)) as (app, pilot):
        await press(pilot, "4")
        first, second = lines(page(app).shares)
        assert first.split() == [
            *(f"{SHARED:#x}", f"{TAG:#x}", "share", "1", "→", "2", "RO", "NX", "offered", "1", "0x48200000"),
        ]
        assert "1 → 3" in second
        assert page(app).shares.heading(WIDTH).split()[:4] == ["HANDLE", "TAG", "KIND", "BETWEEN"]
        newest = cursor(page(app).calls)
        assert "MEM_SHARE_32 1 -> 2, 3 pages 1" in newest
        assert f"SUCCESS_32 handle {SHARED:#x}" in newest


async def test_every_borrower_has_a_line(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4")
        first, second, third = lines(page(app).shares)
        assert "share  1 → 2      RO NX retrieved        1 0x48200000→same" in first
        assert "share  1 → 3      RW NX retrieved        1 0x48200000→0xc0000000" in second
        assert "lend   1 → 0x8001 RW NX retrieved        1 0x48201000→0x40201000" in third


async def test_endpoints_with_their_mailboxes(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4")
        assert [line.split() for line in lines(page(app).endpoints)] == [
            ["1", "vm0", "1.2", "0x48100000", "0x48101000", "free"],
            ["2", "vm1", "(1.2)", "0x68100000", "0x68101000", "free"],
            ["3", "vm2", "(1.2)", "0x88100000", "0x88101000", *["memory", "descriptor,", "112", "bytes"]],
            ["0x8001", "sp1", "-", "-", "-", "-"],
            ["0x8002", "sp2", "-", "-", "-", "-"],
        ]


async def test_notifications_by_sender(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4")
        assert [line.split() for line in lines(page(app).notifications)] == [
            ["1", "0x8001", "0", "0"],
            ["1", "2", "0-1,5", "1"],
            ["1", "3", "7v", "-"],
            ["1", "framework", "RX", "full", "-"],
        ]
        await press(pilot, "x", "x")
        assert [line.split()[:2] for line in lines(page(app).notifications)] == [["1", "2"]]


async def test_calls_come_live(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, offered)) as (app, pilot):
        await press(pilot, "4")
        newest = cursor(page(app).calls)
        await run_on(pilot, lambda: len(calls(app)) > 40)
        sequences = [call.sequence for call in calls(app)]
        assert sequences == sorted(sequences)
        assert cursor(page(app).calls)[1:] == lines(page(app).calls)[-1][1:] != newest[1:]
        assert page(app).calls.scroll_offset.y > 0


async def test_rows_stand_still_under_the_cursor_while_calls_come(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "up", "up", "up")
        table = page(app).calls
        chosen, place, rows = cursor(table), screen_line(table), [call.sequence for call in calls(app)]
        await run_on(pilot, lambda: len(table._newest) > 200)
        assert (cursor(table), screen_line(table)) == (chosen, place)
        assert [call.sequence for call in calls(app)] == rows
        assert "held (end)" in str(table.border_title)
        await press(pilot, "end")
        assert "held" not in str(table.border_title)
        assert cursor(table)[1:] == lines(table)[-1][1:]
        assert len(lines(table)) > 200


async def test_a_call_that_is_no_longer_kept_stays_as_long_as_it_is_looked_at(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "home")
        table = page(app).calls
        chosen = cursor(table)
        await run_on(pilot, lambda: table._newest[0].sequence > calls(app)[-1].sequence)
        assert cursor(table) == chosen
        assert "call       RXTX_MAP_64 TX 0x48100000 RX" in details(app)
        await press(pilot, *["pagedown"] * 3)
        assert not table.held
        assert calls(app)[-1].sequence == table._newest[-1].sequence


async def test_going_down_past_the_last_row_meets_the_newer_ones(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "up")
        table, last = page(app).calls, calls(app)[-1].sequence
        await press(pilot, *["t"] * 6)
        assert table.held
        await press(pilot, "down")
        assert table.chosen is not None
        assert table.chosen.sequence == last
        await press(pilot, "down")
        assert table.chosen is not None
        after = [call.sequence for call in calls(app) if call.sequence > last]
        assert len(after) > 1
        assert table.chosen.sequence == after[0]


async def test_a_waiting_call_shows_its_answer_when_it_comes(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "up", "down")
        table = page(app).calls
        assert cursor(table).endswith("waits")
        assert "answer     waits" in details(app)
        await press(pilot, "up", *["t"] * 6, "down")
        assert "MSG_SEND_DIRECT_REQ_32 3 -> 1 0xbeef" in cursor(table)
        assert cursor(table).endswith("MSG_SEND_DIRECT_RESP_32 1 -> 3 0xcafe")
        assert any("cycles later" in line for line in details(app))


async def test_the_calls_of_real_guests(tmp_path: Path) -> None:
    """Whatever real guests do can be looked at."""
    machine = still(lambda machine: machine.control.advance(2 * SECOND), "ffa-vms.toml")
    async with running(machine) as (app, pilot):
        await press(pilot, "4")
        view = records(app)
        assert view is not None
        assert len(calls(app)) == 500
        assert all(len(line) <= WIDTH for line in lines(page(app).calls))
        for call in calls(app):
            assert len(lay_out(call_page(call, view, 0), 44)) > 10


# --- the filter --------------------------------------------------------------------------------------


async def test_n_goes_round_the_endpoints(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4")
        everything, names, shares = len(calls(app)), [], []
        for _ in range(6):
            await press(pilot, "x")
            names.append(page(app).filter_name)
            shares.append(len(lines(page(app).shares)))
        assert names == ["endpoint 1", "endpoint 2", "endpoint 3", "endpoint 0x8001", "endpoint 0x8002", "all"]
        assert shares == [3, 2, 2, 1, 0, 3]
        assert len(calls(app)) == everything


async def test_the_filter_finds_callers_counterparts_and_borrowers(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "x", "x")
        assert "endpoint 2" in str(page(app).calls.border_title)
        told = [(call.event.endpoint, call.text.split(" TX ")[0].split(" handle ")[0]) for call in calls(app)]
        assert told == [
            (1, "NOTIFICATION_BIND 2 -> 1 0x23"),
            (1, "MEM_SHARE_32 1 -> 2, 3 pages 1"),
            (1, "MEM_SHARE_32 1 -> 2, 3 pages 1"),
            (2, "RXTX_MAP_64"),
            (2, "MEM_RETRIEVE_REQ_32"),
            (2, "MEM_RETRIEVE_REQ_32"),
            (2, "RX_RELEASE"),
            (2, "NOTIFICATION_SET 2 -> 1 0x2"),
            (2, "MSG_WAIT"),
            (3, "MEM_RETRIEVE_REQ_32"),
            (3, "MEM_RETRIEVE_REQ_32"),
        ]


async def test_a_quiet_endpoint_is_not_drowned_by_a_busy_one(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4")
        await run_on(pilot, lambda: calls(app)[0].event.endpoint != 1)
        assert not any(call.event.endpoint == 2 for call in calls(app))
        await press(pilot, "x", "x")
        assert [call.event.endpoint for call in calls(app)] == [1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3]


async def test_the_cursor_stays_with_its_call_where_the_filter_leaves_it(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "up", "up")
        chosen = cursor(page(app).calls)
        await press(pilot, "x", "x", "x")
        assert cursor(page(app).calls) == chosen
        await press(pilot, "x")
        assert cursor(page(app).calls)[1:] == lines(page(app).calls)[-1][1:]


async def test_n_shows_the_page_first(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "x")
        assert page(app).display
        assert page(app).endpoint is None


# --- details -----------------------------------------------------------------------------------------


async def test_all_about_a_call(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "up")
        told = details(app)
        assert told[:5] == [
            "call       MEM_RETRIEVE_REQ_32 handle",
            f"           {SHARED:#x} of 1",
            "answer     MEM_RETRIEVE_RESP total 112",
            "           fragment 112",
            "caller     3 (vm2) vCPU 0",
        ]
        assert "cost       table entries 514, bytes copied" in told
        assert "           224" in told
        assert "x0  0000000084000074  0000000084000075" in told
        assert "x1  0000000000000070  0000000000000070" in told
        asked, given = told.index("in TX, 112 bytes, v1.2"), told.index("put into RX, 112 bytes, v1.2")
        assert told[asked + 1 : asked + 13] == [
            "sender       1 (vm0)",
            "attributes   0x0 unspecified",
            "flags        0x400 caller alone",
            f"handle       {SHARED:#x}",
            f"tag          {TAG:#x}",
            "receivers    1, each 32 bytes, at 48",
            "receiver     3 (vm2)",
            " permissions 0x2 RW UNSPECIFIED",
            " flags       0x0",
            " composite   at 80",
            "composite    at 80, pages 1, ranges 1",
            " range       0xc0000000-0xc0000fff pages 1",
        ]
        assert "attributes   0x6f NS normal WB ISH" in told[given:]
        assert "the share as it is now" in told[given:]


async def test_why_a_call_was_refused(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "up", "up")
        assert "answer     ERROR INVALID_PARAMETERS" in details(app)
        assert "because    tag differs from the sender's" in details(app)
        assert "cost       bytes copied 112" in details(app)


async def test_all_about_a_share(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "tab", "tab")
        assert focused(app) is page(app).shares
        told = details(app)
        assert f"handle     {SHARED:#x}" in told
        assert "owner      1 (vm0)" in told
        assert "attributes NS normal WB ISH" in told
        assert "owner IPA  0x48200000-0x48200fff pages 1" in told
        assert "borrower   3 (vm2)" in told
        assert "its IPA    0xc0000000-0xc0000fff pages 1" in told


async def test_all_about_an_endpoint_and_its_notifications(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "tab", "tab", "tab")
        told = details(app)
        assert told[:3] == ["endpoint   1 (vm0)", "uuid       841ec90e-03a9-5e69-b14f-d7caba4e", "           340f"]
        assert "version    1.2" in told
        assert "RX         0x48101000 pages 1" in told
        assert "RX is      free" in told
        assert f"owner      share {SHARED:#x}" in told
        assert "bit 1      global, pending" in told
        assert "bit 7      per vCPU" in told
        await press(pilot, "down", "down")
        assert "version    1.2, never asked for" in details(app)
        assert "RX holds   memory descriptor, 112 bytes" in details(app)
        await press(pilot, "tab")
        assert details(app)[:2] == ["receiver   1 (vm0)", "framework  nothing pending"]
        await press(pilot, "1", "4")
        assert focused(app) is page(app).notifications


async def test_a_click_chooses_and_a_double_click_reads(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4")
        await pilot.click("#ffa-shares", offset=(10, 3))
        await settle(pilot)
        assert "1 → 3" in cursor(page(app).shares)
        assert "borrower   3 (vm2)" in details(app)
        await pilot.click("#ffa-shares", offset=(10, 3), times=2)
        await settle(pilot)
        assert focused(app) is page(app).detail


# --- room --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (80, 40), (40, 12), (20, 5), (120, 24), (120, 40), (200, 60)])
async def test_it_has_room_in_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(ffa_machine(tmp_path, retrieved), size=size) as (app, pilot):
        await press(pilot, "4")
        assert page(app).calls.size.height >= min(3, size[1] - 2)
        if size[1] > 14:
            shown = [table for table in page(app)._records if table.region.height]
            assert len(shown) == (3 if size[1] >= 32 else 1)
            assert all(table.size.height >= 3 for table in shown)
            assert page(app).detail.size.height >= 8
        await press(pilot, "x", "down", "end", "home", "right", "left", "enter", "z", "z", "escape", "1")
        assert not page(app).display


async def test_80_columns_show_permissions_and_addresses(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved), size=(80, 24)) as (app, pilot):
        await press(pilot, "4")
        assert lines(page(app).shares, 80)[1] == (
            " …0001 share  1 → 3      RW NX retrieved        1 0x48200000→0xc0000000"
        )
        await press(pilot, "up")
        assert len([line for line in details(app) if "in TX, 112 bytes" in line]) == 1


async def test_tables_of_records_take_turns_where_room_is_short(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved), size=(80, 24)) as (app, pilot):
        await press(pilot, "4")
        here = page(app)
        assert "shares │ endpoints │ notifications (← →)" in str(here.shares.border_title)
        await press(pilot, "right")
        assert here.endpoints.region.height
        assert not here.shares.region.height
        assert focused(app) is here.calls
        await press(pilot, "shift+tab", "right")
        assert focused(app) is here.notifications
        await press(pilot, "right")
        assert focused(app) is here.shares


async def test_arrows_do_nothing_where_all_tables_have_room(tmp_path: Path) -> None:
    async with running(ffa_machine(tmp_path, retrieved)) as (app, pilot):
        await press(pilot, "4", "right")
        assert all(table.region.height for table in page(app)._records)
        assert str(page(app).shares.border_title) == "shares"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("reached", "pressed"),
    [
        pytest.param(retrieved, ("4", "up"), id="call"),
        pytest.param(offered, ("4", "x", "x", "tab", "tab"), id="share"),
        pytest.param(signalled, ("4", "right", "right", "shift+tab"), id="notifications"),
    ],
)
def test_snapshots(
    snap_compare: Compare,
    tmp_path: Path,
    reached: Callable[[FfaView], bool],
    pressed: tuple[str, ...],
    size: tuple[int, int],
) -> None:
    machine: Machine = ffa_machine(tmp_path, reached)
    try:
        assert snap_compare(HvtuiApp(machine), terminal_size=size, run_before=keys(*pressed))
    finally:
        machine.close()
