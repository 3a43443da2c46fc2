"""Who gets a frame, and what is remembered and counted."""

from __future__ import annotations

import copy

import pytest

from engine.board.network.ethernet import BROADCAST
from engine.board.network.port import Drop
from engine.board.network.views import StationView
from tests.unit.engine.board.network.bench import MULTICAST, A, B, Bench, C, D, frame, hello


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("destination", [B, BROADCAST, MULTICAST])
def test_floods_to_all_but_the_source(bench: Bench, destination: bytes) -> None:
    data = frame(destination, A, b"who are you")
    assert bench.sends(1, data) == [[data], [], [data]]


def test_a_known_station_gets_it_alone(bench: Bench) -> None:
    bench.sends(2, hello(B))
    data = frame(B, A)
    assert bench.sends(0, data) == [[], [], [data]]


def test_sixteen_addresses_are_held_and_found_exactly() -> None:
    bench = Bench(ports=17)
    addresses = [bytes.fromhex(f"52540000aa{n:02x}") for n in range(16)]
    for number, address in enumerate(addresses):
        bench.sends(number, hello(address))
    for number, address in enumerate(addresses):
        data = frame(address, BROADCAST)
        assert bench.sends(16, data) == [[data] if n == number else [] for n in range(17)]


def test_the_one_not_seen_for_longest_makes_room() -> None:
    bench = Bench(table_size=2)
    for address in (A, B, A, C):
        bench.sends(0, hello(address))
    assert [row.address[-2:] for row in bench.switch.view().stations] == ["01", "03"]
    assert bench.sends(1, frame(B, D)) == [[frame(B, D)], [], [frame(B, D)]]


def test_a_table_without_rows_makes_a_hub() -> None:
    bench = Bench(table_size=0)
    bench.sends(2, hello(B))
    assert bench.sends(0, frame(B, A)) == [[], [frame(B, A)], [frame(B, A)]]


def test_nothing_comes_back_to_its_sender(bench: Bench) -> None:
    bench.sends(0, hello(A))
    bench.sends(0, hello(B))
    assert bench.sends(0, frame(A, B)) == [[], [], []]
    assert bench.sends(0, frame(A, A)) == [[], [], []]
    assert bench.ports[0].drops[Drop.SAME_PORT] == 2


def test_a_group_address_is_never_learned(bench: Bench) -> None:
    for source in (MULTICAST, BROADCAST):
        bench.sends(2, frame(A, source))
    assert bench.switch.view().stations == ()


def test_a_moved_station_is_found_where_it_is_now(bench: Bench) -> None:
    bench.sends(1, hello(B))
    bench.sends(2, hello(B))
    assert bench.sends(0, frame(B, A)) == [[], [], [frame(B, A)]]


def test_an_address_is_forgotten_after_its_time(bench: Bench) -> None:
    bench.sends(2, hello(B))
    bench.at(999)
    assert bench.sends(0, frame(B, A)) == [[], [], [frame(B, A)]]
    bench.at(1000)
    assert bench.sends(0, frame(B, A)) == [[], [frame(B, A)], [frame(B, A)]]


def test_an_address_is_forgotten_although_its_asker_is_never_learned(bench: Bench) -> None:
    bench.sends(2, hello(B))
    bench.at(1000)
    assert bench.sends(0, frame(B, MULTICAST)) == [[], [frame(B, MULTICAST)], [frame(B, MULTICAST)]]


def test_sending_again_keeps_an_address_known(bench: Bench) -> None:
    bench.sends(2, hello(B))
    bench.at(900)
    bench.sends(2, hello(B))
    bench.at(1800)
    assert bench.switch.view().stations == (StationView(0, "52:54:00:00:00:02", "vm2", 900),)
    assert bench.sends(0, frame(B, A)) == [[], [], [frame(B, A)]]


def test_each_vlan_has_addresses_of_its_own_and_tags_stay(bench: Bench) -> None:
    bench.sends(1, hello(B, vlan=5))
    bench.sends(2, hello(B, vlan=0x6006))
    five, six, none = frame(B, A, vlan=5), frame(B, A, vlan=6), frame(B, A)
    assert bench.sends(0, five) == [[], [five], []]
    assert bench.sends(0, six) == [[], [], [six]]
    assert bench.sends(0, none) == [[], [none], [none]]


def test_lengths_that_are_no_frames_are_dropped_and_teach_nothing(bench: Bench) -> None:
    good = hello(A)
    assert bench.sends(0, good[:13]) == bench.sends(0, b"") == [[], [], []]
    assert bench.sends(0, good.ljust(1515, b"\0")) == [[], [], []]
    assert bench.ports[0].drops[Drop.RUNT] == 2
    assert bench.ports[0].drops[Drop.OVERSIZE] == 1
    assert bench.switch.view().stations == ()
    assert [len(data) for data in bench.sends(0, good.ljust(1514, b"\0"))[1]] == [1514]


def test_counters_tell_frames_bytes_and_reasons(bench: Bench) -> None:
    bench.nics[1].room = 0
    bench.sends(0, hello(A))
    bench.sends(0, b"short")
    size = len(hello(A))
    first, second, third = bench.switch.view().ports
    assert (first.frames_in, first.bytes_in, first.drops) == (1, size, (("runt", 1),))
    assert (second.frames_out, second.bytes_out, second.drops) == (0, 0, (("no room", 1),))
    assert (third.frames_out, third.bytes_out, third.frames_in, third.drops) == (1, size, 0, ())


def test_a_link_that_is_down_carries_nothing(bench: Bench) -> None:
    bench.ports[2].up = False
    assert bench.sends(2, hello(C)) == [[], [], []]
    assert bench.ports[2].drops[Drop.DOWN] == 1
    assert bench.sends(0, hello(A)) == [[], [hello(A)], []]
    bench.ports[2].up = True
    assert bench.sends(0, hello(A)) == [[], [hello(A)], [hello(A)]]


def test_who_was_behind_a_link_that_went_may_be_anywhere(bench: Bench) -> None:
    bench.sends(1, hello(B))
    bench.sends(2, hello(C))
    bench.ports[1].up = False
    bench.ports[1].up = True
    assert [row.port for row in bench.switch.view().stations] == ["vm2"]
    assert bench.sends(0, frame(B, A)) == [[], [frame(B, A)], [frame(B, A)]]


def test_a_device_is_told_of_its_link_once_for_each_change(bench: Bench) -> None:
    told: list[bool] = []
    bench.ports[0].at_link = told.append
    for up in (True, False, False, True):
        bench.ports[0].up = up
    assert told == [False, True]


def test_taps_see_the_link_and_not_the_switch(bench: Bench) -> None:
    seen: list[tuple[int, str, bytes]] = []
    bench.ports[1].taps.append(lambda now, direction, data: seen.append((now, direction.value, data)))
    bench.at(70)
    bench.nics[1].room = 0
    bench.ports[0].send(hello(A))
    bench.ports[1].send(b"short")
    bench.ports[1].up = False
    bench.ports[1].send(hello(B))
    assert seen == [(70, "out", hello(A)), (70, "in", b"short")]


def test_reset_forgets_everything_but_the_links() -> None:
    bench = Bench(delay_ns=10, loss_ppm=1)
    bench.ports[1].up = False
    bench.sends(0, hello(A))
    bench.at(10)
    bench.sends(0, hello(A))
    bench.sends(0, b"")
    bench.switch.reset()
    fresh = Bench()
    fresh.ports[1].up = False
    assert bench.switch.next_match_ns() is None
    bench.now = 0
    assert bench.switch.view() == fresh.switch.view()
    bench.sends(0, hello(A))
    assert bench.switch.next_match_ns() == 10


def test_looking_changes_nothing(bench: Bench) -> None:
    bench.sends(2, hello(B))
    bench.now = 5000
    assert bench.switch.view().stations == ()
    bench.now = 500
    assert bench.sends(0, frame(B, A)) == [[], [], [frame(B, A)]]


def test_a_view_cannot_be_changed_and_stays(bench: Bench) -> None:
    view = bench.switch.view()
    before = copy.deepcopy(view)
    bench.sends(0, hello(A))
    assert view == before
    with pytest.raises(AttributeError):
        view.waiting = 3  # type: ignore[misc]
