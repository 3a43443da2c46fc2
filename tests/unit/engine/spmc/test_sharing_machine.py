"""Two VMs and three partitions share, lend and donate; tables and records of both managers are as a model says.

Tables are read out of emulated RAM, all of every one, after every call.
"""

from __future__ import annotations

import functools
import gc
import itertools
import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from engine.arch.paging import S2AP, PageState
from engine.board.memory_map import RAM_BASE
from engine.ffa.abi import Function, is_secure
from engine.ffa.errors import Code
from engine.ffa.memory import Data, Instruction, Permissions
from engine.ffa.ranges import Range
from engine.ffa.transactions import HYPERVISOR_HANDLE, Kind, Transaction
from engine.ffa.version import Version
from engine.hypervisor.vcpu import Vcpu
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import RAM_SIZE
from tests.support.secure import Sp, secure, wait
from tests.unit.engine.spmc.sharing_model import EVERYBODY, SPS, VMS, Entry, Model, Retrieve, Send, proper
from tests.unit.engine.spmc.standing import ADDRESS, OPEN, PAGE, RX, TX, Standing, handle, status

EXAMPLES = int(os.environ.get("SPMC_SHARING_EXAMPLES", "25"))
ELSEWHERE = 0x1_0000_0000
"""Where VMs have others' pages, from each page's distance to RAM_BASE."""
REFUSALS = (Code.INVALID_PARAMETERS, Code.DENIED)
PER_VM, PER_SP = 3, 2
UNKNOWN = 0x7777
_ENTRIES = struct.Struct("<512Q")
_examples = itertools.count()
Place: TypeAlias = tuple[int, Entry]
"""A physical page and what its entry says."""


class Worlds(Standing):
    """VMs 1 and 2 under the relayer; they call it, partitions the SPMC."""

    def __init__(self, directory: Path) -> None:
        sps = [Sp(wait(Program()).b("wait")) for _ in SPS]
        guests = [Program().label("still").emit(a.NOP).b("still") for _ in VMS]
        self.stand(secure(directory, sps, *guests, el=1, secure={}).run(4000))
        proxy = self.bench.system.ffa
        assert proxy is not None
        self.proxy, self.relay = proxy, proxy.relay
        for each in EVERYBODY:
            self.map_buffers(each)

    def vcpu(self, endpoint: int, core: int = 0) -> Vcpu:
        return super().vcpu(endpoint) if is_secure(endpoint) else self.bench.system.vms[max(endpoint, 1) - 1].vcpus[0]

    def raw(self, endpoint: int, function: int, *values: int, core: int = 0) -> list[int]:
        if is_secure(endpoint):
            return super().raw(endpoint, function, *values)
        x = self.vcpu(endpoint).registers.x
        for number, value in enumerate((function, *values, *(0,) * (17 - len(values)))):
            x[number] = value
        assert self.proxy.call(self.vcpu(endpoint))
        return self.registers(endpoint)

    def ram(self, endpoint: int) -> int:
        return super().ram(endpoint) if is_secure(endpoint) else RAM_BASE + (endpoint - 1) * RAM_SIZE

    def version(self, endpoint: int) -> Version:
        return super().version(endpoint) if is_secure(endpoint) else self.relay.endpoints[endpoint].version

    def map_buffers(self, *endpoints: int) -> None:
        for each in endpoints:
            tx, rx = (self.address(each, self.ram(each) + offset) for offset in (TX, RX))
            assert self.status(each, Function.RXTX_MAP_64, tx, rx, 1) == 0

    def address(self, endpoint: int, page: int) -> int:
        """Where an endpoint has a physical page, or would have it."""
        if is_secure(endpoint) or page < RAM_BASE:
            return page
        own = self.ram(endpoint) <= page < self.ram(endpoint) + RAM_SIZE
        return page - self.ram(endpoint) + RAM_BASE if own else page - RAM_BASE + ELSEWHERE

    def ranges(self, endpoint: int, pages: Sequence[int]) -> list[Range]:
        return [Range(self.address(endpoint, page), 1) for page in pages]

    def map(self, endpoint: int) -> dict[int, Place]:
        """Everything that an endpoint's tables say, by IPA."""
        space = self.sp(endpoint) if is_secure(endpoint) else self.bench.system.vms[endpoint - 1]
        return self._below(space.stage2.vttbr & ADDRESS, 1, 0)

    def _below(self, table: int, level: int, base: int) -> dict[int, Place]:
        data = self.manager.memory.read(table, PAGE)
        if level == 3:
            return _pages(data, base)
        found: dict[int, Place] = {}
        for index, entry in _present(data):
            here = base + (index << 39 - 9 * level)
            if entry & 2:
                found |= self._below(entry & ADDRESS, level + 1, here)
            else:
                assert level == 2
                found |= _block(entry, here)
        return found


def _place(entry: int) -> Place:
    return entry & ADDRESS, Entry(S2AP(entry >> 6 & 3), not entry >> 54 & 1, PageState(entry >> 55 & 3))


@functools.lru_cache(maxsize=256)
def _present(data: bytes) -> list[tuple[int, int]]:
    return [(index, entry) for index, entry in enumerate(_ENTRIES.unpack(data)) if entry & 1]


@functools.lru_cache(maxsize=256)
def _pages(data: bytes, base: int) -> dict[int, Place]:
    return {base + index * PAGE: _place(entry) for index, entry in _present(data)}


@functools.lru_cache(maxsize=64)
def _block(entry: int, base: int) -> dict[int, Place]:
    return {base + offset: _place(entry + offset) for offset in range(0, 512 * PAGE, PAGE)}


class Sharing(RuleBasedStateMachine):
    """Every rule makes one call of one endpoint, or starts a VM over."""

    @initialize()
    def build(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.worlds = Worlds(Path(self.directory.name))
        counts = {each: PER_SP if is_secure(each) else PER_VM for each in EVERYBODY}
        first = {self.worlds.page(each, n): each for each, count in counts.items() for n in range(count)}
        self.model = Model(first)
        self.pages = tuple(first)
        self.at_start = {each: self.worlds.map(each) for each in EVERYBODY}
        taking = {each: {self.worlds.address(each, page) for page in first} for each in EVERYBODY}
        self.others = {
            each: {ipa: place for ipa, place in found.items() if ipa not in taking[each]}
            for each, found in self.at_start.items()
        }
        self.handles: list[int] = [UNKNOWN]

    def teardown(self) -> None:
        if hasattr(self, "worlds"):
            self.give_everything_back()
            self.directory.cleanup()
            del self.worlds
            if next(_examples) % 4 == 0:
                gc.collect()  # engines are in reference cycles, and dear

    # --- rules -------------------------------------------------------------------------------------------

    @rule(
        kind=st.sampled_from(Kind),
        caller=st.sampled_from(EVERYBODY),
        to=st.lists(st.sampled_from(EVERYBODY), min_size=1, max_size=3, unique=True),
        picks=st.lists(st.integers(0, 11), min_size=1, max_size=2),
        data=st.sampled_from([Data.RO, Data.RW, Data.RW]),
        twist=st.sampled_from(["", "", "", "", "", "sender", "pages", "receivers"]),
        forged=st.sampled_from(EVERYBODY),
        takers=st.integers(0, 3),
    )
    def send(
        self, kind: Kind, caller: int, to: list[int], picks: list[int], data: Data, twist: str, forged: int, takers: int
    ) -> None:
        """Mostly of the caller's own pages, to others that it may name, some of whom take them at once."""
        own = self.model.owned(caller)
        among = self.pages if twist == "pages" or not own else own
        pages = tuple(dict.fromkeys(among[pick % len(among)] for pick in picks))
        receivers = tuple(to)
        if twist != "receivers":
            others = [each for each in EVERYBODY if each != caller and (is_secure(each) or not is_secure(caller))]
            receivers = tuple(dict.fromkeys(others[each % len(others)] for each in to))
            receivers = receivers[:1] if kind is Kind.DONATE else receivers
        asked = Data.UNSPECIFIED if kind is Kind.DONATE else data
        s = Send(kind, caller, forged if twist == "sender" else caller, receivers, pages, asked)
        number = self.check_send(s)
        if number is None:
            return
        for each in receivers[:takers]:
            wanted = proper(self.model.deals[number], Data.UNSPECIFIED, None)
            self.check_retrieve(Retrieve(each, number, caller, receivers, wanted))

    def check_send(self, s: Send) -> int | None:
        """The handle, if it is granted."""
        if not is_secure(s.caller):
            self.model.collect()
        before = self.records()
        ranges = self.worlds.ranges(s.caller, s.pages)
        permissions = OPEN if s.kind is Kind.DONATE else Permissions(s.data)
        answer = self.worlds.send(s.kind, s.sender, s.to, ranges, permissions, caller=s.caller)
        got = None
        if self.granted(status(answer), self.model.may_send(s), before):
            got = handle(answer)
            assert got not in self.handles
            secure_only = is_secure(s.caller) or any(is_secure(each) for each in s.to)
            assert bool(got & HYPERVISOR_HANDLE) is not secure_only
            self.handles.append(got)
            self.model.sent(got, s)
        self.check()
        return got

    @rule(
        which=st.integers(0, 50),
        who=st.sampled_from(EVERYBODY),
        right=st.sampled_from([True, True, True, False]),
        data=st.sampled_from([Data.UNSPECIFIED, Data.RO, Data.RW]),
        instruction=st.sampled_from([None, None, None, *list(Instruction)[:3]]),
        twist=st.sampled_from(["", "", "", "", "sender", "list"]),
    )
    def retrieve(
        self, which: int, who: int, right: bool, data: Data, instruction: Instruction | None, twist: str
    ) -> None:
        """Mostly by a receiver who describes the region as its owner did."""
        named = self.pick(which, right)
        deal = self.model.deals.get(named)
        caller = deal.to[who % len(deal.to)] if right and deal is not None else who
        owner = VMS[0] if deal is None else deal.owner
        listed = (caller,) if deal is None or twist == "list" else deal.to
        sender = EVERYBODY[(EVERYBODY.index(owner) + 1) % 5] if twist == "sender" else owner
        self.check_retrieve(Retrieve(caller, named, sender, listed, proper(deal, data, instruction)))

    def check_retrieve(self, r: Retrieve) -> None:
        deal = self.model.deals.get(r.handle)
        there = [] if is_secure(r.caller) or deal is None else self.worlds.ranges(r.caller, deal.pages)
        before = self.records()
        ranges = there if r.caller in r.to else []
        code = self.worlds.retrieve(r.caller, r.handle, r.wanted, owner=r.sender, to=r.to, ranges=ranges)
        if self.granted(code, self.model.may_retrieve(r), before):
            self.model.retrieved(r)
        self.check()

    @rule(which=st.integers(0, 50), who=st.sampled_from(EVERYBODY), right=st.sampled_from([True, True, True, False]))
    def relinquish(self, which: int, who: int, right: bool) -> None:
        """Mostly by somebody who has it."""
        named = self.pick(which, right, held=True)
        holders = [*self.model.deals[named].holders] if named in self.model.deals else []
        caller = holders[who % len(holders)] if right and holders else who
        before = self.records()
        code = self.worlds.relinquish(caller, named)
        if self.granted(code, self.model.may_relinquish(caller, named), before):
            self.model.relinquished(caller, named)
        self.check()

    @rule(which=st.integers(0, 50), who=st.sampled_from(EVERYBODY), right=st.sampled_from([True, True, True, False]))
    def reclaim(self, which: int, who: int, right: bool) -> None:
        """Mostly by the owner."""
        named = self.pick(which, right)
        caller = self.model.deals[named].owner if right and named in self.model.deals else who
        before = self.records()
        code = self.worlds.reclaim(caller, named)
        if self.granted(code, self.model.may_reclaim(caller, named), before):
            self.model.reclaimed(named)
        self.check()

    @rule(vm=st.sampled_from(VMS), really=st.sampled_from([True, False, False]))
    def restart(self, vm: int, really: bool) -> None:
        """A VM starts over, whoever has pages of it."""
        if really:
            self.worlds.bench.control.reset(f"vm{vm - 1}")
            self.worlds.map_buffers(vm)
            self.model.restarted(vm)
            self.check()

    # --- what must hold ------------------------------------------------------------------------------------

    def pick(self, which: int, live: bool, held: bool = False) -> int:
        """A handle: of a deal that goes on, with borrowers if that matters, or any there ever was."""
        among = [each for each, deal in self.model.deals.items() if deal.holders or not held] if live else []
        among = among or self.handles
        return among[which % len(among)]

    def records(self) -> tuple[dict[int, Transaction], dict[int, Transaction]]:
        """Both managers' records; not what a refused send may make the hypervisor ask for: what is over by now."""
        deals = self.model.deals
        relayed, there = self.worlds.relay.table.records, self.worlds.manager.table.records
        mine = {number: record for number, record in relayed.items() if number in deals and not record.orphaned}
        return mine, {number: record for number, record in there.items() if number in deals and deals[number].in_spmc}

    def granted(self, code: int, expected: bool, before: object) -> bool:
        """Whether a call was granted, as it had to be or not; a refused one left the records alone."""
        assert (code == 0) is expected, code
        if code:
            assert code in REFUSALS
            assert self.records() == before
        return code == 0

    def check(self) -> None:
        exclusive: set[int] = set()
        for each in EVERYBODY:
            found = self.worlds.map(each)
            assert self.accessible(found) == self.expected(each), hex(each)
            owned = {page for page, entry in found.values() if entry.state is PageState.OWNED}
            assert not owned & exclusive, "two exclusive owners"
            exclusive |= owned
        self.check_records()

    @staticmethod
    def accessible(found: dict[int, Place]) -> dict[int, Place]:
        return {ipa: place for ipa, place in found.items() if place[1].access is not S2AP.NONE}

    def expected(self, endpoint: int) -> dict[int, Place]:
        """An endpoint's whole map: as at the start, but for the pages that take part."""
        view = self.model.view(endpoint)
        return self.others[endpoint] | {
            self.worlds.address(endpoint, page): (page, entry) for page, entry in view.items()
        }

    def check_records(self) -> None:
        """Each manager has a record of what its endpoints take part in, with its own borrowers' progress."""
        deals = self.model.deals
        relayed, there = self.worlds.relay.table.records, self.worlds.manager.table.records
        assert relayed.keys() - self.model.unheard == {n for n, deal in deals.items() if not is_secure(deal.owner)}
        assert there.keys() == {n for n, deal in deals.items() if deal.in_spmc}
        for records, secure_side in ((relayed, False), (there, True)):
            for number in records.keys() & deals.keys():
                record, deal = records[number], deals[number]
                assert (record.kind, record.owner) == (deal.kind, deal.owner)
                assert tuple(each.endpoint for each in record.borrowers) == deal.to
                having = {each.endpoint for each in record.borrowers if each.has_access}
                mine = {each for each in deal.to if is_secure(each) is secure_side}
                assert having & mine == deal.holders.keys() & mine
                manager = self.worlds.manager if secure_side else self.worlds.relay
                assert tuple(manager.owner(record.owner).space.physical(record.ranges)) == deal.pages

    def give_everything_back(self) -> None:
        """At the end all maps are as at the start, donations aside, and nobody has a record."""
        for named, deal in list(self.model.deals.items()):
            for holder in list(deal.holders):
                assert self.worlds.relinquish(holder, named) == 0
                self.model.relinquished(holder, named)
            if named in self.model.deals and not deal.orphaned:
                assert self.worlds.reclaim(deal.owner, named) == 0
                self.model.reclaimed(named)
        self.check_send(Send(Kind.SHARE, 1, 1, (1,), (self.worlds.page(1),), Data.RO))
        assert not self.model.deals
        assert not self.worlds.relay.table.records
        assert not self.worlds.manager.table.records
        for each in EVERYBODY:
            moved = {self.worlds.address(each, page) for page in self.model.donated}
            maps = self.worlds.map(each), self.at_start[each]
            now, then = ({ipa: place for ipa, place in found.items() if ipa not in moved} for found in maps)
            assert now == then


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=EXAMPLES, stateful_step_count=30)


def test_pages_of_a_vm_that_started_over_come_back_once_a_partition_gave_them_back(tmp_path: Path) -> None:
    """The hypervisor is not told of it: it asks when a VM sends or starts over."""
    worlds = Worlds(tmp_path)
    at_start = worlds.map(1)
    sent = worlds.sent(Kind.LEND, 1, SPS[:1], ranges=worlds.ranges(1, [worlds.page(1)]))
    assert worlds.retrieve(SPS[0], sent, Permissions(Data.RW, Instruction.NX)) == 0
    worlds.bench.control.reset("vm0")
    assert worlds.map(1) != at_start
    assert worlds.relinquish(SPS[0], sent) == 0
    worlds.bench.control.reset("vm0")
    assert worlds.map(1) == at_start
    assert not worlds.relay.table.records
    assert not worlds.manager.table.records
