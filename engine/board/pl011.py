"""PrimeCell UART, PL011 (DDI0183), as QEMU's virt board has it.

Transmission takes no time: every byte leaves at once, so the transmit FIFO is always empty. Reception is
fed from a host-side queue behind the architected FIFO, so that text pasted faster than the guest reads is
not lost to an overrun. There are no line errors: the error bits of UARTDR and UARTRSR always read zero.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

FIFO_DEPTH = 16
HOST_QUEUE = 64 * 1024
"""Bytes of typed input that may wait behind the receive FIFO."""

State: TypeAlias = tuple[tuple[tuple[int, int], ...], int, bytes, bytes]


class Reg(enum.IntEnum):
    """Byte offsets of the registers, DDI0183 table 3-1."""

    UARTDR = 0x000
    UARTRSR = 0x004
    UARTFR = 0x018
    UARTILPR = 0x020
    UARTIBRD = 0x024
    UARTFBRD = 0x028
    UARTLCR_H = 0x02C
    UARTCR = 0x030
    UARTIFLS = 0x034
    UARTIMSC = 0x038
    UARTRIS = 0x03C
    UARTMIS = 0x040
    UARTICR = 0x044
    UARTDMACR = 0x048
    UARTPERIPHID0 = 0xFE0
    UARTPERIPHID1 = 0xFE4
    UARTPERIPHID2 = 0xFE8
    UARTPERIPHID3 = 0xFEC
    UARTPCELLID0 = 0xFF0
    UARTPCELLID1 = 0xFF4
    UARTPCELLID2 = 0xFF8
    UARTPCELLID3 = 0xFFC


class Interrupt(enum.IntFlag):
    """Bits of UARTIMSC, UARTRIS, UARTMIS and UARTICR that this model can raise."""

    RX = 1 << 4
    TX = 1 << 5
    RT = 1 << 6


_IDENTIFICATION = bytes.fromhex("11101400 0DF005B1")
_NAMES = {int(register): register.name for register in Reg}
_STORAGE = {
    int(Reg.UARTILPR): (0xFF, 0),
    int(Reg.UARTIBRD): (0xFFFF, 0),
    int(Reg.UARTFBRD): (0x3F, 0),
    int(Reg.UARTLCR_H): (0xFF, 0),
    int(Reg.UARTCR): (0xFF87, 0x300),
    int(Reg.UARTIFLS): (0x3F, 0x12),
    int(Reg.UARTIMSC): (0x7FF, 0),
    int(Reg.UARTDMACR): (0x7, 0),
}
"""Registers that hold what was written: writable bits and reset value."""
_RX_TRIGGER = (2, 4, 8, 12, 14, 14, 14, 14)
"""Receive FIFO levels for UARTIFLS.RXIFLSEL; the reserved codes act as 7/8."""
_RX, _TX, _RT = int(Interrupt.RX), int(Interrupt.TX), int(Interrupt.RT)
_CR, _IFLS, _IMSC, _LCR_H = int(Reg.UARTCR), int(Reg.UARTIFLS), int(Reg.UARTIMSC), int(Reg.UARTLCR_H)
_FEN, _LBE, _RXE = 1 << 4, 1 << 7, 1 << 9
_TXFE, _RXFF, _RXFE = 1 << 7, 1 << 6, 1 << 4


class Pl011:
    """One UART: a 4 KB window, one interrupt line, bytes out by callback and bytes in by `receive`."""

    size = 0x1000

    def __init__(self, name: str, on_output: Callable[[bytes], None], on_line: Callable[[bool], None]) -> None:
        self.name = name
        self._on_output = on_output
        self._on_line = on_line
        self._line = False
        self._registers = {offset: reset for offset, (_, reset) in _STORAGE.items()}
        self._raw = 0
        self._fifo: deque[int] = deque()
        self._host: deque[int] = deque()

    @property
    def line(self) -> bool:
        """Level of the combined interrupt UARTINTR."""
        return self._line

    @property
    def waiting(self) -> int:
        """Bytes received that the guest has not read yet, FIFO and host queue together."""
        return len(self._fifo) + len(self._host)

    def reset(self) -> None:
        """Cold reset; input that was typed but never read is dropped."""
        self._registers = {offset: reset for offset, (_, reset) in _STORAGE.items()}
        self._raw = 0
        self._fifo.clear()
        self._host.clear()
        self._update()

    @property
    def room(self) -> int:
        """Typed bytes that the host's queue still takes."""
        return HOST_QUEUE - len(self._host)

    def receive(self, data: bytes) -> int:
        """Queue typed bytes for the guest; returns how many were accepted (the rest found the queue full)."""
        accepted = min(len(data), self.room)
        self._host.extend(data[:accepted])
        self._fill()
        return accepted

    def resize(self, columns: int, rows: int) -> None:
        """A serial line does not say how large the terminal at its end is."""

    def put(self, byte: int) -> None:
        """Send a character past the registers, for a paravirtual console on the same port."""
        self._on_output(bytes((byte,)))

    def take(self) -> int | None:
        """The oldest character received, past the registers; None if there is none."""
        if self._fifo:
            return self._pop()
        return self._host.popleft() if self._host else None

    def read(self, offset: int, size: int) -> int:
        """A load; a narrow one sees its byte lanes, a 64-bit one only the addressed register."""
        lane = offset & 3
        if lane and offset < 4:
            return 0
        return self._load(offset & ~3) >> 8 * lane & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        """A store; one that does not start at a register's first byte is ignored."""
        value &= (1 << 8 * min(size, 4)) - 1
        if offset == Reg.UARTDR:
            self._transmit(value & 0xFF)
        elif offset == Reg.UARTICR:
            self._raw &= ~value
            self._update()
        elif offset in _STORAGE:
            self._store(offset, value & _STORAGE[offset][0])

    def register(self, offset: int) -> str:
        """Register name for logs."""
        return _NAMES.get(offset & ~3, f"+0x{offset:x}")

    def save(self) -> State:
        """The whole state as plain data."""
        return tuple(self._registers.items()), self._raw, bytes(self._fifo), bytes(self._host)

    def restore(self, state: State) -> None:
        """Take back what `save` gave."""
        registers, self._raw, fifo, host = state
        self._registers = dict(registers)
        self._fifo = deque(fifo)
        self._host = deque(host)
        self._update()

    def _load(self, offset: int) -> int:
        if offset == 0:
            return self._pop()
        if offset == Reg.UARTFR:
            return self._flags()
        if offset in _STORAGE:
            return self._registers[offset]
        if offset == Reg.UARTRIS:
            return self._raw
        if offset == Reg.UARTMIS:
            return self._raw & self._registers[_IMSC]
        return _IDENTIFICATION[(offset - 0xFE0) >> 2] if 0xFE0 <= offset < 0x1000 else 0

    def _flags(self) -> int:
        level = len(self._fifo)
        return _TXFE | (_RXFE if level == 0 else 0) | (_RXFF if level >= self._depth else 0)

    def _store(self, offset: int, value: int) -> None:
        changed = self._registers[offset] ^ value
        self._registers[offset] = value
        if offset == _LCR_H and changed & _FEN:
            self._resize()
        elif offset == _CR and changed & _RXE:
            self._fill()
        else:
            self._update()

    def _resize(self) -> None:
        """FEN changed, which flushes the FIFO (DDI0183 3.3.7); typed bytes go back to the host queue instead."""
        self._host.extendleft(reversed(self._fifo))
        self._fifo.clear()
        self._fill()

    @property
    def _depth(self) -> int:
        return FIFO_DEPTH if self._registers[_LCR_H] & _FEN else 1

    @property
    def _trigger(self) -> int:
        """Receive FIFO level that raises the receive interrupt."""
        return _RX_TRIGGER[self._registers[_IFLS] >> 3] if self._registers[_LCR_H] & _FEN else 1

    def _transmit(self, byte: int) -> None:
        """Send even while UARTEN is clear: bare-metal guests that print first and configure later are common."""
        if self._registers[_CR] & _LBE:
            self.receive(bytes((byte,)))
        else:
            self._on_output(bytes((byte,)))
        # The FIFO went through its level on the way to empty: the transition raises TX (DDI0183 2.8.3).
        self._raw |= _TX
        self._update()

    def _pop(self) -> int:
        """UARTDR read: the oldest byte, 0 when there is none."""
        if not self._fifo:
            return 0
        byte = self._fifo.popleft()
        if len(self._fifo) < self._trigger:
            self._raw &= ~_RX
        if not self._fifo:
            self._raw &= ~_RT
        self._fill()
        return byte

    def _fill(self) -> None:
        """Move bytes from the host queue into the FIFO and raise what their arrival raises.

        The line is idle as soon as the host queue is empty, and a full FIFO takes nothing more, so in both
        cases the receive timeout is due: one typed character interrupts without waiting 32 bit times.
        """
        room = self._depth - len(self._fifo)
        if self._host and room > 0 and self._registers[_CR] & _RXE:
            for _ in range(min(room, len(self._host))):
                self._fifo.append(self._host.popleft())
            self._raw |= _RT
            if len(self._fifo) >= self._trigger:
                self._raw |= _RX
        self._update()

    def _update(self) -> None:
        line = self._raw & self._registers[_IMSC] != 0
        if line != self._line:
            self._line = line
            self._on_line(line)
