"""Frozen views of the FF-A relayer's records."""

from __future__ import annotations

from engine.ffa.notification_state import Bitmap, EndpointNotifications
from engine.ffa.transactions import Borrower, Transaction
from engine.hypervisor.ffa_proxy import FfaProxy
from engine.hypervisor.ffa_stub_spmc import StubPartition
from engine.manager.endpoint import Endpoint
from engine.views import (
    FfaBitmapView,
    FfaBorrowerView,
    FfaNotificationView,
    FfaPartitionView,
    FfaTransactionView,
    FfaView,
)


def ffa_view(proxy: FfaProxy) -> FfaView:
    """Partitions, transactions and notifications, by id and handle."""
    relay = proxy.relay
    return FfaView(
        partitions=(*map(_partition, relay.endpoints.values()), *map(_stub, relay.stubs.values())),
        transactions=tuple(_transaction(record) for _, record in sorted(relay.table.records.items())),
        notifications=tuple(_notifications(id_, state) for id_, state in sorted(relay.notifications.endpoints.items())),
    )


def _partition(endpoint: Endpoint) -> FfaPartitionView:
    mailbox = endpoint.mailbox
    buffers, filled = mailbox.buffers, mailbox.filled
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
        rx_owner=mailbox.owner.value if buffers else "",
        rx_content=filled.content.value if filled else "",
        rx_sender=filled.sender if filled else 0,
        rx_size=filled.size if filled else 0,
    )


def _stub(stub: StubPartition) -> FfaPartitionView:
    """It keeps no state."""
    name = f"sp{stub.id & 0xF}"
    return FfaPartitionView(stub.id, name, str(stub.uuid), stub.info.contexts, "", False, 0, 0, 0, "", "", 0, 0)


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


def _notifications(endpoint: int, state: EndpointNotifications) -> FfaNotificationView:
    bitmaps = (_bitmap("sp", state.from_sp), _bitmap("vm", state.from_vm))
    return FfaNotificationView(endpoint, bitmaps, int(state.framework))


def _bitmap(source: str, bitmap: Bitmap) -> FfaBitmapView:
    return FfaBitmapView(
        source=source,
        senders=tuple((sender, bitmap.bound_to(sender)) for sender in sorted(set(bitmap.senders.values()))),
        per_vcpu=bitmap.per_vcpu,
        pending=bitmap.pending,
        vcpu_pending=tuple(bitmap.vcpu_pending),
    )
