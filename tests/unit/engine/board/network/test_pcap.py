"""Captures, read back by a reader of our own and by Wireshark's where the host has it."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.board.network.pcap import Capture
from tests.unit.engine.board.network.bench import A, B, Bench, frame, hello
from tests.unit.engine.board.network.pcapng_reader import Packet, read

INBOUND, OUTBOUND = 1, 2


def summary(packets: list[Packet]) -> list[tuple[str, int, int, bytes]]:
    return [(packet.interface.name, packet.ticks, packet.direction, packet.data) for packet in packets]


def test_a_capture_tells_port_time_direction_and_bytes() -> None:
    bench, stream = Bench(ports=2), io.BytesIO()
    capture = Capture(stream, bench.ports)
    bench.sends(0, hello(A))
    bench.at(5_000_000_001)
    bench.sends(1, frame(A, B, b"odd"))
    capture.close()
    contents = read(stream.getvalue())
    described = [(port.name, port.linktype, port.ticks_per_second) for port in contents.interfaces]
    assert described == [("vm0", 1, 10**9), ("vm1", 1, 10**9)]
    assert summary(contents.packets) == [
        ("vm0", 0, INBOUND, hello(A)),
        ("vm1", 0, OUTBOUND, hello(A)),
        ("vm1", 5_000_000_001, INBOUND, frame(A, B, b"odd")),
        ("vm0", 5_000_000_001, OUTBOUND, frame(A, B, b"odd")),
    ]
    assert capture.packets == 4


def test_delay_shows_between_the_two_ports() -> None:
    bench, stream = Bench(ports=2, delay_ns=300), io.BytesIO()
    Capture(stream, bench.ports)
    bench.at(50)
    bench.sends(0, hello(A))
    bench.at(1000)
    assert [packet.ticks for packet in read(stream.getvalue()).packets] == [50, 350]


def test_a_frame_that_is_too_long_is_cut_and_its_length_told() -> None:
    bench, stream = Bench(ports=2), io.BytesIO()
    Capture(stream, bench.ports[:1])
    huge = hello(A).ljust(100_000, b"\0")
    bench.sends(0, huge)
    bench.sends(0, b"")
    first, second = read(stream.getvalue()).packets
    assert (first.length, len(first.data), first.interface.snap_length) == (100_000, 1518, 1518)
    assert (second.length, second.data) == (0, b"")


def test_names_of_any_length_and_script() -> None:
    bench, stream = Bench(ports=1), io.BytesIO()
    names = ["", "a", "lan-1", "zürich"]
    capture = Capture(stream, [bench.switch.add_port(name, lambda _data: True) for name in names])
    capture.attach(bench.ports[0])
    assert [port.name for port in read(stream.getvalue()).interfaces] == [*names, "vm0"]


def test_what_comes_after_close_is_not_written() -> None:
    bench, stream = Bench(), io.BytesIO()
    capture = Capture(stream, bench.ports)
    capture.close()
    size = len(stream.getvalue())
    bench.sends(0, hello(A))
    capture.attach(bench.ports[0])
    capture.close()
    assert len(stream.getvalue()) == size
    assert [port.taps for port in bench.ports] == [[], [], []]
    assert capture.ended == "closed"


def test_a_capture_ends_at_its_limit_with_whole_blocks() -> None:
    bench, stream = Bench(ports=2), io.BytesIO()
    capture = Capture(stream, bench.ports, limit=400)
    for _ in range(20):
        assert bench.sends(0, hello(A)) == [[], [hello(A)]]
    assert len(stream.getvalue()) <= 400
    assert len(read(stream.getvalue()).packets) == capture.packets > 0
    assert capture.ended == "it reached its size limit"
    assert bench.ports[0].taps == []


def test_captures_of_one_port_do_not_disturb_each_other() -> None:
    bench, short, long = Bench(ports=2), io.BytesIO(), io.BytesIO()
    captures = [Capture(short, bench.ports, limit=300), Capture(long, bench.ports)]
    for _ in range(20):
        bench.sends(0, hello(A))
    assert captures[0].ended
    assert captures[1].packets == len(read(long.getvalue()).packets) == 40


class Full(io.BytesIO):
    """A disk with no space left."""

    def write(self, data: object, /) -> int:
        raise OSError(28, "No space left on device")


def test_a_stream_that_fails_ends_the_capture_and_not_the_machine() -> None:
    bench = Bench()
    assert "No space left" in Capture(Full(), bench.ports).ended
    stream = io.BytesIO()
    capture = Capture(stream, bench.ports)
    stream.close()
    assert bench.sends(0, hello(A)) == [[], [hello(A)], [hello(A)]]
    assert "closed" in capture.ended
    assert [port.taps for port in bench.ports] == [[], [], []]


def test_the_same_run_writes_the_same_bytes() -> None:
    files = []
    for _ in range(2):
        bench, stream = Bench(seed=9, loss_ppm=300_000, delay_ns=40), io.BytesIO()
        Capture(stream, bench.ports)
        for number in range(50):
            bench.ports[number % 3].send(frame(B, A, bytes([number])))
            bench.at(bench.now + 30)
        files.append(stream.getvalue())
    assert files[0] == files[1]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="the host has no tshark")
def test_wireshark_reads_it(tmp_path: Path) -> None:
    bench, path = Bench(ports=2), tmp_path / "lan.pcapng"
    bench.at(1_000_000_002)
    with path.open("wb") as stream:
        capture = Capture(stream, bench.ports)
        bench.sends(0, hello(A, vlan=7))
        capture.close()
    fields = ("frame.interface_name", "frame.time_epoch", "frame.packet_flags_direction", "eth.src", "vlan.id")
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "separator=,"]
    command += [word for name in fields for word in ("-e", name)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    rows = [line.split(",") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == ["vm0", "vm1"]
    assert all(row[1].startswith("1.000000002") for row in rows)
    assert [int(row[2], 0) for row in rows] == [INBOUND, OUTBOUND]
    assert [row[3:] for row in rows] == [["52:54:00:00:00:01", "7"]] * 2
