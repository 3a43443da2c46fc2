"""Memory sharing across the worlds once more, by physical page: who has what, and who may do what (DEN0140 v1.2).

Two VMs under a relayer, three partitions behind an SPMC. Nothing here knows the engine's rules or tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from engine.arch.paging import S2AP, PageState
from engine.ffa.abi import is_secure
from engine.ffa.memory import Data, Instruction, Permissions
from engine.ffa.transactions import Kind

VMS, SPS = (1, 2), (0x8001, 0x8002, 0x8003)
EVERYBODY = (*VMS, *SPS)
NORMAL_BASE = 0x4000_0000
"""Memory from here on is Non-secure."""
_OWNER_KEEPS = S2AP.READ
"""Of what it shares; less than its own access or equal."""


class Entry(NamedTuple):
    """What somebody may do with a page."""

    access: S2AP
    execute: bool
    state: PageState


OWNED = Entry(S2AP.READ_WRITE, True, PageState.OWNED)


class Title(NamedTuple):
    """Whose a page is, and what that includes."""

    owner: int
    entry: Entry = OWNED


@dataclass
class Deal:
    """Memory between send and reclaim."""

    kind: Kind
    owner: int
    to: tuple[int, ...]
    pages: tuple[int, ...]
    own: Entry
    """What the owner has for itself."""
    write: bool
    """Whether it is offered for writing."""
    holders: dict[int, Entry] = field(default_factory=dict)
    orphaned: bool = False
    """The owner started over, and its hypervisor waits for borrowers."""
    in_spmc: bool = False
    """The SPMC has a record."""

    @property
    def single(self) -> bool:
        return self.kind is not Kind.SHARE and len(self.to) == 1

    @property
    def kept(self) -> Entry:
        """What the owner keeps meanwhile."""
        if self.kind is Kind.SHARE:
            return self.own._replace(access=_OWNER_KEEPS, state=PageState.SHARED_OWNED)
        state = PageState.DONATED if self.kind is Kind.DONATE else PageState.SHARED_OWNED
        return Entry(S2AP.NONE, False, state)


class Send(NamedTuple):
    """A send as asked for."""

    kind: Kind
    caller: int
    sender: int
    to: tuple[int, ...]
    pages: tuple[int, ...]
    data: Data


class Retrieve(NamedTuple):
    """A retrieve request as asked for."""

    caller: int
    handle: int
    sender: int
    to: tuple[int, ...]
    wanted: Permissions


class Model:
    """Pages that take part, each its first owner's, and what goes on with them."""

    def __init__(self, titles: dict[int, int]) -> None:
        self.titles = {page: Title(owner) for page, owner in titles.items()}
        self.deals: dict[int, Deal] = {}
        self.over: set[int] = set()
        """Handles of deals that ended."""
        self.unheard: set[int] = set()
        """Of these, donations of which the hypervisor need not know yet that they were retrieved."""
        self.donated: set[int] = set()
        """Pages that have changed their owner."""

    def owned(self, endpoint: int) -> list[int]:
        return [page for page, title in self.titles.items() if title.owner == endpoint]

    def view(self, endpoint: int) -> dict[int, Entry]:
        """What an endpoint must have of every page, those without access left out."""
        found = {page: self.titles[page].entry for page in self.owned(endpoint)}
        for deal in self.deals.values():
            if deal.owner == endpoint:
                found |= dict.fromkeys(deal.pages, deal.kept)
            elif endpoint in deal.holders:
                found |= dict.fromkeys(deal.pages, deal.holders[endpoint])
        return {page: entry for page, entry in found.items() if entry.access is not S2AP.NONE}

    # --- calls -------------------------------------------------------------------------------------------

    def may_send(self, s: Send) -> bool:
        named = 0 < len(s.to) == len(set(s.to)) and {*s.to} <= {*EVERYBODY} - {s.caller}
        named &= s.kind is not Kind.DONATE or len(s.to) == 1
        upwards = is_secure(s.caller) and not all(is_secure(each) for each in s.to)
        tied = {page for deal in self.deals.values() for page in deal.pages}
        own = {*s.pages} <= {*self.owned(s.caller)} - tied and len(set(s.pages)) == len(s.pages)
        if s.sender != s.caller or not named or upwards or not own:
            return False
        alike = len({(self.titles[page].entry, page >= NORMAL_BASE) for page in s.pages}) == 1
        return alike and (s.data is not Data.RW or self.titles[s.pages[0]].entry.access is S2AP.READ_WRITE)

    def sent(self, handle: int, s: Send) -> None:
        own = self.titles[s.pages[0]].entry
        write = own.access is S2AP.READ_WRITE if s.kind is Kind.DONATE else s.data is Data.RW
        in_spmc = any(is_secure(each) for each in s.to)
        self.deals[handle] = Deal(s.kind, s.caller, s.to, s.pages, own, write, in_spmc=in_spmc)

    def may_retrieve(self, r: Retrieve) -> bool:
        deal = self.deals.get(r.handle)
        if deal is None or r.caller not in deal.to or r.caller in deal.holders:
            return False
        there = deal.in_spmc if is_secure(r.caller) else not deal.orphaned
        named = r.sender == deal.owner and sorted(r.to) == sorted(deal.to)
        runs = r.wanted.instruction is Instruction.X
        may_run = deal.own.execute and not (is_secure(r.caller) and deal.pages[0] >= NORMAL_BASE)
        said = (r.wanted.instruction is not Instruction.UNSPECIFIED) is deal.single
        return there and named and said and (may_run or not runs) and (deal.write or r.wanted.data is not Data.RW)

    def retrieved(self, r: Retrieve) -> None:
        deal = self.deals[r.handle]
        write = deal.write if r.wanted.data is Data.UNSPECIFIED else r.wanted.data is Data.RW
        access = S2AP.READ_WRITE if write else S2AP.READ
        entry = Entry(access, r.wanted.instruction is Instruction.X, PageState.SHARED_BORROWED)
        if deal.kind is not Kind.DONATE:
            deal.holders[r.caller] = entry
            return
        self._end(r.handle)
        self.titles |= dict.fromkeys(deal.pages, Title(r.caller, entry._replace(state=PageState.OWNED)))
        self.donated |= {*deal.pages}
        if not is_secure(deal.owner) and is_secure(r.caller):
            self.unheard.add(r.handle)

    def may_relinquish(self, caller: int, handle: int) -> bool:
        return handle in self.deals and caller in self.deals[handle].holders

    def relinquished(self, caller: int, handle: int) -> None:
        """The last VM of an orphan ends it; of partitions the hypervisor does not hear."""
        deal = self.deals[handle]
        del deal.holders[caller]
        if deal.orphaned and not deal.holders and not deal.in_spmc:
            self._end(handle)

    def may_reclaim(self, caller: int, handle: int) -> bool:
        deal = self.deals.get(handle)
        return deal is not None and deal.owner == caller and not deal.holders and not deal.orphaned

    def reclaimed(self, handle: int) -> None:
        self._end(handle)

    def restarted(self, vm: int) -> None:
        """What a VM borrowed goes back. Of its own comes back what no partition has; an orphan keeps its borrowers."""
        self.collect()
        for handle, deal in list(self.deals.items()):
            if vm in deal.holders:
                self.relinquished(vm, handle)
        for deal in self.deals.values():
            deal.orphaned |= deal.owner == vm
        self.collect()

    def collect(self) -> None:
        """The hypervisor asks the SPMC for what started-over VMs left with partitions."""
        for handle, deal in list(self.deals.items()):
            if deal.orphaned:
                deal.in_spmc &= any(is_secure(each) for each in deal.holders)
                if not deal.holders:
                    self._end(handle)
        self.unheard.clear()

    def _end(self, handle: int) -> None:
        del self.deals[handle]
        self.over.add(handle)


def proper(deal: Deal | None, data: Data, instruction: Instruction | None) -> Permissions:
    """A wish that fits the kind of a deal, unless instruction access is told."""
    if instruction is None:
        instruction = Instruction.NX if deal is not None and deal.single else Instruction.UNSPECIFIED
    return Permissions(data, instruction)
