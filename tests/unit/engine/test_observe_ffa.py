"""The FF-A relayer's records as front ends see them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.control import Control
from engine.ffa.abi import Function, id_pair
from engine.ffa.message import Message, pack_message
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_1, V1_2
from engine.observe_ffa import ffa_view
from engine.views import NOTHING_MORE, FfaBitmapView, FfaView, RunState
from tests.unit.engine.hypervisor.relaying import RO, RX, TX, Relaying, handle


@pytest.fixture
def machine(tmp_path: Path) -> Relaying:
    relaying = Relaying(tmp_path, vcpus=2)
    relaying.map_buffers(1, 2)
    return relaying


def seen(machine: Relaying) -> FfaView:
    view = ffa_view(machine.system)
    assert view is not None
    return view


def test_endpoints_and_what_they_negotiated(machine: Relaying) -> None:
    machine.negotiate(3, V1_1)
    view = seen(machine)
    told = [(part.id, part.name, part.version, part.negotiated, part.vcpus) for part in view.partitions]
    assert told == [
        (1, "vm0", "1.2", False, 2),
        (2, "vm1", "1.2", False, 2),
        (3, "vm2", "1.1", True, 2),
        (0x8001, "sp1", "", False, 1),
        (0x8002, "sp2", "", False, 1),
    ]
    assert view.partitions[0].uuid == str(machine.relay.endpoints[1].uuids[0])


def test_mailboxes_from_empty_to_full_and_back(machine: Relaying) -> None:
    def mailbox(vm: int) -> tuple[int, int, int, str, str, int, int]:
        part = seen(machine).partitions[vm - 1]
        return part.tx, part.rx, part.buffer_pages, part.rx_owner, part.rx_content, part.rx_sender, part.rx_size

    ram = machine.ram(2)
    assert mailbox(3) == (0, 0, 0, "", "", 0, 0)
    assert mailbox(2) == (ram + TX, ram + RX, 1, "producer", "", 0, 0)
    data = pack_message(Message(1, 2, b"hello"), V1_2)
    machine.write(1, machine.ram(1) + TX, data)
    machine.call(1, Function.MSG_SEND2)
    assert mailbox(2) == (ram + TX, ram + RX, 1, "consumer", "message", 1, len(data))
    machine.call(2, Function.RX_RELEASE)
    assert mailbox(2) == (ram + TX, ram + RX, 1, "producer", "", 0, 0)
    machine.call(2, Function.PARTITION_INFO_GET)
    assert mailbox(2)[3:] == ("consumer", "partition info", 0, 5 * 24)


def test_transactions_with_every_borrower(machine: Relaying) -> None:
    sent = handle(machine.send(to=(2, 3), permissions=RO))
    machine.retrieve(2, sent, RO, to=(2, 3))
    (record,) = seen(machine).transactions
    assert (record.handle, record.kind, record.owner, record.pages, record.orphaned) == (sent, "share", 1, 2, False)
    assert record.ranges == ((machine.page(1), 2),)
    assert [(each.endpoint, each.state, each.offered, each.granted, each.ranges) for each in record.borrowers] == [
        (2, "retrieved", "RO NX", "RO NX", record.ranges),
        (3, "offered", "RO NX", "", ()),
    ]


def test_a_share_whose_owner_is_gone(machine: Relaying) -> None:
    machine.retrieve(2, handle(machine.send(Kind.SHARE)))
    machine.system.vms[0].power_on()
    assert [record.orphaned for record in seen(machine).transactions] == [True]


def test_notifications_by_sender_and_vcpu(machine: Relaying) -> None:
    assert seen(machine).notifications == ()
    machine.call(2, Function.NOTIFICATION_BITMAP_CREATE, 2, 2)
    machine.call(2, Function.NOTIFICATION_BIND, id_pair(1, 2), 0, 0b11)
    machine.call(2, Function.NOTIFICATION_BIND, id_pair(3, 2), 1, 0b100)
    machine.call(2, Function.NOTIFICATION_BIND, id_pair(0x8001, 2), 0, 1)
    machine.call(1, Function.NOTIFICATION_SET, id_pair(1, 2), 0, 0b10)
    machine.call(3, Function.NOTIFICATION_SET, id_pair(3, 2), 1 << 16 | 1, 0b100)
    (notification,) = seen(machine).notifications
    assert (notification.endpoint, notification.framework) == (2, 0)
    assert notification.bitmaps == (
        FfaBitmapView("sp", ((0x8001, 1),), 0, 0, (0, 0)),
        FfaBitmapView("vm", ((1, 0b11), (3, 0b100)), 0b100, 0b10, (0, 0b100)),
    )


def test_the_framework_signals_a_full_buffer(machine: Relaying) -> None:
    machine.call(2, Function.NOTIFICATION_BITMAP_CREATE, 2, 2)
    machine.write(1, machine.ram(1) + TX, pack_message(Message(1, 2, b"hello"), V1_2))
    machine.call(1, Function.MSG_SEND2)
    assert seen(machine).notifications[0].framework == 1 << 32


def test_the_records_are_left_alone_where_nobody_looks(machine: Relaying) -> None:
    control = Control(machine.system)
    assert control.view(RunState.PAUSED, "").ffa == seen(machine)
    assert control.view(RunState.PAUSED, "", NOTHING_MORE).ffa is None


def test_the_view_goes_into_json(machine: Relaying) -> None:
    sent = handle(machine.send())
    told = msgspec.json.decode(msgspec.json.encode(seen(machine)))
    assert told["transactions"][0]["handle"] == sent
    assert told["transactions"][0]["ranges"] == [[machine.page(1), 2]]
