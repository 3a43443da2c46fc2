"""MSG_SEND2 into the RX buffer of a partition, or of somebody in the normal world (DEN0077A v1.2, 7.3, 15.1)."""

from __future__ import annotations

from engine.ffa.abi import is_secure
from engine.ffa.errors import Code, FfaError, require_allowed, require_valid
from engine.ffa.flags import SEND2_DELAY_SRI, PartitionProperty
from engine.ffa.mailbox import Filled, RxContent
from engine.ffa.message import SHOWN, pack_message, parse_message
from engine.ffa.registers import Result, success_32
from engine.ffa.version import V1_1
from engine.manager.buffers import fill_rx, read_tx
from engine.manager.endpoint import Call, Endpoint
from engine.spmc.notify import SecureNotifications
from engine.spmc.secure_manager import SecureManager


class IndirectMessages:
    """The receiver hears of a message by a framework notification, where it supports them."""

    def __init__(self, manager: SecureManager, notifications: SecureNotifications) -> None:
        self._manager = manager
        self._notifications = notifications

    def send(self, request: Call) -> Result:
        """MSG_SEND2; raises FfaError."""
        endpoint = request.endpoint
        data = read_tx(self._manager, endpoint)
        self._manager.work.sent = data[:SHOWN]
        message = parse_message(data, endpoint.version)
        sender, receiver = message.sender, message.receiver
        require_valid(endpoint.speaks_for(sender), f"0x{endpoint.id:x} sends as 0x{sender:x}")
        require_valid(sender != receiver, "a message to oneself")
        delay = bool(request.args[2] & SEND2_DELAY_SRI)
        require_valid(is_secure(sender) or not delay, "only SPs may delay the interrupt")
        peer = self._receiver(sender, receiver)
        if is_secure(sender):
            require_allowed(endpoint.properties & PartitionProperty.INDIRECT, "its manifest has no indirect messages")
        require_allowed(peer.properties & PartitionProperty.INDIRECT, "the receiver takes no indirect messages")
        require_allowed(peer.version >= V1_1, "the receiver does not speak v1.1")
        packed = pack_message(message, peer.version)
        peer.mailbox.check_fill(len(packed))
        fill_rx(self._manager, peer, packed, Filled(RxContent.MESSAGE, sender, len(packed)))
        self._notifications.rx_full(receiver, delay)
        return success_32()

    def _receiver(self, sender: int, receiver: int) -> Endpoint:
        """Who is sent to; between two endpoints of the normal world the SPMC has no part."""
        partition = self._manager.partitions.get(receiver)
        if partition is not None:
            return partition.endpoint
        require_valid(is_secure(sender) and not is_secure(receiver), f"unknown receiver 0x{receiver:x}")
        peer = self._manager.normal if receiver == self._manager.normal.id else self._manager.vms.get(receiver)
        if peer is None:
            raise FfaError(Code.DENIED, f"0x{receiver:x} has no buffers")
        return peer
