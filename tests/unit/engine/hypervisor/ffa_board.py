"""A board of three VMs that returns to its state at power-on in no time, for thousands of examples."""

from __future__ import annotations

import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from engine.arch.paging import PAGE
from engine.ffa.abi import Function, id_pair
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.memory import Attributes, Permissions
from engine.ffa.ranges import Composite, Range
from engine.ffa.transactions import Transaction
from engine.hypervisor.ffa_proxy import FfaProxy
from tests.support.ffa_model import Page, Ram
from tests.support.ffa_requests import Retrieve, Send
from tests.support.ffa_tables import TableReader
from tests.unit.engine.hypervisor.relaying import RAM_SIZE, Relaying

CAPACITY = 4
"""Transactions at one time: few, so that the table is full now and then."""
BASE = 0x4000_0000
LAYOUTS = {
    "identity": [(BASE + n * RAM_SIZE, BASE + n * RAM_SIZE) for n in range(3)],
    "apart": [(0x4800_0000 + n * 0x2000_0000, BASE + (2 - n) * RAM_SIZE) for n in range(3)],
    "alike": [(BASE, BASE + n * RAM_SIZE) for n in range(3)],
}
"""(IPA, physical address) of each VM's RAM: the same, different, or at one IPA for all."""
_TOTAL = struct.Struct("<I")
_HEADER, _COMPOSITE, _CONSTITUENT = 48, 16, 16


class Frozen(NamedTuple):
    """All that a refused call must leave alone."""

    tables: bytes
    records: dict[int, Transaction]
    arriving: object
    """Sends that arrive in fragments; a last fragment ends one even when what it says is refused."""
    rest: str


class Board(Relaying):
    """A machine whose tables and records are looked at after every call."""

    def __init__(self, directory: Path, layout: str, owner_access: str) -> None:
        places = LAYOUTS[layout]
        super().__init__(
            directory,
            places=places,
            digest=False,
            owner_access_on_share=owner_access,
            max_transactions=CAPACITY,
            max_receivers=3,
        )
        self.rams = {vm: Ram(ipa, address, RAM_SIZE) for vm, (ipa, address) in enumerate(places, start=1)}
        vms = dict(enumerate(self.system.vms, start=1))
        self.devices = [(each.base, each.end) for each in vms[1].bus.attachments]
        self.allocator = vms[1].stage2.tables
        self.first_table = self.system.config.board.firmware_base
        self._tables = self._table_bytes()
        self._end = self.allocator._end
        self._readers = {
            vm: TableReader(self.system.memory, each.stage2.root, self.rams[vm]) for vm, each in vms.items()
        }

    def reset(self) -> None:
        """Everything as at power-on, and a manager that remembers nothing."""
        for vm in self.system.vms:
            vm.power_on()
        memory, allocator = self.system.memory, self.allocator
        memory.write(self.first_table, self._tables)
        allocator._next, allocator._end = self.first_table + len(self._tables), self._end
        allocator._free.clear()
        self.proxy = FfaProxy(self.system.hypervisor, memory, self.proxy.relay.config)
        self.relay = self.proxy.relay
        for vm in self.system.vms:
            self.proxy.add_vm(vm)

    def leave_tables(self, count: int) -> None:
        """Let no more than so many further pages be tables."""
        self.allocator._end = self.allocator._next + count * PAGE

    def free_tables(self) -> None:
        """As much table memory as ever."""
        self.allocator._end = self._end

    def _table_bytes(self) -> bytes:
        return self.system.memory.read(self.first_table, self.allocator._next - self.first_table)

    def frozen(self) -> Frozen:
        """Tables bit for bit, and records."""
        relay, calls = self.relay, self.proxy._memory
        arriving = (set(relay.table.reserved), relay.table.next_number, dict(calls._incoming.transfers))
        boxes = [(each.mailbox, each.negotiation.agreed) for each in relay.endpoints.values()]
        vcpus = [(vm.state, vm.vcpus[0].state, vm.vcpus[0].ffa) for vm in self.system.vms]
        rest = (boxes, vcpus, relay.notifications.endpoints, calls._outgoing.transfers)
        # A page that was taken and given back is no change: it is free, and free pages hold nothing.
        tables = self._table_bytes().rstrip(b"\0")
        return Frozen(tables, dict(relay.table.records), arriving, repr(rest))

    def changed_pages(self) -> dict[int, dict[int, Page | None]]:
        """Every page that is not as at power-on, read from RAM. Every table is some VM's, or free."""
        found = {vm: reader.read() for vm, reader in self._readers.items()}
        used = [table for each in found.values() for table in each.tables] + self.allocator._free
        assert sorted(used) == list(range(self.first_table, self.allocator._next, PAGE)), "a table is lost"
        return {vm: each.pages for vm, each in found.items()}

    # --- descriptors ---------------------------------------------------------------------------------

    def pack(self, vm: int, request: Send | Retrieve) -> bytes:
        """The descriptor that a VM writes for a request."""
        composite = Composite(tuple(Range(*piece) for piece in request.ranges)) if request.ranges else None
        permissions = Permissions(request.data, request.instruction)
        everyone = isinstance(request, Send)
        access = tuple(
            EndpointAccess(each, permissions, composite=composite if everyone or each == vm else None)
            for each in request.to
        )
        attributes = Attributes(request.attributes)
        region = MemoryRegion(request.sender, access, attributes, request.flags, request.handle, request.tag)
        data = bytearray(pack(region, self.relay.endpoints[vm].version))
        if request.announced and any(entry.composite for entry in access):
            at = len(data) - _COMPOSITE - _CONSTITUENT * len(request.ranges)
            _TOTAL.pack_into(data, at, _TOTAL.unpack_from(data, at)[0] + request.announced)
        return damaged(bytes(data), request.damage)

    def stub(self, vm: int, partition: int, command: int, handle: int) -> tuple[int, ...]:
        """Have a stub partition do something with a handle; its status is in x3."""
        words = handle & 0xFFFF_FFFF, handle >> 32
        return self.call(vm, Function.MSG_SEND_DIRECT_REQ_32, id_pair(vm, partition), 0, command, *words)


def damaged(data: bytes, kind: int) -> bytes:
    """A descriptor that nobody may accept; kind 0 leaves it whole."""
    patches: dict[int, tuple[int, bytes]] = {
        1: (24, bytes([17])),  # size of an entry
        2: (28, bytes([0])),  # receivers
        3: (28, b"\xff\xff\xff\xff"),
        4: (32, bytes([47])),  # where they are
        5: (32, b"\xf0\xff\xff\xff"),
        6: (40, b"\x01"),  # reserved
        7: (_HEADER + 4, b"\xf0\xff\xff\xff"),  # where the first one's ranges are
        8: (_HEADER + 4, b"\x08"),
        9: (_HEADER + 2, b"\xff"),  # permissions
    }
    if kind in patches:
        at, patch = patches[kind]
        data = data[:at] + patch + data[at + len(patch) :]
    return {10: data[:-8], 11: data + bytes(16), 12: data[:40]}.get(kind, data)


@cache
def board(layout: str, owner_access: str) -> Board:
    """One board of each kind, made when it is first asked for."""
    with tempfile.TemporaryDirectory() as directory:
        return Board(Path(directory), layout, owner_access)
