"""Which device answers at a physical (or intermediate physical) address."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import Protocol


class Device(Protocol):
    """A memory-mapped device. Offsets are bytes from its base; sizes are 1, 2, 4 or 8 bytes.

    A guest may access any offset with any size and value: read and write never raise.
    """

    @property
    def name(self) -> str:
        """Short name for logs, for example `pl011`."""

    @property
    def size(self) -> int:
        """Length of its register window in bytes."""

    def read(self, offset: int, size: int) -> int:
        """The value a load of `size` bytes returns, 0 where there is no register."""

    def write(self, offset: int, size: int, value: int) -> None:
        """A store of the low `size` bytes of `value`; ignored where there is no register."""

    def register(self, offset: int) -> str:
        """Name of the register at `offset` for logs, for example `UARTFR`."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One device at one place."""

    base: int
    """First byte address of the window."""
    device: Device

    @property
    def end(self) -> int:
        """First byte address after the window."""
        return self.base + self.device.size


class Bus:
    """An address map of devices that do not overlap, searched by bisection."""

    def __init__(self) -> None:
        self._bases: list[int] = []
        self._attachments: list[Attachment] = []

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Everything attached, in address order."""
        return tuple(self._attachments)

    def attach(self, base: int, device: Device) -> None:
        """Place `device` at byte address `base`.

        Raises ValueError when the window is empty, leaves the 64-bit address space or overlaps another one:
        these are errors of the machine's builder, never of a guest.
        """
        new = Attachment(base, device)
        if device.size <= 0 or base < 0 or new.end > 1 << 64:
            raise ValueError(f"{device.name}: window 0x{base:x}+0x{device.size:x} is not an address range")
        for other in self._attachments:
            if base < other.end and other.base < new.end:
                raise ValueError(f"{device.name} at 0x{base:x} overlaps {other.device.name} at 0x{other.base:x}")
        insort(self._attachments, new, key=lambda attachment: attachment.base)
        insort(self._bases, base)

    def overlaps(self, start: int, end: int) -> bool:
        """Whether a device has a byte of [start, end)."""
        return any(start < attachment.end and attachment.base < end for attachment in self._attachments)

    def find(self, address: int, size: int) -> tuple[Device, int] | None:
        """The device that holds all of [address, address + size) and the offset inside it, else None."""
        index = bisect_right(self._bases, address) - 1
        if index < 0:
            return None
        found = self._attachments[index]
        return (found.device, address - found.base) if address + size <= found.end else None
