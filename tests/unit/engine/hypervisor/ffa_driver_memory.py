"""Memory calls, fragments and buffers, each predicted, made and checked."""

from __future__ import annotations

from dataclasses import replace

from engine.arch.paging import S2AP
from engine.ffa.abi import Function, handle_of, handle_words
from engine.ffa.descriptors import parse_retrieve
from engine.ffa.errors import Code
from engine.ffa.memory import Data
from engine.ffa.relinquish import Relinquish
from engine.ffa.transactions import HYPERVISOR_HANDLE
from tests.support.ffa_exchange_model import BUFFER, Incoming, Outgoing
from tests.support.ffa_model import Codes, Deal
from tests.support.ffa_requests import DONATE, Retrieve, Send
from tests.unit.engine.hypervisor.ffa_board import CAPACITY
from tests.unit.engine.hypervisor.ffa_driver import VMS, Driver, pages_of


class MemoryDriver(Driver):
    """What VMs do with memory."""

    # --- sending and retrieving --------------------------------------------------------------------------

    def begin(self, vm: int, function: Function, request: Send | Retrieve, cut: int = 0, junk: int = 0) -> None:
        """A descriptor at once, or its first `cut` bytes. `junk` is what w3, which must be zero, has."""
        data = self.board.pack(vm, request)
        first = min(cut or len(data), BUFFER)
        expected = self.buffers.may_begin(vm, len(data), first) | ({Code.INVALID_PARAMETERS} if junk else set())
        self.write_tx(vm, data)
        if first == len(data):
            self._whole(vm, function, request, expected, (len(data), first, junk))
        else:
            self._first(vm, function, request, expected, (len(data), first, junk))
        self.write_tx(vm, b"\xff" * len(data))

    def _first(
        self, vm: int, function: Function, request: Send | Retrieve, expected: Codes, values: tuple[int, ...]
    ) -> None:
        if isinstance(request, Send):
            full = len(self.model.deals) + len(self.model.reserved) >= CAPACITY
            expected = expected | ({Code.NO_MEMORY} if full else set())
        elif request.handle not in self.model.deals or values[1] < 16:
            expected = expected | {Code.INVALID_PARAMETERS}
        answer = self.call(expected, vm, function, *values)
        if answer is None:
            return
        handle = handle_of(answer[1], answer[2])
        assert (answer[0], answer[3]) == (Function.MEM_FRAG_RX, values[1])
        if isinstance(request, Send):
            self._new_handle(handle)
            self.model.reserved.add(handle)
        else:
            assert handle == request.handle
        data = self.board.pack(vm, request)
        self.buffers.incoming[vm] = Incoming(handle, function, request, data, values[1])

    def _new_handle(self, handle: int) -> None:
        assert handle & HYPERVISOR_HANDLE
        assert handle not in self.handles
        self.handles.append(handle)

    def _whole(
        self, vm: int, function: Function, request: Send | Retrieve, expected: Codes, values: tuple[int, ...]
    ) -> None:
        """The call that completes a descriptor."""
        ends, running = function is Function.MEM_FRAG_TX, self.buffers.incoming.get(vm)
        reserved = running.handle if ends and running is not None and isinstance(request, Send) else None
        if isinstance(request, Send):
            expected = expected | self.model.may_send(vm, request, self.buffers.pairs.get(vm, ()), reserved is not None)
        else:
            expected = expected | self.model.may_retrieve(vm, request) | self.buffers.may_respond(vm)
        answer = self.call(expected, vm, function, *values, ends=ends)
        if ends:
            self.buffers.incoming.pop(vm)
            self.model.reserved.discard(reserved or 0)
        if answer is not None and isinstance(request, Send):
            self._sent(handle_of(answer[2], answer[3]), request, reserved)
        elif answer is not None and isinstance(request, Retrieve):
            self._retrieved(vm, request, answer)

    def _sent(self, handle: int, request: Send, reserved: int | None) -> None:
        if reserved is None:
            self._new_handle(handle)
        else:
            assert handle == reserved
        self.model.sent(handle, request)

    def _retrieved(self, vm: int, request: Retrieve, answer: tuple[int, ...]) -> None:
        assert answer[0] == Function.MEM_RETRIEVE_RESP
        assert answer[2] == min(answer[1], BUFFER)
        deal = self.model.deals[request.handle]
        self.model.retrieved(vm, request)
        self.given |= {page.address for page in deal.own} if deal.sent.kind is DONATE else set()
        self.buffers.full.add(vm)
        self._responses[vm] = self.read_rx(vm, answer[2])
        if answer[2] < answer[1]:
            self.buffers.outgoing[vm] = Outgoing(request.handle, answer[1])
        else:
            self.buffers.outgoing.pop(vm, None)
            self._check_response(vm, request, deal)

    def _check_response(self, vm: int, request: Retrieve, deal: Deal) -> None:
        """The response says what the tables do."""
        told = parse_retrieve(self._responses[vm], self.board.relay.endpoints[vm].version)
        (entry,) = told.access
        assert (told.sender, told.handle, told.tag) == (deal.sent.sender, request.handle, deal.sent.tag)
        assert entry.endpoint == vm
        assert entry.composite is not None
        assert pages_of(entry.composite.ranges) == (request.pages or deal.sent.pages)
        page = self.model.page(vm, entry.composite.ranges[0].address)
        assert page is not None
        assert (page.access is S2AP.READ_WRITE) is (entry.permissions.data is Data.RW)

    # --- fragments -------------------------------------------------------------------------------------

    def add(self, vm: int, handle: int, length: int, changed: Send | Retrieve | None = None) -> None:
        """FRAG_TX; from here on the descriptor may say something else than it began to."""
        running = self.buffers.incoming.get(vm)
        expected = self.buffers.may_add(vm, handle, length)
        if running is None or expected:
            self.call(expected, vm, Function.MEM_FRAG_TX, *handle_words(handle), length)
            return
        if changed is not None:
            data = self.board.pack(vm, changed)
            assert data[: running.done] == running.data[: running.done]
            running = self.buffers.incoming[vm] = replace(running, request=changed, data=data)
        self.write_tx(vm, running.data[running.done : running.done + length])
        values = (*handle_words(handle), length)
        if running.done + length == len(running.data):
            self._whole(vm, Function.MEM_FRAG_TX, running.request, set(), values)
            return
        answer = self.call(set(), vm, Function.MEM_FRAG_TX, *values)
        assert answer is not None
        assert answer[:4] == (Function.MEM_FRAG_RX, *handle_words(handle), running.done + length)
        self.buffers.incoming[vm] = replace(running, done=running.done + length)

    def fetch(self, vm: int, handle: int, offset: int) -> None:
        """FRAG_RX."""
        expected = self.buffers.may_fetch(vm, handle, offset)
        answer = self.call(expected, vm, Function.MEM_FRAG_RX, *handle_words(handle), offset)
        if answer is None:
            return
        length = self.buffers.fetched(vm, offset)
        assert answer[:4] == (Function.MEM_FRAG_TX, *handle_words(handle), length)
        self._responses[vm] = self._responses[vm][:offset] + self.read_rx(vm, length)
        deal = self.model.deals.get(handle)
        if self.buffers.outgoing[vm].complete and deal is not None and vm in deal.holders:
            request = Retrieve(handle, 0, (), ranges=tuple((ipa, 1) for ipa in deal.holders[vm].pages))
            self._check_response(vm, request, deal)

    # --- giving back -----------------------------------------------------------------------------------

    def relinquish(self, vm: int, handle: int, named: tuple[int, ...] = (), flags: int = 0) -> None:
        """MEM_RELINQUISH."""
        chosen = named or (vm,)
        expected = self.model.may_relinquish(vm, handle, chosen, flags)
        expected |= set() if vm in self.buffers.pairs else {Code.INVALID_PARAMETERS}
        deal = self.model.deals.get(handle)
        self.write_tx(vm, Relinquish(handle, chosen, flags).pack())
        if self.call(expected, vm, Function.MEM_RELINQUISH) is None or deal is None:
            return
        self.model.relinquished(vm, handle, flags)
        if vm in self.buffers.outgoing and self.buffers.outgoing[vm].handle == handle:
            del self.buffers.outgoing[vm]
        self._no_access(vm, deal)

    def reclaim(self, vm: int, handle: int, flags: int = 0) -> None:
        """MEM_RECLAIM."""
        expected, deal = self.model.may_reclaim(vm, handle, flags), self.model.deals.get(handle)
        if self.call(expected, vm, Function.MEM_RECLAIM, *handle_words(handle), flags) is None or deal is None:
            return
        self.model.reclaimed(handle, flags)
        for other in VMS:
            if other != vm:
                self._no_access(other, deal)

    def _no_access(self, vm: int, deal: Deal) -> None:
        """No page of it is left in a VM's map."""
        lost = {page.address for page in deal.own}
        pages = self.board.changed_pages()[vm].values()
        assert not [page for page in pages if page is not None and page.access and page.address in lost]

    # --- buffers -----------------------------------------------------------------------------------------

    def map_buffers(self, vm: int, tx: int, rx: int, pages: int = 1) -> None:
        """RXTX_MAP."""
        there = [self.model.page(vm, tx), self.model.page(vm, rx)]
        expected = self.buffers.may_map(vm, tx, rx, pages, there)
        if self.call(expected, vm, Function.RXTX_MAP_64, tx, rx, pages) is not None:
            self.buffers.pairs[vm] = (tx, rx)

    def unmap_buffers(self, vm: int, named: int = 0) -> None:
        """RXTX_UNMAP."""
        bad = named or vm not in self.buffers.pairs
        expected = {Code.INVALID_PARAMETERS} if bad else set()
        if self.call(expected, vm, Function.RXTX_UNMAP, named << 16) is not None:
            self.forget_buffers(vm)

    def forget_buffers(self, vm: int) -> None:
        """The buffers went, with what came and left through them."""
        running = self.buffers.forget(vm)
        if running is not None and isinstance(running.request, Send):
            self.model.reserved.discard(running.handle)

    def release(self, vm: int) -> None:
        """RX_RELEASE."""
        expected = set() if vm in self.buffers.full else {Code.DENIED}
        if self.call(expected, vm, Function.RX_RELEASE) is not None:
            self.buffers.full.discard(vm)
