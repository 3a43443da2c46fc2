"""The FF-A endpoints of a machine, and what all calls of the proxy work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from uuid import NAMESPACE_OID, UUID, uuid5

from engine.board.memory import Memory
from engine.config import FfaSection
from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError
from engine.ffa.flags import PartitionProperty
from engine.ffa.mailbox import Mailbox
from engine.ffa.notifications import Notifications
from engine.ffa.partition_info import PartitionInfo
from engine.ffa.registers import Result
from engine.ffa.transactions import HYPERVISOR_HANDLE, Policy, TransactionTable
from engine.ffa.version import Negotiation, Version
from engine.hypervisor.ffa_calls import Target
from engine.hypervisor.ffa_stub_spmc import StubPartition, stub_partitions
from engine.hypervisor.ffa_work import Work

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.partition import Partition
    from engine.hypervisor.vcpu import Vcpu
    from engine.hypervisor.vm import Vm

_PROPERTIES = (
    PartitionProperty.RECEIVE_DIRECT
    | PartitionProperty.SEND_DIRECT
    | PartitionProperty.INDIRECT
    | PartitionProperty.NOTIFICATIONS
    | PartitionProperty.AARCH64
    | PartitionProperty.RECEIVE_DIRECT2
    | PartitionProperty.SEND_DIRECT2
)


@dataclass(slots=True)
class Endpoint:
    """A VM as an FF-A partition."""

    id: int
    """1 for the first VM; not its VMID."""
    vm: Vm
    uuid: UUID
    mailbox: Mailbox
    negotiation: Negotiation = field(default_factory=Negotiation)

    @property
    def version(self) -> Version:
        """What descriptors and functions follow."""
        return self.negotiation.agreed

    @property
    def info(self) -> PartitionInfo:
        """What the manager knows of it."""
        return PartitionInfo(self.id, len(self.vm.vcpus), _PROPERTIES, self.uuid)


class Call(NamedTuple):
    """One call of a VM."""

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


Handler: TypeAlias = Callable[[Call], "Result | None"]
"""Serves a call; None when the answer comes later. Raises FfaError, having changed nothing."""
Handlers: TypeAlias = dict[Function, Handler]


class Relay:
    """Endpoints, transactions and notifications of the NS-EL2 manager."""

    def __init__(self, hypervisor: Hypervisor, memory: Memory, config: FfaSection) -> None:
        self.hypervisor = hypervisor
        self.memory = memory
        self.config = config
        self.endpoints: dict[int, Endpoint] = {}
        self.stubs: dict[int, StubPartition] = stub_partitions()
        policy = Policy(config.max_receivers, config.allow_donate)
        self.table = TransactionTable(HYPERVISOR_HANDLE, config.max_transactions, policy)
        self.notifications = Notifications(config.max_endpoints)
        self._of_vm: dict[str, Endpoint] = {}
        self._work: Work | None = None

    def add(self, vm: Vm) -> Endpoint:
        """Make the next VM an endpoint."""
        mailbox = Mailbox(max_pages=self.config.max_buffer_pages)
        endpoint = Endpoint(len(self.endpoints) + 1, vm, uuid5(NAMESPACE_OID, f"hvtui.vm.{vm.name}"), mailbox)
        self.endpoints[endpoint.id] = self._of_vm[vm.name] = endpoint
        return endpoint

    def of(self, vm: Partition) -> Endpoint:
        """The endpoint that a VM is."""
        return self._of_vm[vm.name]

    @property
    def work(self) -> Work:
        """Where the call that is being served notes what it does."""
        if self._work is None:
            self._work = Work()
        return self._work

    def take_work(self) -> Work | None:
        """What was noted since this was last asked; None for nothing."""
        work, self._work = self._work, None
        return work

    def counted(self, handler: Handler) -> Handler:
        """A handler that notes what it does to any VM's stage-2 tables."""

        def serve(call: Call) -> Result | None:
            with self.counting_tables():
                return handler(call)

        return serve

    @contextmanager
    def counting_tables(self) -> Iterator[None]:
        """Note what happens to any VM's stage-2 tables in here, also when it fails."""
        before = self._tables_touched()
        try:
            yield
        finally:
            after = self._tables_touched()
            if after != before:
                self.work.entries += after[0] - before[0]
                self.work.flushes += after[1] - before[1]

    def _tables_touched(self) -> tuple[int, int]:
        """Entries written and TLB invalidations, ever."""
        vms = [endpoint.vm for endpoint in self.endpoints.values()]
        return sum(vm.stage2.entries_written for vm in vms), sum(vm.tlb_flushes for vm in vms)

    def visible(self, caller: int) -> frozenset[int]:
        """Ids that a VM may name: itself, SPs, and the other VMs where the machine allows it."""
        vms = self.endpoints.keys() if self.config.vm_to_vm else {caller}
        return frozenset(vms | self.stubs.keys())

    def peer(self, caller: int, wanted: int) -> Endpoint:
        """Another VM that the caller may name; INVALID_PARAMETERS where there is none."""
        found = self.endpoints.get(wanted)
        if found is None or wanted == caller or wanted not in self.visible(caller):
            raise FfaError(Code.INVALID_PARAMETERS, f"0x{wanted:x} is no VM that 0x{caller:x} may name")
        return found

    def vcpu(self, target: Target) -> Vcpu:
        """The vCPU that a target names."""
        return self.endpoints[target.endpoint].vm.vcpus[target.vcpu]

    def infos(self, caller: int) -> list[PartitionInfo]:
        """Partitions the caller may see, by id."""
        known = {id_: endpoint.info for id_, endpoint in self.endpoints.items()}
        known |= {id_: stub.info for id_, stub in self.stubs.items()}
        return [known[id_] for id_ in sorted(self.visible(caller))]
