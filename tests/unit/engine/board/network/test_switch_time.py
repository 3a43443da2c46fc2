"""Delay, loss, and devices that answer from inside a delivery."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from engine.board.network import chance
from engine.board.network.port import Drop
from engine.board.network.switch import BURST, REST_NS
from tests.unit.engine.board.network.bench import A, B, Bench, frame, hello


def test_a_delayed_frame_comes_at_its_time_and_not_before() -> None:
    bench = Bench(delay_ns=100)
    bench.now = 7
    bench.ports[0].send(hello(A))
    assert bench.switch.next_match_ns() == 107
    assert bench.switch.view().waiting == 1
    bench.now = 106
    bench.switch.poll()
    assert bench.taken() == [[], [], []]
    bench.now = 107
    bench.switch.poll()
    assert bench.taken() == [[], [hello(A)], [hello(A)]]
    assert bench.switch.next_match_ns() is None


def test_the_board_is_told_when_the_next_moment_changed() -> None:
    bench = Bench(delay_ns=100)
    bench.ports[0].send(hello(A))
    assert bench.scheduled == 1
    bench.ports[0].send(hello(A))
    assert bench.scheduled == 1
    at_once = Bench()
    at_once.ports[0].send(hello(A))
    assert at_once.scheduled == 0


def test_frames_come_in_order_even_when_the_board_looks_late() -> None:
    bench = Bench(delay_ns=100)
    sent = [frame(B, A, bytes([number])) for number in range(5)]
    for number, data in enumerate(sent):
        bench.now = 10 * number
        bench.ports[number % 2].send(data)
    bench.now = 10_000
    bench.switch.poll()
    assert bench.taken()[2] == sent


def test_a_core_whose_clock_is_behind_does_not_turn_time_back() -> None:
    bench = Bench(delay_ns=100)
    times: list[int] = []
    for port in bench.ports[:2]:
        port.taps.append(lambda now, _direction, _data: times.append(now))
    bench.now = 50
    bench.ports[0].send(hello(A))
    bench.now = 20
    bench.ports[1].send(hello(B))
    assert times == [50, 50]
    bench.at(149)
    assert bench.taken()[2] == []
    bench.at(150)
    assert bench.taken()[2] == [hello(A), hello(B)]


def test_where_a_station_is_counts_when_the_frame_arrives() -> None:
    bench = Bench(delay_ns=100)
    bench.ports[1].send(hello(B))
    bench.at(50)
    bench.ports[0].send(frame(B, A))
    bench.ports[2].send(hello(B))
    bench.ports[0].send(frame(B, A, b"again"))
    bench.at(300)
    assert bench.taken() == [[hello(B)] * 2, [frame(B, A), hello(B)], [hello(B), frame(B, A, b"again")]]


def test_more_frames_than_the_queue_holds_are_dropped() -> None:
    bench = Bench(delay_ns=100, queue_size=3)
    for _ in range(5):
        bench.ports[0].send(hello(A))
    assert bench.ports[0].drops[Drop.QUEUE] == 2
    bench.at(100)
    assert len(bench.taken()[1]) == 3


def test_frames_that_have_arrived_make_room_even_when_the_board_looks_late() -> None:
    bench = Bench(delay_ns=100, queue_size=1)
    bench.ports[0].send(hello(A))
    bench.now = 100
    bench.ports[0].send(hello(B))
    assert bench.taken()[1] == [hello(A)]
    assert bench.switch.next_match_ns() == 200
    assert bench.scheduled == 2


def test_a_link_that_goes_down_loses_what_is_on_it() -> None:
    bench = Bench(delay_ns=100)
    bench.ports[0].send(hello(A))
    bench.ports[0].up = False
    bench.at(100)
    assert bench.taken() == [[], [], []]
    assert bench.ports[0].drops[Drop.DOWN] == 1
    assert bench.switch.view().stations == ()


def lost(seed: int, name: str = "lan", share: int = 250_000, count: int = 400) -> list[bool]:
    bench = Bench(ports=2, seed=seed, loss_ppm=share)
    bench.switch.name = name
    return [bench.sends(0, hello(A))[1] == [] for _ in range(count)]


def test_the_same_seed_loses_the_same_frames() -> None:
    random.seed(1)
    first = lost(seed=3)
    random.seed(2)
    assert lost(seed=3) == first
    assert lost(seed=4) != first
    assert lost(seed=3, name="wan") != first
    assert 60 < sum(first) < 140


def test_a_reset_repeats_the_losses() -> None:
    bench = Bench(ports=2, loss_ppm=500_000)
    runs = []
    for _ in range(2):
        bench.switch.reset()
        runs.append([bench.sends(0, hello(A))[1] == [] for _ in range(50)])
    assert runs[0] == runs[1]
    assert True in runs[0]
    assert False in runs[0]


def test_loss_is_none_all_and_counted() -> None:
    assert not any(lost(seed=1, share=0))
    assert all(lost(seed=1, share=1_000_000))
    bench = Bench(loss_ppm=1_000_000)
    bench.sends(0, hello(A))
    assert bench.ports[0].drops[Drop.LOSS] == 1
    assert bench.ports[0].frames_in == 0


def test_chance_is_spread_evenly_and_takes_any_numbers() -> None:
    draws = [chance.parts_per_million(1 << 80, "", sequence) for sequence in range(4000)]
    assert all(0 <= draw < chance.MILLION for draw in draws)
    eighths = [sum(draw * 8 // chance.MILLION == part for draw in draws) for part in range(8)]
    assert all(400 < count < 600 for count in eighths)
    assert chance.parts_per_million(-1, "", 0) == chance.parts_per_million((1 << 64) - 1, "", 0)


def test_an_answer_from_inside_a_delivery_comes_after_it() -> None:
    bench = Bench()
    order: list[str] = []

    def answer(data: bytes) -> None:
        order.append("vm1 got it")
        bench.ports[1].send(frame(A, B, b"pong"))
        order.append("vm1 sent its answer")

    bench.nics[0].answer = lambda _data: order.append("vm0 got the answer")
    bench.nics[1].answer = answer
    bench.nics[2].answer = lambda _data: order.append("vm2 got it")
    bench.ports[0].send(frame(B, A, b"ping"))
    assert order == ["vm1 got it", "vm1 sent its answer", "vm2 got it", "vm0 got the answer"]
    assert bench.taken()[2] == [frame(B, A, b"ping")]


def test_devices_that_never_stop_answering_leave_time_to_the_rest() -> None:
    bench = Bench(ports=2)
    for nic, port, data in zip(bench.nics, bench.ports, (frame(B, A), frame(A, B)), strict=True):
        nic.answer = lambda _data, port=port, data=data: port.send(data)  # type: ignore[misc]
    bench.ports[0].send(frame(B, A))
    assert sum(len(nic.got) for nic in bench.nics) == BURST
    assert bench.switch.next_match_ns() == REST_NS
    assert bench.scheduled == 1
    bench.ports[0].send(frame(B, A))
    assert sum(len(nic.got) for nic in bench.nics) == BURST
    bench.now = REST_NS
    bench.switch.poll()
    assert sum(len(nic.got) for nic in bench.nics) == 2 * BURST
    assert bench.switch.next_match_ns() == 2 * REST_NS


def test_a_storm_of_answers_fills_the_queue_and_no_more() -> None:
    bench = Bench(ports=2, queue_size=4)

    def twice(_data: bytes) -> None:
        for _ in range(2):
            bench.ports[1].send(frame(A, B))

    bench.nics[0].answer = lambda _data: bench.ports[0].send(frame(B, A))
    bench.nics[1].answer = twice
    bench.ports[0].send(frame(B, A))
    assert bench.switch.view().waiting == 4
    assert bench.ports[0].drops[Drop.QUEUE] + bench.ports[1].drops[Drop.QUEUE] > 0


def test_a_device_that_fails_leaves_a_switch_that_works() -> None:
    bench = Bench()

    def fail(_data: bytes) -> None:
        raise RuntimeError("defect")

    bench.nics[1].answer = fail
    with pytest.raises(RuntimeError):
        bench.ports[0].send(hello(A))
    bench.nics[1].answer = lambda _data: None
    bench.taken()
    assert bench.sends(0, hello(A)) == [[], [hello(A)], [hello(A)]]


def test_the_next_moment_always_lies_ahead_after_a_look() -> None:
    bench = Bench(ports=2, delay_ns=5, queue_size=64)
    bench.nics[1].answer = lambda data: bench.ports[1].send(frame(A, B, data[14:]))
    moments: list[int] = []
    for number in range(20):
        bench.ports[0].send(frame(B, A, bytes([number])))
        moment = bench.switch.next_match_ns()
        assert moment is not None
        moments.append(moment)
        bench.now = moment
        bench.switch.poll()
    assert all(early < late for early, late in pairwise(moments))
