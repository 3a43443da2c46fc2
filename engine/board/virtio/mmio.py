"""The virtio-mmio transport, version 2 (virtio 1.2, 4.2)."""

from __future__ import annotations

from collections.abc import Callable

from engine.board.virtio.device import Feature, VirtioDevice
from engine.board.virtio.guest_memory import DmaError, GuestMemory
from engine.board.virtio.queue import Queue, RingError
from engine.board.virtio.registers import CONFIG, CONFIG_CHANGE, MAGIC, USED_BUFFER, VENDOR, VERSION, Reg, Status

_WORD = (1 << 32) - 1
_COMMON = Feature.VERSION_1 | Feature.INDIRECT_DESC | Feature.EVENT_IDX | Feature.RING_RESET


_ADDRESSES = {Reg.QueueDescLow: (0, 0), Reg.QueueDescHigh: (0, 32)}
_ADDRESSES |= {Reg.QueueDriverLow: (1, 0), Reg.QueueDriverHigh: (1, 32)}
_ADDRESSES |= {Reg.QueueDeviceLow: (2, 0), Reg.QueueDeviceHigh: (2, 32)}
_ALIGNMENTS = (16, 2, 4)
"""Of descriptor table, available ring and used ring (2.7)."""


class QueueSetup:
    """The registers of one queue, between reset and the driver's enabling it."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self.reset()

    def reset(self) -> None:
        self.size = self.largest
        self.addresses = [0, 0, 0]
        """Descriptor table, available ring, used ring."""
        self.queue: Queue | None = None

    @property
    def sound(self) -> bool:
        """Whether a queue can be like that."""
        power = 0 < self.size <= self.largest and self.size & (self.size - 1) == 0
        return power and all(a % alignment == 0 for a, alignment in zip(self.addresses, _ALIGNMENTS, strict=True))


class VirtioMmio:
    """One slot with a device in it: a 512-byte window and a level interrupt."""

    size = 0x200

    def __init__(
        self,
        device: VirtioDevice,
        memory: GuestMemory,
        on_line: Callable[[bool], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """`alive`: whether the guest runs at all; a device does nothing for one that crashed."""
        self.device = device
        self.memory = memory
        self._on_line = on_line
        self._alive = alive
        self.queues = tuple(QueueSetup(largest) for largest in device.queue_sizes)
        self.offered = int(_COMMON | device.features)
        self._generation = 0
        self.trouble = ""
        """Why the device needs a reset, "" while it does not."""
        device.host = self
        self.reset()

    @property
    def name(self) -> str:
        return self.device.name

    def reset(self) -> None:
        """As after power-on (2.4)."""
        self.status = Status(0)
        self.trouble = ""
        self._driver_features = 0
        self._device_select = self._driver_select = self._queue_select = 0
        self.interrupts = 0
        """InterruptStatus."""
        for setup in self.queues:
            setup.reset()
        self.device.reset()
        self._on_line(False)

    def stopped(self) -> None:
        """The guest runs no more; registers stay to be looked at."""
        self.device.stopped()

    # --- for the device ----------------------------------------------------------------------------

    def queue(self, index: int) -> Queue | None:
        return self.queues[index].queue if self._works and index < len(self.queues) else None

    @property
    def _works(self) -> bool:
        """Whether the device may use queues (2.1.2)."""
        return self.status & (Status.DRIVER_OK | Status.DEVICE_NEEDS_RESET) == Status.DRIVER_OK and self._alive()

    def attempt(self, action: Callable[[], None]) -> bool:
        if not self._works:
            return False
        try:
            action()
        except (RingError, DmaError) as error:
            self.fail(str(error))
        self.memory.settle()
        return self._works

    def used(self, index: int) -> None:
        queue = self.queues[index].queue
        if queue is not None and queue.wants_interrupt():
            self._interrupt(USED_BUFFER)

    def config_changed(self) -> None:
        self._generation = (self._generation + 1) & _WORD
        if self.status & Status.DRIVER_OK:
            self._interrupt(CONFIG_CHANGE)

    def fail(self, why: str) -> None:
        if self.status & Status.DEVICE_NEEDS_RESET:
            return
        self.trouble = why
        self.status |= Status.DEVICE_NEEDS_RESET
        if self.status & Status.DRIVER_OK:
            self._interrupt(CONFIG_CHANGE)

    def _interrupt(self, cause: int) -> None:
        was, self.interrupts = self.interrupts, self.interrupts | cause
        if not was:
            self._on_line(True)

    # --- for the driver ----------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """A register by a word, or the configuration space by any size; 0 for anything else."""
        if offset >= CONFIG:
            data = self.device.config()[offset - CONFIG : offset - CONFIG + size]
            return int.from_bytes(data, "little")
        return self._register(offset) & _WORD if size == 4 else 0

    def _register(self, offset: int) -> int:  # noqa: C901 - one line a register
        match offset:
            case Reg.MagicValue:
                return MAGIC
            case Reg.Version:
                return VERSION
            case Reg.DeviceID:
                return self.device.device_id
            case Reg.VendorID:
                return VENDOR
            case Reg.DeviceFeatures:
                return self.offered >> 32 * self._device_select if self._device_select < 2 else 0
            case Reg.QueueSizeMax:
                return self._setup.largest if self._setup is not None else 0
            case Reg.QueueReady:
                return int(self._setup is not None and self._setup.queue is not None)
            case Reg.InterruptStatus:
                return self.interrupts
            case Reg.Status:
                return self.status
            case Reg.SHMLenLow | Reg.SHMLenHigh | Reg.SHMBaseLow | Reg.SHMBaseHigh:
                return _WORD  # there are no shared memory regions (4.2.2.1)
            case Reg.ConfigGeneration:
                return self._generation
        return 0

    @property
    def _setup(self) -> QueueSetup | None:
        return self.queues[self._queue_select] if self._queue_select < len(self.queues) else None

    def write(self, offset: int, size: int, value: int) -> None:
        """A register by a word, or the configuration space by any size; anything else is ignored."""
        if offset >= CONFIG:
            self.device.write_config(offset - CONFIG, value.to_bytes(size, "little"))
            return
        if size == 4:
            self._write(offset, value)

    def _write(self, offset: int, value: int) -> None:
        match offset:
            case Reg.DeviceFeaturesSel:
                self._device_select = value
            case Reg.DriverFeaturesSel:
                self._driver_select = value
            case Reg.DriverFeatures:
                self._choose_features(value)
            case Reg.QueueSel:
                self._queue_select = value
            case Reg.QueueNotify:
                self._notify(value)
            case Reg.InterruptACK:
                self.interrupts &= ~value
                if not self.interrupts:
                    self._on_line(False)
            case Reg.Status:
                self._set_status(value)
            case _:
                if self._setup is not None:
                    self._write_queue(self._setup, offset, value)

    def _choose_features(self, value: int) -> None:
        if self._driver_select < 2 and not self.status & Status.FEATURES_OK:
            shift = 32 * self._driver_select
            self._driver_features = self._driver_features & ~(_WORD << shift) | value << shift

    def _set_status(self, value: int) -> None:
        """The driver sets bits and clears none; 0 resets the device (2.1.1)."""
        if value == 0:
            self.reset()
            return
        asked = Status(value & 0xFF) & ~self.status & ~Status.DEVICE_NEEDS_RESET
        if asked & Status.FEATURES_OK and not self._agree():
            asked &= ~Status.FEATURES_OK
        if asked & Status.DRIVER_OK and not (self.status | asked) & Status.FEATURES_OK:
            asked &= ~Status.DRIVER_OK
        self.status |= asked
        if asked & Status.DRIVER_OK:
            self.attempt(self.device.started)

    def _agree(self) -> bool:
        """Whether the device works with the driver's choice of features (2.2, 6.2)."""
        chosen = self._driver_features
        if chosen & ~self.offered or not chosen & Feature.VERSION_1 or not self.device.accepts(chosen):
            return False
        self.device.negotiated = chosen
        return True

    def _write_queue(self, setup: QueueSetup, offset: int, value: int) -> None:
        if offset == Reg.QueueReady:
            self._enable(setup, value)
        elif offset == Reg.QueueReset:
            if value == 1 and self.device.negotiated & Feature.RING_RESET:
                setup.reset()  # at once: QueueReset never reads 1 (2.6.1.1)
        elif setup.queue is not None:
            return  # the driver must not change what is in use (4.2.2.2)
        elif offset == Reg.QueueSize:
            setup.size = value
        elif offset in _ADDRESSES:
            part, shift = _ADDRESSES[Reg(offset)]
            setup.addresses[part] = setup.addresses[part] & ~(_WORD << shift) | value << shift

    def _enable(self, setup: QueueSetup, value: int) -> None:
        """QueueReady stays 0 where the registers describe no queue."""
        if value != 1:
            setup.queue = None
        elif setup.queue is None and self.status & Status.FEATURES_OK and setup.sound:
            event_index = bool(self.device.negotiated & Feature.EVENT_IDX)
            setup.queue = Queue(self.memory, setup.size, *setup.addresses, event_index=event_index)
            index = self.queues.index(setup)
            self.attempt(lambda: self.device.queue_ready(index))

    def _notify(self, index: int) -> None:
        if self.queue(index) is not None:
            self.attempt(lambda: self.device.notified(index))

    def register(self, offset: int) -> str:
        if offset >= CONFIG:
            return f"config+{offset - CONFIG:#x}"
        try:
            return Reg(offset & ~3).name
        except ValueError:
            return f"+{offset:#x}"
