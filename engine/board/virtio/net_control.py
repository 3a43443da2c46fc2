"""Commands of the control queue of a network device (virtio 1.2, 5.1.6.5)."""

from __future__ import annotations

import enum
import struct

from engine.board.network import ethernet
from engine.board.virtio.guest_memory import GuestMemory, gather, scatter
from engine.board.virtio.net_features import NetFeature
from engine.board.virtio.net_filter import MOST_ADDRESSES, Addresses, Mode, ReceiveFilter
from engine.board.virtio.queue import Chain, RingError

_HEADER = struct.Struct("<BB")
_ENTRIES = struct.Struct("<I")
_EXTRA = (Mode.ALLUNI, Mode.NOMULTI, Mode.NOUNI, Mode.NOBCAST)


class Command(enum.Enum):
    """(class, command), those of the receive modes apart."""

    MAC_TABLE_SET = 1, 0
    MAC_ADDR_SET = 1, 1


RX_CLASS = 0


class Ack(enum.IntEnum):
    """What a command is answered with."""

    OK = 0
    ERR = 1


class RefusedError(Exception):
    """A command that is answered with ERR; nothing has changed."""


def execute(filtering: ReceiveFilter, negotiated: int, memory: GuestMemory, chain: Chain) -> int:
    """Do what a chain asks for, and answer it; how many bytes were written. RingError where it is no command."""
    if chain.length < _HEADER.size or not chain.room:
        raise RingError("a control command without a header or without a place for the answer")
    try:
        _Execution(filtering, negotiated, memory, chain).run()
        ack = Ack.OK
    except RefusedError:
        ack = Ack.ERR
    return scatter(memory, chain.writable, bytes([ack]))


class _Execution:
    """One command at work."""

    def __init__(self, filtering: ReceiveFilter, negotiated: int, memory: GuestMemory, chain: Chain) -> None:
        self._filter = filtering
        self._negotiated = negotiated
        self._memory = memory
        self._chain = chain
        self._size = chain.length - _HEADER.size
        """Bytes of its data."""

    def run(self) -> None:
        kind, code = _HEADER.unpack(gather(self._memory, self._chain.readable, 0, _HEADER.size))
        if kind == RX_CLASS:
            self._set_mode(code)
        elif (kind, code) == Command.MAC_TABLE_SET.value:
            self._set_tables()
        elif (kind, code) == Command.MAC_ADDR_SET.value:
            self._set_address()
        else:
            raise RefusedError

    def _need(self, feature: NetFeature) -> None:
        if not self._negotiated & feature:
            raise RefusedError

    def _data(self, start: int, size: int) -> bytes:
        """A part of the data that must be there."""
        if start + size > self._size:
            raise RefusedError
        return gather(self._memory, self._chain.readable, _HEADER.size + start, size)

    def _set_mode(self, code: int) -> None:
        if code not in tuple(Mode):
            raise RefusedError
        mode = Mode(code)
        self._need(NetFeature.CTRL_RX_EXTRA if mode in _EXTRA else NetFeature.CTRL_RX)
        [on] = self._data(0, 1)
        if self._size != 1 or on > 1:
            raise RefusedError
        if on:
            self._filter.modes.add(mode)
        else:
            self._filter.modes.discard(mode)

    def _set_tables(self) -> None:
        """Stations, then groups; both are read before either takes effect."""
        self._need(NetFeature.CTRL_RX)
        stations, following = self._table(0)
        groups, end = self._table(following)
        if end != self._size:
            raise RefusedError
        self._filter.stations, self._filter.groups = stations, groups

    def _table(self, start: int) -> tuple[Addresses, int]:
        """The table there, and where it ends."""
        [entries] = _ENTRIES.unpack(self._data(start, _ENTRIES.size))
        first = start + _ENTRIES.size
        end = first + entries * ethernet.ADDRESS_SIZE
        if end > self._size:
            raise RefusedError
        if entries > MOST_ADDRESSES:
            return None, end
        data = self._data(first, end - first)
        return frozenset(
            data[at : at + ethernet.ADDRESS_SIZE] for at in range(0, len(data), ethernet.ADDRESS_SIZE)
        ), end

    def _set_address(self) -> None:
        self._need(NetFeature.CTRL_MAC_ADDR)
        if self._size != ethernet.ADDRESS_SIZE:
            raise RefusedError
        address = self._data(0, ethernet.ADDRESS_SIZE)
        if ethernet.is_group(address):
            raise RefusedError
        self._filter.mac = address
