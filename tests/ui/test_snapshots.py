"""Pictures of the real engine at exact instruction counts, in three sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.machine import Machine
from hvtui.app import HvtuiApp
from tests.ui.support import Compare, booted, keys, still, ticking

SIZES = ((80, 24), (120, 40), (200, 60))
Advance = Callable[[Machine], object]


@pytest.fixture
def open_app() -> Iterator[Callable[[Advance], HvtuiApp]]:
    """Makes apps on machines that stand still, and closes the machines."""
    machines: list[Machine] = []

    def make(advance: Advance) -> HvtuiApp:
        machines.append(still(advance))
        return HvtuiApp(machines[-1])

    yield make
    for machine in machines:
        machine.close()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("advance", "pressed"),
    [
        pytest.param(booted, (), id="booted"),
        pytest.param(ticking, ("s", "s", "s", "g"), id="stepped"),
        pytest.param(booted, ("i", "3", "3"), id="inject"),
        pytest.param(booted, ("question_mark",), id="help"),
        pytest.param(booted, ("u", "2"), id="run-until"),
    ],
)
def test_board(
    snap_compare: Compare,
    open_app: Callable[[Advance], HvtuiApp],
    size: tuple[int, int],
    advance: Advance,
    pressed: tuple[str, ...],
) -> None:
    assert snap_compare(open_app(advance), terminal_size=size, run_before=keys(*pressed))


@pytest.mark.parametrize(
    "pressed",
    [
        pytest.param(("enter", "h", "i"), id="typing"),
        pytest.param(("q",), id="quit"),
        pytest.param(("g", "z"), id="maximised-registers"),
        pytest.param(("e", "o", "z"), id="all-events"),
        pytest.param(("d",), id="details"),
    ],
)
def test_pane(snap_compare: Compare, open_app: Callable[[Advance], HvtuiApp], pressed: tuple[str, ...]) -> None:
    assert snap_compare(open_app(ticking), terminal_size=(120, 40), run_before=keys(*pressed))


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (120, 24)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_odd_sizes(snap_compare: Compare, open_app: Callable[[Advance], HvtuiApp], size: tuple[int, int]) -> None:
    assert snap_compare(open_app(booted), terminal_size=size, run_before=keys())
