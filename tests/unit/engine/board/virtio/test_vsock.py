"""Socket devices on one hub, worked through their registers as drivers would (virtio 1.2, 5.10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.board.virtio.guest_memory import Segment
from engine.board.virtio.registers import CONFIG, Reg, Status
from engine.board.virtio.vsock import EVENT, RECEIVE, TRANSMIT, TRANSPORT_RESET, VirtioVsock
from engine.board.virtio.vsock_hub import MOST_CONNECTIONS, VsockHub
from engine.board.virtio.vsock_inbox import ALLOWANCE
from engine.board.virtio.vsock_packet import HEADER_SIZE, LARGEST_PAYLOAD, STREAM, Header, Op, Packet
from tests.support.virtio import BASE, SIZE, Driver

ROOM = HEADER_SIZE + 4096
"""What a Linux guest gives for a packet."""
NOBODY = 99


class Guest:
    """One guest's device and driver. Its buffers are few and used over and over."""

    def __init__(self, hub: VsockHub, cid: int) -> None:
        self.cid = cid
        self.device = VirtioVsock(cid, hub)
        self.driver = Driver(self.device)
        self._out = self.driver.buffer(HEADER_SIZE + LARGEST_PAYLOAD + 1)
        self._in: dict[int, Segment] = {}
        self._spare: list[Segment] = []

    def start(self, size: int = 64) -> Guest:
        self.driver.start(0, size)
        self.driver.acknowledge()
        return self

    def offer(self, count: int = 8, room: int = ROOM) -> None:
        """Give buffers to receive into."""
        for _ in range(count):
            reused = room == ROOM and self._spare
            buffer = self._spare.pop() if reused else self.driver.buffer(room)
            self._in[self.driver.queues[RECEIVE].add([], [buffer])] = buffer
        self.driver.notify(RECEIVE)

    def send(self, to: Guest | int, op: int, payload: bytes = b"", **fields: Any) -> None:
        """A packet from port 10 of this guest to port 20, or as told."""
        cid = to.cid if isinstance(to, Guest) else to
        header = Header(self.cid, cid, 10, 20, len(payload), STREAM, op, 0, 65536, 7)._replace(**fields)
        self.raw(header.pack() + payload)

    def raw(self, data: bytes) -> None:
        place = self._out.address - BASE
        self.driver.memory.data[place : place + len(data)] = data
        self.driver.queues[TRANSMIT].add([Segment(self._out.address, len(data))], [])
        self.driver.notify(TRANSMIT)
        assert len(self.driver.queues[TRANSMIT].done()) <= 1

    def received(self) -> list[Packet]:
        """What came since the last look."""
        packets = []
        for head, written in self.driver.queues[RECEIVE].done():
            self._spare.append(self._in.pop(head))
            data = self.driver.bytes(self._spare[-1])[:written]
            packets.append(Packet(Header.parse(data[:HEADER_SIZE]), data[HEADER_SIZE:]))
        assert all(packet.header.length == len(packet.payload) for packet in packets)
        assert all(packet.header.destination_cid == self.cid for packet in packets)
        return packets

    def ops(self) -> list[int]:
        return [packet.header.op for packet in self.received()]

    @property
    def broken(self) -> bool:
        return bool(self.driver.status & Status.DEVICE_NEEDS_RESET)


def pair() -> tuple[Guest, Guest]:
    """Two guests with buffers."""
    hub = VsockHub()
    guests = Guest(hub, 3).start(), Guest(hub, 4).start()
    for guest in guests:
        guest.offer()
    return guests


def connected() -> tuple[Guest, Guest]:
    """Two guests with a connection from port 10 of the first to port 20 of the second."""
    a, b = pair()
    a.send(b, Op.REQUEST)
    b.send(a, Op.RESPONSE, source_port=20, destination_port=10)
    assert (a.ops(), b.ops()) == ([Op.RESPONSE], [Op.REQUEST])
    a.offer(4)
    b.offer(4)
    return a, b


def test_what_it_offers() -> None:
    guest = Guest(VsockHub(), 0x1234_5678)
    assert guest.driver.read(Reg.DeviceID) == 19
    assert guest.driver.offered() & 0xFF_FFFF == 1
    assert (guest.driver.slot.read(CONFIG, 4), guest.driver.slot.read(CONFIG + 4, 4)) == (0x1234_5678, 0)


def test_a_connection_from_request_to_reset() -> None:
    a, b = connected()
    back: dict[str, Any] = {"source_port": 20, "destination_port": 10}
    a.send(b, Op.RW, b"hello", flags=3)
    b.send(a, Op.CREDIT_REQUEST, **back)
    a.send(b, Op.CREDIT_UPDATE, buf_alloc=9, fwd_cnt=0xFFFF_FFFF)
    b.send(a, Op.SHUTDOWN, flags=3, **back)
    [data, credit] = b.received()
    assert data == Packet(Header(3, 4, 10, 20, 5, STREAM, Op.RW, 3, 65536, 7), b"hello")
    assert credit.header == Header(3, 4, 10, 20, 0, STREAM, Op.CREDIT_UPDATE, 0, 9, 0xFFFF_FFFF)
    a.send(b, Op.RST)
    assert a.ops() == [Op.CREDIT_REQUEST, Op.SHUTDOWN]
    assert b.ops() == [Op.RST]
    assert a.device.facts()["connections"] == 0
    b.send(a, Op.RW, b"late", **back)
    assert (a.ops(), b.ops()) == ([], [Op.RST])


def test_payload_is_cut_to_the_buffers() -> None:
    a, b = connected()
    b.received()
    data = bytes(range(256)) * (LARGEST_PAYLOAD // 256)
    a.send(b, Op.RW, data)
    got: list[Packet] = []
    while sum(len(packet.payload) for packet in got) < len(data):
        got += b.received()
        b.offer(3)
    assert b"".join(packet.payload for packet in got) == data
    assert {packet.header._replace(length=0) for packet in got} == {Header(3, 4, 10, 20, 0, STREAM, Op.RW, 0, 65536, 7)}
    assert max(len(packet.payload) for packet in got) == 4096


def test_packets_without_buffers_wait_in_order() -> None:
    hub = VsockHub()
    a, b = Guest(hub, 3).start(), Guest(hub, 4).start()
    a.send(b, Op.REQUEST)
    for number in range(5):
        a.send(b, Op.RW, b"%d" % number)
    assert b.received() == []
    assert b.device.facts()["bytes waiting"] == 5
    b.offer(2)
    b.offer(4)
    assert [packet.payload for packet in b.received()] == [b"", b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("op", [op for op in Op if op is not Op.RST])
def test_nobody_there_is_a_reset(op: Op) -> None:
    hub = VsockHub()
    a, off = Guest(hub, 3).start(), Guest(hub, 4)
    a.offer()
    for cid in (NOBODY, off.cid, 1 << 40, 2):
        a.send(cid, op)
        [answer] = a.received()
        assert answer.header == Header(cid, 3, 20, 10, 0, STREAM, Op.RST, 0, 0, 0)
    a.send(NOBODY, Op.RST)
    assert a.received() == [], "a reset is never answered"


@pytest.mark.parametrize("op", [op for op in Op if op not in (Op.RST, Op.REQUEST)])
def test_a_guest_hears_nothing_outside_connections(op: Op) -> None:
    a, b = pair()
    a.send(b, op)
    assert (a.ops(), b.ops()) == ([Op.RST], [])
    a.send(b, Op.RST)
    assert (a.ops(), b.ops()) == ([], [])


def test_packets_in_another_name_are_dropped() -> None:
    a, b = connected()
    a.send(b, Op.RW, b"x", source_cid=5)
    a.send(b, Op.RST, source_cid=b.cid, destination_cid=a.cid, source_port=20, destination_port=10)
    assert (a.received(), b.received()) == ([], [])
    assert a.device.facts()["refused"] == 2
    a.send(b, Op.RW, b"mine")
    assert [packet.payload for packet in b.received()] == [b"mine"]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": 2},
        {"type": 0},
        {"op": 0},
        {"op": 8},
        {"op": 0xFFFF},
        {"length": 2},
        {"length": 0xFFFF_FFFF},
        {"op": Op.CREDIT_UPDATE},
    ],
    ids=str,
)
def test_a_malformed_packet_ends_its_connection(fields: dict[str, int]) -> None:
    a, b = connected()
    a.send(b, fields.pop("op", Op.RW), b"x", **fields)
    [answer] = a.received()
    assert (answer.header.op, answer.header.type) == (Op.RST, fields.get("type", STREAM))
    assert b.ops() == [Op.RST]
    assert (a.broken, b.broken) == (False, False)


def test_the_longest_payload_is_64_kib() -> None:
    a, b = connected()
    a.send(b, Op.RW, bytes(LARGEST_PAYLOAD))
    assert len(b.received()) > 1
    a.send(b, Op.RW, bytes(LARGEST_PAYLOAD + 1))
    assert a.ops() == [Op.RST]


def test_a_peer_without_buffers_loses_the_connection_that_floods_it_and_no_other() -> None:
    hub = VsockHub()
    a, b, c = (Guest(hub, cid).start() for cid in (3, 4, 5))
    for guest in (a, c):
        guest.offer(3)
        guest.send(b, Op.REQUEST)
    c.send(b, Op.RW, b"from c")
    sent = 0
    while not (answers := a.ops()):
        a.send(b, Op.RW, bytes(LARGEST_PAYLOAD))
        sent += 1
    assert (answers, sent) == ([Op.RST], ALLOWANCE // LARGEST_PAYLOAD)
    assert b.device.facts()["bytes waiting"] == len(b"from c"), "what waited of it is gone"
    c.send(b, Op.RW, b" goes on")
    b.offer(8)
    assert [(p.header.source_cid, p.header.op, p.payload) for p in b.received()] == [
        (5, Op.REQUEST, b""),
        (5, Op.RW, b"from c"),
        (3, Op.RST, b""),
        (5, Op.RW, b" goes on"),
    ]
    assert c.received() == []


def test_requests_alone_fill_nothing_for_ever() -> None:
    hub = VsockHub()
    a, b = Guest(hub, 3).start(), Guest(hub, 4).start()
    for port in range(12_000):
        a.send(b, Op.REQUEST, source_port=port)
        assert len(hub.connections(3)) <= MOST_CONNECTIONS
    waiting = sum(1 for guest in (a, b) for _ in guest.device._inbox._packets)
    assert waiting < 4 * ALLOWANCE // 128


def test_connections_asked_for_in_vain_make_room_for_new_ones() -> None:
    a, b = connected()
    for port in range(1, MOST_CONNECTIONS):
        a.send(b, Op.REQUEST, source_port=1000 + port)
    b.received()
    a.received()
    a.send(b, Op.REQUEST, source_port=5000)
    a.offer()
    [given_up] = a.received()
    assert (given_up.header.op, given_up.header.destination_port) == (Op.RST, 1001)
    assert len(a.device._hub.connections(3)) == MOST_CONNECTIONS
    a.send(b, Op.RW, b"the answered one lives")
    assert a.received() == []


@pytest.mark.parametrize("how", ["reset", "stopped"])
def test_peers_of_a_guest_that_is_gone_hear_it(how: str) -> None:
    a, b = connected()
    a.send(b, Op.RW, b"last words")
    if how == "reset":
        a.driver.write(Reg.Status, 0)
    else:
        a.driver.slot.stopped()
    assert [(p.header.op, p.payload) for p in b.received()] == [(Op.RW, b"last words"), (Op.RST, b"")]
    assert b.device.facts()["connections"] == 0


def test_a_guest_that_starts_over_gets_nothing_of_before_and_is_told() -> None:
    hub = VsockHub()
    a, b = Guest(hub, 3).start(), Guest(hub, 4).start()
    event = b.driver.buffer(8)
    b.driver.queues[EVENT].add([], [event])
    b.driver.notify(EVENT)
    assert b.driver.queues[EVENT].done() == [], "nothing was before"
    a.offer()
    a.send(b, Op.REQUEST)
    a.send(b, Op.RW, b"for nobody")
    b.driver.slot.reset()
    assert a.ops() == [Op.RST]
    b.start()
    b.offer()
    assert b.received() == []
    for told in ([(0, len(TRANSPORT_RESET))], []):
        b.driver.queues[EVENT].add([], [event])
        b.driver.notify(EVENT)
        assert b.driver.queues[EVENT].done() == told


def test_a_guest_may_talk_to_itself() -> None:
    a, _ = pair()
    a.send(a, Op.REQUEST)
    a.send(a, Op.RESPONSE, source_port=20, destination_port=10)
    a.send(a, Op.RW, b"me")
    assert [(p.header.op, p.payload) for p in a.received()] == [(Op.REQUEST, b""), (Op.RESPONSE, b""), (Op.RW, b"me")]
    a.driver.slot.reset()
    assert a.device.facts()["connections"] == 0


def break_by_short_packet(guest: Guest, _: Guest) -> None:
    guest.raw(bytes(HEADER_SIZE - 1))


def break_by_address(guest: Guest, _: Guest) -> None:
    guest.driver.queues[TRANSMIT].add([Segment(BASE + SIZE - 8, 64)], [])
    guest.driver.notify(TRANSMIT)


def break_by_small_buffer(guest: Guest, peer: Guest) -> None:
    guest.received()
    while guest._in:
        peer.send(guest, Op.CREDIT_UPDATE, source_port=20, destination_port=10)
        guest.received()
    guest.offer(1, HEADER_SIZE)
    peer.send(guest, Op.RW, b"x", source_port=20, destination_port=10)


def break_by_unwritable_buffer(guest: Guest, peer: Guest) -> None:
    guest.driver.memory.frozen = {(buffer.address >> 12) for buffer in guest._in.values()}
    peer.send(guest, Op.RW, b"x", source_port=20, destination_port=10)


def break_by_event(guest: Guest, _: Guest) -> None:
    guest.device._was_reset = True
    guest.driver.queues[EVENT].add([], [guest.driver.buffer(2)])
    guest.driver.notify(EVENT)


@pytest.mark.parametrize(
    "hostility",
    [break_by_short_packet, break_by_address, break_by_small_buffer, break_by_unwritable_buffer, break_by_event],
    ids=lambda each: each.__name__,
)
def test_a_guest_that_breaks_its_device_loses_its_connections_and_no_more(hostility: Any) -> None:
    a, b = connected()
    hostility(a, b)
    assert (a.broken, b.broken) == (True, False)
    assert b.ops()[-1:] == [Op.RST]
    assert a.device.facts()["connections"] == 0
    b.send(a, Op.REQUEST, source_port=1)
    assert b.ops() == [Op.RST]
    a.driver.write(Reg.Status, 0)
    a.driver.memory.frozen = set()
    a.start()
    a._in.clear()
    a.offer()
    b.send(a, Op.REQUEST, source_port=1)
    assert a.ops() == [Op.REQUEST]


cids = st.sampled_from([3, 4, NOBODY, 1 << 40])
ports = st.sampled_from([10, 20])
headers = st.builds(
    Header,
    cids,
    cids,
    ports,
    ports,
    st.integers(0, 300) | st.integers(0, (1 << 32) - 1),
    st.sampled_from([STREAM, STREAM, STREAM, 0, 2, 0xFFFF]),
    st.sampled_from([*Op, Op.REQUEST, Op.RW, 0, 9, 0xFFFF]),
    st.integers(0, 3),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 32) - 1),
)


@given(st.lists(st.tuples(st.booleans(), headers, st.integers(0, 300), st.integers(0, 3)), max_size=40))
def test_whatever_guests_send_each_hears_only_what_the_other_said(
    steps: list[tuple[bool, Header, int, int]],
) -> None:
    a, b = pair()
    said = set()
    for first, header, size, buffers in steps:
        sender = a if first else b
        if header.source_cid == sender.cid:
            said.add(header._replace(length=0))
        sender.raw(header.pack() + bytes(size))
        for guest in (a, b):
            heard = [packet.header._replace(length=0) for packet in guest.received()]
            assert all(each.op == Op.RST or (each in said and each.type == STREAM) for each in heard)
            guest.offer(min(buffers, 16 - len(guest._in)))
        assert (a.broken, b.broken) == (False, False)
    for guest in (a, b):
        guest.driver.write(Reg.Status, 0)
        assert guest.device.facts()["connections"] == guest.device.facts()["bytes waiting"] == 0
