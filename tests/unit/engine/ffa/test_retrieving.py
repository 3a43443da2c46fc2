"""RETRIEVE_REQ and its response: what a request is refused for, row by row (DEN0140 v1.2, 2.4, 2.5)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.ffa.descriptors import EndpointAccess, pack, parse_retrieve
from engine.ffa.errors import Code, FfaError
from engine.ffa.memory import DEVICE_NGNRNE, NORMAL_WB_ISH, Attributes, Data, Instruction, Permissions
from engine.ffa.ranges import Composite, Range
from engine.ffa.retrieving import check_retrieve, response
from engine.ffa.sending import OwnerPages
from engine.ffa.transactions import Kind, Policy, TransactionTable
from engine.ffa.version import V1_0, V1_2
from tests.unit.engine.ffa.sharing import (
    OPEN,
    RANGES,
    RO,
    RW,
    RW_NX,
    SP1,
    VM2,
    VM3,
    new_table,
    region,
    relinquish,
    request,
    retrieve,
    send,
)

SHARE, LEND, DONATE = Kind.SHARE, Kind.LEND, Kind.DONATE
INV, DEN = Code.INVALID_PARAMETERS, Code.DENIED
RW_X = Permissions(Data.RW, Instruction.X)
RO_NX = Permissions(Data.RO, Instruction.NX)
OSH = Attributes(2 << 4 | 3 << 2 | 2)
ELSEWHERE = Composite((Range(0x9000_0000, 3),))


def refusal(table: TransactionTable, handle: int, changes: dict[str, Any], caller: int = VM2) -> Code:
    before = copy.deepcopy(table)
    with pytest.raises(FfaError) as refused:
        check_retrieve(table, request(handle, **changes), caller)
    assert table == before
    return refused.value.code


ROWS: list[tuple[str, Kind, dict[str, Any], dict[str, Any], Code]] = [
    ("type is not the real one", SHARE, {}, {"flags": 2 << 3}, INV),
    ("tag", SHARE, {}, {"tag": 8}, INV),
    ("align hint", SHARE, {}, {"flags": 1 << 9}, INV),
    ("align hint not valid", SHARE, {}, {"flags": 1 << 5}, INV),
    ("reserved flags > 0x7FF", SHARE, {}, {"flags": 0x800}, INV),
    ("impdef mismatch", SHARE, {"impdef": b"x" * 16}, {}, INV),
    ("receiver list shorter", SHARE, {"receivers": (VM2, VM3)}, {}, INV),
    ("receiver list other", SHARE, {"receivers": (VM2, VM3)}, {"receivers": (VM2, SP1)}, INV),
    ("receiver named twice", SHARE, {"receivers": (VM2, VM3)}, {"receivers": (VM2, VM2)}, INV),
    ("bypass with one borrower", SHARE, {}, {"flags": 1 << 10}, INV),
    ("bypass with the full list", SHARE, {"receivers": (VM2, VM3)}, {"receivers": (VM2, VM3), "flags": 1 << 10}, INV),
    ("sender field mismatch", SHARE, {}, {"sender": VM3}, DEN),
    ("zero flag on share", SHARE, {}, {"flags": 1}, INV),
    ("zero-after on share", SHARE, {}, {"flags": 4}, INV),
    ("zero the lender did not ask", LEND, {}, {"flags": 1, "permissions": RW_NX}, DEN),
    ("zero with RO", LEND, {"flags": 1}, {"flags": 1, "permissions": RO_NX}, DEN),
    ("zero-after with RO", LEND, {}, {"flags": 4, "permissions": RO_NX}, DEN),
    ("NS bit", SHARE, {}, {"attributes": Attributes(0x40)}, INV),
    ("data above those sent", SHARE, {"permissions": RO}, {"permissions": RW}, DEN),
    ("reserved permissions", SHARE, {}, {"permissions": Permissions(Data.RESERVED)}, INV),
    ("instruction set on share", SHARE, {}, {"permissions": RW_NX}, INV),
    ("instruction unset on lend to one", LEND, {}, {"permissions": RW}, INV),
    ("instruction unset on donate", DONATE, {}, {"permissions": RW}, INV),
    ("attributes above those sent", SHARE, {}, {"attributes": OSH}, DEN),
    ("reserved attributes", SHARE, {}, {"attributes": Attributes(0x30)}, INV),
    ("entry flags", SHARE, {}, {"entry_flags": 1}, INV),
    ("page counts differ", SHARE, {}, {"composite": Composite((Range(0x9000_0000, 2),))}, INV),
]


@pytest.mark.parametrize(("kind", "sent", "asked", "code"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_row(kind: Kind, sent: dict[str, Any], asked: dict[str, Any], code: Code) -> None:
    table = new_table()
    handle = send(table, region(kind, **sent), kind)
    assert refusal(table, handle, asked) is code


def test_unknown_handle_and_stranger() -> None:
    table = new_table()
    handle = send(table, region())
    assert refusal(table, handle + 1, {}) is INV
    assert refusal(table, handle, {}, caller=VM3) is INV
    assert refusal(table, handle, {"receivers": (VM3,)}, caller=VM3) is INV


def test_already_retrieved_is_denied_until_relinquished() -> None:
    table = new_table()
    handle = send(table, region())
    retrieve(table, request(handle))
    assert refusal(table, handle, {}) is DEN
    assert refusal(table, handle, {"composite": ELSEWHERE}) is DEN
    relinquish(table, handle)
    retrieve(table, request(handle))


def test_an_sp_cannot_execute_non_secure_memory() -> None:
    table = new_table()
    handle = send(table, region(LEND, (SP1,)), LEND)
    assert refusal(table, handle, {"receivers": (SP1,), "permissions": RW_X}, caller=SP1) is INV
    retrieve(table, request(handle, (SP1,), RW_NX), SP1)


def test_execution_the_owner_does_not_have() -> None:
    table = new_table()
    handle = send(table, region(LEND), LEND, OwnerPages(executable=False))
    assert refusal(table, handle, {"permissions": RW_X}) is DEN


@pytest.mark.parametrize(
    ("kind", "sent", "asked", "granted"),
    [
        (SHARE, RW, OPEN, RW_NX),
        (SHARE, RW, RO, RO_NX),
        (SHARE, RO, OPEN, RO_NX),
        (LEND, RW, RO_NX, RO_NX),
        (LEND, RW, RW_X, RW_X),
        (DONATE, OPEN, Permissions(Data.UNSPECIFIED, Instruction.NX), RW_NX),
        (DONATE, OPEN, RO_NX, RO_NX),
    ],
)
def test_permissions_may_be_narrowed(kind: Kind, sent: Permissions, asked: Permissions, granted: Permissions) -> None:
    table = new_table()
    handle = send(table, region(kind, permissions=sent), kind)
    assert check_retrieve(table, request(handle, permissions=asked), VM2).borrower.granted == granted


def test_weaker_attributes_may_be_asked() -> None:
    table = new_table()
    handle = send(table, region())
    for weaker in (DEVICE_NGNRNE, Attributes(2 << 4 | 1 << 2), NORMAL_WB_ISH):
        plan = check_retrieve(table, request(handle, attributes=weaker), VM2)
        assert plan.attributes == Attributes(weaker.raw | 0x40)


def test_several_borrowers_list_everyone_or_bypass() -> None:
    table = new_table()
    handle = send(table, region(receivers=(VM2, VM3)))
    listed = request(handle, (VM3, VM2))
    others = tuple(EndpointAccess(e.endpoint, e.permissions, e.endpoint == VM3) for e in listed.access)
    retrieve(table, type(listed)(listed.sender, others, listed.attributes, 0, handle, 7))
    retrieve(table, request(handle, (VM3,), RO, 1 << 10), VM3)
    record = table.get(handle)
    assert [b.granted for b in record.borrowers] == [RW_NX, RO_NX]
    assert record.in_use


def test_a_borrower_may_say_where() -> None:
    table = new_table()
    handle = send(table, region())
    retrieve(table, request(handle, composite=ELSEWHERE))
    assert table.tied_ranges(VM2) == ELSEWHERE.ranges
    other = send(table, region(ranges=(Range(0x9000_1000, 1),)))
    assert refusal(table, other, {}) is DEN


def test_the_manager_may_keep_the_choice_of_addresses() -> None:
    table = TransactionTable(policy=Policy(borrower_addresses=False))
    assert refusal(table, send(table, region()), {"composite": ELSEWHERE}) is INV


def test_a_donation_ends_with_its_retrieval() -> None:
    table = new_table()
    handle = send(table, region(DONATE), DONATE)
    plan = check_retrieve(table, request(handle, permissions=RW_NX), VM2)
    assert plan.ends
    retrieve(table, request(handle, permissions=RW_NX))
    assert not table.records


def test_response_names_pages_permissions_and_security() -> None:
    """RETRIEVE_RESP: NS bit only for borrowers that know it; type in flags [4:3]; cleared memory says so."""
    table = new_table()
    handle = send(table, region(LEND, flags=1), LEND)
    plan = check_retrieve(table, request(handle, permissions=RW_NX, flags=1), VM2)
    answer = response(plan, ns_bit=True)
    assert (answer.sender, answer.handle, answer.tag, answer.flags) == (1, handle, 7, 2 << 3 | 1)
    assert answer.attributes.non_secure
    assert answer.access[0].permissions == RW_NX
    assert answer.composite == Composite(RANGES)
    assert not response(plan, ns_bit=False).attributes.non_secure
    for version in (V1_0, V1_2):
        assert parse_retrieve(pack(answer, version), version) == answer
