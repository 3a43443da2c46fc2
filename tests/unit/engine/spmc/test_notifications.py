"""Notifications of partitions and VMs at the SPMC, and the interrupts that tell of them (DEN0077A v1.2, 10 and 16)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.ffa.abi import Function
from engine.ffa.errors import Code
from engine.ffa.notification_info import IdList
from tests.unit.engine.spmc.signalling import (
    ALL,
    CREATE,
    DESTROY,
    FROM_HYPERVISOR,
    FROM_SP,
    FROM_SPM,
    FROM_VM,
    GET,
    INFO,
    NPI,
    PER_VCPU,
    bind,
    news,
    notify,
    take,
    unbind,
)
from tests.unit.engine.spmc.standing import HYPERVISOR, NOBODY, SP1, SP2, SP3, VM1, VM2, Standing

INVALID, DENIED, NOT_SUPPORTED = Code.INVALID_PARAMETERS, Code.DENIED, Code.NOT_SUPPORTED
NO_MEMORY = Code.NO_MEMORY


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    return Standing(tmp_path)


# --- the life of a notification ---------------------------------------------------------------------------


def test_from_partition_to_partition(machine: Standing) -> None:
    """Bind, set, get, get nothing, unbind, set no more."""
    assert bind(machine, SP2, SP1, 1) == 0
    assert notify(machine, SP2, SP1, 1) == 0
    assert take(machine, SP1) == [1, 0, 0]
    assert take(machine, SP1) == [0, 0, 0]
    assert unbind(machine, SP2, SP1, 1) == 0
    assert notify(machine, SP2, SP1, 1) == DENIED


def test_from_vm_to_partition(machine: Standing) -> None:
    assert bind(machine, VM1, SP1, 1 << 63 | 2) == 0
    assert notify(machine, VM1, SP1, 1 << 63) == 0
    assert notify(machine, VM1, SP1, 2) == 0
    assert take(machine, SP1) == [0, 1 << 63 | 2, 0]


def test_from_partition_to_vm(machine: Standing) -> None:
    """Bitmaps of VMs are created and destroyed by their hypervisor, which also binds and gets for them."""
    assert machine.status(HYPERVISOR, CREATE, VM1, 2) == 0
    assert bind(machine, SP1, VM1, 1 << 40) == 0
    assert notify(machine, SP1, VM1, 1 << 40) == 0
    assert machine.status(HYPERVISOR, DESTROY, VM1) == DENIED
    assert take(machine, VM1) == [1 << 40, 0, 0]
    assert unbind(machine, SP1, VM1, 1 << 40) == 0
    assert machine.status(HYPERVISOR, DESTROY, VM1) == 0
    assert machine.status(HYPERVISOR, DESTROY, VM1) == DENIED
    assert notify(machine, SP1, VM1, 1 << 40) == DENIED


def test_get_takes_what_it_is_asked_for(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1) == bind(machine, VM1, SP1, 4) == 0
    assert notify(machine, SP2, SP1, 1) == notify(machine, VM1, SP1, 4) == 0
    assert take(machine, SP1, FROM_SPM | FROM_HYPERVISOR) == [0, 0, 0]
    assert take(machine, SP1, FROM_VM) == [0, 4, 0]
    assert take(machine, SP1, FROM_SP) == [1, 0, 0]


def test_each_world_has_its_own_64_bits(machine: Standing) -> None:
    """The same bit bound to a partition and to a VM are two notifications."""
    everything = (1 << 64) - 1
    assert bind(machine, SP2, SP1, everything) == bind(machine, VM1, SP1, everything) == 0
    assert notify(machine, SP2, SP1, everything) == 0
    assert take(machine, SP1) == [everything, 0, 0]


# --- bitmaps ------------------------------------------------------------------------------------------------


def test_bitmaps_are_created_once(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, CREATE, VM1, 1) == 0
    assert machine.status(HYPERVISOR, CREATE, VM1, 1) == DENIED
    assert machine.status(HYPERVISOR, CREATE, VM2, 1) == 0


@pytest.mark.parametrize(("vm", "vcpus"), [(VM1, 0), (VM1, 65), (VM1, 0xFFFF_FFFF), (SP1, 1), (NOBODY, 1), (0x8000, 1)])
def test_bitmaps_that_cannot_be(machine: Standing, vm: int, vcpus: int) -> None:
    assert machine.status(HYPERVISOR, CREATE, vm, vcpus) == INVALID


@pytest.mark.parametrize("vm", [SP1, 0x8000])
def test_a_hypervisor_destroys_no_partitions_bitmaps(machine: Standing, vm: int) -> None:
    assert machine.status(HYPERVISOR, DESTROY, vm) == INVALID


def test_bitmaps_that_were_never_created(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, DESTROY, VM2) == DENIED
    assert bind(machine, SP1, VM2, 1) == NOT_SUPPORTED
    assert notify(machine, SP1, VM2, 1) == DENIED
    assert machine.status(HYPERVISOR, GET, VM2, ALL) == INVALID


def test_bitmaps_are_the_hypervisors_business(machine: Standing) -> None:
    for function in (CREATE, DESTROY, INFO, Function.NOTIFICATION_INFO_GET_32):
        assert machine.status(SP1, function, VM1, 1) == NOT_SUPPORTED


def test_the_machine_file_says_how_many_endpoints_have_bitmaps(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=2, max_endpoints=3)
    assert [machine.status(HYPERVISOR, CREATE, vm, 1) for vm in (VM1, VM2)] == [0, NO_MEMORY]


def test_a_partition_without_support_has_none(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=2, properties={1: {"notification-support": ()}})
    assert bind(machine, SP2, SP1, 1) == NOT_SUPPORTED
    assert notify(machine, SP2, SP1, 1) == DENIED
    assert machine.status(SP1, GET, SP1, ALL) == INVALID
    assert bind(machine, SP1, SP2, 1) == 0


# --- binding --------------------------------------------------------------------------------------------------


def test_binding_again_to_the_same_sender_is_fine(machine: Standing) -> None:
    assert [bind(machine, SP2, SP1, bits) for bits in (1, 1, 3)] == [0, 0, 0]


def test_a_bit_has_one_sender_and_a_refused_request_changes_nothing(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 0b0100) == 0
    assert bind(machine, SP3, SP1, 0b1111) == DENIED
    assert notify(machine, SP3, SP1, 0b0001) == DENIED
    assert bind(machine, SP3, SP1, 0b1011) == 0
    assert unbind(machine, SP3, SP1, 0b1111) == DENIED
    assert notify(machine, SP3, SP1, 0b1011) == 0


def test_pending_bits_are_neither_bound_nor_unbound(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 0b11) == 0
    assert notify(machine, SP2, SP1, 0b01) == 0
    assert bind(machine, SP2, SP1, 0b01) == DENIED
    assert unbind(machine, SP2, SP1, 0b11) == DENIED
    assert take(machine, SP1) == [1, 0, 0]
    assert unbind(machine, SP2, SP1, 0b11) == 0


def test_unbinding_what_is_not_bound(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1) == 0
    assert unbind(machine, SP2, SP1, 3) == DENIED
    assert unbind(machine, SP3, SP1, 1) == DENIED
    assert notify(machine, SP2, SP1, 1) == 0


@pytest.mark.parametrize("sender", [SP1, NOBODY, 0x8000, 0xFFFF])
def test_senders_that_cannot_be_bound(machine: Standing, sender: int) -> None:
    assert bind(machine, sender, SP1, 1) == INVALID


@pytest.mark.parametrize("call", [bind, unbind, notify])
def test_no_bits_at_all(machine: Standing, call: Callable[[Standing, int, int, int], int]) -> None:
    assert bind(machine, SP2, SP1, 1) == 0
    assert call(machine, SP2, SP1, 0) == INVALID


def test_only_the_receiver_binds_and_only_the_sender_sets(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1, caller=SP2) == INVALID
    assert bind(machine, SP2, SP1, 1, caller=HYPERVISOR) == INVALID
    assert bind(machine, SP2, SP1, 1) == 0
    for caller in (SP1, SP3, HYPERVISOR):
        assert notify(machine, SP2, SP1, 1, caller=caller) == INVALID
    assert unbind(machine, SP2, SP1, 1, caller=SP2) == INVALID
    assert take(machine, SP1) == [0, 0, 0]


@pytest.mark.parametrize("receiver", [NOBODY, 0x8000, 0x8004])
def test_receivers_that_do_not_exist(machine: Standing, receiver: int) -> None:
    assert notify(machine, SP2, receiver, 1) == INVALID


def test_only_the_receiver_gets(machine: Standing) -> None:
    assert bind(machine, SP2, SP1, 1) == 0
    assert notify(machine, SP2, SP1, 1) == 0
    assert [machine.status(each, GET, SP1, ALL) for each in (SP2, HYPERVISOR)] == [INVALID] * 2
    assert machine.status(SP1, GET, 1 << 16 | SP1, ALL) == INVALID
    assert take(machine, SP1) == [1, 0, 0]


@pytest.mark.parametrize("flags", [4, 8, 1 << 15, 1 << 16])
def test_flags_of_set(machine: Standing, flags: int) -> None:
    """Reserved ones, and a vCPU for a global notification."""
    assert bind(machine, SP2, SP1, 1) == 0
    assert notify(machine, SP2, SP1, 1, flags=flags) == INVALID
    assert bind(machine, SP2, SP1, 1, flags=2) == INVALID


# --- per vCPU ------------------------------------------------------------------------------------------------


@pytest.fixture
def wide(tmp_path: Path) -> Standing:
    """SP1 has a context on each of two cores."""
    return Standing(tmp_path, count=2, cores=2, properties={1: {"execution-ctx-count": (2,)}})


def test_notifications_of_one_vcpu(wide: Standing) -> None:
    assert bind(wide, SP2, SP1, 0b10, flags=PER_VCPU) == 0
    assert notify(wide, SP2, SP1, 0b10, flags=1 << 16 | PER_VCPU) == 0
    assert news(wide) == (IdList(SP1, (1,)),)
    assert wide.sp(SP1).interrupts.pending(0) == ()
    assert wide.sp(SP1).interrupts.pending(1) == (NPI,)
    assert take(wide, SP1) == [0, 0, 0]
    assert take(wide, SP1, vcpu=1, core=1) == [0b10, 0, 0]
    assert wide.sp(SP1).interrupts.pending(1) == ()


def test_a_bit_is_global_or_per_vcpu(wide: Standing) -> None:
    assert bind(wide, SP2, SP1, 0b01) == bind(wide, SP2, SP1, 0b10, flags=PER_VCPU) == 0
    assert notify(wide, SP2, SP1, 0b01, flags=PER_VCPU) == INVALID
    assert notify(wide, SP2, SP1, 0b10) == INVALID
    assert notify(wide, SP2, SP1, 0b11, flags=PER_VCPU) == INVALID
    assert notify(wide, SP2, SP1, 0b10, flags=2 << 16 | PER_VCPU) == INVALID
    assert take(wide, SP1) == [0, 0, 0]


def test_any_vcpu_takes_a_global_one(wide: Standing) -> None:
    assert bind(wide, SP2, SP1, 1) == 0
    assert notify(wide, SP2, SP1, 1) == 0
    assert take(wide, SP1, vcpu=1, core=1) == [1, 0, 0]
    assert take(wide, SP1) == [0, 0, 0]
