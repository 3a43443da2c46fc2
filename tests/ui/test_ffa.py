"""The FF-A pane: who shares what, the newest calls, the filter, and all about a line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.widgets import Static

from engine.events import FfaAnswer, FfaCall
from engine.machine import Machine
from engine.views import RunState
from hvtui.app import HvtuiApp
from hvtui.ffa_calls import Call, CallList
from hvtui.frame import FfaBatch
from hvtui.screens.details import Details
from hvtui.screens.help import Help
from hvtui.widgets.ffa import FfaPane
from tests.ui.support import press, running, settle, still, until
from tests.ui.test_snapshots import Compare, keys

HANDLE = 0x8000_0000_0000_0002


def run_until(machine: Machine, *borrowers: tuple[int, str]) -> None:
    """Run, by steps that are the same every time, until a transaction has these borrowers in these states."""
    for _ in range(20_000):
        machine.control.run_instructions(100)
        view = machine.control.view(RunState.PAUSED, "").ffa
        assert view is not None
        for transaction in view.transactions:
            if set(borrowers) <= {(borrower.endpoint, borrower.state) for borrower in transaction.borrowers}:
                return
    raise AssertionError(f"no transaction came to {borrowers}")


def offered(machine: Machine) -> None:
    """vm0 has just shared its first page with vm1."""
    run_until(machine, (2, "offered"))


def retrieved(machine: Machine) -> None:
    """vm0 shares a page with vm1, which may read it, and with vm2, which may write it; both have it."""
    run_until(machine, (2, "retrieved"), (3, "retrieved"))


def simulated(machine: Machine) -> None:
    """The first simulated secure partition has a page."""
    run_until(machine, (0x8001, "retrieved"))


def ffa_machine(advance: Callable[[Machine], object] = retrieved) -> Machine:
    return still(advance, "ffa-vms.toml")


def pane(app: HvtuiApp) -> FfaPane:
    assert app.board.ffa is not None
    return app.board.ffa


def lines(app: HvtuiApp, width: int = 118) -> list[str]:
    shown = pane(app)
    return [shown.draw_line(number, width).text.rstrip() for number in range(shown.virtual_size.height)]


def is_collected(app: HvtuiApp) -> bool:
    return app.board.bridge.ffa_visible


def details(app: HvtuiApp) -> str:
    assert isinstance(app.screen, Details)
    return str(app.screen.query_one(Static).content)


async def test_the_tab_is_there_only_with_ffa() -> None:
    async with running(ffa_machine()) as (app, pilot):
        assert "ff-a (x)" in str(app.board.event_log.border_title)
        await press(pilot, "question_mark")
        assert isinstance(app.screen, Help)
        assert "ffa" in [action.name for action in app.screen._actions]
    async with running(still()) as (app, pilot):
        assert app.board.ffa is None
        await press(pilot, "x", "n")
        assert app.board.event_log.display
        assert "ff-a" not in str(app.board.event_log.border_title)
        await press(pilot, "question_mark")
        assert isinstance(app.screen, Help)
        assert "ffa" not in [action.name for action in app.screen._actions]


async def test_nothing_is_collected_before_somebody_looks() -> None:
    async with running(ffa_machine()) as (app, pilot):
        assert not is_collected(app)
        assert lines(app) == []
        await press(pilot, "x")
        assert is_collected(app)
        assert app.focused is pane(app)
        assert not app.board.event_log.display
        assert len(lines(app)) > 100
        await press(pilot, "g")
        assert pane(app).display
        await press(pilot, "e")
        assert not is_collected(app)


async def test_calls_come_live() -> None:
    async with running(ffa_machine(offered)) as (app, pilot):
        await press(pilot, "x")
        newest = lines(app)[3]
        await pilot.press("space")
        await until(pilot, lambda: any("MEM_RECLAIM" in line for line in lines(app)))
        await press(pilot, "space")
        shown = [row.call for row in pane(app)._rows if row.call is not None]
        assert [one.sequence for one in shown] == sorted((one.sequence for one in shown), reverse=True)
        assert lines(app)[3] != newest


async def test_a_share_appears_when_it_is_made() -> None:
    async with running(ffa_machine(offered)) as (app, pilot):
        await press(pilot, "x")
        title, share, calls, newest = lines(app)[:4]
        assert title.split()[:6] == ["HANDLE", "TAG", "KIND", "OWNER", "BORROWER", "PERMS"]
        assert share.removeprefix("▌").split() == [
            *("0x8000000000000001", "0x7a6", "share", "1", "2", "RW", "NX", "offered", "1", "0x49000000"),
        ]
        assert calls.split() == ["TIME", "CALLER", "CALL", "RESULT"]
        assert "MEM_SHARE_32 total" in newest
        assert "SUCCESS_32 0x1 0x80000000" in newest


async def test_every_borrower_has_a_line() -> None:
    async with running(ffa_machine()) as (app, pilot):
        await press(pilot, "x")
        first, second = lines(app)[1:3]
        assert "2        RO NX    retrieved        1  0x49001000 → 0x49001000" in first
        assert "3        RW NX    retrieved        1  0x49001000 → 0xc0000000" in second


async def test_n_goes_round_the_endpoints() -> None:
    async with running(ffa_machine(simulated)) as (app, pilot):
        await press(pilot, "x")
        everything, names, shares = len(lines(app)), [], []
        for _ in range(6):
            await press(pilot, "n")
            names.append(pane(app).filter_name)
            shares.append(any("retrieved" in line and "0x8001" in line for line in lines(app)))
        assert names == ["endpoint 1", "endpoint 2", "endpoint 3", "endpoint 0x8001", "endpoint 0x8002", "all"]
        assert shares == [True, False, False, True, False, True]
        assert len(lines(app)) == everything
        await press(pilot, "n", "n", "n")
        assert "endpoint 3" in str(pane(app).border_title)
        shown = [row.call for row in pane(app)._rows if row.call is not None]
        assert shown
        assert all(3 in call.endpoints for call in shown)


async def test_n_shows_the_pane_first() -> None:
    async with running(ffa_machine()) as (app, pilot):
        await press(pilot, "n")
        assert pane(app).display
        assert pane(app).endpoint is None


async def test_enter_tells_all_about_a_share() -> None:
    async with running(ffa_machine()) as (app, pilot):
        await press(pilot, "x", "enter")
        told = details(app)
        assert f"handle      {HANDLE:#x}" in told
        assert "owner       1 (vm0)" in told
        assert "attributes  NS normal WB ISH" in told
        assert "borrower    3 (vm2)" in told
        assert "its IPA     0xc0000000-0xc0000fff, pages: 1" in told
        await press(pilot, "escape")
        assert app.screen is app.board


async def test_enter_tells_all_about_a_call_and_its_share() -> None:
    async with running(ffa_machine(offered)) as (app, pilot):
        await press(pilot, "x", "down", "enter")
        told = details(app)
        assert "caller    1 (vm0), vCPU 0" in told
        assert "function  MEM_SHARE_32" in told
        assert "handle      0x8000000000000001" in told
        assert "borrower    2 (vm1)" in told


async def test_the_cursor_stays_with_its_line() -> None:
    async with running(ffa_machine()) as (app, pilot):
        await press(pilot, "x", "end")
        oldest = lines(app)[-1]
        assert oldest.startswith("▌")
        await press(pilot, "t")
        await settle(pilot)
        await press(pilot, "n")
        assert next(line for line in lines(app) if line.startswith("▌")) == oldest
        await press(pilot, "home", "up")
        assert lines(app)[1].startswith("▌")


async def test_a_click_chooses_and_a_second_one_opens() -> None:
    async with running(ffa_machine()) as (app, pilot):
        await press(pilot, "x")
        await pilot.click("#ffa", offset=(10, 3))
        assert lines(app)[2].startswith("▌")
        await pilot.click("#ffa", offset=(10, 3))
        await settle(pilot)
        assert "borrower    3 (vm2)" in details(app)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (20, 5), (120, 24), (200, 60)])
async def test_it_has_room_in_every_size(size: tuple[int, int]) -> None:
    async with running(ffa_machine(), size=size) as (app, pilot):
        await press(pilot, "x", "n", "down", "end", "home")
        if size[1] > 12:
            assert pane(app).size.height >= 3
        assert not (app.board.event_log.display and pane(app).display)
        await press(pilot, "e", "g", "x", "ctrl+o", "ctrl+o", "enter", "escape")


async def test_80_columns_show_permissions_and_addresses() -> None:
    async with running(ffa_machine(), size=(80, 24)) as (app, pilot):
        await press(pilot, "x")
        assert pane(app).size.width == 80
        assert not app.board.registers.display
        assert "…0002 0x7a6  share  1      2        RO NX    retrieved        1  0x49001000" in lines(app, 80)[1]


def test_snapshot(snap_compare: Compare) -> None:
    machine = ffa_machine()
    try:
        assert snap_compare(HvtuiApp(machine), terminal_size=(120, 40), run_before=keys("x"))
    finally:
        machine.close()


# --- calls and answers ---------------------------------------------------------------------------


def call(text: str, result: str, vcpu: int = 0) -> FfaCall:
    return FfaCall(10, "vm0", vcpu, 1, text.split()[0], text, result)


def listed(*events: FfaCall | FfaAnswer) -> CallList:
    calls = CallList(3)
    calls.add(FfaBatch(tuple(enumerate(events)), False, len(events)))
    return calls


def test_an_answer_finds_its_call() -> None:
    calls = listed(call("MSG_WAIT", "waits"), call("MSG_WAIT", "waits", 1), FfaAnswer(20, "vm0", 0, 1, "RUN 1 vCPU 0"))
    assert [(one.result, one.waits) for one in calls.calls] == [("RUN 1 vCPU 0", False), ("waits", True)]


def test_a_gap_forgets_and_a_late_answer_stands_alone() -> None:
    calls = listed(call("MSG_WAIT", "waits"))
    calls.add(FfaBatch(((90, FfaAnswer(20, "vm0", 0, 1, "ERROR ABORTED")),), True, 91))
    assert [(one.sequence, one.text, one.failed) for one in calls.calls] == [(90, "(an earlier call)", True)]


def test_only_the_newest_calls_are_kept() -> None:
    calls = listed(*(call("ID_GET", f"SUCCESS_32 {n:#x}") for n in range(5)))
    assert [one.sequence for one in calls.calls] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "endpoints"),
    [
        ("ID_GET", {1}),
        ("MSG_SEND_DIRECT_REQ_32 1 -> 0x8001 0x2", {1, 0x8001}),
        ("RUN 3 vCPU 0", {1, 3}),
        ("NOTIFICATION_GET 2 vCPU 0 flags 0x1", {1, 2}),
        ("MEM_SHARE_32 total 96 fragment 96", {1}),
    ],
)
def test_whom_a_call_concerns(text: str, endpoints: set[int]) -> None:
    assert Call(0, call(text, "waits")).endpoints == endpoints


@pytest.mark.parametrize(
    ("text", "result", "handle"),
    [
        ("MEM_SHARE_32 total 96 fragment 96", "SUCCESS_32 0x2 0x80000000", HANDLE),
        ("MEM_RECLAIM handle 0x8000000000000002 zero", "SUCCESS_32", HANDLE),
        ("MEM_LEND_32 total 96 fragment 96", "ERROR DENIED", None),
        ("ID_GET", "SUCCESS_32 0x1", None),
    ],
)
def test_which_share_a_call_is_about(text: str, result: str, handle: int | None) -> None:
    assert Call(0, call(text, result)).handle == handle
