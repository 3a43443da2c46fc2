"""RX/TX buffers: mapping them, and the bytes in them, reached through the endpoint's own stage 2."""

from __future__ import annotations

from collections.abc import Iterator

from engine.arch.paging import PAGE
from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError
from engine.ffa.mailbox import Buffers, Filled
from engine.ffa.ranges import Range
from engine.ffa.registers import Result, success_32
from engine.manager.endpoint import Call, Endpoint, Handlers
from engine.manager.manager import Manager

_PAGES = 0x3F


class BufferCalls:
    """RXTX_MAP, RXTX_UNMAP and RX_RELEASE."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def handlers(self) -> Handlers:
        """What is served here."""
        return {
            Function.RXTX_MAP_32: self._map,
            Function.RXTX_MAP_64: self._map,
            Function.RX_RELEASE: self._release,
        }

    def _map(self, call: Call) -> Result:
        endpoint = call.endpoint
        buffers = endpoint.mailbox.check_map(call.args[1], call.args[2], call.args[3] & _PAGES)
        for piece in buffer_ranges(buffers):
            endpoint.space.check_exclusive(piece)
        endpoint.mailbox.map(buffers)
        return success_32()

    def _release(self, call: Call) -> Result:
        call.endpoint.mailbox.check_release()
        call.endpoint.mailbox.release()
        return success_32()


def buffer_ranges(buffers: Buffers) -> tuple[Range, Range]:
    """Both buffers as ranges of pages."""
    return Range(buffers.tx, buffers.pages), Range(buffers.rx, buffers.pages)


def read_tx(manager: Manager, endpoint: Endpoint, size: int | None = None) -> bytes:
    """The first `size` bytes of the TX buffer, or all; they fit. INVALID_PARAMETERS where there is none."""
    buffers = endpoint.mailbox.check_send()
    pieces = _pieces(endpoint, buffers.tx, buffers.size if size is None else size)
    data = b"".join(manager.memory.read(address, length) for address, length in pieces)
    manager.work.copied += len(data)
    return data


def fill_rx(manager: Manager, endpoint: Endpoint, data: bytes, filled: Filled) -> None:
    """Write to an RX buffer that `check_fill` said may be written; it is the endpoint's then."""
    buffers = endpoint.mailbox.check_fill(len(data), endpoint.mailbox.owner)
    done = 0
    for address, length in _pieces(endpoint, buffers.rx, len(data)):
        manager.memory.write(address, data[done : done + length])
        done += length
    manager.work.copied += done
    endpoint.mailbox.fill(filled)


def _pieces(endpoint: Endpoint, ipa: int, size: int) -> Iterator[tuple[int, int]]:
    """(physical address, bytes) page by page."""
    for offset in range(0, size, PAGE):
        physical = endpoint.space.translate(ipa + offset)
        if physical is None:
            raise FfaError(Code.ABORTED, f"a buffer at {ipa:#x} is not mapped")
        yield physical, min(PAGE, size - offset)
