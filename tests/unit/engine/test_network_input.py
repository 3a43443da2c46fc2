"""Frames from the host and cables that are pulled: recorded, and repeated to the instruction."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import control_base
from engine.board.network.host_port import over_socket
from engine.board.network.port import Drop
from engine.control import Control, ControlError
from engine.errors import MachineError
from engine.machine import Machine, Pace
from tests.support.machines import Bench, Guest, machine_config, spin, tiny
from tests.support.net_guest import TYPE, answering, sending

A, B, HOST = (bytes.fromhex(f"5254000000{n:02x}") for n in (1, 2, 99))
NIC: dict[str, Any] = {"nic": [{}]}
PATIENCE = 20


class World:
    """A machine whose network has a port to the host, and the other side of it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        ours, self.outside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.outside.setblocking(False)
        [self.link] = bench.system.host_links
        self.link.attach(over_socket("outside", ours))

    def ask(self, number: int) -> None:
        self.outside.send(A + HOST + TYPE + number.to_bytes(8, "little"))

    def answers(self) -> list[int]:
        """Data of the frames that vm0 sent out."""
        found: list[int] = []
        while True:
            try:
                data = self.outside.recv(2000)
            except BlockingIOError:
                return found
            if data[6:12] == A:
                assert data[:14] == HOST + A + TYPE
                found.append(int.from_bytes(data[14:], "little"))

    def close(self) -> None:
        self.link.close()
        self.outside.close()


def bench(tmp_path: Path, cores: int = 1) -> Bench:
    """vm0 answers whoever asks, vm1 sends to nobody."""
    guests = [Guest(answering(HOST, A), virtio=NIC), Guest(sending(HOST, B, pause=5000), virtio=NIC)]
    network = {"name": "lan", "host": "unix:/nowhere", "delay_us": 3}
    return tiny(tmp_path, *guests, cores=cores, time_slice_ms=0.1, networks=[network])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(bench(tmp_path))
    yield made
    made.close()


def test_a_guest_answers_the_host(world: World) -> None:
    world.bench.run(20_000)
    world.ask(1)
    world.ask(2)
    assert world.bench.control.receive_frames() == []
    world.bench.run(100_000)
    assert world.answers() == [1, 2]


def test_nothing_comes_from_the_host_by_itself(world: World) -> None:
    world.bench.run(20_000)
    world.ask(1)
    world.bench.run(100_000)
    assert world.bench.control.inputs == []


@pytest.mark.parametrize("cores", [1, 2])
def test_frames_are_recorded_and_repeated(tmp_path: Path, cores: int) -> None:
    first = World(bench(tmp_path, cores))
    for number in range(30):
        first.bench.run(7_000 + 100 * number)
        if number % 3:
            first.ask(number)
        first.bench.control.receive_frames()
        if number in (10, 20):
            first.bench.control.plug("vm1", number == 20)
    first.bench.run(50_000)
    again = bench(tmp_path, cores)
    again.control.replay(first.bench.control.inputs)
    again.run(50_000)
    assert [each.kind for each in again.control.inputs].count("frame") == 20
    assert again.control.inputs == first.bench.control.inputs
    assert again.events() == first.bench.events()
    assert again.digest() == first.bench.digest()
    first.close()


def test_another_frame_gives_another_digest(tmp_path: Path) -> None:
    def run(data: bytes) -> str:
        made = bench(tmp_path).run(20_000)
        made.control.frame("lan", A + HOST + TYPE + data)
        return made.run(50_000).digest()

    assert run(bytes(8)) == run(bytes(8))
    assert run(bytes(8)) != run(b"x" * 8)


def test_no_frame_from_the_host_is_too_odd(world: World) -> None:
    world.bench.run(20_000)
    for size in (1, 13, 14, 1514, 1515, 2000):
        world.outside.send(bytes(size))
    world.bench.control.receive_frames()
    drops = world.link.port.drops
    assert (drops[Drop.RUNT], drops[Drop.OVERSIZE]) == (2, 2)
    assert world.link.port.frames_in == 0
    world.bench.run(50_000)
    assert world.link.port.frames_in == 2


def test_a_link_that_is_gone_is_told_once(world: World) -> None:
    world.bench.run(20_000)
    while select.select([world.outside], [], [], 0)[0]:
        world.outside.recv(2000)  # with something unread it would be a reset
    world.outside.close()
    assert world.bench.control.receive_frames() == ["outside: the other side closed it"]
    assert world.bench.control.receive_frames() == []
    [event] = world.bench.control.inputs
    assert (event.kind, event.vm, event.data) == ("unplug", "lan.host", b"outside: the other side closed it")
    assert not world.link.port.up
    world.bench.run(50_000)


def test_a_network_without_a_way_out_takes_no_frame(tmp_path: Path) -> None:
    made = tiny(tmp_path, Guest(spin(), virtio=NIC))
    with pytest.raises(ControlError, match=r"^there is no network 'lan' with a port to the host$"):
        made.control.frame("lan", b"x" * 60)
    with pytest.raises(ControlError, match=r"^there is no port 'vm1' \(this machine has vm0\)$"):
        made.control.plug("vm1", False)
    with pytest.raises(ControlError, match=r"^there is no port 'vm0' \(this machine has none\)$"):
        tiny(tmp_path, spin()).control.plug("vm0", False)


def test_pulling_a_cable_twice_is_one_input(tmp_path: Path) -> None:
    made = bench(tmp_path).run(20_000)
    for plugged in (False, False, True, True):
        made.control.plug("vm0", plugged)
    assert [event.kind for event in made.control.inputs] == ["unplug", "plug"]


def test_too_much_input_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_base, "MOST_RECORDED", 2000)
    made = bench(tmp_path).run(20_000)
    for _ in range(3):
        made.control.frame("lan", bytes(300))
    assert len(made.control.inputs) == 3
    for _ in range(3):
        made.control.frame("lan", bytes(300))
        made.control.type("vm0", b"x")
    assert made.control.inputs == []


# --- opening -----------------------------------------------------------------------------------------


def test_a_link_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    networks = [{"name": "lan", "host": f"unix:{tmp_path}/socket"}, {"name": "wan", "host": "unix:/nowhere"}]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        made = Control(Bench(machine_config(tmp_path, spin(), networks=networks)).system)
        with pytest.raises(MachineError, match=r"^unix:/nowhere: No such file or directory$"):
            made.open_links()
        assert made.receive_frames() == []
        made.system.host_links[0].port.send(bytes(60))


def test_a_running_machine_listens(tmp_path: Path) -> None:
    """A guest that sleeps and one that answers, on a thread: what the host sends comes back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        networks = [{"name": "lan", "host": f"unix:{tmp_path}/socket"}]
        config = machine_config(tmp_path, Guest(answering(HOST, A), virtio=NIC), networks=networks)
        machine = Machine(config, pace=Pace.MAX)
        outside, _ = listening.accept()
        outside.settimeout(PATIENCE)
        machine.start()
        try:
            while not machine.ask(lambda control: control.cable("vm0").port.up).result(PATIENCE):
                pass
            for question in (b"question", b"another?"):  # the second comes while nobody asks for anything
                outside.send(A + HOST + TYPE + question)
                assert outside.recv(2000) == HOST + A + TYPE + question
        finally:
            machine.close()
        assert outside.recv(2000) == b""
        outside.close()
