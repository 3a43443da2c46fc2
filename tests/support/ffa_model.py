"""FF-A's memory rules once more, small and by themselves: who may do what with which page (DEN0140 v1.2).

`may_*` give the codes that may refuse a call: none, and it must succeed; several where a request is wrong in several
ways, since the specification does not say which is found first. What follows from a granted call is in the other
methods, and `views` derives from it what every page of every VM must look like. Nothing here knows the engine's rules.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from engine.arch.paging import PAGE, S2AP, PageState
from engine.ffa.errors import Code
from engine.ffa.memory import Data, Instruction
from tests.support.ffa_requests import BYPASS, DONATE, LEND, NORMAL, SHARE, ZERO, ZERO_AFTER, Retrieve, Send

Codes: TypeAlias = set[Code]
KINDS = {SHARE: 1, LEND: 2, DONATE: 3}
"""Flags [4:3] of a retrieve request."""
MAX_RECEIVERS = 3
IPA_BITS = 39
_RW = S2AP.READ_WRITE


class Page(NamedTuple):
    """One page of a VM's map."""

    address: int
    access: S2AP
    execute: bool
    state: PageState


class Ram(NamedTuple):
    """A VM's own memory: IPA, physical address, bytes."""

    ipa: int
    address: int
    size: int


class Held(NamedTuple):
    """What a borrower has."""

    pages: tuple[int, ...]
    write: bool
    execute: bool
    zero_after: bool


@dataclass
class Deal:
    """Memory between send and reclaim."""

    sent: Send
    own: tuple[Page, ...]
    """The pages as the owner has them for itself."""
    holders: dict[int, Held] = field(default_factory=dict)
    zero_due: bool = False
    orphaned: bool = False

    @property
    def write(self) -> bool:
        """Whether a borrower may ask for writing."""
        return self.sent.data is Data.RW or (self.sent.data is Data.UNSPECIFIED and self.own[0].access is _RW)


def codes(invalid: object, denied: object = False, full: object = False) -> Codes:
    """The codes of what is wrong."""
    found = ((Code.INVALID_PARAMETERS, invalid), (Code.DENIED, denied), (Code.NO_MEMORY, full))
    return {code for code, wrong in found if wrong}


class Model:
    """Pages and deals of some VMs; ids of other endpoints are partitions without tables."""

    def __init__(
        self,
        rams: dict[int, Ram],
        others: Collection[int],
        devices: Sequence[tuple[int, int]],
        owner_writes: bool,
        capacity: int,
    ) -> None:
        self.rams = rams
        self.known = {*rams, *others}
        self.devices = devices
        """[first, last) of every VM's devices."""
        self.owner_writes = owner_writes
        self.capacity = capacity
        self.deals: dict[int, Deal] = {}
        self.reserved: set[int] = set()
        """Handles of sends that still arrive."""
        self.cleared: set[int] = set()
        """Physical pages that a call had to clear; whoever looks empties it."""
        self._moved: dict[int, dict[int, Page | None]] = {vm: {} for vm in rams}
        """Where donations made a VM's own pages differ from its RAM."""
        self.views = self._derive()

    # --- pages -------------------------------------------------------------------------------------

    def default(self, vm: int, ipa: int) -> Page | None:
        """A page as it is at power-on."""
        ram = self.rams[vm]
        inside = ram.ipa <= ipa < ram.ipa + ram.size
        return Page(ram.address + ipa - ram.ipa, _RW, True, PageState.OWNED) if inside else None

    def page(self, vm: int, ipa: int) -> Page | None:
        """A page as it must be now."""
        view = self.views[vm]
        return view[ipa] if ipa in view else self.default(vm, ipa)

    def _derive(self) -> dict[int, dict[int, Page | None]]:
        """Every page of every VM that is not as at power-on."""
        views = {vm: dict(moved) for vm, moved in self._moved.items()}
        for deal in self.deals.values():
            views[deal.sent.sender].update(self._left(deal))
            for holder in deal.holders.keys() & views.keys():
                views[holder].update(_lent(deal, deal.holders[holder], PageState.SHARED_BORROWED))
        return {vm: {ipa: p for ipa, p in view.items() if p != self.default(vm, ipa)} for vm, view in views.items()}

    def _left(self, deal: Deal) -> dict[int, Page]:
        """What the owner keeps of what it sent."""
        state = PageState.DONATED if deal.sent.kind is DONATE else PageState.SHARED_OWNED
        none = {"access": S2AP.NONE, "execute": False}
        less = none if deal.sent.kind is not SHARE else {} if self.owner_writes else {"access": S2AP.READ}
        return {ipa: page._replace(state=state, **less) for ipa, page in zip(deal.sent.pages, deal.own, strict=True)}

    # --- calls -----------------------------------------------------------------------------------------

    def may_send(self, caller: int, s: Send, buffers: Collection[int], reserved: bool = False) -> Codes:
        """`buffers`: the pages that are the caller's RX and TX; `reserved`: the table has a place for it."""
        if s.shapeless:
            return codes(invalid=True)
        named = len(set(s.to)) == len(s.to) and {*s.to} <= self.known - {caller, s.sender}
        wrong = not named or not 0 < len(s.to) <= MAX_RECEIVERS or (s.kind is DONATE and len(s.to) > 1)
        wrong |= bool(s.handle or s.flags & ~ZERO or (s.flags and s.kind is SHARE))
        wrong |= s.instruction is not Instruction.UNSPECIFIED or (s.data is Data.UNSPECIFIED) is not (s.kind is DONATE)
        typed = s.attributes != (0 if s.single else NORMAL)
        unknown = typed and (s.single or s.attributes >> 4 not in (0, 1, 2))
        full = not reserved and len(self.deals) + len(self.reserved) >= self.capacity
        there = [self.page(caller, ipa) for ipa in s.pages]
        mapped = [page for page in there if page is not None]
        shut = any(page.state is not PageState.OWNED for page in mapped) or bool({*s.pages} & {*buffers})
        mixed = len({page[1:] for page in mapped}) > 1
        over = any(page.access is not _RW for page in mapped) and (s.data is Data.RW or s.flags & ZERO)
        denied = s.sender != caller or (typed and not unknown) or shut or mixed or over
        return codes(wrong or unknown or len(mapped) < len(there), denied, full)

    def sent(self, handle: int, s: Send) -> None:
        """A send was granted."""
        own = tuple(page for ipa in s.pages if (page := self.page(s.sender, ipa)) is not None)
        self.deals[handle] = Deal(s, own)
        self._clear(self.deals[handle], s.flags & ZERO)

    def may_retrieve(self, caller: int, r: Retrieve) -> Codes:
        """What a borrower may have, and where."""
        deal = self.deals.get(r.handle)
        if deal is None or r.shapeless or caller not in deal.sent.to:
            return codes(True, deal is not None and r.sender != deal.sent.sender)
        sent, bypass, zero = deal.sent, bool(r.flags & BYPASS), r.flags & (ZERO | ZERO_AFTER)
        listed = r.to == (caller,) and len(sent.to) > 1 if bypass else sorted(r.to) == sorted(sent.to)
        wrong = deal.orphaned or not listed or r.tag != sent.tag or bool(zero and sent.kind is SHARE)
        wrong |= bool(r.flags & ~0x7FF) or r.flags >> 3 & 3 not in (0, KINDS[sent.kind])
        wrong |= (r.instruction is Instruction.UNSPECIFIED) is sent.single
        runs, write = r.instruction is Instruction.X, _writes(deal, r)
        denied = r.sender != sent.sender or caller in deal.holders or r.attributes not in (0, NORMAL)
        denied |= (write and not deal.write) or (runs and not deal.own[0].execute)
        denied |= bool(zero & ZERO & ~sent.flags) or bool(zero and not write)
        return codes(wrong, denied) | (self._may_take(caller, r.pages, deal) if caller in self.rams else set())

    def _may_take(self, caller: int, wanted: Sequence[int], deal: Deal) -> Codes:
        """Whether nothing is where the pages go."""
        pages = wanted or deal.sent.pages
        wrong = len(pages) != len(deal.own) or any(ipa >> IPA_BITS for ipa in pages)
        tied = {ipa for other in self.deals.values() if other.sent.sender == caller for ipa in other.sent.pages}
        there = [self.page(caller, ipa) for ipa in pages]
        full = any(page is not None and page.state is not PageState.DONATED for page in there)
        device = any(first < ipa + PAGE and ipa < last for first, last in self.devices for ipa in pages)
        return codes(wrong, full or device or tied & {*pages})

    def retrieved(self, caller: int, r: Retrieve) -> None:
        """A retrieval was granted. Donated pages are the caller's own from now on; a donor's RAM keeps the mark."""
        deal = self.deals[r.handle]
        pages = r.pages or deal.sent.pages
        held = Held(pages, _writes(deal, r), r.instruction is Instruction.X, bool(r.flags & ZERO_AFTER))
        mine = self._moved.get(caller, {})
        mine.update({ipa: None for ipa in pages if mine.get(ipa)})
        if deal.sent.kind is DONATE:
            del self.deals[r.handle]
            owner = deal.sent.sender
            marks = {ipa: page if self.default(owner, ipa) else None for ipa, page in self._left(deal).items()}
            self._moved[owner].update(marks)
            mine.update(_lent(deal, held, PageState.OWNED))
        else:
            deal.holders[caller] = held
        self.views = self._derive()

    def may_relinquish(self, caller: int, handle: int, named: tuple[int, ...], flags: int) -> Codes:
        """`named`: the endpoints that the descriptor lists."""
        deal = self.deals.get(handle)
        if deal is None or named != (caller,) or caller not in deal.holders:
            return codes(invalid=True)
        zero = flags & ZERO
        return codes(flags & ~3 or (zero and deal.sent.kind is SHARE), zero and not deal.holders[caller].write)

    def relinquished(self, caller: int, handle: int, flags: int = 0) -> None:
        """A borrower has nothing any more; the last one of an owner that is gone ends the deal."""
        deal = self.deals[handle]
        held = deal.holders.pop(caller)
        due = deal.zero_due or held.zero_after or bool(flags & ZERO)
        deal.zero_due = due and bool(deal.holders)
        if deal.orphaned and not deal.holders:
            del self.deals[handle]
        self._clear(deal, due and not deal.holders)

    def may_reclaim(self, caller: int, handle: int, flags: int) -> Codes:
        """Only when nobody has the pages."""
        deal = self.deals.get(handle)
        if deal is None or deal.sent.sender != caller or deal.orphaned:
            return codes(invalid=True)
        return codes(flags & ~3, deal.holders or (flags & ZERO and deal.own[0].access is not _RW))

    def reclaimed(self, handle: int, flags: int) -> None:
        """The pages are the owner's alone again."""
        self._clear(self.deals.pop(handle), flags & ZERO)

    def ended(self, vm: int) -> None:
        """A VM stopped or started over: what it borrowed goes back, what nobody has of its own comes back."""
        for handle, deal in list(self.deals.items()):
            deal.orphaned |= deal.sent.sender == vm
            if vm in deal.holders:
                self.relinquished(vm, handle)
            elif deal.orphaned and not deal.holders:
                del self.deals[handle]
        self.views = self._derive()

    def _clear(self, deal: Deal, wanted: object) -> None:
        self.cleared |= {page.address for page in deal.own} if wanted else set()
        self.views = self._derive()


def _writes(deal: Deal, r: Retrieve) -> bool:
    return deal.write if r.data is Data.UNSPECIFIED else r.data is Data.RW


def _lent(deal: Deal, held: Held, state: PageState) -> dict[int, Page]:
    """What a borrower or the new owner gets."""
    access = _RW if held.write else S2AP.READ
    pages = (Page(page.address, access, held.execute, state) for page in deal.own)
    return dict(zip(held.pages, pages, strict=True))
