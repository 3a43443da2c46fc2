"""Tiny guests with a network device: they answer frames, or send one after the other, without interrupts."""

from __future__ import annotations

import struct

from engine.board.memory_map import RAM_BASE, virtio_base
from engine.board.virtio.net import RX, TX
from engine.board.virtio.registers import Reg
from tests.support import assembler as a
from tests.support.assembler import Program

_RINGS = RAM_BASE + 0x1_0000
"""Everything that the device uses, laid out in the image: of each queue, of one entry, its three parts."""
_RX, _RX_USED, _TX, _TX_AVAILABLE = 0x000, 0x200, 0x300, 0x400
_PARTS = (0x000, 0x100, 0x200)
_HEADER = 12
_SENT, _RECEIVED = 0x606, 0x806
"""Buffers, placed so that the data of a frame is aligned."""
_DATA = _HEADER + 14
_WRITE = 2
_BASE, _FRAMES, _ONE, _SLOT, _QUEUE_RX, _QUEUE_TX = 20, 21, 22, 23, 24, 25
"""Registers: address of the rings, frames so far and 1 (both shifted by 16), the device, its queues."""
TYPE = b"\x88\xb5"


def _image(program: Program, destination: bytes, source: bytes) -> bytes:
    """The program, and its rings with a frame ready to send."""
    frame = bytes(_HEADER) + destination + source + TYPE + bytes(8)
    rings = bytearray(0x1000)
    struct.pack_into("<QIHH", rings, _RX, _RINGS + _RECEIVED, 0x600, _WRITE, 0)
    struct.pack_into("<QIHH", rings, _TX, _RINGS + _SENT, len(frame), 0, 0)
    rings[_SENT : _SENT + len(frame)] = frame
    return program.code.ljust(_RINGS - RAM_BASE, b"\0") + bytes(rings)


def _bring_up(slot: int) -> Program:
    """Both queues enabled, one buffer to receive into, and the registers set."""
    program = Program()

    def write(register: int, value: int) -> None:
        program.constant(8, virtio_base(slot) + register).constant(9, value).emit(a.str32(9, 8))

    for status in (1, 3):
        write(Reg.Status, status)
    write(Reg.DriverFeaturesSel, 1)
    write(Reg.DriverFeatures, 1)
    write(Reg.Status, 11)
    for queue, place in ((RX, _RX), (TX, _TX)):
        write(Reg.QueueSel, queue)
        write(Reg.QueueSize, 1)
        for register, part in zip((Reg.QueueDescLow, Reg.QueueDriverLow, Reg.QueueDeviceLow), _PARTS, strict=True):
            write(register, _RINGS + place + part)
        write(Reg.QueueReady, 1)
    write(Reg.Status, 15)
    program.constant(_BASE, _RINGS).constant(_FRAMES, 0).constant(_ONE, 1 << 16)
    return program.constant(_SLOT, virtio_base(slot)).constant(_QUEUE_RX, RX).constant(_QUEUE_TX, TX)


def _offer(program: Program, seen: int) -> None:
    """The receive buffer, for the frame after those in register `seen`."""
    program.emit(a.add_register(1, seen, _ONE), a.str32(1, _BASE, _RX + _PARTS[1]))
    program.emit(a.str32(_QUEUE_RX, _SLOT, Reg.QueueNotify))


def _send(program: Program) -> None:
    """The frame, once more."""
    program.emit(a.str32(_FRAMES, _BASE, _TX_AVAILABLE), a.str32(_QUEUE_TX, _SLOT, Reg.QueueNotify))


def answering(destination: bytes, source: bytes, slot: int = 0) -> bytes:
    """For every frame it gets, sends one to `destination` with the first 8 bytes of its data. Counts in x0."""
    program = _bring_up(slot)
    program.constant(0, 0).constant(2, _RINGS + _RECEIVED + _DATA).constant(3, _RINGS + _SENT + _DATA)
    _offer(program, _FRAMES)
    program.label("wait").emit(a.ldr32(1, _BASE, _RX_USED), a.cmp(1, _FRAMES)).b_cond(a.EQ, "wait")
    program.emit(a.add_register(_FRAMES, _FRAMES, _ONE), a.add(0, 0, 1), a.ldr(4, 2), a.str_(4, 3))
    _send(program)
    _offer(program, _FRAMES)
    program.b("wait")
    return _image(program, destination, source)


def silent(slot: int = 0) -> bytes:
    """Has room for one frame, and waits for ever."""
    program = _bring_up(slot)
    _offer(program, _FRAMES)
    return _image(program.label("sleep").emit(a.WFI).b("sleep"), bytes(6), bytes(6))


def sending(destination: bytes, source: bytes, slot: int = 0, pause: int = 1000) -> bytes:
    """Sends frames that carry their number, with `pause` turns of a loop in between. Counts answers in x0 >> 16."""
    program = _bring_up(slot).constant(3, _RINGS + _SENT + _DATA).constant(5, 0)
    _offer(program, _FRAMES)
    program.label("again").emit(a.add_register(_FRAMES, _FRAMES, _ONE), a.add(5, 5, 1), a.str_(5, 3))
    _send(program)
    program.constant(6, pause).label("pause").emit(a.subs(6, 6, 1)).b_cond(a.NE, "pause")
    program.emit(a.ldr32(0, _BASE, _RX_USED))
    _offer(program, 0)
    program.b("again")
    return _image(program, destination, source)
