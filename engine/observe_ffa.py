"""Frozen views of the FF-A relayer's records."""

from __future__ import annotations

from engine.ffa.notification_state import EndpointNotifications
from engine.ffa.transactions import Borrower, Transaction
from engine.hypervisor.ffa_endpoints import Endpoint
from engine.hypervisor.ffa_proxy import FfaProxy
from engine.views import FfaBorrowerView, FfaNotificationView, FfaPartitionView, FfaTransactionView, FfaView


def ffa_view(proxy: FfaProxy) -> FfaView:
    """Partitions, transactions and notifications, by id and handle."""
    relay = proxy.relay
    stubs = (FfaPartitionView(stub.id, f"sp{stub.id & 0xF}", "", 0, 0, 0, "", "") for stub in relay.stubs.values())
    return FfaView(
        partitions=(*(_partition(endpoint) for endpoint in relay.endpoints.values()), *stubs),
        transactions=tuple(_transaction(record) for _, record in sorted(relay.table.records.items())),
        notifications=tuple(_notifications(id_, state) for id_, state in sorted(relay.notifications.endpoints.items())),
    )


def _partition(endpoint: Endpoint) -> FfaPartitionView:
    mailbox = endpoint.mailbox
    buffers, filled = mailbox.buffers, mailbox.filled
    return FfaPartitionView(
        id=endpoint.id,
        name=endpoint.vm.name,
        version=str(endpoint.version),
        tx=buffers.tx if buffers else 0,
        rx=buffers.rx if buffers else 0,
        buffer_pages=buffers.pages if buffers else 0,
        rx_owner=mailbox.owner.value if buffers else "",
        rx_content=filled.content.value if filled else "",
    )


def _transaction(record: Transaction) -> FfaTransactionView:
    return FfaTransactionView(
        handle=record.handle,
        tag=record.tag,
        kind=record.kind.name.lower(),
        owner=record.owner,
        attributes=str(record.attributes),
        pages=record.pages,
        ranges=tuple((piece.address, piece.pages) for piece in record.ranges),
        borrowers=tuple(_borrower(borrower) for borrower in record.borrowers),
    )


def _borrower(borrower: Borrower) -> FfaBorrowerView:
    return FfaBorrowerView(
        endpoint=borrower.endpoint,
        state=borrower.state.value,
        offered=str(borrower.offered),
        granted=str(borrower.granted) if borrower.granted is not None else "",
        ranges=tuple((piece.address, piece.pages) for piece in borrower.ranges),
    )


def _notifications(endpoint: int, state: EndpointNotifications) -> FfaNotificationView:
    bound = sorted((bit, sender) for bitmap in state.bitmaps for bit, sender in bitmap.senders.items())
    return FfaNotificationView(
        endpoint=endpoint,
        vcpus=state.vcpus,
        bound=tuple(bound),
        pending_sp=state.from_sp.any_pending,
        pending_vm=state.from_vm.any_pending,
        pending_framework=int(state.framework),
    )
