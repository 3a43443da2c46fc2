"""Random calls of three VMs and an SP against a small model of who has which pages."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.ffa.errors import FfaError
from engine.ffa.memory import Data, Instruction, Permissions
from engine.ffa.ranges import Range
from engine.ffa.relinquish import Relinquish
from engine.ffa.retrieving import check_retrieve, commit_retrieve
from engine.ffa.returning import (
    check_reclaim,
    check_relinquish,
    commit_reclaim,
    commit_relinquish,
    commit_teardown,
    plan_teardown,
)
from engine.ffa.sending import OwnerPages, check_send, commit_send
from engine.ffa.transactions import HYPERVISOR_HANDLE, Kind
from tests.unit.engine.ffa.sharing import ENDPOINTS, OPEN, SP1, new_table, region, request

IDS = (1, 2, 3, SP1)
PAGES_EACH = 6
CAPACITY = 6
handles = st.integers(1, 8).map(lambda number: HYPERVISOR_HANDLE | number)


@dataclass
class Deal:
    """What the model knows of a transaction."""

    owner: int
    kind: Kind
    pages: frozenset[int]
    receivers: tuple[int, ...]
    holders: set[int] = field(default_factory=set)
    orphaned: bool = False


def _pages(endpoint: int, first: int, count: int) -> tuple[frozenset[int], Range]:
    """Pages of an endpoint's own stretch of addresses."""
    base = (IDS.index(endpoint) * 16 + first) * 4096
    return frozenset(range(base, base + count * 4096, 4096)), Range(base, count)


class Sharing(RuleBasedStateMachine):
    """The table must agree with the model after every call, and refuse without a trace."""

    @initialize()
    def start(self) -> None:
        self.table = new_table(CAPACITY)
        self.deals: dict[int, Deal] = {}
        self.owner_of: dict[int, int] = {
            page: endpoint for endpoint in IDS for page in _pages(endpoint, 0, PAGES_EACH)[0]
        }

    def attempt(self, check: Any, commit: Any) -> Any:
        """Run check then commit; None when refused, which must leave the table as it was."""
        before = copy.deepcopy(self.table)
        try:
            plan = check()
        except FfaError:
            assert self.table == before
            return None
        assert self.table == before
        commit(self.table, plan)
        return plan

    @rule(
        owner=st.sampled_from(IDS),
        kind=st.sampled_from(Kind),
        first=st.integers(0, PAGES_EACH - 1),
        count=st.sampled_from([1, 1, 1, 2, 3]),
        receivers=st.one_of(
            st.lists(st.sampled_from((2, 3, SP1)), min_size=1, max_size=3, unique=True),
            st.lists(st.sampled_from((*IDS, 0x9999)), min_size=1, max_size=3),
        ),
        forged=st.sampled_from([False, False, False, True]),
    )
    def send(self, owner: int, kind: Kind, first: int, count: int, receivers: list[int], forged: bool) -> None:
        pages, piece = _pages(owner, first, count)
        held = all(self.owner_of.get(page) == owner for page in pages)
        shut = {page for deal in self.deals.values() for page in deal.pages}
        facts = OwnerPages(mapped=all(page in self.owner_of for page in pages), exclusive=held)
        sent = region(kind, receivers, ranges=(piece,), sender=owner)
        caller = owner % 3 + 1 if forged else owner
        plan = self.attempt(
            lambda: check_send(self.table, sent, kind, caller, ENDPOINTS, facts),
            commit_send,
        )
        allowed = (
            caller == owner
            and len(set(receivers)) == len(receivers)
            and owner not in receivers
            and 0x9999 not in receivers
            and (kind is not Kind.DONATE or len(receivers) == 1)
            and owner != SP1
            and held
            and not pages & shut
            and len(self.deals) < CAPACITY
        )
        assert (plan is not None) == allowed
        if plan is not None:
            self.deals[plan.transaction.handle] = Deal(owner, kind, pages, tuple(receivers))

    def draw_handle(self, data: st.DataObject, wanted: list[int]) -> int:
        """One of the handles that suit the call, if there are any; else any, stale and future ones included."""
        return data.draw(st.sampled_from(sorted(wanted)) if wanted else handles)

    @rule(right=st.booleans(), data=st.data())
    def retrieve(self, right: bool, data: st.DataObject) -> None:
        open_deals = [h for h, deal in self.deals.items() if set(deal.receivers) - deal.holders]
        handle = self.draw_handle(data, open_deals if right else [])
        deal = self.deals.get(handle)
        caller = data.draw(st.sampled_from(deal.receivers if right and deal is not None else IDS))
        sender = deal.owner if right and deal is not None else data.draw(st.sampled_from(IDS))
        single = deal is not None and deal.kind is not Kind.SHARE and len(deal.receivers) == 1
        wanted = Permissions(Data.RW, Instruction.NX) if single else OPEN
        bypass = deal is not None and len(deal.receivers) > 1 and data.draw(st.booleans())
        named = (caller,) if bypass or deal is None else deal.receivers
        asked = request(handle, named, wanted, 1 << 10 if bypass else 0, sender=sender)
        plan = self.attempt(lambda: check_retrieve(self.table, asked, caller), commit_retrieve)
        allowed = (
            deal is not None
            and caller in deal.receivers
            and caller not in deal.holders
            and sender == deal.owner
            and not deal.orphaned
        )
        assert (plan is not None) == allowed
        if deal is None or plan is None:
            return
        deal.holders.add(caller)
        if deal.kind is Kind.DONATE:
            self.owner_of.update(dict.fromkeys(deal.pages, caller))
            del self.deals[handle]

    @rule(right=st.booleans(), flags=st.sampled_from([0, 0, 0, 1, 4]), data=st.data())
    def relinquish(self, right: bool, flags: int, data: st.DataObject) -> None:
        handle = self.draw_handle(data, [h for h, deal in self.deals.items() if deal.holders] if right else [])
        deal = self.deals.get(handle)
        caller = data.draw(st.sampled_from(sorted(deal.holders) if right and deal and deal.holders else IDS))
        asked = Relinquish(handle, (caller,), flags)
        plan = self.attempt(lambda: check_relinquish(self.table, asked, caller), commit_relinquish)
        held = deal is not None and caller in deal.holders
        fitting = flags == 0 or (flags == 1 and deal is not None and deal.kind is Kind.LEND)
        assert (plan is not None) == (held and fitting)
        if plan is None or deal is None:
            return
        deal.holders.remove(caller)
        if deal.orphaned and not deal.holders:
            self.free(handle)

    @rule(right=st.booleans(), flags=st.sampled_from([0, 0, 1, 8]), data=st.data())
    def reclaim(self, right: bool, flags: int, data: st.DataObject) -> None:
        handle = self.draw_handle(data, list(self.deals) if right else [])
        deal = self.deals.get(handle)
        caller = deal.owner if right and deal is not None else data.draw(st.sampled_from(IDS))
        plan = self.attempt(lambda: check_reclaim(self.table, handle, flags, caller), commit_reclaim)
        allowed = deal is not None and deal.owner == caller and not deal.holders and not deal.orphaned and flags < 8
        assert (plan is not None) == allowed
        if plan is not None:
            del self.deals[handle]

    @rule(endpoint=st.sampled_from(IDS[:3]))
    @precondition(lambda self: len(self.deals) > 3)
    def end_of_an_endpoint(self, endpoint: int) -> None:
        commit_teardown(self.table, plan_teardown(self.table, endpoint))
        for handle, deal in list(self.deals.items()):
            deal.holders.discard(endpoint)
            deal.orphaned |= deal.owner == endpoint
            if deal.orphaned and not deal.holders:
                self.free(handle)
        self.owner_of.update(dict.fromkeys(_pages(endpoint, 0, PAGES_EACH)[0] - self.bound(), endpoint))

    def bound(self) -> set[int]:
        return {page for deal in self.deals.values() for page in deal.pages} | {
            page for page, owner in self.owner_of.items() if IDS[page // 4096 // 16] != owner
        }

    def free(self, handle: int) -> None:
        del self.deals[handle]

    @invariant()
    def records_agree_with_the_model(self) -> None:
        assert set(self.table.records) == set(self.deals)
        for handle, deal in self.deals.items():
            record = self.table.get(handle)
            assert {each.endpoint for each in record.borrowers if each.has_access} == deal.holders
            assert all(bool(each.granted) == bool(each.ranges) == each.has_access for each in record.borrowers)
            assert record.orphaned == deal.orphaned

    @invariant()
    def no_page_is_in_two_transactions(self) -> None:
        pages = [page for deal in self.deals.values() for page in deal.pages]
        assert len(pages) == len(set(pages))
        assert len(self.table.records) <= CAPACITY


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=40, stateful_step_count=35, suppress_health_check=[HealthCheck.too_slow])
