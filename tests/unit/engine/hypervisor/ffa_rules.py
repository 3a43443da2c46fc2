"""Examples of what three VMs do: how one starts and ends, who does what next, and what goes through buffers.

Rules draw and choose, mostly what is right; `FullDriver` asks and judges. Every step is one call, or two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.arch.paging import PAGE, PageState
from engine.ffa.abi import Function
from engine.ffa.memory import Data
from tests.support.ffa_requests import LEND, SHARE, Ranges, Retrieve, Send
from tests.unit.engine.hypervisor.ffa_board import LAYOUTS
from tests.unit.engine.hypervisor.ffa_driver import GRID, GRID_PAGES, RX, TX, VMS
from tests.unit.engine.hypervisor.ffa_driver_exchange import FullDriver
from tests.unit.engine.hypervisor.ffa_ending import finish

Step: TypeAlias = Callable[[st.DataObject], None]
numbers = st.integers(0, 63)
"""Picks one of whatever there is."""
rarely = st.sampled_from([False] * 15 + [True])
mostly = st.sampled_from([True] * 7 + [False])
_lengths = st.sampled_from([None] * 6 + [8, 16, 0, -1])
"""Bytes of a fragment; None: all that are left, -1: too many."""
_buffer_twists = st.sampled_from(["", "", "", "page", "wrap", "unaligned", "same", "pages", "device", "foreign"])


class Rules(RuleBasedStateMachine):
    """Fragments and buffers; what fills them is in other classes."""

    driver: FullDriver

    @initialize(
        layout=st.sampled_from(sorted(LAYOUTS)),
        owner_access=st.sampled_from(["read-only", "read-write"]),
        tables=st.sampled_from([None, None, None, 0, 3, 6]),
        many=st.sampled_from([None] * 10 + [SHARE, LEND]),
    )
    def power_on(self, layout: str, owner_access: str, tables: int | None, many: Function | None) -> None:
        self.driver = FullDriver(layout, owner_access)
        for vm in VMS:
            self.map_usual(vm)
            self.driver.create(vm, vm)
        if many is not None:
            self.driver.begin(1, many, Send(many, 1, (2, 3), self.many(1), Data.RW))
            started = self.driver.buffers.incoming[1]
            self.driver.add(1, started.handle, len(started.data) - started.done)
        if tables is not None:
            self.driver.scarce = True
            self.driver.board.leave_tables(tables)

    def teardown(self) -> None:
        """What an example did can be undone, unless it failed or was given up."""
        if sys.exc_info()[0] is None and hasattr(self, "driver"):
            finish(self.driver)

    @invariant()
    def tables_and_records_are_what_was_agreed(self) -> None:
        if hasattr(self, "driver"):
            self.driver.check()

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """What fits the state of affairs, mostly."""
        data.draw(st.sampled_from(self.steps()), "call")(data)

    def steps(self) -> list[Step]:
        """What can be tried now, the more often the more promising it is."""
        buffers = self.driver.buffers
        steps: list[Step] = [self.fetch_fragment] * 4 if buffers.outgoing else []
        steps += [self.add_fragment] * 4 if buffers.incoming else []
        return [*steps, self.buffers]

    # --- who and what ------------------------------------------------------------------------------------

    def caller(self, data: st.DataObject, wanted: Collection[int] = ()) -> int:
        """A VM that can make calls, one of `wanted` if it can."""
        running = self.driver.talk.running()
        suited = [vm for vm in running if vm in wanted] or running
        return data.draw(st.sampled_from(suited), "caller")

    def map_usual(self, vm: int) -> None:
        self.driver.map_buffers(vm, self.driver.at(vm, TX), self.driver.at(vm, RX))

    def handle(self, data: st.DataObject, wanted: Collection[int]) -> int:
        """One of `wanted`, else any handle that ever was."""
        handles = sorted(wanted) or self.driver.handles
        return handles[data.draw(numbers, "handle") % len(handles)]

    def spot(self, vm: int, number: int) -> int:
        """IPA of a page that a VM may want to send: of its grid, or one it got from somebody."""
        grid = [self.driver.at(vm, GRID + n * PAGE) for n in range(GRID_PAGES)]
        view = self.driver.model.views[vm].items()
        got = [ipa for ipa, page in view if page is not None and page.state is PageState.OWNED]
        spots = [*grid, *sorted(set(got) - set(grid))]
        return spots[number % len(spots)]

    def many(self, vm: int) -> Ranges:
        """More ranges than a buffer can tell of."""
        return tuple((self.driver.at(vm, 0x3F_F000 - n * PAGE), 1) for n in range(260))

    def release(self, vm: int) -> None:
        """Make room for an answer."""
        self.driver.release(vm)
        self.driver.check()

    # --- fragments -------------------------------------------------------------------------------------

    def add_fragment(self, data: st.DataObject) -> None:
        incoming = self.driver.buffers.incoming
        vm = self.caller(data, incoming)
        running = incoming.get(vm) or next(iter(incoming.values()))
        left, length = len(running.data) - running.done, data.draw(_lengths, "length")
        size = min(left, PAGE) if length is None else left + 1 if length < 0 else min(length, left)
        changed = self._changed(data, vm, running.request) if left >= 16 else None
        self.driver.add(vm, running.handle ^ int(data.draw(rarely, "wrong")), size, changed)

    def _changed(self, data: st.DataObject, vm: int, request: Send | Retrieve) -> Send | Retrieve | None:
        """The same request with another last range, which has not been sent yet."""
        change = data.draw(st.sampled_from(["", "", "range", "count"]), "change")
        if not change or not request.ranges or request.damage:
            return None
        *others, (address, count) = request.ranges
        number = data.draw(numbers, "page")
        last = (self.spot(vm, number), count) if change == "range" else (address, count + 1 + number % 3)
        return replace(request, ranges=(*others, last), announced=request.announced + count - last[1])

    def fetch_fragment(self, data: st.DataObject) -> None:
        outgoing = self.driver.buffers.outgoing
        vm = self.caller(data, outgoing)
        running = outgoing.get(vm) or next(iter(outgoing.values()))
        following = running.last + running.length
        offset = data.draw(st.sampled_from([following, following, following, running.last, running.last + 8]), "offset")
        if vm in self.driver.buffers.full and data.draw(mostly, "right"):
            self.release(vm)
        self.driver.fetch(vm, running.handle ^ int(data.draw(rarely, "wrong")), offset)

    # --- buffers ---------------------------------------------------------------------------------------

    def buffers(self, data: st.DataObject) -> None:
        buffers, bare = self.driver.buffers, set(VMS) - self.driver.buffers.pairs.keys()
        calls = ["map"] * 4 * bool(bare) + ["release"] * 2 * bool(buffers.full) + ["unmap", "map", "release"]
        call = data.draw(st.sampled_from(calls), "which")
        if call == "release":
            self.driver.release(self.caller(data, buffers.full))
        elif call == "unmap":
            self.driver.unmap_buffers(self.caller(data), int(data.draw(rarely, "named")))
        else:
            self._map(data, self.caller(data, bare))

    def _map(self, data: st.DataObject, vm: int) -> None:
        at, twist, number = self.driver.at, data.draw(_buffer_twists, "twist"), data.draw(numbers, "variant")
        tx, rx = at(vm, TX), at(vm, RX)
        choices = {
            "page": (tx, self.spot(vm, number)),
            "wrap": (tx, (1 << 64) - PAGE),
            "unaligned": (tx + 8, rx),
            "same": (tx, tx),
            "device": (0x0900_0000, rx),
            "foreign": (tx, at(vm % 3 + 1, RX)),
        }
        self.driver.map_buffers(vm, *choices.get(twist, (tx, rx)), number if twist == "pages" else 1)
