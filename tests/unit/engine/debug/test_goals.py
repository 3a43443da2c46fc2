"""Runs to the next event of a kind."""

from __future__ import annotations

import pytest

from engine import config, paths
from engine.build import build
from engine.control import Control
from engine.debug.goals import Goal
from engine.events import Event, FfaAnswer, FfaCall, Interrupt, Trap, WorldSwitch
from engine.hypervisor.virtual_time import NO_LIMIT

KINDS: dict[Goal, tuple[type[Event], ...]] = {
    Goal.TRAP: (Trap,),
    Goal.FFA: (FfaCall, FfaAnswer),
    Goal.INTERRUPT: (Interrupt,),
    Goal.WORLD: (WorldSwitch,),
}


def machine(name: str) -> Control:
    return Control(build(config.load(paths.machines_dir() / name), digest=True))


@pytest.mark.parametrize("goal", list(Goal))
def test_it_stops_at_each_event_of_its_kind_and_at_none_else(goal: Goal) -> None:
    """As many stops as such events, each with the event among the last that happened."""
    control = machine("ffa.toml")
    for _ in range(30):
        before = control.system.events.total
        reached = control.run_on(NO_LIMIT, goal)
        assert reached.startswith(f"{goal}: ")
        new = list(control.system.events.since(before))
        assert sum(isinstance(event, KINDS[goal]) for event in new) >= 1
        first = next(n for n, event in enumerate(new) if isinstance(event, KINDS[goal]))
        assert len(new) - first < 12  # what the same trap led to, and no more


def test_guests_do_not_notice() -> None:
    plain, held = machine("ffa.toml"), machine("ffa.toml")
    end = plain.system.hypervisor.cycles_of_ns(20_000_000)
    plain.advance(end)
    for goal in Goal:
        for _ in range(15):
            held.run_on(end, goal)
    held.advance(end)
    assert held.digest() == plain.digest()


def test_what_was_reached_is_told_in_words() -> None:
    control = machine("ffa.toml")
    assert control.run_on(NO_LIMIT, Goal.WORLD).endswith("core 0 enters the secure world")
    calls = [control.run_on(NO_LIMIT, Goal.FFA) for _ in range(2)]
    assert calls[0].endswith("continues with MSG_SEND_DIRECT_RESP_32 0x8001 -> 1 0x0 0x1000")
    assert calls[1] == "FF-A call: vm0/0 MSG_WAIT"
    assert "INTID " in control.run_on(NO_LIMIT, Goal.INTERRUPT)
