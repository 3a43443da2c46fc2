"""Lanes: events become steps between partitions, and steps become rows of text."""

from __future__ import annotations

from itertools import pairwise

import pytest

from engine.arch.psci import Result
from engine.events import (
    Blocked,
    Event,
    EventRing,
    FfaAnswer,
    FfaCall,
    HostInput,
    Interrupt,
    PsciCall,
    Switch,
    Trap,
    VmState,
    WorldSwitch,
)
from engine.ffa.abi import Function
from engine.ffa.version import V1_2
from hvtui.trace_lanes import Lanes, Layout
from hvtui.trace_steps import Look, World, row_count, steps

LANES = Lanes(
    ("vm0", "vm1", "EL2", "S-EL2", "sp"),
    {"vm0": "EL2", "vm1": "EL2", "sp": "S-EL2"},
    {World.NORMAL: "EL2", World.SECURE: "S-EL2"},
    {0: "EL2", 0x8000: "S-EL2", 1: "vm0", 2: "vm1", 0x8001: "sp"},
)
REQUEST = (Function.MSG_SEND_DIRECT_REQ_32, 0x1_8001, *(0,) * 6)
RESPONSE = (Function.MSG_SEND_DIRECT_RESP_32, 0x8001_0001, 0, 7, *(0,) * 4)
SUCCESS = (Function.SUCCESS_32, *(0,) * 7)
DENIED = (Function.ERROR, 0, 0xFFFF_FFFA, *(0,) * 5)


def call(args: tuple[int, ...], result: tuple[int, ...] = (), vm: str = "vm0", endpoint: int = 1) -> FfaCall:
    return FfaCall(5, vm, 0, endpoint, args, result, V1_2)


ID_GET = call((Function.ID_GET, *(0,) * 7), (Function.SUCCESS_32, 0, 1, *(0,) * 5))


def drawn(event: Event, width: int = 70, running: tuple[str, ...] = (), left: int = 0) -> list[str]:
    layout = Layout(LANES, width, left)
    rows = ["".join(part for part, _ in layout.draw(step, running)) for step in steps(event)]
    assert all(len(row) == width for row in rows)
    return [row.rstrip() for row in rows]


def heading(width: int, left: int = 0) -> str:
    return "".join(part for part, _ in Layout(LANES, width, left).heading()).rstrip()


@pytest.mark.parametrize(
    ("event", "rows"),
    [
        pytest.param(
            ID_GET,
            [
                "       ┃───────── ID_GET ─────────▶│             │             │",
                "       │◀╌╌╌╌╌ SUCCESS_32 1 ╌╌╌╌╌╌╌│             │             │",
            ],
            id="a call with its answer",
        ),
        pytest.param(
            FfaAnswer(5, "sp", 0, 0x8001, REQUEST),
            [
                "       ┃───────── MSG_SEND_DIRECT_REQ_32 1 -> 0x8001 ─────────▶│",
            ],
            id="a message goes from its sender to its receiver",
        ),
        pytest.param(
            FfaAnswer(5, "vm0", 0, 1, RESPONSE),
            [
                "       │◀╌╌╌╌╌╌ MSG_SEND_DIRECT_RESP_32 0x8001 -> 1 0x7 ╌╌╌╌╌╌╌┃",
            ],
            id="and its answer back",
        ),
        pytest.param(
            call((Function.MSG_SEND_DIRECT_REQ_32, 0x1_0002, *(0,) * 6), DENIED),
            [
                "       ┃────────────▶│ MSG_SEND_DIRECT_REQ_32 1 -> 2           │",
                "       │◀╌╌╌╌ ✗ ERROR DENIED ╌╌╌╌╌╌│             │             │",
            ],
            id="who refuses is above the caller",
        ),
        pytest.param(
            WorldSwitch(5, "vm0", 0, 0, True),
            [
                "       │             │             │══ core 0 ══▶│             │",
            ],
            id="a world switch",
        ),
        pytest.param(
            PsciCall(5, "vm1", 0, "CPU_ON", (1, 0x1000, 0), Result.ALREADY_ON),
            [
                "       │             ┃── CPU_ON ──▶│             │             │",
                "       │             │◀╌╌╌╌╌╌╌╌╌╌╌╌│ ✗ ALREADY_ON (-4)         │",
            ],
            id="a power call that is refused",
        ),
        pytest.param(
            Interrupt(5, "sp", 0, 27, "timer"),
            ["       │             │  ↯ INTID 27 virtual timer │┄┄┄┄┄┄┄┄┄┄┄┄▶│"],
            id="an interrupt at the right edge has its words at the left",
        ),
        pytest.param(
            VmState(5, "vm1", -1, "crashed", "data abort"),
            ["       │             │ ● crashed: data abort     │             │"],
            id="a mark",
        ),
    ],
)
def test_rows(event: Event, rows: list[str]) -> None:
    assert drawn(event) == rows


def test_who_runs_has_another_line() -> None:
    (row,) = drawn(WorldSwitch(5, "vm0", 0, 0, True), running=("vm1", "sp"))
    assert [row[Layout(LANES, 70).column(lane)] for lane in range(5)] == ["│", "┃", "│", "│", "┃"]


def test_lanes_share_the_width_under_their_names() -> None:
    for width in (45, 68, 80, 125, 188):
        names = heading(width)
        layout = Layout(LANES, width)
        columns = [layout.column(lane) for lane in range(5)]
        gaps = [after - before for before, after in pairwise(columns)]
        assert max(gaps) - min(gaps) <= 1
        for lane, name in enumerate(LANES.names):
            assert abs(names.index(name) + len(name) / 2 - columns[lane]) <= 1


def test_where_lanes_have_no_room_some_are_left_and_right() -> None:
    assert heading(35).split() == ["vm0", "vm1", "EL2", "▸"]
    assert heading(35, 1).split() == ["◂", "vm1", "EL2", "S-EL2", "▸"]
    assert heading(35, 2).split() == heading(35, 99).split() == ["◂", "EL2", "S-EL2", "sp"]
    (row,) = drawn(FfaAnswer(5, "sp", 0, 0x8001, REQUEST), 35, left=0)
    assert row.startswith("     ┃── MSG_SEND_DIRECT_REQ_32 ")
    assert row.endswith("▶")
    assert drawn(ID_GET, 35, left=2)[0].startswith("────▶│")
    assert drawn(ID_GET, 35, left=3) == drawn(ID_GET, 35, left=2)


def test_an_arrow_beside_what_is_seen_leaves_the_lines() -> None:
    (row,) = drawn(Interrupt(5, "vm0", 0, 27, "timer"), 27, left=2)
    assert "│" in row


@pytest.mark.parametrize("width", [1, 2, 5, 9, 10, 17, 33, 300])
def test_any_width(width: int) -> None:
    for event in (ID_GET, FfaAnswer(5, "vm0", 0, 1, RESPONSE), VmState(5, "sp", -1, "crashed", "x" * 500)):
        assert drawn(event, width)


def test_an_endpoint_that_nobody_knows_is_above_the_caller() -> None:
    (row, _) = drawn(call((Function.MSG_SEND_DIRECT_REQ_32, 0x1_0077, *(0,) * 6), SUCCESS))
    assert row.startswith("       ┃─")
    assert "▶│" in row
    assert row.index("▶") == Layout(LANES, 70).column(2) - 1


# --- which events have rows -----------------------------------------------------------------------------


def rows_of(*events: Event, traps: bool = False) -> list[int]:
    ring = EventRing()
    for event in events:
        ring.emit(event)
    return [int(row_count(ring, number, event, traps)) for number, event in enumerate(events)]


TRAP = Trap(5, "vm0", 0, 0x18, 0x1000, "read ICC_IAR1_EL1", 27)
SMC = Trap(5, "vm0", 0, 0x17, 0x1000, "SMC FFA_ID_GET", 0)


def test_a_message_is_one_arrow() -> None:
    delivered = FfaAnswer(5, "sp", 0, 0x8001, REQUEST)
    assert rows_of(SMC, delivered, Blocked(5, "vm0", 0, "x"), call(REQUEST), Switch(5, "sp", 0, 0)) == [0, 1, 0, 0, 0]
    assert rows_of(call(REQUEST)) == [1]


def test_traps_are_shown_on_demand_unless_they_are_calls() -> None:
    assert rows_of(TRAP, SMC) == [0, 0]
    assert rows_of(TRAP, SMC, traps=True) == [1, 0]


def test_every_row_has_its_step() -> None:
    events = (
        ID_GET,
        call(REQUEST),
        call((Function.RUN, 0x8001_0000, *(0,) * 6)),
        call((Function.VERSION, 0x1_0002, *(0,) * 6), (0x1_0002, *(0,) * 7)),
        FfaAnswer(5, "vm0", 0, 1, DENIED),
        PsciCall(5, "vm0", 0, "CPU_ON", (1,), 0),
        PsciCall(5, "vm0", 0, "SYSTEM_OFF", (), 0),
        Interrupt(5, "vm0", 0, 27, "timer"),
        WorldSwitch(5, "", -1, 0, False),
        VmState(5, "vm0", -1, "off", ""),
        HostInput(5, "vm0", -1, "type", b"x", 0, 0),
        TRAP,
    )
    assert rows_of(*events, traps=True) == [len(steps(event)) for event in events]


def test_who_turns_itself_off_hears_no_answer() -> None:
    assert len(steps(PsciCall(5, "vm0", 0, "SYSTEM_OFF", (), 0))) == 1
    assert [step.look for step in steps(PsciCall(5, "vm0", 0, "SYSTEM_OFF", (), -3))] == [Look.CALL, Look.REFUSAL]


def test_run_goes_to_the_partition_that_is_to_run() -> None:
    (row,) = drawn(call((Function.RUN, 0x8001_0000, *(0,) * 6)))
    assert row.index("▶") == Layout(LANES, 70).column(4) - 1
