"""MEM_SHARE, MEM_LEND, MEM_DONATE: what a send is refused for, row by row (DEN0140 v1.2, 2.1-2.3)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.ffa.errors import Code, FfaError
from engine.ffa.memory import DEVICE_NGNRNE, NORMAL_WB_ISH, Attributes, Data, Instruction, Permissions
from engine.ffa.ranges import Range
from engine.ffa.sending import OwnerPages, check_send
from engine.ffa.transactions import HYPERVISOR_HANDLE, Kind, Policy, TransactionTable
from tests.unit.engine.ffa import sharing
from tests.unit.engine.ffa.sharing import ENDPOINTS, OPEN, OWNER, PAGES, RO, RW, SP1, VM2, VM3, new_table, region, send

SHARE, LEND, DONATE = Kind.SHARE, Kind.LEND, Kind.DONATE
INV, DEN = Code.INVALID_PARAMETERS, Code.DENIED
NC = Attributes(2 << 4 | 1 << 2 | 3)


def refusal(
    kind: Kind,
    changes: dict[str, Any],
    pages: OwnerPages = PAGES,
    caller: int = OWNER,
    table: TransactionTable | None = None,
) -> Code:
    table = table or new_table()
    before = copy.deepcopy(table)
    with pytest.raises(FfaError) as refused:
        check_send(table, region(kind, **changes), kind, caller, ENDPOINTS, pages)
    assert table == before
    return refused.value.code


ROWS: list[tuple[str, Kind, dict[str, Any], Code]] = [
    ("sender field != caller", SHARE, {"sender": VM3}, DEN),
    ("handle not zero", SHARE, {"handle": 1}, INV),
    ("receivers 0", SHARE, {"receivers": ()}, INV),
    ("receivers > max", SHARE, {"receivers": range(2, 11)}, INV),
    ("donate to two", DONATE, {"receivers": (VM2, VM3)}, INV),
    ("unknown receiver", SHARE, {"receivers": (0x9999,)}, INV),
    ("self receiver", SHARE, {"receivers": (OWNER,)}, INV),
    ("duplicate receiver", SHARE, {"receivers": (VM2, VM2)}, INV),
    ("zero flag on share", SHARE, {"flags": 1}, INV),
    ("time slice flag", LEND, {"flags": 2}, INV),
    ("type flags in a send", SHARE, {"flags": 8}, INV),
    ("reserved flag", LEND, {"flags": 1 << 31}, INV),
    ("instruction access set", SHARE, {"permissions": Permissions(Data.RW, Instruction.NX)}, INV),
    ("reserved data access", SHARE, {"permissions": Permissions(Data.RESERVED)}, INV),
    ("reserved permission bits", SHARE, {"permissions": Permissions(Data.RW, reserved=1)}, INV),
    ("entry flags", SHARE, {"entry_flags": 1}, INV),
    ("data unspecified on share", SHARE, {"permissions": OPEN}, INV),
    ("data unspecified on lend", LEND, {"permissions": OPEN}, INV),
    ("data specified on donate", DONATE, {"permissions": RW}, INV),
    ("NS bit", SHARE, {"attributes": Attributes(NORMAL_WB_ISH.raw | 0x40)}, INV),
    ("reserved attributes", SHARE, {"attributes": Attributes(0x80 | NORMAL_WB_ISH.raw)}, INV),
    ("type on donate", DONATE, {"attributes": NORMAL_WB_ISH}, INV),
    ("type on lend to one", LEND, {"attributes": NORMAL_WB_ISH}, INV),
    ("no type on share", SHARE, {"attributes": Attributes(0)}, DEN),
    ("non-cacheable", SHARE, {"attributes": NC}, DEN),
    ("device GRE", LEND, {"receivers": (VM2, VM3), "attributes": Attributes(1 << 4 | 3 << 2)}, DEN),
]


@pytest.mark.parametrize(("kind", "changes", "code"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_row(kind: Kind, changes: dict[str, Any], code: Code) -> None:
    assert refusal(kind, changes) is code


PAGE_ROWS: list[tuple[str, Kind, dict[str, Any], OwnerPages, Code]] = [
    ("page not in owner map", SHARE, {}, OwnerPages(mapped=False), INV),
    ("not owned exclusively", SHARE, {}, OwnerPages(exclusive=False), DEN),
    ("mixed attributes", SHARE, {}, OwnerPages(uniform=False), DEN),
    ("RW of an RO page", SHARE, {}, OwnerPages(writable=False), DEN),
    ("zero with owner RO", LEND, {"flags": 1, "permissions": RO}, OwnerPages(writable=False), DEN),
    ("device shared", SHARE, {"attributes": DEVICE_NGNRNE}, OwnerPages(device=True), DEN),
    ("device lent to two", LEND, {"receivers": (VM2, VM3)}, OwnerPages(device=True), DEN),
    ("device donated", DONATE, {}, OwnerPages(device=True), DEN),
    ("normal sent as device", SHARE, {"attributes": DEVICE_NGNRNE}, PAGES, DEN),
]


@pytest.mark.parametrize(
    ("kind", "changes", "pages", "code"), [row[1:] for row in PAGE_ROWS], ids=[row[0] for row in PAGE_ROWS]
)
def test_row_about_pages(kind: Kind, changes: dict[str, Any], pages: OwnerPages, code: Code) -> None:
    assert refusal(kind, changes, pages) is code


def test_an_sp_may_not_send_to_a_vm() -> None:
    assert refusal(SHARE, {"sender": SP1}, caller=SP1) is DEN


def test_pages_of_a_transaction_are_not_sent_again() -> None:
    """Already shared or lent: DENIED, also where only one page overlaps."""
    table = new_table()
    send(table, region())
    assert refusal(SHARE, {"ranges": (Range(0x5000_1000, 1),)}, table=table) is DEN
    send(table, region(ranges=(Range(0x5000_2000, 1),)))


def test_pages_a_borrower_has_are_not_its_to_send() -> None:
    table = new_table()
    handle = send(table, region())
    sharing.retrieve(table, sharing.request(handle))
    assert refusal(SHARE, {"sender": VM2, "receivers": (VM3,)}, caller=VM2, table=table) is DEN


def test_the_table_is_bounded() -> None:
    """16 records by default, then NO_MEMORY."""
    table = new_table()
    for number in range(16):
        send(table, region(ranges=(Range(number << 12, 1),)))
    assert refusal(SHARE, {"ranges": (Range(0x100000, 1),)}, table=table) is Code.NO_MEMORY


def test_donation_can_be_switched_off() -> None:
    table = TransactionTable(policy=Policy(allow_donate=False))
    assert refusal(DONATE, {}, table=table) is Code.NOT_SUPPORTED


def test_handles_say_who_allocated_them() -> None:
    assert send(new_table(), region()) == HYPERVISOR_HANDLE | 1
    assert send(TransactionTable(), region()) == 1


def test_handles_are_not_used_twice_and_reservations_hold_a_place() -> None:
    table = new_table(2)
    table.check_room()
    reserved = table.reserve()
    first = send(table, region())
    assert first != reserved
    assert refusal(SHARE, {"ranges": (Range(0x9000, 1),)}, table=table) is Code.NO_MEMORY
    plan = check_send(table, region(ranges=(Range(0x9000, 1),)), SHARE, OWNER, ENDPOINTS, PAGES, reserved)
    assert plan.transaction.handle == reserved
    table.insert(plan.transaction)
    assert not table.reserved
    table.release(reserved)
    assert table.next_handle == HYPERVISOR_HANDLE | 3


def test_what_is_recorded() -> None:
    table = new_table()
    record = table.get(send(table, region(LEND, flags=1), LEND))
    assert (record.pages, record.single, record.flags, record.kind) == (3, True, 1, LEND)
    assert record.attributes == Attributes(NORMAL_WB_ISH.raw | 0x40)
    assert record.borrowers[0].offered == Permissions(Data.RW, Instruction.X)
    shared = table.get(send(table, region(receivers=(VM2, SP1), permissions=RO, ranges=(Range(0, 1),))))
    assert {each.offered for each in shared.borrowers} == {Permissions(Data.RO, Instruction.NX)}


def test_a_donation_offers_what_the_owner_has() -> None:
    pages = OwnerPages(writable=False, executable=False)
    table = new_table()
    record = table.get(send(table, region(DONATE), DONATE, pages))
    assert record.borrowers[0].offered == Permissions(Data.RO, Instruction.NX)


def test_the_plan_says_whether_to_clear() -> None:
    plan = check_send(new_table(), region(LEND, flags=1), LEND, OWNER, ENDPOINTS, PAGES)
    assert plan.zero
