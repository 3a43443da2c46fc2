"""The link to the host: sockets, a TAP interface where the host allows one, and every way it can go wrong."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.board.network.host_port import MOST, HostPort, open_host_port, over_socket
from engine.errors import MachineError
from tests.unit.engine.board.network.bench import A, B, Bench, frame, hello

KINDS = [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET]
EXPERIMENTAL = b"\x88\xb5"
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


@pytest.fixture(params=KINDS, ids=["datagram", "packet"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[HostPort, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, request.param)
    port = over_socket("pair", ours)
    with contextlib.closing(port), theirs:
        yield port, theirs


def test_frames_go_both_ways_and_stay_apart(ends: tuple[HostPort, socket.socket]) -> None:
    port, theirs = ends
    assert port.receive() == []
    theirs.send(hello(A))
    theirs.send(frame(A, B, b"more"))
    assert select.select([port], [], [], 0)[0] == [port]
    assert port.receive() == [hello(A), frame(A, B, b"more")]
    assert port.send(hello(B))
    assert theirs.recv(2000) == hello(B)


def test_one_call_takes_a_bounded_number(ends: tuple[HostPort, socket.socket]) -> None:
    port, theirs = ends
    for number in range(5):
        theirs.send(bytes([number]))
    assert port.receive(3) == [b"\0", b"\1", b"\2"]
    assert port.receive(MOST) == [b"\3", b"\4"]


def test_a_long_frame_is_one_that_the_switch_refuses(ends: tuple[HostPort, socket.socket]) -> None:
    port, theirs = ends
    theirs.send(hello(A).ljust(9000, b"\0"))
    theirs.send(hello(A))
    bench = Bench()
    for data in port.receive():
        bench.ports[0].send(data)
    assert bench.ports[0].view().drops == (("oversize", 1),)
    assert bench.nics[1].got == [hello(A)]


def test_a_host_that_does_not_read_loses_frames_and_stops_nobody(ends: tuple[HostPort, socket.socket]) -> None:
    port, theirs = ends
    taken = 0
    while port.send(hello(A)):
        taken += 1
        assert taken < 100_000
    assert port.failure == ""
    assert theirs.recv(2000) == hello(A)


def test_the_switch_counts_what_the_host_did_not_take(ends: tuple[HostPort, socket.socket]) -> None:
    port, _theirs = ends
    while port.send(hello(A)):
        pass
    bench = Bench(ports=1)
    outside = bench.switch.add_port("host", port.send)
    bench.sends(0, hello(A))
    assert outside.view().drops == (("no room", 1),)


def test_what_came_before_the_end_is_received(ends: tuple[HostPort, socket.socket]) -> None:
    port, theirs = ends
    theirs.send(hello(A))
    theirs.close()
    assert port.receive() == [hello(A)]


def test_an_end_is_one_line_each_time_it_is_asked() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.closing(over_socket("pair", ours)) as port:
        theirs.close()
        for _ in range(2):
            with pytest.raises(MachineError, match=r"^pair: the other side closed it$"):
                port.receive()


def test_sending_to_nobody_raises_nothing_and_is_told(ends: tuple[HostPort, socket.socket]) -> None:
    port, theirs = ends
    theirs.close()
    assert not port.send(hello(A))
    assert not port.send(hello(A))
    assert port.failure.startswith("pair: ")
    with pytest.raises(MachineError, match=r"^pair: "):
        port.receive()


def test_an_empty_datagram_is_a_frame_that_is_too_short() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with contextlib.closing(over_socket("pair", ours)) as port, theirs:
        theirs.send(b"")
        theirs.send(hello(A))
        assert port.receive() == [b"", hello(A)]


def test_closing_twice_and_using_it_afterwards(ends: tuple[HostPort, socket.socket]) -> None:
    port, _theirs = ends
    port.close()
    port.close()
    assert port.fileno() == -1
    assert not port.send(hello(A))
    with pytest.raises(MachineError, match="pair: closed"):
        port.receive()


def test_connects_to_a_listening_packet_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "lan")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        with contextlib.closing(open_host_port(f"unix:{path}")) as port:
            peer, _address = listener.accept()
            with peer:
                assert port.send(hello(A))
                assert peer.recv(2000) == hello(A)
                peer.send(hello(B))
                assert port.receive() == [hello(B)]


def test_connects_to_a_datagram_socket_that_can_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "lan")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind(path)
        with contextlib.closing(open_host_port(f"unix:{path}")) as port:
            assert port.send(hello(A))
            data, address = peer.recvfrom(2000)
            assert data == hello(A)
            peer.sendto(hello(B), address)
            assert port.receive() == [hello(B)]


@pytest.mark.parametrize("text", ["", "tap", "tap:", "unix:", "pipe:x", "eth0", "TAP:x"])
def test_forms_that_do_not_exist(text: str) -> None:
    with pytest.raises(MachineError, match="expected tap:NAME or unix:PATH"):
        open_host_port(text)


@pytest.mark.parametrize("name", ["tap%d", "a/b", "a b", "..", "x" * 16, "tap\n", "zürich", "tap\0"])
def test_interface_names_that_are_none(name: str) -> None:
    with pytest.raises(MachineError, match="expected an interface name"):
        open_host_port(f"tap:{name}")


def test_sockets_that_cannot_be_reached(tmp_path: Path) -> None:
    stream = str(tmp_path / "stream")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(stream)
        listener.listen()
        for path in (str(tmp_path / "nobody"), stream, "x" * 300, "a\0b", "\ud800"):
            with pytest.raises(MachineError) as caught:
                open_host_port(f"unix:{path}")
            assert str(caught.value).startswith("unix:")
            assert str(caught.value).isprintable()


def test_a_stream_does_not_keep_frames_apart() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(MachineError, match="keeps frames apart"):
        over_socket("pair", ours)


def tap() -> HostPort:
    """A TAP interface of its own."""
    try:
        return open_host_port(f"tap:hvtest{os.getpid() % 100_000}")
    except MachineError as error:
        pytest.skip(f"the host makes no TAP interface: {error}")


def packet_socket() -> socket.socket:
    """The host's end of an interface."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    except PermissionError:
        pytest.skip("the host lets nobody listen on an interface")


def test_a_tap_interface_that_is_down_loses_frames_but_is_not_lost() -> None:
    with contextlib.closing(tap()) as port:
        assert not port.send(hello(A))
        assert port.failure == ""
        assert port.receive() == []


def test_a_tap_interface_carries_frames_both_ways() -> None:
    with contextlib.closing(tap()) as port, packet_socket() as host:
        name = port.name.partition(":")[2]
        fcntl.ioctl(host, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), IFF_UP))
        host.bind((name, 0x88B5))
        host.settimeout(30)
        ours = A + B + EXPERIMENTAL + b"from the machine".ljust(46, b"\0")
        theirs = B + A + EXPERIMENTAL + b"from the host".ljust(46, b"\0")
        assert port.send(ours)
        assert host.recv(2000) == ours
        host.send(theirs)
        assert select.select([port], [], [], 30)[0] == [port]
        assert theirs in port.receive()
