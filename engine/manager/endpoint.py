"""FF-A endpoints, and the calls they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from uuid import UUID

from engine.ffa.abi import Function, PartitionId, is_secure, target_word
from engine.ffa.flags import PartitionProperty
from engine.ffa.mailbox import Mailbox
from engine.ffa.partition_info import PartitionInfo
from engine.ffa.registers import Result
from engine.ffa.version import Negotiation, Version
from engine.manager.space import AddressSpace

if TYPE_CHECKING:
    from engine.hypervisor.vcpu import Vcpu


@dataclass(slots=True)
class Endpoint:
    """A partition as its manager knows it."""

    id: int
    name: str
    space: AddressSpace
    """Its memory."""
    contexts: int
    """vCPUs, or execution contexts."""
    uuids: tuple[UUID, ...]
    properties: PartitionProperty
    mailbox: Mailbox
    negotiation: Negotiation = field(default_factory=Negotiation)

    @property
    def version(self) -> Version:
        """What descriptors and functions follow."""
        return self.negotiation.agreed

    @property
    def infos(self) -> list[PartitionInfo]:
        """What the manager tells of it: one entry for each UUID."""
        return [PartitionInfo(self.id, self.contexts, self.properties, uuid) for uuid in self.uuids]

    def speaks_for(self, endpoint: int) -> bool:
        """Whether it may call in the name of an endpoint: its own, or a hypervisor in that of any VM."""
        return endpoint == self.id or (self.id == PartitionId.HYPERVISOR and not is_secure(endpoint))


class Target(NamedTuple):
    """One vCPU of a partition, as target information words name it."""

    endpoint: int
    vcpu: int

    @property
    def word(self) -> int:
        """Endpoint in bits [31:16], vCPU in [15:0]."""
        return target_word(self.endpoint, self.vcpu)


class Call(NamedTuple):
    """One call of an endpoint."""

    endpoint: Endpoint
    vcpu: Vcpu
    args: tuple[int, ...]
    """x0-x17, masked as the function demands."""

    @property
    def caller(self) -> int:
        """Partition id of the caller."""
        return self.endpoint.id

    @property
    def target(self) -> Target:
        """The calling vCPU."""
        return Target(self.endpoint.id, self.vcpu.index)

    def acting(self, endpoint: int) -> int:
        """`endpoint` where the caller may speak for it, else the caller."""
        return endpoint if self.endpoint.speaks_for(endpoint) else self.endpoint.id


Handler: TypeAlias = Callable[[Call], "Result | None"]
"""Serves a call; None when the answer comes later. Raises FfaError, having changed nothing."""
Supported: TypeAlias = Callable[[Function, Endpoint], bool]
"""Whether a call exists for an endpoint."""
Handlers: TypeAlias = dict[Function, Handler]
