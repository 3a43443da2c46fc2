"""The debug console of the Jailhouse hypervisor, which some small kernels know as their only one."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engine.hypervisor.partition import Partition

IMMEDIATE: Final = 0x4A48
"""Of its HVC; "JH"."""
_NOTHING = (1 << 64) - 1
_ENOSYS = (1 << 64) - 38


class Code(enum.IntEnum):
    """What x0 asks for."""

    PUTC = 8
    """Print the character in x1."""
    GETC = 9
    """The next character typed, -1 if there is none: ours, Jailhouse itself has no input."""


def serve(partition: Partition) -> None:
    """Answer in x0: 0 or a character; -ENOSYS for anything but the console."""
    x = partition.core.state.x
    if partition.uart is None:
        x[0] = _ENOSYS
    elif x[0] == Code.PUTC:
        partition.uart.put(x[1] & 0xFF)
        x[0] = 0
    elif x[0] == Code.GETC:
        typed = partition.uart.take()
        x[0] = _NOTHING if typed is None else typed
    else:
        x[0] = _ENOSYS
