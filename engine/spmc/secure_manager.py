"""Endpoints, transactions and notifications of the SPMC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.board.memory import SecureView
from engine.ffa.abi import FeatureId, PartitionId, is_secure
from engine.ffa.flags import PartitionProperty
from engine.ffa.mailbox import Mailbox
from engine.ffa.notifications import Notifications
from engine.ffa.partition_info import PartitionInfo
from engine.ffa.transactions import Policy, TransactionTable
from engine.machine_file import SecureSection
from engine.manager.endpoint import Endpoint
from engine.manager.manager import Manager
from engine.manager.space import NormalSpace

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.spmc.partition import SecurePartition


class _Visible:
    """Ids that anybody may name: the partitions, and whoever the normal world may have."""

    def __init__(self, partitions: Mapping[int, SecurePartition]) -> None:
        self._partitions = partitions

    def __contains__(self, endpoint: object) -> bool:
        return isinstance(endpoint, int) and (endpoint in self._partitions or not is_secure(endpoint))


class SecureManager(Manager):
    """The manager at S-EL2. The normal world is one endpoint to it, which speaks for all of its VMs."""

    def __init__(self, hypervisor: Hypervisor, memory: SecureView, config: SecureSection) -> None:
        super().__init__(
            hypervisor,
            memory,
            TransactionTable(0, config.max_transactions, Policy(config.max_receivers)),
            Notifications(config.max_endpoints),
            config.max_buffer_pages,
            config.owner_access_on_share == "read-write",
        )
        self.config = config
        self.partitions: dict[int, SecurePartition] = {}
        self.vms: dict[int, Endpoint] = {}
        """VMs whose hypervisor registered their buffers; nothing else is known of them."""
        self.normal_space = NormalSpace(memory.normal, self.table)
        self.normal = Endpoint(
            id=PartitionId.HYPERVISOR,
            name="normal world",
            space=self.normal_space,
            contexts=1,
            uuids=(),
            properties=PartitionProperty.INDIRECT,
            mailbox=Mailbox(max_pages=config.max_buffer_pages),
        )
        self._endpoints: dict[int, Endpoint] = {PartitionId.HYPERVISOR: self.normal}

    def serve_relayer(self) -> None:
        """The normal world is a hypervisor that relays for its VMs, and is sent no messages itself."""
        self.normal.properties = PartitionProperty(0)

    def add(self, partition: SecurePartition) -> None:
        """Make a partition known."""
        self.partitions[partition.endpoint.id] = partition
        self._endpoints[partition.endpoint.id] = partition.endpoint

    def forget_buffers(self, vm: int) -> None:
        """A VM's buffers are no longer registered."""
        del self.vms[vm]
        del self.normal_space.buffers[vm]

    @property
    def endpoints(self) -> Mapping[int, Endpoint]:
        return self._endpoints

    def owner(self, endpoint: int) -> Endpoint:
        return self._endpoints.get(endpoint, self.normal)

    def visible(self, _caller: int) -> _Visible:
        return _Visible(self.partitions)

    def infos(self, _caller: int) -> list[PartitionInfo]:
        return [info for _, partition in sorted(self.partitions.items()) for info in partition.endpoint.infos]

    def feature_intid(self, caller: int, feature: int) -> int | None:
        """Partitions hear of their own notifications and of managed exit, the normal world's scheduler of all."""
        partition = self.partitions.get(caller)
        if partition is None:
            return self.config.sri if feature == FeatureId.SCHEDULE_RECEIVER_INTERRUPT else None
        if feature == FeatureId.NOTIFICATION_PENDING_INTERRUPT and partition.manifest.notifications:
            return self.config.npi
        managed = feature == FeatureId.MANAGED_EXIT_INTERRUPT and partition.manifest.managed_exit
        return self.config.managed_exit if managed else None
