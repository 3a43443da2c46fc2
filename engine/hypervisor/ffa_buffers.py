"""RX/TX buffers: mapping them, and the bytes in them, reached through the endpoint's own stage 2."""

from __future__ import annotations

from collections.abc import Iterator

from engine.arch.paging import PAGE, S2AP, PageState, S2Leaf
from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError, require_allowed, require_valid
from engine.ffa.mailbox import Buffers, Filled
from engine.ffa.ranges import Range
from engine.ffa.registers import Result, success_32
from engine.hypervisor.ffa_endpoints import Call, Endpoint, Handlers, Relay
from engine.hypervisor.ffa_pages import page_kinds

_PAGES = 0x3F


class BufferCalls:
    """RXTX_MAP, RXTX_UNMAP and RX_RELEASE."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

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
        for kinds in page_kinds(endpoint.vm, buffer_ranges(buffers)):
            require_valid(None not in kinds, "a buffer is not in the caller's memory")
            require_allowed(all(leaf is not None and _usable(leaf) for leaf in kinds), "a buffer is not the caller's")
        endpoint.mailbox.map(buffers)
        return success_32()

    def _release(self, call: Call) -> Result:
        call.endpoint.mailbox.check_release()
        call.endpoint.mailbox.release()
        return success_32()


def _usable(leaf: S2Leaf) -> bool:
    return leaf.state is PageState.OWNED and leaf.access is S2AP.READ_WRITE


def buffer_ranges(buffers: Buffers) -> tuple[Range, Range]:
    """Both buffers as ranges of pages."""
    return Range(buffers.tx, buffers.pages), Range(buffers.rx, buffers.pages)


def read_tx(relay: Relay, endpoint: Endpoint, size: int | None = None) -> bytes:
    """The first `size` bytes of the TX buffer, or all; they fit. INVALID_PARAMETERS where there is none."""
    buffers = endpoint.mailbox.check_send()
    pieces = _pieces(endpoint, buffers.tx, buffers.size if size is None else size)
    return b"".join(relay.memory.read(address, length) for address, length in pieces)


def fill_rx(relay: Relay, endpoint: Endpoint, data: bytes, filled: Filled) -> None:
    """Write to an RX buffer that `check_fill` said may be written; it is the endpoint's then."""
    buffers = endpoint.mailbox.check_fill(len(data), endpoint.mailbox.owner)
    done = 0
    for address, length in _pieces(endpoint, buffers.rx, len(data)):
        relay.memory.write(address, data[done : done + length])
        done += length
    endpoint.mailbox.fill(filled)


def _pieces(endpoint: Endpoint, ipa: int, size: int) -> Iterator[tuple[int, int]]:
    """(physical address, bytes) page by page."""
    for offset in range(0, size, PAGE):
        physical = endpoint.vm.stage2.translate(ipa + offset)
        if physical is None:
            raise FfaError(Code.ABORTED, f"a buffer at {ipa:#x} is not mapped")
        yield physical, min(PAGE, size - offset)
