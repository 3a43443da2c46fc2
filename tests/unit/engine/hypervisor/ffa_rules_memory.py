"""What VMs may ask at random about memory."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from engine.arch.paging import PAGE
from engine.ffa.abi import Function
from engine.ffa.memory import Data, Instruction
from tests.support.ffa_model import Deal
from tests.support.ffa_requests import DONATE, LEND, NORMAL, SHARE, ZERO_AFTER, Ranges, Retrieve, Send
from tests.unit.engine.hypervisor.ffa_driver import GRID, GRID_PAGES, RX, STUBS
from tests.unit.engine.hypervisor.ffa_rules import Rules, Step, mostly, numbers, rarely
from tests.unit.engine.hypervisor.ffa_twists import RETRIEVES, SENDS, Scene

SP = STUBS[0]
_to_whom = st.sampled_from([(1,), (1,), (2,), (1, 2), (2, 1), (1, SP), (1, 2, SP), (SP,)])
"""Other VMs, counted from the sender, and partitions."""
_flags = st.sampled_from([0, 0, 0, 0, 0, 1, 2, 4])
_send_twists = st.sampled_from([""] * 2 * len(SENDS) + sorted(SENDS))
_retrieve_twists = st.sampled_from([""] * 2 * len(RETRIEVES) + sorted(RETRIEVES))
_places = st.sampled_from(["", "", "window", "window", "scattered", "home"])
_cuts = st.sampled_from([0] * 20 + [8, 40, 64, 80, 112, 128])
"""Bytes of the first fragment; 0: all in one."""


class MemoryRules(Rules):
    """Memory management calls."""

    def steps(self) -> list[Step]:
        """Sends, and what the deals there are allow."""
        deals = self.driver.model.deals
        steps: list[Step] = [self.relinquish] * 3 if self._held() else []
        steps += [self.retrieve] * (5 if self._due() else 1) + [self.reclaim] * 2 if deals else []
        steps += [self.send] * 3 + ([self.use_stale_handle] if self.driver.handles else [])
        return steps + super().steps()

    # --- what there is -----------------------------------------------------------------------------------

    def _free(self) -> set[int]:
        """VMs whose TX can take a descriptor."""
        buffers = self.driver.buffers
        return {vm for vm in self.driver.talk.running() if vm in buffers.pairs and vm not in buffers.incoming}

    def _due(self) -> list[tuple[int, int]]:
        """(handle, VM) of what can be retrieved."""
        deals = [(handle, deal) for handle, deal in self.driver.model.deals.items() if not deal.orphaned]
        free = self._free()
        return [(h, vm) for h, deal in deals for vm in deal.sent.to if vm not in deal.holders and vm in free]

    def _held(self) -> list[tuple[int, int]]:
        """(handle, VM) of what can be relinquished."""
        deals, running = self.driver.model.deals, self.driver.talk.running()
        return [(h, vm) for h, deal in sorted(deals.items()) for vm in sorted(deal.holders) if vm in running]

    def _scene(self, data: st.DataObject, vm: int) -> Scene:
        number = data.draw(numbers, "variant")
        other = vm % 3 + 1 if number % 2 else (vm + 1) % 3 + 1
        buffer = self.driver.buffers.pairs.get(vm, (0, self.driver.at(vm, RX)))[1]
        at = self.driver.at
        return Scene(other, at(vm, GRID + PAGE), buffer, at(other, GRID + number % GRID_PAGES * PAGE), number)

    # --- sending -----------------------------------------------------------------------------------------

    def send(self, data: st.DataObject) -> None:
        vm = self.caller(data, self._free() if data.draw(mostly) else ())
        kind = data.draw(st.sampled_from([SHARE, LEND, DONATE]), "kind")
        to = tuple((vm + each - 1) % 3 + 1 if each < 3 else each for each in data.draw(_to_whom, "to"))
        rights = Data.UNSPECIFIED if kind is DONATE else data.draw(st.sampled_from([Data.RW, Data.RW, Data.RO]), "data")
        ranges = self._ranges(data, vm, kind)
        request = Send(kind, vm, to[:1] if kind is DONATE else to, ranges, rights, tag=data.draw(st.integers(0, 1)))
        request = replace(request, attributes=0 if request.single else NORMAL)
        twist = data.draw(_send_twists, "twist")
        request = SENDS[twist](request, self._scene(data, vm)) if twist else request
        cut = data.draw(_cuts, "first fragment")
        self.driver.begin(vm, kind, request, cut, int(data.draw(rarely, "junk")))

    def _ranges(self, data: st.DataObject, vm: int, kind: Function) -> Ranges:
        if kind is not DONATE and data.draw(rarely, "many"):
            return self.many(vm)
        first = (self.spot(vm, data.draw(numbers, "page")), data.draw(st.sampled_from([1, 1, 2, 3]), "pages"))
        second = self.spot(vm, data.draw(numbers, "page"))
        apart = not first[0] <= second < first[0] + first[1] * PAGE
        return (first, (second, 1)) if apart and data.draw(st.booleans()) else (first,)

    # --- retrieving ----------------------------------------------------------------------------------------

    def retrieve(self, data: st.DataObject) -> None:
        deals, due, right = self.driver.model.deals, self._due(), data.draw(mostly, "right")
        if due and right:
            handle, vm = data.draw(st.sampled_from(due), "what and who")
        else:
            handle, vm = self.handle(data, deals), self.caller(data)
        if right and vm in self.driver.buffers.full:
            self.release(vm)
        request = self._wish(data, vm, handle, deals[handle])
        twist = data.draw(_retrieve_twists, "twist")
        request = RETRIEVES[twist](request, self._scene(data, vm)) if twist else request
        cut = data.draw(_cuts, "first fragment")
        self.driver.begin(vm, Function.MEM_RETRIEVE_REQ_32, request, cut)

    def _wish(self, data: st.DataObject, vm: int, handle: int, deal: Deal) -> Retrieve:
        """A good request."""
        sent = deal.sent
        kinds = [Instruction.NX, Instruction.X] if sent.single else [Instruction.UNSPECIFIED]
        rights = [Data.UNSPECIFIED, Data.RO, Data.RW if deal.write else Data.RO]
        request = Retrieve(handle, sent.sender, sent.to, data.draw(st.sampled_from(rights), "data"), tag=sent.tag)
        writes = request.data is Data.RW or (request.data is Data.UNSPECIFIED and deal.write)
        clear = sent.kind is LEND and writes and data.draw(st.booleans(), "clear after")
        return replace(
            request,
            instruction=data.draw(st.sampled_from(kinds), "instruction"),
            flags=ZERO_AFTER if clear else 0,
            ranges=self._place(data, vm, [page.address for page in deal.own]),
        )

    def _place(self, data: st.DataObject, vm: int, pages: list[int]) -> Ranges:
        """Where a borrower wants pages; nothing says: where the owner has them."""
        where, slot = data.draw(_places, "where"), data.draw(st.integers(0, 3), "slot")
        if where == "window":
            return ((0xC000_0000 + slot * PAGE, len(pages)),)
        if where == "scattered" and len(pages) < 5:
            return tuple((0x1_0000_0000 + (slot + 4 - n) * 0x4020_0000, 1) for n in range(len(pages)))
        if where == "home":
            ram = self.driver.board.rams[vm]
            return tuple((ram.ipa + address - ram.address & (1 << 39) - 1, 1) for address in pages)
        return ()

    # --- giving back -----------------------------------------------------------------------------------------

    def relinquish(self, data: st.DataObject) -> None:
        handle, vm = data.draw(st.sampled_from(self._held()), "what and who")
        other = vm % 3 + 1
        named = data.draw(st.sampled_from([()] * 12 + [(other,), (vm, other), (0,)]), "endpoints")
        self.driver.relinquish(vm, handle, named, data.draw(_flags, "flags"))

    def reclaim(self, data: st.DataObject) -> None:
        deals = self.driver.model.deals
        idle = [handle for handle, deal in deals.items() if not deal.holders]
        right = data.draw(mostly, "right")
        handle = self.handle(data, idle if idle and right else deals)
        self.driver.reclaim(self.caller(data, [deals[handle].sent.sender]), handle, data.draw(_flags, "flags"))

    def use_stale_handle(self, data: st.DataObject) -> None:
        """Any handle that ever was, by anyone."""
        handle, vm, call = self.handle(data, ()), self.caller(data), data.draw(st.integers(0, 2), "call")
        if call == 0:
            self.driver.relinquish(vm, handle)
        elif call == 1:
            self.driver.reclaim(vm, handle)
        elif handle not in self.driver.model.deals:
            self.driver.begin(vm, Function.MEM_RETRIEVE_REQ_32, Retrieve(handle, vm % 3 + 1, (vm,)))
