"""The virtio-mmio transport by the clauses of virtio 1.2: registers, status, features, queues, interrupts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.board.virtio.device import Feature, VirtioDevice
from engine.board.virtio.queue import RingError
from engine.board.virtio.registers import CONFIG, CONFIG_CHANGE, MAGIC, USED_BUFFER, Reg, Status
from tests.support.virtio import BASE, Driver

OWN, NEEDS_OWN = 1 << 3, 1 << 5
"""Feature bits of the device type; the second needs the first."""
COMMON = Feature.VERSION_1 | Feature.INDIRECT_DESC | Feature.EVENT_IDX | Feature.RING_RESET
ANY = 0xA5A5_A5A5
READ_ONLY = [
    Reg.MagicValue,
    Reg.Version,
    Reg.DeviceID,
    Reg.VendorID,
    Reg.DeviceFeatures,
    Reg.QueueSizeMax,
    Reg.InterruptStatus,
    Reg.ConfigGeneration,
]
WRITE_ONLY = [
    Reg.DeviceFeaturesSel,
    Reg.DriverFeatures,
    Reg.DriverFeaturesSel,
    Reg.QueueSel,
    Reg.QueueSize,
    Reg.QueueNotify,
    Reg.InterruptACK,
    Reg.QueueDescLow,
    Reg.QueueDescHigh,
    Reg.QueueDriverLow,
    Reg.QueueDriverHigh,
    Reg.QueueDeviceLow,
    Reg.QueueDeviceHigh,
    Reg.SHMSel,
]


class Probe(VirtioDevice):
    """A device of no type that remembers what its transport told it, and uses up what it gets."""

    device_id = 42
    queue_sizes: Sequence[int] = (64, 8)
    features = OWN | NEEDS_OWN

    def __init__(self) -> None:
        super().__init__("probe")
        self.calls: list[str] = []
        self.space = bytearray(range(1, 15))
        self.trouble = ""

    def accepts(self, features: int) -> bool:
        return bool(features & OWN) or not features & NEEDS_OWN

    def started(self) -> None:
        self.calls.append("started")

    def queue_ready(self, index: int) -> None:
        self.calls.append(f"ready {index}")

    def notified(self, index: int) -> None:
        self.calls.append(f"notified {index}")
        if self.trouble:
            raise RingError(self.trouble)
        queue = self.host.queue(index)
        assert queue is not None
        for chain in queue.chains():
            queue.put(chain, 0)
        self.host.used(index)

    def stopped(self) -> None:
        self.calls.append("stopped")

    def reset(self) -> None:
        super().reset()
        self.calls.append("reset")

    def config(self) -> bytes:
        return bytes(self.space)

    def write_config(self, offset: int, data: bytes) -> None:
        self.space[offset : offset + len(data)] = data


class Board:
    """The probe in its slot, and a driver."""

    def __init__(self) -> None:
        self.probe = Probe()
        self.driver = Driver(self.probe)
        self.read, self.write = self.driver.read, self.driver.write
        self.probe.calls.clear()

    def status(self) -> int:
        return self.read(Reg.Status)

    def use(self, queue: int = 0) -> None:
        """One buffer there and back."""
        self.driver.queues[queue].add([self.driver.buffer(4)], [])
        self.driver.notify(queue)

    def calls(self) -> list[str]:
        """Since the last time."""
        calls, self.probe.calls = self.probe.calls, []
        return calls


@pytest.fixture
def board() -> Board:
    return Board()


# --- 4.2.2 registers ------------------------------------------------------------------------------


def test_what_a_driver_looks_at_first(board: Board) -> None:
    """4.2.2.1."""
    assert board.read(Reg.MagicValue) == MAGIC == int.from_bytes(b"virt", "little")
    assert (board.read(Reg.Version), board.read(Reg.DeviceID)) == (2, 42)


@pytest.mark.parametrize("register", READ_ONLY)
def test_registers_that_only_tell(board: Board, register: Reg) -> None:
    before = board.read(register)
    board.write(register, ANY)
    assert board.read(register) == before


@pytest.mark.parametrize("register", WRITE_ONLY)
def test_registers_that_only_listen(board: Board, register: Reg) -> None:
    board.write(register, 1)
    assert board.read(register) == 0


@pytest.mark.parametrize("register", [Reg.SHMLenLow, Reg.SHMLenHigh, Reg.SHMBaseLow, Reg.SHMBaseHigh])
@pytest.mark.parametrize("region", [0, 1, ANY])
def test_there_is_no_shared_memory(board: Board, register: Reg, region: int) -> None:
    """4.2.2.1: a length of all ones says so."""
    board.write(Reg.SHMSel, region)
    assert board.read(register) == 0xFFFF_FFFF


@pytest.mark.parametrize("size", [1, 2, 8])
def test_registers_are_accessed_by_words(board: Board, size: int) -> None:
    """4.2.2.2: a driver uses 32-bit accesses only; others have no effect."""
    for register in Reg:
        assert board.driver.slot.read(register, size) == 0
        board.driver.slot.write(register, size, 1)
    assert board.status() == 0


def test_holes_read_as_nothing(board: Board) -> None:
    known = {int(register) for register in Reg}
    for offset in range(0, CONFIG, 4):
        if offset not in known:
            board.driver.slot.write(offset, 4, ANY)
            assert board.driver.slot.read(offset, 4) == 0


# --- 4.2.2 configuration space --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "size", "value"), [(0, 1, 1), (1, 2, 0x0302), (4, 4, 0x0807_0605), (0, 8, 0x0807060504030201)]
)
def test_the_configuration_is_read_by_any_size(board: Board, offset: int, size: int, value: int) -> None:
    assert board.driver.slot.read(CONFIG + offset, size) == value


@pytest.mark.parametrize(("offset", "size", "value"), [(12, 4, 0x0E0D), (13, 1, 0x0E), (14, 4, 0), (0xF8, 8, 0)])
def test_behind_the_configuration_is_nothing(board: Board, offset: int, size: int, value: int) -> None:
    assert board.driver.slot.read(CONFIG + offset, size) == value


def test_the_configuration_is_written_by_any_size(board: Board) -> None:
    board.driver.slot.write(CONFIG + 2, 2, 0xBBAA)
    assert board.probe.space[2:4] == b"\xaa\xbb"


def test_the_configuration_can_be_read_before_features_are_agreed(board: Board) -> None:
    """2.5.2: a driver may, as soon as DRIVER is set."""
    board.write(Reg.Status, 1)
    board.write(Reg.Status, 3)
    assert board.driver.slot.read(CONFIG, 1) == 1


def test_a_change_of_configuration_is_another_generation(board: Board) -> None:
    """4.2.2.1: and an interrupt, but not before DRIVER_OK (2.1.2)."""
    seen = [board.read(Reg.ConfigGeneration)]
    board.probe.host.config_changed()
    seen.append(board.read(Reg.ConfigGeneration))
    assert board.driver.lines == []
    board.driver.start()
    board.probe.host.config_changed()
    seen.append(board.read(Reg.ConfigGeneration))
    assert len(set(seen)) == 3
    assert board.driver.acknowledge() == CONFIG_CHANGE


def test_the_generation_survives_a_reset(board: Board) -> None:
    """A driver that read half of the space before must notice."""
    board.probe.host.config_changed()
    before = board.read(Reg.ConfigGeneration)
    board.write(Reg.Status, 0)
    assert board.read(Reg.ConfigGeneration) == before


# --- 2.1 status -----------------------------------------------------------------------------------


def test_the_steps_of_initialisation(board: Board) -> None:
    """3.1.1."""
    seen = []
    for bit in (Status.ACKNOWLEDGE, Status.DRIVER):
        board.write(Reg.Status, board.status() | bit)
        seen.append(board.status())
    board.write(Reg.DriverFeaturesSel, 1)
    board.write(Reg.DriverFeatures, 1)
    for bit in (Status.FEATURES_OK, Status.DRIVER_OK):
        board.write(Reg.Status, board.status() | bit)
        seen.append(board.status())
    assert seen == [1, 3, 11, 15]
    assert board.calls() == ["started"]


def test_a_driver_clears_no_bit(board: Board) -> None:
    """2.1.1: but all of them, by a reset."""
    board.driver.start()
    for value in (1, 3, 4, 8, 11):
        board.write(Reg.Status, value)
        assert board.status() == 15
    board.write(Reg.Status, 0)
    assert board.status() == 0


def test_a_driver_that_gives_up(board: Board) -> None:
    board.write(Reg.Status, Status.ACKNOWLEDGE)
    board.write(Reg.Status, Status.ACKNOWLEDGE | Status.FAILED)
    assert board.status() == Status.ACKNOWLEDGE | Status.FAILED


def test_a_driver_cannot_make_the_device_need_a_reset(board: Board) -> None:
    board.write(Reg.Status, 0xFFFF_FFFF)
    assert board.status() & Status.DEVICE_NEEDS_RESET == 0


def test_driver_ok_comes_after_features_ok(board: Board) -> None:
    board.write(Reg.Status, 1 | 2 | 4)
    assert board.status() == 3
    assert board.calls() == []


def test_nothing_happens_before_driver_ok(board: Board) -> None:
    """2.1.2: no buffer is consumed and nobody is notified."""
    board.driver.start()
    board.write(Reg.Status, 0)
    board.driver.lines.clear()
    assert board.driver.negotiate(Feature.VERSION_1) & Status.FEATURES_OK
    queue = board.driver.queues[0]
    queue.made = queue.seen = 0
    board.driver.memory.data[:0x1000] = bytes(0x1000)
    board.driver.set_up(queue)
    board.calls()
    queue.add([board.driver.buffer(4)], [])
    board.driver.notify()
    assert (board.calls(), queue.done(), board.driver.lines) == ([], [], [])
    board.write(Reg.Status, 15)
    board.driver.notify()
    assert (len(queue.done()), board.driver.lines) == (1, [True])


# --- 2.2 features ---------------------------------------------------------------------------------


def test_features_are_offered_in_two_words(board: Board) -> None:
    assert board.driver.offered() == COMMON | OWN | NEEDS_OWN
    for word in (2, 3, 31, 0xFFFF_FFFF):
        board.write(Reg.DeviceFeaturesSel, word)
        assert board.read(Reg.DeviceFeatures) == 0


@pytest.mark.parametrize("chosen", [0, int(Feature.EVENT_IDX), OWN, OWN | NEEDS_OWN, int(COMMON) | OWN])
def test_any_sound_choice_is_accepted(board: Board, chosen: int) -> None:
    """2.2.2."""
    assert board.driver.negotiate(Feature.VERSION_1 | chosen) & Status.FEATURES_OK
    assert board.probe.negotiated == Feature.VERSION_1 | chosen


@pytest.mark.parametrize(
    "chosen",
    [
        0,  # 6.1: no legacy device
        OWN,
        Feature.VERSION_1 | 1 << 4,  # not offered
        Feature.VERSION_1 | 1 << 33,
        Feature.VERSION_1 | 1 << 63,
        Feature.VERSION_1 | NEEDS_OWN,  # 2.2.1: a feature without the one it needs
    ],
)
def test_an_unsound_choice_is_refused(board: Board, chosen: int) -> None:
    """2.2.2: FEATURES_OK reads 0. The driver may choose again (3.1.1), or reset the device."""
    assert not board.driver.negotiate(chosen) & Status.FEATURES_OK
    assert board.probe.negotiated == 0
    assert board.driver.negotiate(Feature.VERSION_1) & Status.FEATURES_OK


def test_what_was_agreed_once_is_agreed_again(board: Board) -> None:
    """2.2.2: after a reset, too."""
    for _ in range(3):
        assert board.driver.negotiate(int(COMMON) | OWN) & Status.FEATURES_OK
        board.write(Reg.Status, 0)
        assert board.probe.negotiated == 0


def test_features_stay_as_agreed(board: Board) -> None:
    """3.1.1: none are accepted after FEATURES_OK."""
    board.driver.negotiate(Feature.VERSION_1)
    board.write(Reg.DriverFeaturesSel, 0)
    board.write(Reg.DriverFeatures, OWN)
    board.write(Reg.Status, board.status() | Status.FEATURES_OK | Status.DRIVER_OK)
    assert board.probe.negotiated == Feature.VERSION_1


# --- 4.2.2.2 and 4.2.3.2 queues -------------------------------------------------------------------


def test_each_queue_has_its_largest_size(board: Board) -> None:
    sizes = []
    for number in (0, 1, 2, 1000, 0xFFFF_FFFF):
        board.write(Reg.QueueSel, number)
        sizes.append(board.read(Reg.QueueSizeMax))
    assert sizes == [64, 8, 0, 0, 0]


def test_a_queue_that_is_not_there_cannot_be_enabled(board: Board) -> None:
    board.driver.negotiate(Feature.VERSION_1)
    board.write(Reg.QueueSel, 2)
    for register in (Reg.QueueSize, Reg.QueueDescLow, Reg.QueueReady, Reg.QueueReset):
        board.write(register, 1)
    assert board.read(Reg.QueueReady) == 0


def enable(board: Board, **changed: int) -> int:
    """Set queue 1 up with some registers changed; QueueReady after it."""
    values = {"QueueSize": 8, "QueueDescLow": BASE, "QueueDriverLow": BASE + 0x80, "QueueDeviceLow": BASE + 0x100}
    board.driver.negotiate(Feature.VERSION_1)
    board.write(Reg.QueueSel, 1)
    for name, value in (values | changed).items():
        board.write(Reg[name], value)
    board.write(Reg.QueueReady, 1)
    return board.read(Reg.QueueReady)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_sizes_are_powers_of_two(board: Board, size: int) -> None:
    assert enable(board, QueueSize=size) == 1


@pytest.mark.parametrize("size", [0, 3, 7, 9, 16, 0x8000, 0x1_0000, 0xFFFF_FFFF])
def test_other_sizes_enable_nothing(board: Board, size: int) -> None:
    """4.2.3.2: no larger than QueueSizeMax; 2.7: a power of two."""
    assert enable(board, QueueSize=size) == 0


@pytest.mark.parametrize(
    ("register", "alignment"), [("QueueDescLow", 16), ("QueueDriverLow", 2), ("QueueDeviceLow", 4)]
)
def test_parts_of_a_queue_are_aligned(register: str, alignment: int) -> None:
    """2.7."""
    for offset in range(17):
        assert enable(Board(), **{register: BASE + 0x200 + offset}) == (offset % alignment == 0)


def test_addresses_have_64_bits(board: Board) -> None:
    assert enable(board, QueueDescHigh=1, QueueDriverHigh=2, QueueDeviceHigh=0xFFFF_FFFF) == 1
    queue = board.driver.slot.queues[1].queue
    assert queue is not None
    assert (queue.descriptors >> 32, queue.available >> 32, queue.used >> 32) == (1, 2, 0xFFFF_FFFF)


def test_a_queue_is_enabled_after_features_ok(board: Board) -> None:
    board.write(Reg.QueueReady, 1)
    assert board.read(Reg.QueueReady) == 0


@pytest.mark.parametrize("value", [2, 3, 0xFFFF_FFFF])
def test_only_one_enables_a_queue(board: Board, value: int) -> None:
    board.driver.negotiate(Feature.VERSION_1)
    board.write(Reg.QueueReady, value)
    assert board.read(Reg.QueueReady) == 0


def test_a_queue_in_use_does_not_change(board: Board) -> None:
    """4.2.2.2: a driver must not write its registers then."""
    board.driver.start()
    before = board.driver.slot.queues[0].queue
    board.write(Reg.QueueSel, 0)
    for register in (Reg.QueueSize, Reg.QueueDescLow, Reg.QueueDriverHigh, Reg.QueueDeviceLow):
        board.write(register, 4)
    board.write(Reg.QueueReady, 1)
    assert board.driver.slot.queues[0].queue is before
    board.use()
    assert len(board.driver.queues[0].done()) == 1


def test_a_queue_that_is_not_ready_is_not_touched(board: Board) -> None:
    """4.2.2.1."""
    board.driver.start()
    board.write(Reg.QueueSel, 0)
    board.write(Reg.QueueReady, 0)
    board.calls()
    board.use()
    assert (board.read(Reg.QueueReady), board.calls(), board.driver.queues[0].done()) == (0, [], [])


@pytest.mark.parametrize("number", [2, 63, 0xFFFF, 0x1_0000, 0xFFFF_FFFF])
def test_a_notification_for_no_queue_is_ignored(board: Board, number: int) -> None:
    board.driver.start()
    board.calls()
    board.driver.notify(number)
    assert board.calls() == []


def test_queues_do_not_share_anything(board: Board) -> None:
    board.driver.start(size=8)
    for number in (0, 1, 1, 0, 1):
        board.use(number)
    assert [len(queue.done()) for queue in board.driver.queues] == [2, 3]


# --- 2.6.1 queue reset ----------------------------------------------------------------------------


def test_a_queue_that_was_reset_is_as_new(board: Board) -> None:
    board.driver.start(Feature.RING_RESET, size=8)
    board.use()
    board.write(Reg.QueueSel, 0)
    board.write(Reg.QueueReset, 1)
    assert (board.read(Reg.QueueReset), board.read(Reg.QueueReady)) == (0, 0)
    board.calls()
    board.driver.notify()
    assert board.calls() == []
    board.use(1)
    assert len(board.driver.queues[1].done()) == 1  # the others go on

    queue = board.driver.queues[0]
    queue.made = queue.seen = queue.next_free = 0
    board.driver.memory.data[: queue.used + 4 - BASE] = bytes(queue.used + 4 - BASE)
    board.driver.set_up(queue)
    board.use()
    assert len(queue.done()) == 1


def test_a_queue_may_be_another_size_after_its_reset(board: Board) -> None:
    board.driver.start(Feature.RING_RESET, size=8)
    board.write(Reg.QueueSel, 0)
    board.write(Reg.QueueReset, 1)
    assert board.driver.slot.queues[0].size == 64
    board.write(Reg.QueueDescLow, BASE)
    board.write(Reg.QueueDriverLow, BASE + 0x1000)
    board.write(Reg.QueueDeviceLow, BASE + 0x2000)
    board.write(Reg.QueueReady, 1)
    queue = board.driver.slot.queues[0].queue
    assert queue is not None
    assert queue.size == 64


def test_without_the_feature_a_queue_cannot_be_reset(board: Board) -> None:
    board.driver.start()
    board.write(Reg.QueueSel, 0)
    board.write(Reg.QueueReset, 1)
    assert board.read(Reg.QueueReady) == 1


# --- 2.3 and 4.2.2.1 interrupts -------------------------------------------------------------------


def test_the_line_is_high_until_all_causes_are_acknowledged(board: Board) -> None:
    board.driver.start()
    board.use()
    board.probe.host.config_changed()
    assert (board.read(Reg.InterruptStatus), board.driver.lines) == (3, [True])
    board.write(Reg.InterruptACK, USED_BUFFER)
    assert (board.read(Reg.InterruptStatus), board.driver.lines) == (2, [True])
    board.write(Reg.InterruptACK, CONFIG_CHANGE)
    assert (board.read(Reg.InterruptStatus), board.driver.lines) == (0, [True, False])


def test_acknowledging_what_is_not_there_does_nothing(board: Board) -> None:
    board.driver.start()
    board.use()
    board.write(Reg.InterruptACK, 0xFFFF_FFFE)
    assert (board.read(Reg.InterruptStatus), board.driver.lines) == (1, [True])


# --- 2.4 reset, 2.1.2 trouble ---------------------------------------------------------------------


def test_a_reset_clears_everything(board: Board) -> None:
    """2.4.1, 4.2.2.1."""
    board.driver.start(OWN, size=8)
    board.use()
    board.calls()
    board.write(Reg.Status, 0)
    assert board.calls() == ["reset"]
    assert (board.status(), board.read(Reg.InterruptStatus), board.driver.lines[-1]) == (0, 0, False)
    assert board.probe.negotiated == 0
    for number in range(2):
        board.write(Reg.QueueSel, number)
        assert board.read(Reg.QueueReady) == 0
    board.driver.notify()
    board.probe.host.used(0)
    assert (board.calls(), board.driver.lines[-1]) == ([], False)


def test_a_reset_selects_the_first_of_everything(board: Board) -> None:
    for register in (Reg.DeviceFeaturesSel, Reg.DriverFeaturesSel, Reg.QueueSel):
        board.write(register, 1)
    board.write(Reg.Status, 0)
    assert board.read(Reg.QueueSizeMax) == 64
    assert board.read(Reg.DeviceFeatures) == (COMMON | OWN | NEEDS_OWN) & 0xFFFF_FFFF


def test_trouble_is_told_once_and_ends_with_a_reset(board: Board) -> None:
    """2.1.2: DEVICE_NEEDS_RESET, and a configuration change notification after DRIVER_OK."""
    board.driver.start()
    board.probe.trouble = "a broken ring"
    board.driver.notify()
    assert board.status() == 15 | Status.DEVICE_NEEDS_RESET
    assert board.driver.slot.trouble == "a broken ring"
    assert board.driver.acknowledge() == CONFIG_CHANGE
    board.calls()
    board.driver.notify()
    assert not board.probe.host.attempt(lambda: board.probe.calls.append("attempted"))
    assert (board.calls(), board.driver.acknowledge()) == ([], 0)
    board.probe.trouble = ""
    board.write(Reg.Status, 0)
    board.driver.start()
    board.use()
    assert (len(board.driver.queues[0].done()), board.driver.slot.trouble) == (1, "")


def test_trouble_before_driver_ok_interrupts_nobody(board: Board) -> None:
    board.driver.negotiate(Feature.VERSION_1)
    board.probe.host.fail("early")
    assert board.status() & Status.DEVICE_NEEDS_RESET
    assert board.driver.lines == []
    board.probe.host.fail("later")
    assert board.driver.slot.trouble == "early"


def test_rings_that_cannot_be_reached_are_trouble(board: Board) -> None:
    board.driver.start()
    board.driver.memory.denied.add(BASE >> 12)
    board.driver.notify()
    assert board.status() & Status.DEVICE_NEEDS_RESET


def test_a_guest_that_ended_keeps_its_registers_to_look_at(board: Board) -> None:
    board.driver.start()
    board.calls()
    board.driver.slot.stopped()
    assert board.calls() == ["stopped"]
    assert board.status() == 15


@pytest.mark.parametrize(
    ("offset", "name"),
    [(0x70, "Status"), (0x72, "Status"), (0x104, "config+0x4"), (0x24C, "config+0x14c"), (0x18, "+0x18")],
)
def test_registers_have_names(board: Board, offset: int, name: str) -> None:
    assert board.driver.slot.register(offset) == name
