"""The FF-A endpoints of a machine, and what all calls of the proxy work with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import NAMESPACE_OID, uuid5

from engine.board.memory import Memory
from engine.config import FfaSection
from engine.ffa.abi import FeatureId
from engine.ffa.errors import Code, FfaError
from engine.ffa.flags import PartitionProperty
from engine.ffa.mailbox import Buffers, Mailbox
from engine.ffa.notifications import Notifications
from engine.ffa.partition_info import PartitionInfo
from engine.ffa.transactions import HYPERVISOR_HANDLE, Policy, TransactionTable
from engine.hypervisor.ffa_stub_spmc import StubPartition, stub_partitions
from engine.manager.endpoint import Endpoint, Target
from engine.manager.manager import Manager
from engine.manager.space import Stage2Space

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
class VmEndpoint(Endpoint):
    """A VM as an FF-A partition; its id, from 1 for the first VM, is not its VMID."""

    vm: Vm = field(kw_only=True)


class OtherProducer(Protocol):
    """Somebody else who fills RX buffers of VMs, and keeps whose they are."""

    def acquire(self, endpoint: VmEndpoint) -> None:
        """Take an RX, to fill it. BUSY while it is not free."""

    def release(self, endpoint: VmEndpoint) -> None:
        """An RX is free; cannot fail."""


class Relay(Manager):
    """Endpoints, transactions and notifications of the NS-EL2 manager."""

    def __init__(self, hypervisor: Hypervisor, memory: Memory, config: FfaSection) -> None:
        policy = Policy(config.max_receivers, config.allow_donate)
        super().__init__(
            hypervisor,
            memory,
            TransactionTable(HYPERVISOR_HANDLE, config.max_transactions, policy),
            Notifications(config.max_endpoints),
            config.max_buffer_pages,
            config.owner_access_on_share == "read-write",
        )
        self.config = config
        self.stubs: dict[int, StubPartition] = stub_partitions()
        """Simulated partitions, on machines without a secure world."""
        self.secure: dict[int, list[PartitionInfo]] = {id_: [stub.info] for id_, stub in self.stubs.items()}
        """What is known of the secure partitions, by id."""
        self._endpoints: dict[int, VmEndpoint] = {}
        self._of_vm: dict[str, VmEndpoint] = {}
        self.other: OtherProducer | None = None
        """The secure world, where there is one."""

    @property
    def endpoints(self) -> Mapping[int, VmEndpoint]:
        return self._endpoints

    def owner(self, endpoint: int) -> VmEndpoint:
        return self._endpoints[endpoint]

    def add(self, vm: Vm) -> VmEndpoint:
        """Make the next VM an endpoint."""
        endpoint = VmEndpoint(
            id=len(self._endpoints) + 1,
            name=vm.name,
            space=Stage2Space(vm),
            contexts=vm.config.vcpus,
            uuids=(uuid5(NAMESPACE_OID, f"hvtui.vm.{vm.name}"),),
            properties=_PROPERTIES,
            mailbox=Mailbox(max_pages=self.max_buffer_pages),
            vm=vm,
        )
        self._endpoints[endpoint.id] = self._of_vm[vm.name] = endpoint
        return endpoint

    def of(self, vm: Partition) -> VmEndpoint:
        """The endpoint that a VM is."""
        return self._of_vm[vm.name]

    def visible(self, caller: int) -> frozenset[int]:
        """Ids that a VM may name: itself, SPs, and the other VMs where the machine allows it."""
        vms = self._endpoints.keys() if self.config.vm_to_vm else {caller}
        return frozenset(vms | self.secure.keys())

    def meet(self, partitions: Iterable[PartitionInfo]) -> None:
        """There is a secure world, with these partitions in the place of the stub's."""
        self.stubs.clear()
        self.secure.clear()
        for info in partitions:
            self.secure.setdefault(info.id, []).append(info)

    def peer(self, caller: int, wanted: int) -> VmEndpoint:
        """Another VM that the caller may name; INVALID_PARAMETERS where there is none."""
        found = self._endpoints.get(wanted)
        if found is None or wanted == caller or wanted not in self.visible(caller):
            raise FfaError(Code.INVALID_PARAMETERS, f"0x{wanted:x} is no VM that 0x{caller:x} may name")
        return found

    @contextmanager
    def filling(self, endpoint: Endpoint, size: int) -> Iterator[Buffers]:
        buffers = endpoint.mailbox.check_fill(size)
        if self.other is None:
            yield buffers
            return
        vm = self._endpoints[endpoint.id]
        self.other.acquire(vm)
        try:
            yield buffers
        except FfaError:
            self.other.release(vm)
            raise

    def empty_rx(self, vm: int) -> None:
        """A VM waits for messages and gives its RX back, if it has it."""
        endpoint = self._endpoints[vm]
        if self.other is not None:
            self.other.release(endpoint)
        endpoint.mailbox.wait(retain=False)

    def limit_buffers(self, pages: int) -> None:
        """No VM's buffers may be larger than what the secure world takes; 0 for no limit."""
        if pages:
            self.max_buffer_pages = min(self.max_buffer_pages, pages)
            for endpoint in self._endpoints.values():
                endpoint.mailbox.max_pages = self.max_buffer_pages

    def vcpu(self, target: Target) -> Vcpu:
        """The vCPU that a target names."""
        return self._endpoints[target.endpoint].vm.vcpus[target.vcpu]

    def infos(self, caller: int) -> list[PartitionInfo]:
        known = {id_: endpoint.infos for id_, endpoint in self._endpoints.items()}
        known |= self.secure
        return [info for id_ in sorted(self.visible(caller)) for info in known[id_]]

    def feature_intid(self, _caller: int, feature: int) -> int | None:
        """Managed exit is for secure partitions."""
        intids = {
            int(FeatureId.NOTIFICATION_PENDING_INTERRUPT): self.config.npi,
            int(FeatureId.SCHEDULE_RECEIVER_INTERRUPT): self.config.sri,
        }
        return intids.get(feature)
