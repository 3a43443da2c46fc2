"""Control queue and receive filter of the network device (virtio 1.2, 5.1.6.5)."""

from __future__ import annotations

import itertools

import pytest

from engine.board.virtio.device import Feature
from engine.board.virtio.net import CONTROL
from engine.board.virtio.net_features import NetFeature
from engine.board.virtio.net_filter import MOST_ADDRESSES, Mode
from engine.board.virtio.registers import CONFIG, CONFIG_CHANGE, USED_BUFFER, Reg, Status
from tests.unit.engine.board.virtio.nics import (
    ALL,
    BROADCAST,
    ERR,
    MULTICAST,
    OK,
    A,
    B,
    C,
    D,
    Lan,
    Nic,
    frame,
    table,
)

OTHER_GROUP = bytes.fromhex("33330000abcd")
ADDRESSES = {"own": A, "other": C, "group": MULTICAST, "other group": OTHER_GROUP, "broadcast": BROADCAST}


@pytest.fixture
def lan() -> Lan:
    return Lan()


def heard(lan: Lan, nic: Nic) -> set[str]:
    """Receivers' addresses of the frames that get through."""
    for address in ADDRESSES.values():
        lan.port.send(frame(address, B))
    nic.offer(*[200] * (len(ADDRESSES) - len(nic.offered)))
    got = {data[:6] for data in nic.frames()}
    return {name for name, address in ADDRESSES.items() if address in got}


# --- receive modes -------------------------------------------------------------------------------------


def test_after_reset_own_address_and_broadcasts_get_through(lan: Lan) -> None:
    assert heard(lan, lan.nic(A)) == {"own", "broadcast"}


def test_a_driver_that_cannot_ask_for_groups_gets_all(lan: Lan) -> None:
    assert heard(lan, lan.nic(A, int(NetFeature.MAC))) == {"own", "group", "other group", "broadcast"}


def expected(modes: set[Mode]) -> set[str]:
    """5.1.6.5.1, with one group in the tables."""
    if Mode.PROMISC in modes:
        return set(ADDRESSES)
    found = {"own", "group", "broadcast"}
    if Mode.NOBCAST in modes:
        found -= {"broadcast"}
    if Mode.ALLMULTI in modes:
        found |= {"other group"}
    if Mode.ALLUNI in modes:
        found |= {"other"}
    if Mode.NOMULTI in modes:
        found -= {"group", "other group"}
    if Mode.NOUNI in modes:
        found -= {"own", "other"}
    return found


def test_every_combination_of_modes(lan: Lan) -> None:
    nic = lan.nic(A)
    assert nic.tables([], [MULTICAST]) == OK
    for bits in itertools.product((False, True), repeat=len(Mode)):
        modes = {mode for mode, on in zip(Mode, bits, strict=True) if on}
        for mode in Mode:
            assert nic.mode(mode, mode in modes) == OK
        wanted = expected(modes)
        got = {name for name, address in ADDRESSES.items() if nic.device.filter.accepts(frame(address, B))}
        assert got == wanted, modes


def test_modes_take_effect_on_frames(lan: Lan) -> None:
    nic = lan.nic(A)
    nic.mode(Mode.PROMISC, True)
    assert heard(lan, nic) == set(ADDRESSES)
    nic.mode(Mode.PROMISC, False)
    nic.mode(Mode.NOBCAST, True)
    assert heard(lan, nic) == {"own"}


def test_a_reset_turns_all_modes_off_and_empties_the_tables(lan: Lan) -> None:
    nic = lan.nic(A)
    for mode in Mode:
        nic.mode(mode, True)
    nic.tables([C], [MULTICAST])
    nic.command(b"\x01\x01", D)
    nic.restart()
    assert heard(lan, nic) == {"own", "broadcast"}


# --- addresses -----------------------------------------------------------------------------------------


def test_tables_let_more_addresses_through(lan: Lan) -> None:
    nic = lan.nic(A)
    assert nic.tables([C, D], [MULTICAST]) == OK
    assert heard(lan, nic) == {"own", "other", "group", "broadcast"}
    assert nic.tables([], []) == OK
    assert heard(lan, nic) == {"own", "broadcast"}


@pytest.mark.parametrize("entries", [MOST_ADDRESSES, MOST_ADDRESSES + 1, 1000])
def test_a_table_too_long_lets_its_whole_kind_through(lan: Lan, entries: int) -> None:
    nic = lan.nic(A)
    many = [bytes([2, 0, 0, 0, n >> 8, n & 0xFF]) for n in range(entries)]
    assert nic.tables(many, []) == OK
    everything = {"other"} if entries > MOST_ADDRESSES else set()
    assert heard(lan, nic) == {"own", "broadcast"} | everything
    assert nic.tables([], many) == OK
    everything = {"group", "other group"} if entries > MOST_ADDRESSES else set()
    assert heard(lan, nic) == {"own", "broadcast"} | everything


def test_another_address_shows_in_the_configuration(lan: Lan) -> None:
    nic = lan.nic(A)
    generation = nic.driver.read(Reg.ConfigGeneration)
    assert nic.command(b"\x01\x01", C) == OK
    assert bytes(nic.driver.slot.read(CONFIG + n, 1) for n in range(6)) == C
    assert nic.driver.read(Reg.ConfigGeneration) != generation
    assert nic.driver.acknowledge() == USED_BUFFER | CONFIG_CHANGE
    assert heard(lan, nic) == {"other", "broadcast"}


# --- what is refused -----------------------------------------------------------------------------------

TABLES = table(C) + table(MULTICAST)


@pytest.mark.parametrize(
    "command",
    [
        b"\x00\x06\x01",  # no such mode
        b"\x00\x00",  # no data
        b"\x00\x00\x02",  # neither on nor off
        b"\x00\x00\x01\x01",  # too much
        b"\x01\x02" + TABLES,  # no such command
        b"\x02\x00\x01",  # VLAN filtering is not offered
        b"\x04\x00\x01\x00",  # nor are more queues
        b"\xff\xff",
        b"\x01\x00",
        b"\x01\x00" + TABLES[:-1],
        b"\x01\x00" + TABLES + b"\x00",
        b"\x01\x00" + table(C),
        b"\x01\x00\xff\xff\xff\xff" + TABLES,  # as many addresses as a word can say
        b"\x01\x00" + table(C) + b"\xff\xff\xff\x7f",
        b"\x01\x01",
        b"\x01\x01" + C[:5],
        b"\x01\x01" + C + b"\x00",
        b"\x01\x01" + MULTICAST,  # nobody's own
    ],
)
def test_a_command_that_is_none_changes_nothing(lan: Lan, command: bytes) -> None:
    nic = lan.nic(A)
    assert nic.tables([D], [OTHER_GROUP]) == OK
    assert nic.command(command) == ERR
    assert heard(lan, nic) == {"own", "other group", "broadcast"}
    assert nic.device.filter.stations == frozenset({D})
    assert nic.driver.status & Status.DEVICE_NEEDS_RESET == 0


@pytest.mark.parametrize(
    ("command", "feature"),
    [
        (b"\x00\x00\x01", NetFeature.CTRL_RX),
        (b"\x00\x01\x01", NetFeature.CTRL_RX),
        (b"\x00\x02\x01", NetFeature.CTRL_RX_EXTRA),
        (b"\x00\x03\x01", NetFeature.CTRL_RX_EXTRA),
        (b"\x00\x04\x01", NetFeature.CTRL_RX_EXTRA),
        (b"\x00\x05\x01", NetFeature.CTRL_RX_EXTRA),
        (b"\x01\x00" + TABLES, NetFeature.CTRL_RX),
        (b"\x01\x01" + C, NetFeature.CTRL_MAC_ADDR),
    ],
)
def test_a_command_needs_its_feature(lan: Lan, command: bytes, feature: NetFeature) -> None:
    assert lan.nic(A, ALL & ~feature).command(command) == ERR
    assert lan.nic(D, ALL).command(command) == OK


def test_without_the_feature_nobody_serves_the_control_queue(lan: Lan) -> None:
    nic = lan.nic(A, int(NetFeature.MAC))
    queue = nic.driver.queues[CONTROL]
    queue.add([nic.driver.buffer(b"\x00\x00\x01")], [nic.driver.buffer(1)])
    nic.driver.notify(CONTROL)
    assert queue.done() == []


def test_header_and_data_may_be_cut_anywhere(lan: Lan) -> None:
    nic = lan.nic(A)
    command = b"\x01\x00" + table(C, D) + table(MULTICAST)
    for first in range(1, len(command) - 1):
        nic.tables([], [])
        assert nic.command(command[:first], command[first:]) == OK
        assert nic.device.filter.stations == frozenset({C, D})
        assert nic.device.filter.groups == frozenset({MULTICAST})


@pytest.mark.parametrize(("readable", "writable"), [(b"\x00", 1), (b"\x00\x00\x01", 0)])
def test_no_header_or_no_place_for_the_answer_breaks_the_device(lan: Lan, readable: bytes, writable: int) -> None:
    nic = lan.nic(A)
    into = [nic.driver.buffer(writable)] if writable else []
    nic.driver.queues[CONTROL].add([nic.driver.buffer(readable)], into)
    nic.driver.notify(CONTROL)
    assert nic.driver.status & Status.DEVICE_NEEDS_RESET
    nic.restart()
    assert nic.mode(Mode.PROMISC, True) == OK


def test_indirect_commands(lan: Lan) -> None:
    nic = lan.nic(A, ALL | Feature.INDIRECT_DESC)
    place = nic.driver.buffer(64)
    ack = nic.driver.buffer(b"\xff")
    parts = [nic.driver.buffer(b"\x00\x00"), nic.driver.buffer(b"\x01")]
    nic.driver.queues[CONTROL].add_indirect(place.address, parts, [ack])
    nic.driver.notify(CONTROL)
    assert nic.driver.bytes(ack) == b"\x00"
    assert Mode.PROMISC in nic.device.filter.modes
