"""Who hears of notifications: receivers by the NPI, the scheduler by the SRI and INFO_GET (DEN0077A v1.2, 10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.ffa.notification_info import IdList, unpack_info
from engine.spmc.paravirt import Hypercall
from engine.spmc.states import ContextState
from engine.spmc.virtual_interrupts import NONE
from engine.views import VmRunState
from tests.unit.engine.spmc.signalling import (
    CREATE,
    DELAY,
    FROM_SP,
    FROM_VM,
    INFO,
    NPI,
    SET,
    bind,
    news,
    notify,
    sri,
    take,
)
from tests.unit.engine.spmc.standing import HYPERVISOR, SP1, SP2, SP3, VM1, Standing, status

INVALID, DENIED, NO_DATA = Code.INVALID_PARAMETERS, Code.DENIED, Code.NO_DATA


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    return Standing(tmp_path)


def test_the_npi_is_pending_until_everything_was_taken(machine: Standing) -> None:
    interrupts = machine.sp(SP1).interrupts
    assert bind(machine, SP2, SP1, 1) == bind(machine, VM1, SP1, 1) == 0
    assert notify(machine, SP2, SP1, 1) == notify(machine, VM1, SP1, 1) == 0
    assert interrupts.pending(0) == (NPI,)
    assert take(machine, SP1, FROM_SP) == [1, 0, 0]
    assert interrupts.pending(0) == (NPI,)
    assert take(machine, SP1, FROM_VM) == [0, 1, 0]
    assert interrupts.pending(0) == ()


def test_a_partition_that_enabled_the_npi_is_interrupted_by_it(machine: Standing) -> None:
    """A virtual IRQ as soon as it runs; HF_INTERRUPT_GET gives the INTID, which needs no deactivation."""
    interrupts = machine.sp(SP1).interrupts
    assert machine.hypercall(SP1, Hypercall.INTERRUPT_ENABLE, NPI, 1, 0) == 0
    assert bind(machine, SP2, SP1, 1) == 0
    assert not interrupts.virq(0)
    assert notify(machine, SP2, SP1, 1) == 0
    assert interrupts.virq(0)
    machine.enter(SP1)
    assert machine.hypercall(SP1, Hypercall.INTERRUPT_GET) == NPI
    assert machine.hypercall(SP1, Hypercall.INTERRUPT_GET) == NONE
    assert not interrupts.virq(0)
    machine.respond(SP1)


def test_notifications_start_nobody(machine: Standing) -> None:
    """The receiver stays idle: the scheduler runs it when it sees fit."""
    assert bind(machine, VM1, SP1, 1) == 0
    assert notify(machine, VM1, SP1, 1) == 0
    assert machine.state(SP1) is ContextState.IDLE
    assert machine.bench.hypervisor.cores[0].held is None
    assert machine.run(SP1) == 0
    assert machine.state(SP1) is ContextState.RUNNING


def test_the_scheduler_is_told_by_the_sri_and_asks_once(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 0b11) == 0
    assert not sri(machine)
    assert notify(machine, SP2, SP1, 0b01) == 0
    assert sri(machine)
    assert news(machine) == (IdList(SP1),)
    assert machine.status(HYPERVISOR, INFO) == NO_DATA
    assert notify(machine, SP2, SP1, 0b10) == 0
    assert sri(machine)
    assert news(machine) == (IdList(SP1),)
    assert take(machine, SP1) == [3, 0, 0]


def test_setting_what_is_pending_tells_nobody_anew(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1) == 0
    assert notify(machine, SP2, SP1, 1) == 0
    assert sri(machine)
    assert notify(machine, SP2, SP1, 1) == 0
    assert not sri(machine)


def test_a_refused_set_raises_no_interrupt(machine: Standing) -> None:
    assert notify(machine, SP2, SP1, 1) == DENIED
    assert not sri(machine)
    assert machine.sp(SP1).interrupts.pending(0) == ()


def test_a_delayed_sri_comes_when_the_normal_world_runs_again(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1) == 0
    machine.enter(SP2)
    words = (id_pair(SP2, SP1), DELAY, 1, 0)
    assert status(machine.raw(SP2, SET, *words)) == 0
    assert not sri(machine)
    assert machine.sp(SP1).interrupts.pending(0) == (NPI,)
    machine.respond(SP2)
    assert sri(machine)


def test_a_delayed_sri_comes_with_a_preemption_too(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1) == 0
    machine.enter(SP2)
    assert status(machine.raw(SP2, SET, id_pair(SP2, SP1), DELAY, 1, 0)) == 0
    machine.preempt()
    assert sri(machine)


def test_an_sri_that_is_not_delayed_comes_at_once(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1) == 0
    machine.enter(SP2)
    assert status(machine.raw(SP2, SET, id_pair(SP2, SP1), 0, 1, 0)) == 0
    assert sri(machine)
    machine.respond(SP2)
    assert not sri(machine)


def test_a_vm_may_not_delay_it(machine: Standing) -> None:
    assert bind(machine, VM1, SP1, 1) == 0
    assert notify(machine, VM1, SP1, 1, flags=DELAY) == INVALID


def test_info_get_lists_everybody(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, CREATE, VM1, 1) == 0
    for receiver in (SP1, SP3, VM1):
        assert bind(machine, SP2, receiver, 1) == 0
        assert notify(machine, SP2, receiver, 1) == 0
    assert news(machine) == (IdList(VM1), IdList(SP1), IdList(SP3))


def test_info_get_has_a_narrow_form(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, Function.NOTIFICATION_INFO_GET_32) == NO_DATA
    assert bind(machine, SP2, SP1, 1) == 0
    assert notify(machine, SP2, SP1, 1) == 0
    x = machine.call(HYPERVISOR, Function.NOTIFICATION_INFO_GET_32)
    assert x[0] == Function.SUCCESS_32
    assert unpack_info(x[2:8], wide=False) == ((IdList(SP1),), False)


def test_what_an_aborted_partition_bound_and_set_is_gone(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1) == bind(machine, SP1, SP2, 2) == 0
    assert notify(machine, SP2, SP1, 1) == 0
    machine.bench.hypervisor.stop_vm(machine.sp(SP2), VmRunState.CRASHED, "for a test")
    assert take(machine, SP1) == [0, 0, 0]
    assert bind(machine, SP3, SP1, 1) == 0
    assert notify(machine, SP1, SP2, 2) == DENIED
