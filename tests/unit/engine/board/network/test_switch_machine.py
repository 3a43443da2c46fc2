"""The switch against its model: every frame, counter and address, over any history."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.board.network import ethernet
from engine.board.network.ethernet import BROADCAST
from engine.board.network.pcap import Capture
from engine.board.network.views import PortView
from tests.support.fuzz import damaged
from tests.unit.engine.board.network.bench import MULTICAST, A, B, Bench, C, D, frame, hello
from tests.unit.engine.board.network.model import Model, Sent
from tests.unit.engine.board.network.pcapng_reader import read

PORTS, QUEUE = 4, 3
RESPONDER = bytes.fromhex("525400000099")
STATIONS = (A, B, C, D, RESPONDER)
SIZES = (0, 13, 14, 17, 18, 60, 1514, 1515, 1518, 1519)

ports = st.integers(0, PORTS - 1)
frames = st.builds(
    Sent,
    st.sampled_from((*STATIONS, BROADCAST, MULTICAST)),
    st.sampled_from((*STATIONS, MULTICAST)),
    st.sampled_from((None, None, 0, 7, 0xE007, 8)),
    st.just(60) | st.sampled_from(SIZES),
)


class SwitchMachine(RuleBasedStateMachine):
    """One switch with the board's clock, which may look late."""

    @initialize(
        delay=st.sampled_from((0, 0, 50)), table_size=st.integers(1, 4), ageing=st.sampled_from((100, 400, 1 << 40))
    )
    def make(self, delay: int, table_size: int, ageing: int) -> None:
        self.bench = Bench(PORTS, delay_ns=delay, table_size=table_size, ageing_ns=ageing, queue_size=QUEUE)
        self.model = Model(PORTS, delay, table_size, ageing, QUEUE, RESPONDER)
        self.bench.nics[-1].answer = self.answer

    def answer(self, data: bytes) -> None:
        if data[:6] == BROADCAST:
            self.bench.ports[-1].send(frame(data[6:12], RESPONDER, bytes(46)))

    @rule(port=ports, sent=frames)
    def send(self, port: int, sent: Sent) -> None:
        self.bench.ports[port].send(sent.wire)
        self.model.send(port, sent)

    @rule(port=ports, up=st.booleans())
    def link(self, port: int, up: bool) -> None:
        self.bench.ports[port].up = up
        self.model.link(port, up)

    @rule(port=ports, room=st.sampled_from((0, 1, 1 << 30)))
    def make_room(self, port: int, room: int) -> None:
        self.bench.nics[port].room = self.model.room[port] = room

    @rule(time=st.integers(0, 200), looks=st.booleans())
    def advance(self, time: int, looks: bool) -> None:
        self.bench.now += time
        self.model.now = self.bench.now
        if looks:
            self.bench.switch.poll()
            self.model.forward()

    @rule()
    def next_moment(self) -> None:
        """As the board does: straight to the time the switch gave."""
        moment = self.bench.switch.next_match_ns()
        assert moment == (self.model.pending[0][0] if self.model.pending else None)
        if moment is not None:
            self.advance(max(0, moment - self.bench.now), looks=True)

    @invariant()
    def same_frames(self) -> None:
        assert self.bench.taken() == self.model.got
        self.model.got = [[] for _ in range(PORTS)]

    @invariant()
    def same_picture(self) -> None:
        view, now = self.bench.switch.view(), self.model.now
        assert view.waiting == len(self.model.pending)
        assert [(row.vlan, row.address, row.port, row.age_ns) for row in view.stations] == [
            (row.lan, row.address.hex(":"), f"vm{row.port}", now - row.seen) for row in self.model.known()
        ]
        assert [port.up for port in view.ports] == self.model.up
        assert [counters(port) for port in view.ports] == [dict(count) for count in self.model.count]


def counters(port: PortView) -> dict[str, int]:
    """Those that are not 0, by name."""
    traffic = {
        "frames_in": port.frames_in,
        "bytes_in": port.bytes_in,
        "frames_out": port.frames_out,
        "bytes_out": port.bytes_out,
    }
    return {name: count for name, count in [*traffic.items(), *port.drops] if count}


TestSwitchMachine = SwitchMachine.TestCase
TestSwitchMachine.settings = settings(max_examples=150, stateful_step_count=40)

anything = damaged(hello(A), frame(A, B, bytes(30), vlan=7), frame(MULTICAST, C, bytes(1500))) | st.binary(max_size=64)


@given(st.lists(st.tuples(st.integers(0, 2), anything), max_size=30), st.integers(0, 3))
def test_any_bytes_are_forwarded_unchanged_or_counted(sends: list[tuple[int, bytes]], table_size: int) -> None:
    bench, stream = Bench(3, table_size=table_size), io.BytesIO()
    Capture(stream, bench.ports)
    wire: list[bytes] = []
    for number, data in sends:
        got = bench.sends(number, data)
        wire += [data, *(one for several in got for one in several)]
        assert got[number] == []
        assert all(several in ([], [data]) for several in got)
        assert not (ethernet.is_runt(data) and any(got))
    assert [packet.data for packet in read(stream.getvalue()).packets] == [data[:1518] for data in wire]
    view = bench.switch.view()
    assert len(view.stations) <= table_size
    for number, port in enumerate(view.ports):
        refused = sum(count for reason, count in port.drops if reason in ("runt", "oversize"))
        assert port.frames_in + refused == sum(sender == number for sender, _data in sends)
