"""Virtual interrupts of a partition: HF_INTERRUPT_ENABLE, GET and DEACTIVATE, lines, and who hears of what."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spmc.virtual_interrupts import MAX_INTID, NONE, VirtualInterrupts

TIMER, DEVICE, NPI, MANAGED_EXIT, FOREIGN = 29, 40, 8, 4, 50


@dataclass
class Bench:
    """Two contexts that own TIMER and DEVICE."""

    changed: list[int] = field(default_factory=list)
    signalled: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.it = VirtualInterrupts(
            2,
            (TIMER, DEVICE),
            (NPI, MANAGED_EXIT),
            {MANAGED_EXIT: True},
            self.changed.append,
            lambda context, intid: self.signalled.append((context, intid)),
        )

    def enabled(self, *intids: int, fiq: bool = False) -> VirtualInterrupts:
        for intid in intids:
            assert self.it.enable(0, intid, True, fiq)
        self.changed.clear()
        return self.it


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_at_first(bench: Bench) -> None:
    assert bench.it.take(0) == NONE == 0xFFFF_FFFF
    assert (bench.it.virq(0), bench.it.vfiq(0), bench.it.wakes(0), bench.it.in_service(0)) == (False,) * 4
    assert (bench.it.pending(0), bench.it.enabled(0), bench.it.active(0)) == ((), (), ())


def test_some_are_fiqs_whatever_the_partition_asks(bench: Bench) -> None:
    bench.enabled(MANAGED_EXIT).inject(MANAGED_EXIT)
    assert (bench.it.virq(0), bench.it.vfiq(0)) == (False, True)


def test_life_of_a_physical_interrupt(bench: Bench) -> None:
    it = bench.enabled(TIMER)
    it.inject(TIMER)
    assert (it.virq(0), it.vfiq(0), it.wakes(0), it.pending(0)) == (True, False, True, (TIMER,))
    assert (bench.changed, bench.signalled) == ([0], [(0, TIMER)])
    assert it.take(0) == TIMER
    assert (it.virq(0), it.pending(0), it.active(0), it.in_service(0)) == (False, (), (TIMER,), True)
    assert it.take(0) == NONE
    assert it.deactivate(0, TIMER)
    assert (it.active(0), it.in_service(0)) == ((), False)
    assert not it.deactivate(0, TIMER)


def test_only_what_it_has_can_be_enabled(bench: Bench) -> None:
    assert not bench.it.enable(0, FOREIGN, True, False)
    assert not bench.it.enable(0, MAX_INTID, True, False)
    assert bench.it.enabled(0) == ()
    assert bench.it.enable(0, NPI, True, False)
    assert (bench.it.enabled(0), bench.it.enabled(1)) == ((NPI,), ())
    assert bench.it.is_enabled(NPI, 0)


def test_what_it_does_not_have_is_ignored(bench: Bench) -> None:
    bench.it.inject(FOREIGN)
    bench.it.set_line(FOREIGN, True)
    bench.it.set_line(NPI, True)
    assert (bench.it.pending(0), bench.changed) == ((), [])


def test_pending_before_enabled(bench: Bench) -> None:
    bench.it.inject(TIMER)
    assert (bench.it.virq(0), bench.it.take(0), bench.signalled) == (False, NONE, [])
    bench.enabled(TIMER)
    assert (bench.it.virq(0), bench.it.first(0)) == (True, TIMER)
    assert bench.it.enable(0, TIMER, False, False)
    assert (bench.it.virq(0), bench.it.pending(0)) == (False, (TIMER,))


def test_the_lowest_comes_first_and_twice_is_once(bench: Bench) -> None:
    it = bench.enabled(DEVICE, TIMER, NPI)
    for intid in (DEVICE, TIMER, DEVICE, NPI):
        it.inject(intid)
    assert it.deliverable(0) == {NPI, TIMER, DEVICE}
    assert [it.take(0) for _ in range(4)] == [NPI, TIMER, DEVICE, NONE]


def test_software_interrupts_need_no_end(bench: Bench) -> None:
    it = bench.enabled(NPI)
    it.inject(NPI)
    assert bench.signalled == []
    assert (it.take(0), it.in_service(0), it.deactivate(0, NPI)) == (NPI, False, False)


def test_a_manager_takes_one_back(bench: Bench) -> None:
    it = bench.enabled(NPI)
    it.inject(NPI)
    it.cancel(NPI, 0)
    assert (it.virq(0), it.take(0)) == (False, NONE)


def test_fiq_and_irq_are_apart(bench: Bench) -> None:
    it = bench.enabled(TIMER, fiq=True)
    it.inject(TIMER)
    assert (it.virq(0), it.vfiq(0)) == (False, True)
    assert it.enable(0, TIMER, True, False)
    assert (it.virq(0), it.vfiq(0)) == (True, False)


def test_contexts_are_apart(bench: Bench) -> None:
    it = bench.enabled(TIMER)
    it.inject(TIMER, 1)
    assert (it.pending(0), it.pending(1), bench.changed, bench.signalled) == ((), (TIMER,), [1], [])


def test_a_line_that_stays_high_pends_again(bench: Bench) -> None:
    it = bench.enabled(TIMER)
    it.set_line(TIMER, True)
    assert it.take(0) == TIMER
    it.set_line(TIMER, True)
    assert it.pending(0) == ()
    assert it.deactivate(0, TIMER)
    assert it.pending(0) == (TIMER,)


def test_a_line_that_went_low_does_not(bench: Bench) -> None:
    it = bench.enabled(TIMER)
    it.set_line(TIMER, True)
    it.set_line(TIMER, False)
    assert (it.pending(0), it.virq(0), bench.changed) == ((), False, [0, 0])
    it.set_line(TIMER, True)
    assert it.take(0) == TIMER
    it.set_line(TIMER, False)
    assert it.deactivate(0, TIMER)
    assert it.pending(0) == ()


def test_an_edge_while_active_waits_for_the_end(bench: Bench) -> None:
    it = bench.enabled(TIMER)
    it.inject(TIMER)
    assert it.take(0) == TIMER
    it.inject(TIMER)
    assert (it.pending(0), it.virq(0), it.take(0)) == ((TIMER,), False, NONE)
    assert it.deactivate(0, TIMER)
    assert (it.virq(0), it.take(0)) == (True, TIMER)


def test_reset_forgets_everything_but_lines(bench: Bench) -> None:
    it = bench.enabled(TIMER, DEVICE, NPI)
    it.set_line(TIMER, True)
    it.inject(DEVICE)
    it.inject(NPI)
    assert it.take(0) == NPI
    it.reset()
    assert (it.enabled(0), it.active(0), it.pending(0)) == ((), (), (TIMER,))
    assert it.enable(0, TIMER, True, False)
    assert it.take(0) == TIMER


KINDS = ["enable", "disable", "inject", "high", "low", "take", "end"]
ACTIONS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([TIMER, NPI])), max_size=40)


@given(ACTIONS)
def test_nothing_is_lost_or_taken_twice(actions: list[tuple[str, int]]) -> None:
    """An interrupt is delivered while pending, enabled and not active, whatever came before."""
    it = Bench().it
    enabled, pending, active, high = set[int](), set[int](), set[int](), set[int]()
    for action, intid in actions:
        match action:
            case "enable" | "disable":
                it.enable(0, intid, action == "enable", False)
                (enabled.add if action == "enable" else enabled.discard)(intid)
            case "inject":
                it.inject(intid)
                pending.add(intid)
            case "high" if intid == TIMER:
                it.set_line(intid, True)
                high.add(intid)
                pending |= {intid} - active
            case "low" if intid == TIMER:
                it.set_line(intid, False)
                high.discard(intid)
                pending.discard(intid)
            case "take":
                expected = min((enabled & pending) - active, default=NONE)
                assert it.take(0) == expected
                pending.discard(expected)
                active |= {expected} & {TIMER}
            case "end":
                assert it.deactivate(0, intid) is (intid in active)
                pending |= active & high & {intid}
                active.discard(intid)
        deliverable = (enabled & pending) - active
        assert (set(it.pending(0)), set(it.active(0)), set(it.deliverable(0))) == (pending, active, deliverable)
        assert it.virq(0) is bool(deliverable)
