"""Frame formats, and that no bytes are a surprise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.board.network import ethernet
from tests.unit.engine.board.network.bench import MULTICAST, A, B, frame


def test_addresses() -> None:
    data = frame(A, B)
    assert (ethernet.destination(data), ethernet.source(data)) == (A, B)
    assert ethernet.text(A) == "52:54:00:00:00:01"


def test_group_bit_is_the_first_one_on_the_wire() -> None:
    assert ethernet.is_group(MULTICAST)
    assert ethernet.is_group(ethernet.BROADCAST)
    assert not ethernet.is_group(b"\x02\xff\xff\xff\xff\xff")
    assert not ethernet.is_group(b"")


def test_lengths() -> None:
    untagged, tagged = frame(A, B), frame(A, B, vlan=7)
    assert ethernet.is_runt(untagged[:13])
    assert not ethernet.is_runt(untagged)
    assert not ethernet.is_oversize(untagged.ljust(1514, b"\0"))
    assert ethernet.is_oversize(untagged.ljust(1515, b"\0"))
    assert not ethernet.is_oversize(tagged.ljust(1518, b"\0"))
    assert ethernet.is_oversize(tagged.ljust(1519, b"\0"))


def test_vlan_is_twelve_bits_of_the_tag() -> None:
    assert ethernet.vlan(frame(A, B, vlan=0xE123)) == 0x123
    assert ethernet.vlan(frame(A, B, vlan=0xE000)) == ethernet.UNTAGGED
    assert ethernet.vlan(frame(A, B, b"data")) == ethernet.UNTAGGED


def test_a_tag_that_is_cut_off_is_none() -> None:
    whole = frame(A, B, vlan=7)
    assert ethernet.vlan(whole) == 7
    assert [ethernet.vlan(whole[:size]) for size in range(18)] == [ethernet.UNTAGGED] * 18


@given(st.binary(max_size=40) | st.binary(max_size=8).map(lambda tail: A + B + b"\x81\x00" + tail))
def test_any_bytes(data: bytes) -> None:
    assert 0 <= ethernet.vlan(data) <= 4095
    assert ethernet.destination(data) + ethernet.source(data) == data[:12]
    assert ethernet.is_group(ethernet.destination(data)) == bool(data and data[0] % 2)
    assert ethernet.is_runt(data) == (len(data) < 14)
    assert not ethernet.is_oversize(data)
