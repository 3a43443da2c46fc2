"""A stand-in for the secure world on machines without one: two partitions that echo and accept memory.

They hold no code and no tables. A direct request whose x3 is one of `StubCommand` makes one act before it answers,
with the status in x3; any other payload comes back as it was.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from engine.ffa.abi import Function, id_pair, receiver_of, sender_of
from engine.ffa.flags import PartitionProperty
from engine.ffa.partition_info import PartitionInfo, uuid_from_words
from engine.ffa.registers import NARROW, WIDE, Result, call

SP1, SP2 = 0x8001, 0x8002
_UUIDS = {
    SP1: uuid_from_words((0x1234_5678, 0x9ABC_DEF0, 0x1111_2222, 0x3333_4444)),
    SP2: uuid_from_words((0x8765_4321, 0x0FED_CBA9, 0x5555_6666, 0x7777_8888)),
}
_PROPERTIES = PartitionProperty.RECEIVE_DIRECT | PartitionProperty.AARCH64 | PartitionProperty.RECEIVE_DIRECT2
_ANSWERS = {
    Function.MSG_SEND_DIRECT_REQ_32: Function.MSG_SEND_DIRECT_RESP_32,
    Function.MSG_SEND_DIRECT_REQ_64: Function.MSG_SEND_DIRECT_RESP_64,
    Function.MSG_SEND_DIRECT_REQ2: Function.MSG_SEND_DIRECT_RESP2,
}


class StubCommand(enum.IntEnum):
    """Words in x3 of a narrow direct request that a stub partition acts on."""

    RETRIEVE = 0x5354_0001
    """Retrieve the handle in x4 (low) and x5 (high)."""
    RELINQUISH = 0x5354_0002
    """Relinquish the handle in x4 and x5."""
    NOTIFY = 0x5354_0003
    """Set the bits in x4 and x5 pending at the sender."""


@dataclass(frozen=True, slots=True)
class StubPartition:
    """A simulated SP."""

    id: int
    uuid: UUID

    @property
    def info(self) -> PartitionInfo:
        """What partition information says of it."""
        return PartitionInfo(self.id, 1, _PROPERTIES, self.uuid)


def stub_partitions() -> dict[int, StubPartition]:
    """The partitions of the stub, by id."""
    return {id_: StubPartition(id_, uuid) for id_, uuid in _UUIDS.items()}


def command(args: Sequence[int]) -> StubCommand | None:
    """What a direct request asks a stub to do, None for an echo."""
    if args[0] == Function.MSG_SEND_DIRECT_REQ2:
        return None
    return next((known for known in StubCommand if known == args[3]), None)


def echo(args: Sequence[int], status: int | None = None) -> Result:
    """The response of a stub: sender and receiver swapped, payload as it came, or `status` in x3."""
    function = _ANSWERS[Function(args[0])]
    ids = id_pair(receiver_of(args[1]), sender_of(args[1]))
    if function is Function.MSG_SEND_DIRECT_RESP2:
        return call(function, ids, 0, 0, *args[4:WIDE])
    third = args[3] if status is None else status
    return call(function, ids, 0, third, *args[4:NARROW])
