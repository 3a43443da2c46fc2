"""Indirect messages into the RX buffers of partitions (DEN0077A v1.2, 7.3 and 15.1)."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from engine.ffa.abi import Function
from engine.ffa.errors import Code
from engine.ffa.message import Message, pack_message, parse_message
from engine.ffa.version import V1_0, V1_1, V1_2, Negotiation, Version
from engine.spmc.states import ContextState
from tests.unit.engine.spmc.signalling import news, sri, take
from tests.unit.engine.spmc.standing import (
    HYPERVISOR,
    NOBODY,
    PAGE,
    RX,
    SP1,
    SP2,
    SP3,
    TX,
    VM1,
    VM2,
    Standing,
    status,
)

INVALID, DENIED, BUSY, NOT_SUPPORTED = Code.INVALID_PARAMETERS, Code.DENIED, Code.BUSY, Code.NOT_SUPPORTED
SEND, WAIT, RELEASE = Function.MSG_SEND2, Function.MSG_WAIT, Function.RX_RELEASE
RX_FULL = 1
DELAY, RETAIN = 2, 1


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    made = Standing(tmp_path)
    made.map_buffers(VM1, SP1, SP2)
    return made


def put(machine: Standing, caller: int, message: Message) -> None:
    machine.write(machine.ram(caller) + TX, pack_message(message, machine.version(caller)))


def send(machine: Standing, sender: int, receiver: int, payload: bytes = b"four", caller: int | None = None) -> int:
    by = sender if caller is None else caller
    put(machine, by, Message(sender, receiver, payload))
    return machine.status(by, SEND)


def received(machine: Standing, endpoint: int) -> Message:
    return parse_message(machine.read(machine.ram(endpoint) + RX, PAGE), machine.version(endpoint))


@pytest.mark.parametrize(
    ("sender", "receiver"),
    [(VM1, SP1), (VM2, SP2), (HYPERVISOR, SP1), (SP1, SP2), (SP2, SP1), (SP1, HYPERVISOR)],
)
def test_the_message_is_in_the_receivers_rx(machine: Standing, sender: int, receiver: int) -> None:
    payload = b"\xca\xfe\xba\xbe" * 9
    assert send(machine, sender, receiver, payload) == 0
    assert received(machine, receiver) == Message(sender, receiver, payload)


def test_the_next_one_waits_until_rx_is_released(machine: Standing) -> None:
    assert send(machine, VM1, SP1, b"first") == 0
    assert send(machine, VM1, SP1, b"second") == BUSY
    assert send(machine, SP2, SP1, b"second") == BUSY
    assert received(machine, SP1).payload == b"first"
    assert send(machine, VM1, SP2, b"other") == 0
    assert machine.status(SP1, RELEASE) == 0
    assert send(machine, SP2, SP1, b"second") == 0
    assert received(machine, SP1).payload == b"second"


@pytest.mark.parametrize(("flags", "found"), [(0, 0), (RETAIN, BUSY)])
def test_msg_wait_releases_rx_unless_it_retains_it(machine: Standing, flags: int, found: int) -> None:
    assert send(machine, VM1, SP1) == 0
    assert machine.run(SP1) == 0
    machine.raw(SP1, WAIT, 0, flags)
    assert machine.state(SP1) is ContextState.IDLE
    assert send(machine, VM1, SP1) == found


def test_a_v1_1_partition_retains_nothing(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1, properties={1: {"ffa-version": (0x1_0001,), "messaging-method": (7,)}})
    machine.map_buffers(VM1, SP1)
    assert send(machine, VM1, SP1) == 0
    assert machine.run(SP1) == 0
    assert status(machine.raw(SP1, WAIT, 0, RETAIN)) == INVALID


def test_the_normal_world_waits_for_no_messages_here(machine: Standing) -> None:
    """MSG_WAIT at the physical instance is no call of a hypervisor (DEN0077A v1.2, 15): not even NO_DATA."""
    assert machine.status(VM1, WAIT) == NOT_SUPPORTED


@pytest.mark.parametrize("sender", [VM1, SP2])
@pytest.mark.parametrize("receiver", [NOBODY, 0x8004, 0x8000])
def test_receivers_that_do_not_exist(machine: Standing, sender: int, receiver: int) -> None:
    assert send(machine, sender, receiver) == INVALID


def test_nobody_sends_in_anothers_name(machine: Standing) -> None:
    assert send(machine, SP2, SP1, caller=VM1) == INVALID
    assert send(machine, SP3, SP1, caller=SP2) == INVALID
    assert send(machine, VM1, SP1, caller=SP2) == INVALID


def test_no_message_to_oneself(machine: Standing) -> None:
    assert send(machine, SP1, SP1) == INVALID
    assert send(machine, HYPERVISOR, HYPERVISOR) == INVALID


def test_no_message_to_a_vm_that_has_no_buffers(machine: Standing) -> None:
    assert send(machine, SP1, VM1) == DENIED


def test_messages_within_the_normal_world_are_not_the_spmcs(machine: Standing) -> None:
    assert send(machine, VM1, HYPERVISOR) == INVALID
    assert send(machine, VM1, VM2) == INVALID


# --- to a payload that owns EL2 --------------------------------------------------------------------------


def test_the_payload_gets_the_next_message_when_it_has_released_rx(machine: Standing) -> None:
    assert send(machine, SP1, HYPERVISOR, b"first") == 0
    assert send(machine, SP2, HYPERVISOR, b"second") == BUSY
    assert machine.status(HYPERVISOR, Function.PARTITION_INFO_GET) == BUSY
    assert received(machine, HYPERVISOR) == Message(SP1, HYPERVISOR, b"first")
    assert machine.status(HYPERVISOR, RELEASE) == 0
    assert send(machine, SP2, HYPERVISOR, b"second") == 0
    assert received(machine, HYPERVISOR) == Message(SP2, HYPERVISOR, b"second")


def test_no_message_to_a_payload_without_buffers(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, Function.RXTX_UNMAP) == 0
    assert send(machine, SP1, HYPERVISOR) == DENIED
    machine.map_buffers(HYPERVISOR)
    assert send(machine, SP1, HYPERVISOR) == 0


def test_a_payload_with_bitmaps_is_notified(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, Function.NOTIFICATION_BITMAP_CREATE, HYPERVISOR, 1) == 0
    assert send(machine, SP1, HYPERVISOR) == 0
    assert sri(machine)
    assert [entry.endpoint for entry in news(machine)] == [HYPERVISOR]
    assert take(machine, HYPERVISOR) == [0, 0, RX_FULL]


def test_a_payload_without_bitmaps_is_not(machine: Standing) -> None:
    assert send(machine, SP1, HYPERVISOR) == 0
    assert not sri(machine)
    assert received(machine, HYPERVISOR).payload == b"four"


def test_a_message_to_the_payload_may_delay_the_sri(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, Function.NOTIFICATION_BITMAP_CREATE, HYPERVISOR, 1) == 0
    machine.enter(SP1)
    put(machine, SP1, Message(SP1, HYPERVISOR, b"x"))
    assert status(machine.raw(SP1, SEND, 0, DELAY)) == 0
    assert not sri(machine)
    machine.respond(SP1)
    assert sri(machine)


def test_a_payload_of_v1_0_gets_none(machine: Standing) -> None:
    machine.manager.normal.negotiation = Negotiation()
    machine.negotiate(HYPERVISOR, V1_0)
    assert send(machine, SP1, HYPERVISOR) == DENIED


# --- what may be sent ------------------------------------------------------------------------------------


def test_both_need_buffers(machine: Standing) -> None:
    assert send(machine, VM1, SP3) == DENIED
    assert machine.status(VM1, Function.RXTX_UNMAP) == 0
    assert machine.status(VM1, SEND) == INVALID
    assert machine.status(SP3, SEND) == INVALID


@pytest.mark.parametrize("size", [0, PAGE - 39, 0xFFFF_FFFF])
def test_payloads_that_cannot_be(machine: Standing, size: int) -> None:
    head = bytearray(pack_message(Message(VM1, SP1, b"x"), V1_2))
    head[16:20] = size.to_bytes(4, "little")
    machine.write(machine.ram(VM1) + TX, bytes(head))
    assert machine.status(VM1, SEND) == INVALID


def test_the_longest_payload(machine: Standing) -> None:
    payload = bytes(n & 0xFF for n in range(PAGE - 40))
    assert send(machine, VM1, SP1, payload) == 0
    assert received(machine, SP1).payload == payload


def test_the_protocols_uuid_is_passed_on(machine: Standing) -> None:
    message = Message(VM1, SP1, b"x", UUID(int=7))
    put(machine, VM1, message)
    assert machine.status(VM1, SEND) == 0
    assert received(machine, SP1) == message


@pytest.mark.parametrize("version", [V1_1, V1_2])
def test_headers_follow_each_sides_version(tmp_path: Path, version: Version) -> None:
    number = (version.pack(),)
    machine = Standing(tmp_path, count=1, properties={1: {"ffa-version": number, "messaging-method": (7,)}})
    machine.map_buffers(VM1, SP1)
    assert send(machine, VM1, SP1, b"payload") == 0
    header = machine.read(machine.ram(SP1) + RX, 20)
    assert int.from_bytes(header[8:12], "little") == (40 if version == V1_2 else 20)
    assert received(machine, SP1).payload == b"payload"


def test_v1_0_has_no_indirect_messages(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=2, properties={1: {"ffa-version": (V1_0.pack(),), "messaging-method": (7,)}})
    machine.map_buffers(VM1, SP1, SP2)
    assert send(machine, VM1, SP1) == DENIED
    assert machine.status(SP1, SEND) == NOT_SUPPORTED


@pytest.mark.parametrize("sender", [VM1, SP2])
def test_the_manifest_says_who_has_indirect_messages(tmp_path: Path, sender: int) -> None:
    machine = Standing(tmp_path, count=2, properties={1: {"messaging-method": (3,)}})
    machine.map_buffers(VM1, SP1, SP2)
    assert send(machine, sender, SP1) == DENIED
    assert send(machine, SP1, SP2) == DENIED


def test_the_receiver_is_notified_that_rx_is_full(machine: Standing) -> None:
    """A framework notification and its NPI; the scheduler hears of it at once."""
    assert send(machine, VM1, SP1) == 0
    assert machine.sp(SP1).interrupts.pending(0) == (8,)
    assert sri(machine)
    assert take(machine, SP1) == [0, 0, RX_FULL]
    assert machine.sp(SP1).interrupts.pending(0) == ()


def test_a_partition_may_delay_the_sri(machine: Standing) -> None:
    machine.enter(SP1)
    put(machine, SP1, Message(SP1, SP2, b"x"))
    assert status(machine.raw(SP1, SEND, 0, DELAY)) == 0
    assert not sri(machine)
    machine.respond(SP1)
    assert sri(machine)


def test_a_vm_may_not_delay_the_sri(machine: Standing) -> None:
    put(machine, VM1, Message(VM1, SP1, b"x"))
    assert machine.status(VM1, SEND, 0, DELAY) == INVALID
    assert [machine.status(VM1, SEND, 0, flags) for flags in (1, 4)] == [INVALID] * 2
    assert machine.status(VM1, SEND, VM1 << 16) == 0


def test_a_partition_without_notifications_still_gets_messages(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1, properties={1: {"notification-support": ()}})
    machine.map_buffers(VM1, SP1)
    assert send(machine, VM1, SP1) == 0
    assert machine.sp(SP1).interrupts.pending(0) == ()
    assert machine.run(SP1) == 0
    assert machine.state(SP1) is ContextState.RUNNING
