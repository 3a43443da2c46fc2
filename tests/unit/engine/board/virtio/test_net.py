"""The network device, worked through its registers as a driver would (virtio 1.2, 5.1)."""

from __future__ import annotations

import pytest

from engine.board.network.port import Drop
from engine.board.virtio.device import Feature
from engine.board.virtio.net import RX, TX
from engine.board.virtio.net_features import NetFeature
from engine.board.virtio.net_receive import BACKLOG
from engine.board.virtio.registers import CONFIG, CONFIG_CHANGE, USED_BUFFER, Reg, Status
from tests.support.virtio import BASE, Driver
from tests.unit.engine.board.virtio.nics import (
    ALL,
    BROADCAST,
    EVENT_INDEX,
    HEADER,
    MERGEABLE,
    MULTICAST,
    A,
    B,
    Lan,
    frame,
)

ENOUGH = HEADER + 1518


@pytest.fixture
def lan() -> Lan:
    return Lan()


def mac_of(driver: Driver) -> bytes:
    return bytes(driver.slot.read(CONFIG + n, 1) for n in range(6))


def status_of(driver: Driver) -> int:
    return driver.slot.read(CONFIG + 6, 2)


# --- initialisation ------------------------------------------------------------------------------


def test_it_is_a_network_device_with_three_queues(lan: Lan) -> None:
    driver = lan.nic(A, None).driver
    assert driver.read(Reg.DeviceID) == 1
    sizes = []
    for queue in range(4):
        driver.write(Reg.QueueSel, queue)
        sizes.append(driver.read(Reg.QueueSizeMax))
    assert sizes == [256, 256, 64, 0]


def test_features_are_those_of_a_nic_without_offloads(lan: Lan) -> None:
    offered = lan.nic(A, None).driver.offered()
    assert offered & 0xFF_FFFF == 1 << 5 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 20 | 1 << 23


@pytest.mark.parametrize("feature", [NetFeature.CTRL_RX, NetFeature.CTRL_MAC_ADDR])
def test_a_feature_that_needs_the_control_queue_is_refused_without(lan: Lan, feature: NetFeature) -> None:
    driver = lan.nic(A, None).driver
    assert not driver.negotiate(Feature.VERSION_1 | feature) & Status.FEATURES_OK
    driver.write(Reg.Status, 0)
    assert driver.negotiate(Feature.VERSION_1 | feature | NetFeature.CTRL_VQ) & Status.FEATURES_OK


def test_address_and_link_can_be_read_before_the_driver_is_ready(lan: Lan) -> None:
    """A driver looks at the link as it sets the device up (5.1.5), before DRIVER_OK."""
    nic = lan.nic(A, None)
    assert (mac_of(nic.driver), status_of(nic.driver)) == (A, 1)
    assert nic.driver.slot.read(CONFIG + 8, 4) == 0
    assert not nic.up


# --- link ------------------------------------------------------------------------------------------


def test_the_port_is_up_while_the_driver_is_ready(lan: Lan) -> None:
    nic = lan.nic(A, None)
    nic.driver.negotiate(Feature.VERSION_1)
    seen = [nic.up]
    nic.driver.write(Reg.Status, nic.driver.status | Status.DRIVER_OK)
    seen.append(nic.up)
    nic.driver.write(Reg.Status, 0)
    assert [*seen, nic.up] == [False, True, False]


def test_the_port_goes_down_with_the_guest(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.driver.slot.stopped()
    seen = [nic.up]
    lan.port.send(frame(BROADCAST, B))
    nic.restart()
    nic.offer(ENOUGH)
    assert [*seen, nic.up] == [False, True]
    assert nic.frames() == []


def test_a_pulled_cable_is_a_change_of_configuration(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.offer(ENOUGH, ENOUGH)
    generation = nic.driver.read(Reg.ConfigGeneration)
    nic.device.plug(False)
    assert status_of(nic.driver) == 0
    assert nic.driver.read(Reg.ConfigGeneration) != generation
    assert nic.driver.acknowledge() == CONFIG_CHANGE
    lan.port.send(frame(A, B))
    nic.send(frame(B, A))
    assert nic.frames() == []
    assert lan.outside == []
    nic.device.plug(False)
    assert nic.driver.acknowledge() == USED_BUFFER
    nic.device.plug(True)
    assert (status_of(nic.driver), nic.driver.acknowledge()) == (1, CONFIG_CHANGE)
    lan.port.send(frame(A, B))
    assert nic.frames() == [frame(A, B)]


def test_a_cable_that_is_out_stays_out_over_a_reset(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.device.plug(False)
    nic.restart()
    assert (status_of(nic.driver), nic.up) == (0, False)


# --- sending -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [14, 60, 1514])
def test_a_frame_goes_out_without_its_header(lan: Lan, size: int) -> None:
    nic = lan.nic(A)
    nic.send(frame(B, A, bytes(size - 14)))
    assert lan.outside == [frame(B, A, bytes(size - 14))]
    assert nic.driver.acknowledge() == USED_BUFFER
    assert (nic.device.sent, nic.device.bytes_sent) == (1, size)


def test_a_tagged_frame_may_be_four_bytes_longer(lan: Lan) -> None:
    tagged = B + A + b"\x81\x00\x00\x05\x88\xb5" + bytes(1500)
    lan.nic(A).send(tagged)
    assert lan.outside == [tagged]


def test_a_tagged_frame_that_is_longer_still_is_not_cut_short(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.send(B + A + b"\x81\x00\x00\x05\x88\xb5" + bytes(1501))
    assert (lan.outside, nic.device.port.drops[Drop.OVERSIZE]) == ([], 1)


@pytest.mark.parametrize(
    ("size", "drop"), [(0, Drop.RUNT), (13, Drop.RUNT), (1515, Drop.OVERSIZE), (3000, Drop.OVERSIZE)]
)
def test_what_is_no_frame_is_consumed_and_counted(lan: Lan, size: int, drop: Drop) -> None:
    nic = lan.nic(A)
    nic.send((B + A + bytes(3000))[:size])
    assert lan.outside == []
    assert nic.device.port.drops[drop] == 1
    assert nic.driver.status & Status.DEVICE_NEEDS_RESET == 0


def test_half_a_megabyte_to_send_is_too_much_but_breaks_nothing(lan: Lan) -> None:
    nic = lan.nic(A)
    queue, head = nic.driver.queues[TX], nic.driver.buffer(bytes(HEADER))
    queue.add([head, *[nic.driver.buffer(b"x" * 0x8000)] * 15], [])
    nic.driver.notify(TX)
    assert len(queue.done()) == 1
    assert nic.device.port.drops[Drop.OVERSIZE] == 1


def test_header_and_frame_may_be_cut_anywhere(lan: Lan) -> None:
    nic = lan.nic(A)
    data = bytes(HEADER) + frame(B, A, bytes(range(50)))
    for cut in range(1, len(data)):
        nic.driver.queues[TX].add([nic.driver.buffer(data[:cut]), nic.driver.buffer(data[cut:])], [])
        nic.driver.notify(TX)
    assert lan.outside == [data[HEADER:]] * (len(data) - 1)


def test_less_than_a_header_breaks_the_device(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.driver.queues[TX].add([nic.driver.buffer(bytes(HEADER - 1))], [])
    nic.driver.notify(TX)
    assert nic.driver.status & Status.DEVICE_NEEDS_RESET
    assert nic.driver.acknowledge() & CONFIG_CHANGE
    nic.restart()
    nic.send(frame(B, A))
    assert lan.outside == [frame(B, A)]


# --- receiving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_frame_comes_behind_a_header_for_one_buffer(lan: Lan, parts: int) -> None:
    nic = lan.nic(A)
    nic.offer(ENOUGH, parts=parts)
    lan.port.send(frame(A, B, bytes(range(100))))
    assert nic.driver.acknowledge() == USED_BUFFER
    [(length, data)] = nic.used()
    assert length == HEADER + 114
    assert data == bytes(10) + b"\x01\x00" + frame(A, B, bytes(range(100)))


def test_the_longest_frames_fit_what_drivers_offer(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.offer(1526)
    lan.port.send(frame(A, B, bytes(1500)))
    assert nic.frames() == [frame(A, B, bytes(1500))]


@pytest.mark.parametrize("size", [1, HEADER, HEADER + 113])
def test_a_buffer_too_small_comes_back_empty_and_the_frame_is_lost(lan: Lan, size: int) -> None:
    nic = lan.nic(A)
    nic.offer(size, ENOUGH)
    lan.port.send(frame(A, B, bytes(100)))
    assert nic.used() == [(0, b"")]
    assert nic.device.receiver.too_small == 1
    lan.port.send(frame(A, B))
    assert nic.frames() == [frame(A, B)]
    assert nic.device.receiver.frames == 1


def test_frames_wait_for_buffers_in_order(lan: Lan) -> None:
    nic = lan.nic(A)
    sent = [frame(A, B, bytes([n])) for n in range(10)]
    for each in sent:
        lan.port.send(each)
    assert nic.device.receiver.waiting == 10
    nic.offer(*[ENOUGH] * 4)
    assert nic.frames() == sent[:4]
    nic.offer(*[ENOUGH] * 10)
    assert nic.frames() == sent[4:]
    assert lan.switch.ports[1].drops[Drop.NO_ROOM] == 0


def test_only_so_many_frames_wait(lan: Lan) -> None:
    nic = lan.nic(A)
    for n in range(BACKLOG + 5):
        lan.port.send(frame(A, B, n.to_bytes(2, "big")))
    assert nic.device.port.drops[Drop.NO_ROOM] == nic.device.receiver.refused == 5
    got: list[bytes] = []
    while nic.device.receiver.waiting:
        nic.offer(*[100] * 16)
        got += nic.frames()
    assert got == [frame(A, B, n.to_bytes(2, "big")) for n in range(BACKLOG)]


def test_a_reset_forgets_the_frames_that_waited(lan: Lan) -> None:
    nic = lan.nic(A)
    lan.port.send(frame(A, B))
    nic.restart()
    nic.offer(ENOUGH)
    assert nic.used() == []


def test_frames_that_waited_come_into_a_queue_that_is_enabled_again(lan: Lan) -> None:
    nic = lan.nic(A, ALL | Feature.RING_RESET)
    driver, queue = nic.driver, nic.driver.queues[RX]
    nic.offer(ENOUGH)
    driver.write(Reg.QueueSel, RX)
    driver.write(Reg.QueueReset, 1)
    lan.port.send(frame(A, B))
    assert nic.used() == []
    driver.set_up(queue)
    assert nic.frames() == [frame(A, B)]


def test_a_broken_ring_refuses_frames_until_the_reset(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.driver.memory.denied.add(BASE >> 12)  # the receive ring
    lan.port.send(frame(A, B))
    assert nic.driver.status & Status.DEVICE_NEEDS_RESET
    assert nic.device.port.drops[Drop.NO_ROOM] == 1
    nic.driver.memory.denied.clear()
    nic.restart()
    nic.offer(ENOUGH)
    lan.port.send(frame(A, B, b"again"))
    assert nic.frames() == [frame(A, B, b"again")]


def test_a_driver_that_polls_is_not_interrupted(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.driver.queues[RX].suppress(0)
    nic.offer(ENOUGH)
    lan.port.send(frame(A, B))
    assert nic.driver.acknowledge() == 0
    assert nic.frames() == [frame(A, B)]


def test_event_index_interrupts_at_the_frame_asked_for(lan: Lan) -> None:
    nic = lan.nic(A, EVENT_INDEX)
    nic.driver.queues[RX].suppress(2)
    nic.offer(*[ENOUGH] * 4)
    causes = []
    for _ in range(4):
        lan.port.send(frame(A, B))
        causes.append(nic.driver.acknowledge())
    assert causes == [0, 0, USED_BUFFER, 0]


# --- buffers that are merged -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((ENOUGH, 500), [126]),
        ((100, 100, 100), [100, 26]),
        ((12, 12, 200), [12, 12, 102]),
        ((126, 100), [126]),
        ((125, 100), [125, 1]),
    ],
)
def test_a_frame_fills_as_many_buffers_as_it_needs(lan: Lan, sizes: tuple[int, ...], expected: list[int]) -> None:
    nic = lan.nic(A, MERGEABLE)
    nic.offer(*sizes)
    lan.port.send(frame(A, B, bytes(range(100))))
    back = nic.used()
    assert [length for length, _ in back] == expected
    data = b"".join(part for _, part in back)
    assert data == bytes(10) + len(expected).to_bytes(2, "little") + frame(A, B, bytes(range(100)))


def test_a_frame_waits_until_there_are_buffers_for_all_of_it(lan: Lan) -> None:
    nic = lan.nic(A, MERGEABLE | Feature.EVENT_IDX)
    nic.offer(50, 50)
    lan.port.send(frame(A, B, bytes(100)))
    assert nic.used() == []
    assert nic.driver.acknowledge() == 0
    nic.offer(50)
    assert [length for length, _ in nic.used()] == [50, 50, 26]
    assert nic.device.receiver.frames == 1


def test_a_driver_is_asked_to_notify_about_the_buffers_still_missing(lan: Lan) -> None:
    """The event index of the used ring (2.7.10) lies behind the buffers that were not enough."""
    nic = lan.nic(A, MERGEABLE | Feature.EVENT_IDX)
    nic.offer(50, 50)
    lan.port.send(frame(A, B, bytes(100)))
    queue = nic.driver.queues[RX]
    assert nic.driver.memory.read(queue.used + 4 + 8 * queue.size, 2) == b"\x02\x00"


def test_a_frame_that_the_whole_queue_cannot_hold_is_lost(lan: Lan) -> None:
    nic = lan.nic(A, MERGEABLE, size=2)
    nic.offer(50, 50)
    lan.port.send(frame(A, B, bytes(100)))
    assert nic.used() == [(0, b""), (0, b"")]
    assert nic.device.receiver.too_small == 1
    nic.offer(50, 50)
    lan.port.send(frame(A, B, bytes(20)))
    assert [length for length, _ in nic.used()] == [46]


def test_a_merged_buffer_shorter_than_a_header_breaks_the_device(lan: Lan) -> None:
    """5.1.6.3.1: each buffer is at least as long as the header."""
    nic = lan.nic(A, MERGEABLE)
    nic.offer(11, ENOUGH)
    lan.port.send(frame(A, B))
    assert nic.driver.status & Status.DEVICE_NEEDS_RESET


# --- two devices -----------------------------------------------------------------------------------------


def test_two_devices_talk(lan: Lan) -> None:
    a, b = lan.nic(A), lan.nic(B, MERGEABLE)
    for n in range(40):
        a.offer(ENOUGH)
        b.offer(ENOUGH)
        a.send(frame(B if n else BROADCAST, A, b"ping %d" % n))
        assert b.frames() == [frame(B if n else BROADCAST, A, b"ping %d" % n)]
        b.send(frame(A, B, b"pong %d" % n))
        assert a.frames() == [frame(A, B, b"pong %d" % n)]
    assert lan.outside == [frame(BROADCAST, A, b"ping 0")]
    assert (a.device.sent, a.device.receiver.frames) == (40, 40)


def test_a_device_that_fails_does_not_harm_who_sends_to_it(lan: Lan) -> None:
    a, b = lan.nic(A), lan.nic(B)
    b.offer(ENOUGH)
    b.driver.memory.frozen.add(b.driver.queues[RX].used >> 12)
    a.send(frame(B, A))
    assert b.driver.status & Status.DEVICE_NEEDS_RESET
    assert a.driver.status & Status.DEVICE_NEEDS_RESET == 0


def test_facts_tell_what_happened(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.offer(ENOUGH)
    lan.port.send(frame(A, B, b"12345"))
    lan.port.send(frame(MULTICAST, B))
    lan.port.send(frame(A, B))
    nic.send(frame(B, A))
    facts = nic.device.facts()
    assert facts["mac"] == "52:54:00:00:00:01"
    assert (facts["port"], facts["link"]) == ("vm0", "up")
    assert (facts["frames received"], facts["bytes received"]) == (1, 19)
    assert (facts["frames sent"], facts["bytes sent"]) == (1, 23)
    assert (facts["filtered"], facts["waiting"]) == (1, 1)
