"""Buffers that a hypervisor registers for its VMs, and who has their RX (DEN0077A v1.2, 7.2.2 and 13.4-13.7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ffa.abi import Function
from engine.ffa.endpoint_buffers import EndpointBuffers
from engine.ffa.errors import Code
from engine.ffa.message import Message, parse_message
from engine.ffa.ranges import Composite, Range
from engine.ffa.version import V1_2
from tests.unit.engine.spmc.signalling import news, sri, take
from tests.unit.engine.spmc.standing import HYPERVISOR, NORMAL_RAM, PAGE, RX, SP1, SP2, TX, VM1, VM2, Standing, status
from tests.unit.engine.spmc.test_indirect import RX_FULL, send

INVALID, DENIED, BUSY, NO_MEMORY = Code.INVALID_PARAMETERS, Code.DENIED, Code.BUSY, Code.NO_MEMORY
MAP, UNMAP = Function.RXTX_MAP_64, Function.RXTX_UNMAP
ACQUIRE, RELEASE = Function.RX_ACQUIRE, Function.RX_RELEASE
VM_BUFFERS = NORMAL_RAM + 0xC_0000


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    made = Standing(tmp_path, count=2, max_buffer_pages=2)
    made.map_buffers(HYPERVISOR, SP1, SP2)
    return made


def rx_of(vm: int) -> int:
    return VM_BUFFERS + vm * 2 * PAGE + PAGE


def register(machine: Standing, vm: int, rx: tuple[Range, ...] = (), tx: tuple[Range, ...] = ()) -> int:
    found = EndpointBuffers(vm, Composite(rx or (Range(rx_of(vm), 1),)), Composite(tx or (Range(rx_of(vm) - PAGE, 1),)))
    machine.write(NORMAL_RAM + TX, found.pack())
    return machine.status(HYPERVISOR, MAP)


def received(machine: Standing, address: int) -> Message:
    return parse_message(machine.read(address, PAGE), V1_2)


def test_a_message_lands_in_the_vms_rx(machine: Standing) -> None:
    assert [register(machine, vm) for vm in (VM1, VM2)] == [0, 0]
    assert send(machine, SP1, VM1, b"one") == 0
    assert send(machine, SP2, VM2, b"two") == 0
    assert received(machine, rx_of(VM1)) == Message(SP1, VM1, b"one")
    assert received(machine, rx_of(VM2)) == Message(SP2, VM2, b"two")
    assert machine.status(HYPERVISOR, Function.PARTITION_INFO_GET) == 0, "its own RX is another one"


def test_the_vm_is_notified(machine: Standing) -> None:
    assert register(machine, VM1) == 0
    assert machine.status(HYPERVISOR, Function.NOTIFICATION_BITMAP_CREATE, VM1, 1) == 0
    assert send(machine, SP1, VM1) == 0
    assert sri(machine)
    assert [entry.endpoint for entry in news(machine)] == [VM1]
    assert take(machine, VM1) == [0, 0, RX_FULL]


def test_pages_may_lie_anywhere(machine: Standing) -> None:
    pages = [VM_BUFFERS + n * PAGE for n in (9, 2)]
    tx = (Range(VM_BUFFERS + 20 * PAGE, 2),)
    assert register(machine, VM1, tuple(Range(page, 1) for page in pages), tx) == 0
    payload = bytes(n & 0xFF for n in range(PAGE - 40))
    assert send(machine, SP1, VM1, payload) == 0
    assert machine.read(pages[0] + 40, PAGE - 40) == payload
    assert machine.read(pages[1], 8) == bytes(8)


# --- whose RX is ---------------------------------------------------------------------------------------------


def test_rx_is_full_until_the_vms_release_is_forwarded(machine: Standing) -> None:
    assert register(machine, VM1) == 0
    assert send(machine, SP1, VM1, b"first") == 0
    assert send(machine, SP2, VM1, b"second") == BUSY
    assert machine.status(HYPERVISOR, ACQUIRE, VM1) == DENIED
    assert machine.status(HYPERVISOR, RELEASE, VM2) == INVALID
    assert received(machine, rx_of(VM1)).payload == b"first"
    assert machine.status(HYPERVISOR, RELEASE, VM1) == 0
    assert send(machine, SP2, VM1, b"second") == 0


def test_what_the_hypervisor_acquired_is_not_the_spmcs_to_fill(machine: Standing) -> None:
    assert register(machine, VM1) == 0
    assert machine.status(HYPERVISOR, ACQUIRE, VM1) == 0
    assert machine.status(HYPERVISOR, ACQUIRE, VM1) == DENIED
    assert send(machine, SP1, VM1) == BUSY
    assert machine.status(HYPERVISOR, RELEASE, VM1) == 0
    assert machine.status(HYPERVISOR, RELEASE, VM1) == DENIED
    assert send(machine, SP1, VM1) == 0


@pytest.mark.parametrize("call", [ACQUIRE, RELEASE])
@pytest.mark.parametrize("vm", [VM2, SP1, VM1 << 16 | VM1])
def test_only_a_vm_with_buffers_is_named(machine: Standing, call: int, vm: int) -> None:
    assert register(machine, VM1) == 0
    assert machine.status(HYPERVISOR, call, vm) == INVALID


def test_a_hypervisor_acquires_nothing_of_its_own(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, ACQUIRE, HYPERVISOR) == INVALID


def test_only_a_hypervisor_acquires(machine: Standing) -> None:
    """FEATURES says so, and the call does (13.5)."""
    wanted = {HYPERVISOR: 0, SP1: Code.NOT_SUPPORTED}
    assert {caller: machine.status(caller, Function.FEATURES, ACQUIRE) for caller in wanted} == wanted
    assert machine.status(SP1, ACQUIRE, VM1) == Code.NOT_SUPPORTED
    assert machine.status(SP1, RELEASE, VM1) == INVALID


# --- registering ---------------------------------------------------------------------------------------------


def test_a_pair_is_registered_once_and_may_be_again_after_unmap(machine: Standing) -> None:
    assert register(machine, VM1) == 0
    assert register(machine, VM1) == DENIED
    assert machine.status(HYPERVISOR, UNMAP, VM1 << 16 | 1) == INVALID
    assert machine.status(HYPERVISOR, UNMAP, VM1 << 16) == 0
    assert machine.status(HYPERVISOR, UNMAP, VM1 << 16) == INVALID
    assert send(machine, SP1, VM1) == DENIED
    assert register(machine, VM1) == 0
    assert send(machine, SP1, VM1) == 0


def test_unmapping_empties_rx(machine: Standing) -> None:
    assert register(machine, VM1) == 0
    assert send(machine, SP1, VM1) == 0
    assert machine.status(HYPERVISOR, UNMAP, VM1 << 16) == 0
    assert register(machine, VM1) == 0
    assert send(machine, SP1, VM1) == 0


@pytest.mark.parametrize("vm", [HYPERVISOR, SP1, 0x8000, 0xFFFF])
def test_only_vms_are_registered(machine: Standing, vm: int) -> None:
    assert register(machine, vm, (Range(rx_of(1), 1),), (Range(rx_of(2), 1),)) == INVALID
    assert machine.manager.vms == {}


@pytest.mark.parametrize(
    ("rx", "code"),
    [
        (Range(0x0E30_0000, 1), INVALID),
        (Range(0x3000_0000, 1), INVALID),
        (Range(NORMAL_RAM + RX, 1), DENIED),
        (Range(rx_of(VM2), 1), DENIED),
        (Range(VM_BUFFERS, 3), INVALID),
    ],
    ids=["secure", "no memory", "the hypervisor's", "another VM's", "too many pages"],
)
def test_memory_that_cannot_be_a_buffer(machine: Standing, rx: Range, code: int) -> None:
    assert register(machine, VM2) == 0
    assert register(machine, VM1, (rx,), (Range(VM_BUFFERS + 30 * PAGE, rx.pages),)) == code
    assert list(machine.manager.vms) == [VM2]


def test_a_buffer_is_not_sent_and_what_was_sent_is_no_buffer(machine: Standing) -> None:
    here = Range(rx_of(VM1), 1)
    assert register(machine, VM1) == 0
    assert status(machine.send(ranges=(here,))) == DENIED
    assert machine.status(HYPERVISOR, UNMAP, VM1 << 16) == 0
    machine.sent(ranges=(here,))
    assert register(machine, VM1) == DENIED


def test_as_many_vms_as_the_machine_file_says(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1, max_endpoints=2)
    machine.map_buffers(HYPERVISOR)
    assert [register(machine, vm) for vm in (1, 2, 3)] == [0, 0, NO_MEMORY]


def test_a_descriptor_needs_a_tx_buffer(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1)
    assert machine.status(HYPERVISOR, MAP) == INVALID
    assert machine.status(SP1, MAP) == INVALID


def test_all_are_forgotten_when_the_machine_starts_over(machine: Standing) -> None:
    assert register(machine, VM1) == 0
    machine.spmc.power_on()
    assert machine.manager.vms == {}
    assert machine.manager.normal_space.buffers == {}
