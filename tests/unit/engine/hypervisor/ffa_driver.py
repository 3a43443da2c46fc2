"""Calls of three VMs, predicted by models: how one is made and judged, and what must hold after every one."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from engine.arch.paging import PAGE, S2AP, PageState
from engine.ffa.abi import Function
from engine.ffa.errors import Code
from engine.hypervisor.ffa_stub_spmc import SP1, SP2
from engine.views import VcpuState
from tests.support.ffa_exchange_model import BUFFER, Buffers, Doing, Notices, Talk
from tests.support.ffa_model import KINDS, Codes, Model, Page
from tests.unit.engine.hypervisor.ffa_board import CAPACITY, Frozen, board
from tests.unit.engine.hypervisor.relaying import status

VMS, STUBS = (1, 2, 3), (SP1, SP2)
TX, RX = 0x10_0000, 0x10_2000
"""Offsets into RAM of the buffers that VMs usually have."""
GRID, GRID_PAGES = 0x1F_D000, 6
"""Pages of each VM's RAM that are sent about; the fourth is in another table than those before it."""
STATES = {
    VcpuState.READY: Doing.RUNS,
    VcpuState.WAITING: Doing.WAITS,
    VcpuState.CALLING: Doing.CALLS,
    VcpuState.OFF: Doing.OFF,
}
_MARK, _MARK_AT = 0x5EED_0000_0000_0000, PAGE - 8
"""What the end of every such page holds; the device tree, which each start writes, does not reach there."""


class Driver:
    """One example: a board, the models of it, and what was asked so far."""

    seen: ClassVar[Counter[tuple[str, str]]] = Counter()
    """(call, answer) of all examples."""

    def __init__(self, layout: str, owner_access: str) -> None:
        self.board = board(layout, owner_access)
        self.board.reset()
        self.model = Model(self.board.rams, STUBS, self.board.devices, owner_access == "read-write", CAPACITY)
        self.buffers = Buffers()
        self.talk = Talk(dict.fromkeys(VMS, Doing.RUNS))
        self.notices = Notices(frozenset((*VMS, *STUBS)))
        self.handles: list[int] = []
        """All that were ever given out."""
        self.given: set[int] = set()
        """Pages that were donated: whoever took them may have left some access behind."""
        self.gone: set[int] = set()
        """Pages donated to partitions that have no tables here."""
        self.scarce = False
        """Memory for tables may run out."""
        self._memory = self.board.system.memory
        self._marked = [ram.address + GRID + n * PAGE for ram in self.board.rams.values() for n in range(GRID_PAGES)]
        for address in self._marked:
            self._memory.write_u64(address + _MARK_AT, _MARK | address)
        self._responses: dict[int, bytes] = {}
        self.check()

    def at(self, vm: int, offset: int) -> int:
        """IPA of a place in a VM's RAM."""
        return self.board.rams[vm].ipa + offset

    # --- one call ------------------------------------------------------------------------------------

    def call(
        self, expected: Codes, vm: int, function: Function, *values: int, ends: bool = False
    ) -> tuple[int, ...] | None:
        """x0-x17 after a call that was granted; None for one that was refused, and left no trace.

        `ends`: a transfer of fragments is over whatever the answer is.
        """
        before = self.board.frozen()
        answer = self.board.call(vm, function, *values)
        return answer if self.judge(before, expected, function.name, status(answer), ends) else None

    def judge(self, before: Frozen, expected: Codes, what: str, code: int, ends: bool = False) -> bool:
        """Whether a call was granted, which must be as predicted; if not, it must not have changed anything."""
        self.seen[what, Code(code).name if code else "granted"] += 1
        if not code:
            assert not expected, f"{what} was granted instead of {expected}"
            return True
        short = self.scarce and code == Code.NO_MEMORY
        assert code in expected or short, f"{what}: {Code(code).name} instead of {expected or 'success'}"
        after = self.board.frozen()
        if ends:
            before, after = before._replace(arriving=None), after._replace(arriving=None)
        assert after == before, f"{what} was refused and changed something"
        return False

    def write_tx(self, vm: int, data: bytes) -> None:
        """What a VM has in its TX buffer, if it has one."""
        if vm in self.buffers.pairs:
            self._memory.write(self._physical(vm, self.buffers.pairs[vm][0]), data[:BUFFER])

    def read_rx(self, vm: int, size: int) -> bytes:
        """The start of a VM's RX buffer."""
        return self._memory.read(self._physical(vm, self.buffers.pairs[vm][1]), size)

    def _physical(self, vm: int, ipa: int) -> int:
        page = self.model.page(vm, ipa)
        assert page is not None
        return page.address

    # --- what must always hold -------------------------------------------------------------------------

    def check(self) -> None:
        """Tables and records are what the models say."""
        pages = self.board.changed_pages()
        assert pages == self.model.views
        self._one_owner(pages)
        self._check_records()
        self._check_contents()
        relay = self.board.relay
        assert {vm for vm, each in relay.endpoints.items() if each.mailbox.full} == self.buffers.full
        assert {vm: STATES[self.board.vcpu(vm).state] for vm in VMS} == self.talk.doing

    def _one_owner(self, views: dict[int, dict[int, Page | None]]) -> None:
        """No page is one VM's alone while another VM has any access to it."""
        users: dict[int, list[tuple[int, Page]]] = {}
        for vm, pages in views.items():
            for page in pages.values():
                if page is not None and page.access is not S2AP.NONE:
                    users.setdefault(page.address, []).append((vm, page))
        for address, found in users.items():
            for vm, ram in self.board.rams.items():
                ipa = address - ram.address + ram.ipa
                home = self.model.default(vm, ipa) if ipa not in views[vm] else None
                found += [(vm, home)] if home is not None and home.address == address else []
            alone = [vm for vm, page in found if page.state is PageState.OWNED]
            assert not alone or len(found) == 1, f"{address:#x} is {alone} alone, and used by {found}"

    def _check_records(self) -> None:
        records = self.board.relay.table.records
        assert records.keys() == self.model.deals.keys()
        assert self.board.relay.table.reserved == self.model.reserved
        for handle, deal in self.model.deals.items():
            record, sent = records[handle], deal.sent
            assert (record.kind, record.owner, record.orphaned) == (KINDS[sent.kind], sent.sender, deal.orphaned)
            assert pages_of(record.ranges) == sent.pages
            have = {each.endpoint: pages_of(each.ranges) for each in record.borrowers if each.has_access}
            assert have.keys() == deal.holders.keys()
            assert all(have[vm] == deal.holders[vm].pages for vm in have.keys() & {*VMS})
            assert [each.endpoint for each in record.borrowers] == list(sent.to)

    def _check_contents(self) -> None:
        """Pages are cleared when a call says so, and never else; into buffers messages are written."""
        for vm, pair in self.buffers.pairs.items():
            for buffer in {self._physical(vm, each) for each in pair}.intersection(self._marked):
                self._memory.write_u64(buffer + _MARK_AT, _MARK | buffer)
        for address in self._marked:
            cleared = address in self.model.cleared
            found = self._memory.read_u64(address + _MARK_AT)
            assert found == (0 if cleared else _MARK | address), f"{address:#x}"
            if cleared:
                self._memory.write_u64(address + _MARK_AT, _MARK | address)
        self.model.cleared.clear()


def pages_of(ranges: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Addresses of all pages."""
    return tuple(address + PAGE * n for address, count in ranges for n in range(count))
