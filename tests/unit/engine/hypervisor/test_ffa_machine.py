"""Random calls of three VMs, good and hostile; after each one the tables and the records must agree."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.arch.paging import S2AP, PageState, S2Leaf
from engine.ffa.abi import Function, handle_of
from engine.ffa.ranges import Range
from engine.ffa.transactions import Kind
from tests.unit.engine.hypervisor.relaying import OPEN, RO, RW, RW_NX, RW_X, Relaying, status

EXAMPLES = int(os.environ.get("FFA_EXAMPLES", "10"))
"""2000 for the long run."""
VMS = st.integers(1, 3)
NUMBERS = st.integers(0, 5)
PERMISSIONS = st.sampled_from([RW, RO, OPEN, RW_NX, RW_X])
WILD = st.sampled_from([0, 0x1000, 0xFFFF_FFFF_FFFF_F000, 0x0900_0000, 1 << 39, 0xC000_0000])


class Sharing(RuleBasedStateMachine):
    """The tables in RAM are compared with what the accepted calls say they must be."""

    @initialize()
    def build(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.machine = Relaying(Path(self.directory.name))
        self.machine.map_buffers(1, 2, 3)
        self.handles = [1, 1 << 63, (1 << 64) - 1]
        self.before = self.machine.maps()
        self.pages = sum(len(pages) for pages in self.before.values())

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.directory.cleanup()

    def judge(self, code: int, state: dict[int, dict[int, S2Leaf]], records: dict[int, object]) -> None:
        """A refused call changed neither tables nor records."""
        if code:
            assert self.machine.maps() == state
            assert dict(self.machine.relay.table.records) == records

    @rule(
        kind=st.sampled_from(Kind),
        owner=VMS,
        to=st.lists(st.integers(0, 4), min_size=1, max_size=3),
        first=NUMBERS,
        count=st.integers(0, 3),
        second=st.none() | NUMBERS,
        base=st.none() | VMS | WILD,
        permissions=PERMISSIONS,
        flags=st.sampled_from([0, 0, 0, 1, 8]),
    )
    def send(
        self,
        kind: Kind,
        owner: int,
        to: list[int],
        first: int,
        count: int,
        second: int | None,
        base: int | None,
        permissions: object,
        flags: int,
    ) -> None:
        start = self.machine.page(base if base is not None and 1 <= base <= 3 else owner, first)
        if base is not None and not 1 <= base <= 3:
            start = base
        ranges = [Range(start, count)] + ([Range(self.machine.page(owner, second), 1)] if second is not None else [])
        wanted = OPEN if kind is Kind.DONATE else permissions
        state, records = self.machine.maps(), dict(self.machine.relay.table.records)
        answer = self.machine.send(kind, owner, to, ranges, wanted, flags)  # type: ignore[arg-type]
        self.judge(status(answer), state, records)  # type: ignore[arg-type]
        if status(answer) == 0:
            self.handles.append(handle_of(answer[2], answer[3]))

    @rule(
        vm=VMS,
        pick=st.integers(0, 40),
        permissions=PERMISSIONS,
        where=st.none() | st.integers(0, 8) | WILD,
        bare=st.booleans(),
        flags=st.sampled_from([0, 0, 1, 4, 1 << 10]),
    )
    def retrieve(self, vm: int, pick: int, permissions: object, where: int | None, bare: bool, flags: int) -> None:
        handle = self.handles[pick % len(self.handles)]
        record = self.machine.relay.table.records.get(handle)
        to = [b.endpoint for b in record.borrowers] if record and not bare else [vm]
        owner = record.owner if record else 1
        ranges = []
        if where is not None and record is not None:
            start = 0xC000_0000 + where * 4096 if where < 9 else where
            ranges = [Range(start, record.pages)]
        state, records = self.machine.maps(), dict(self.machine.relay.table.records)
        code = self.machine.retrieve(vm, handle, permissions, to, owner, ranges, flags)  # type: ignore[arg-type]
        self.judge(code, state, records)  # type: ignore[arg-type]

    @rule(vm=VMS, pick=st.integers(0, 40), flags=st.sampled_from([0, 0, 1, 4]))
    def relinquish(self, vm: int, pick: int, flags: int) -> None:
        state, records = self.machine.maps(), dict(self.machine.relay.table.records)
        code = self.machine.relinquish(vm, self.handles[pick % len(self.handles)], flags)
        self.judge(code, state, records)  # type: ignore[arg-type]

    @rule(vm=VMS, pick=st.integers(0, 40), flags=st.sampled_from([0, 0, 1, 4]))
    def reclaim(self, vm: int, pick: int, flags: int) -> None:
        state, records = self.machine.maps(), dict(self.machine.relay.table.records)
        code = self.machine.reclaim(vm, self.handles[pick % len(self.handles)], flags)
        self.judge(code, state, records)  # type: ignore[arg-type]

    @rule(vm=VMS, function=st.sampled_from(sorted(Function)), data=st.binary(max_size=200), length=st.integers(0, 5000))
    def garbage(self, vm: int, function: int, data: bytes, length: int) -> None:
        """Any call with nonsense in TX; those that make the caller wait are for other tests."""
        if function in (Function.MSG_WAIT, Function.RXTX_UNMAP, Function.VERSION):
            return
        self.machine.write(vm, self.machine.ram(vm) + 0x10_0000, data)
        state, records = self.machine.maps(), dict(self.machine.relay.table.records)
        code = self.machine.status(vm, function, length, length)
        self.judge(code, state, records)  # type: ignore[arg-type]
        self.machine.call(vm, Function.RX_RELEASE)

    @rule(vm=VMS)
    def restart(self, vm: int) -> None:
        self.machine.system.vms[vm - 1].power_on()
        self.machine.map_buffers(vm)

    @invariant()
    def one_exclusive_owner(self) -> None:
        """No page is one VM's alone while another VM has any access to it."""
        if not hasattr(self, "machine"):
            return
        users: dict[int, list[S2Leaf]] = {}
        for pages in self.machine.maps().values():
            for leaf in pages.values():
                if leaf.access is not S2AP.NONE:
                    users.setdefault(leaf.address, []).append(leaf)
        for leaves in users.values():
            if any(leaf.state is PageState.OWNED for leaf in leaves):
                assert len(leaves) == 1

    @invariant()
    def borrowers_have_what_the_records_say(self) -> None:
        if not hasattr(self, "machine"):
            return
        told = {
            (borrower.endpoint, piece.address + 4096 * n)
            for record in self.machine.relay.table.records.values()
            for borrower in record.borrowers
            for piece in borrower.ranges
            for n in range(piece.pages)
        }
        held = {
            (vm, ipa)
            for vm, pages in self.machine.maps().items()
            for ipa, leaf in pages.items()
            if leaf.state is PageState.SHARED_BORROWED
        }
        assert held == told

    @invariant()
    def owners_gave_what_the_records_say(self) -> None:
        if not hasattr(self, "machine"):
            return
        told = {
            (record.owner, piece.address + 4096 * n)
            for record in self.machine.relay.table.records.values()
            for piece in record.ranges
            for n in range(piece.pages)
            if record.kind is not Kind.DONATE
        }
        held = {
            (vm, ipa)
            for vm, pages in self.machine.maps().items()
            for ipa, leaf in pages.items()
            if leaf.state is PageState.SHARED_OWNED
        }
        assert held == told


TestSharing = Sharing.TestCase
TestSharing.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
