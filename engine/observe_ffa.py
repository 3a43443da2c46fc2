"""Frozen views of the FF-A relayer's records."""

from __future__ import annotations

from collections.abc import Sequence

from engine.build import System
from engine.ffa.abi import is_secure
from engine.ffa.dissect import partition_properties
from engine.ffa.mailbox import Mailbox
from engine.ffa.notification_state import Bitmap
from engine.ffa.transactions import Borrower, Transaction
from engine.hypervisor.ffa_stub_spmc import StubPartition
from engine.manager.endpoint import Endpoint
from engine.manager.manager import Manager
from engine.views import (
    FfaBitmapView,
    FfaBorrowerView,
    FfaNotificationView,
    FfaPartitionView,
    FfaTransactionView,
    FfaView,
)


def ffa_view(system: System) -> FfaView | None:
    """Partitions, transactions and notifications, by id and handle; None for a machine without FF-A."""
    managers = _managers(system)
    if not managers:
        return None
    endpoints = {id_: each for manager in managers for id_, each in manager.endpoints.items() if each.uuids}
    stubs = system.ffa.relay.stubs if system.ffa is not None else {}
    ids = sorted({id_ for manager in managers for id_ in manager.notifications.endpoints})
    return FfaView(
        partitions=(
            *(_partition(each, _rx_state(system, each)) for _, each in sorted(endpoints.items())),
            *map(_stub, stubs.values()),
        ),
        transactions=tuple(_transaction(record) for _, record in sorted(_records(managers).items())),
        notifications=tuple(_notifications(id_, managers) for id_ in ids),
    )


def _managers(system: System) -> list[Manager]:
    """Whoever keeps records: the relayer, the SPMC, or both."""
    relay: list[Manager] = [] if system.ffa is None else [system.ffa.relay]
    return relay if system.secure is None else [*relay, system.secure.spmc.manager]


def _records(managers: Sequence[Manager]) -> dict[int, Transaction]:
    """Each transaction once: one that both keep has the owner's addresses, and from each how far its borrowers got."""
    found: dict[int, Transaction] = {}
    for manager in managers:
        for handle, record in manager.table.records.items():
            known = found.get(handle)
            found[handle] = record if known is None else _with_secure_borrowers(known, record)
    return found


def _with_secure_borrowers(known: Transaction, secure: Transaction) -> Transaction:
    for borrower in secure.borrowers:
        if is_secure(borrower.endpoint):
            known = known.with_borrower(borrower)
    return known


def _rx_state(system: System, endpoint: Endpoint) -> Mailbox:
    """Whoever filled an RX knows what is in it: of a VM's that may have been the SPMC."""
    there = None if system.secure is None else system.secure.spmc.manager.vms.get(endpoint.id)
    return there.mailbox if there is not None and there.mailbox.full else endpoint.mailbox


def _partition(endpoint: Endpoint, state: Mailbox) -> FfaPartitionView:
    buffers, filled = endpoint.mailbox.buffers, state.filled
    return FfaPartitionView(
        id=endpoint.id,
        name=endpoint.name,
        uuid=str(endpoint.uuids[0]),
        vcpus=endpoint.contexts,
        version=str(endpoint.version),
        negotiated=endpoint.negotiation.asked,
        tx=buffers.tx if buffers else 0,
        rx=buffers.rx if buffers else 0,
        buffer_pages=buffers.pages if buffers else 0,
        rx_owner=state.owner.value if buffers else "",
        rx_content=filled.content.value if filled else "",
        rx_sender=filled.sender if filled else 0,
        rx_size=filled.size if filled else 0,
        properties=tuple(partition_properties(endpoint.properties)),
    )


def _stub(stub: StubPartition) -> FfaPartitionView:
    """It keeps no state."""
    name = f"sp{stub.id & 0xF}"
    return FfaPartitionView(
        stub.id,
        name,
        str(stub.uuid),
        stub.info.contexts,
        "",
        False,
        0,
        0,
        0,
        "",
        "",
        0,
        0,
        tuple(partition_properties(stub.info.properties)),
    )


def _transaction(record: Transaction) -> FfaTransactionView:
    return FfaTransactionView(
        handle=record.handle,
        tag=record.tag,
        kind=record.kind.name.lower(),
        owner=record.owner,
        attributes=str(record.attributes),
        pages=record.pages,
        ranges=record.ranges,
        borrowers=tuple(_borrower(borrower) for borrower in record.borrowers),
        orphaned=record.orphaned,
    )


def _borrower(borrower: Borrower) -> FfaBorrowerView:
    return FfaBorrowerView(
        endpoint=borrower.endpoint,
        state=borrower.state.value,
        offered=str(borrower.offered),
        granted=str(borrower.granted) if borrower.granted is not None else "",
        ranges=borrower.ranges,
    )


def _notifications(endpoint: int, managers: Sequence[Manager]) -> FfaNotificationView:
    """What partitions signal a VM is kept by the SPMC, what VMs signal it by the relayer."""
    states = [m.notifications.endpoints[endpoint] for m in managers if endpoint in m.notifications.endpoints]
    here, there = states[0], states[-1]
    framework = int(here.framework | there.framework)
    return FfaNotificationView(endpoint, (_bitmap("sp", there.from_sp), _bitmap("vm", here.from_vm)), framework)


def _bitmap(source: str, bitmap: Bitmap) -> FfaBitmapView:
    return FfaBitmapView(
        source=source,
        senders=tuple((sender, bitmap.bound_to(sender)) for sender in sorted(set(bitmap.senders.values()))),
        per_vcpu=bitmap.per_vcpu,
        pending=bitmap.pending,
        vcpu_pending=tuple(bitmap.vcpu_pending),
    )
