"""Descriptors longer than a buffer: FRAG_TX brings them in, FRAG_RX takes them out (DEN0140 v1.2: fragmentation).

Bytes are copied when a fragment is sent. What a sender writes to its TX buffer afterwards changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from engine.ffa.errors import Code, FfaError, require, require_valid

MAX_TOTAL = 64 * 1024
MAX_TRANSFERS = 8


@dataclass(frozen=True, slots=True)
class Incoming:
    """A descriptor that a sender is still sending."""

    sender: int
    handle: int
    function: int
    """MEM_DONATE, MEM_LEND, MEM_SHARE or RETRIEVE_REQ: what to do when the descriptor is whole."""
    total: int
    """Bytes announced."""
    data: bytes
    """Bytes received, from offset 0 without gaps."""

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return len(self.data) == self.total


@dataclass(slots=True)
class Reassembly:
    """Transfers into a manager, one per sender."""

    max_total: int = MAX_TOTAL
    """Bytes one descriptor may have; NO_MEMORY above."""
    max_transfers: int = MAX_TRANSFERS
    """Senders that may be in the middle of a transfer; NO_MEMORY above."""
    transfers: dict[int, Incoming] = field(default_factory=dict)

    def check_begin(self, sender: int, total: int, fragment: int, buffer_size: int) -> bool:
        """Whether `sender` may start a descriptor of `total` bytes with `fragment` bytes in its TX buffer.

        True when more fragments follow, False when this one is all of it. INVALID_PARAMETERS for lengths that do not
        fit, BUSY while another transfer of the sender runs, NO_MEMORY where a limit is reached. Lengths are bytes.
        """
        require_valid(0 < fragment <= buffer_size, f"fragment of {fragment} bytes in a buffer of {buffer_size}")
        require_valid(fragment <= total, f"fragment of {fragment} bytes of {total}")
        require(sender not in self.transfers, Code.BUSY, "another transfer of the sender is not finished")
        require(total <= self.max_total, Code.NO_MEMORY, f"{total} bytes are more than {self.max_total}")
        if fragment == total:
            return False
        require(len(self.transfers) < self.max_transfers, Code.NO_MEMORY, "too many transfers")
        return True

    def begin(self, sender: int, handle: int, function: int, total: int, data: bytes | bytearray) -> Incoming:
        """Start a transfer that `check_begin` accepted; the answer is FRAG_RX with the handle and `len(data)`."""
        incoming = Incoming(sender, handle, function, total, bytes(data))
        self.transfers[sender] = incoming
        return incoming

    def check_append(self, sender: int, handle: int, fragment: int, buffer_size: int) -> Incoming:
        """Whether FRAG_TX may add `fragment` bytes; returns the transfer as it is.

        INVALID_PARAMETERS where the sender has no such transfer, or the length is zero, past the buffer or past the
        end. The transfer goes on: the sender may send the right fragment next.
        """
        incoming = self.transfers.get(sender)
        if incoming is None or incoming.handle != handle:
            raise FfaError(Code.INVALID_PARAMETERS, f"0x{sender:x} is not sending 0x{handle:x}")
        require_valid(0 < fragment <= buffer_size, f"fragment of {fragment} bytes in a buffer of {buffer_size}")
        left = incoming.total - len(incoming.data)
        require_valid(fragment <= left, f"fragment of {fragment} bytes where {left} are left")
        return incoming

    def append(self, sender: int, data: bytes | bytearray) -> Incoming:
        """Add a fragment that `check_append` accepted. A transfer that is complete leaves the table."""
        incoming = replace(self.transfers[sender], data=self.transfers[sender].data + bytes(data))
        if incoming.complete:
            del self.transfers[sender]
        else:
            self.transfers[sender] = incoming
        return incoming

    def abandon(self, sender: int) -> Incoming | None:
        """Drop a sender's transfer (its buffers went, it died, it gave up). Release the handle of what is returned."""
        return self.transfers.pop(sender, None)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A RETRIEVE_RESP descriptor on its way to a receiver, fixed when the transfer began."""

    receiver: int
    handle: int
    data: bytes
    window: int
    """Bytes a fragment may have: the receiver's RX buffer."""
    last: int = 0
    """Offset of the fragment delivered last."""

    @property
    def fragment(self) -> bytes:
        """The fragment delivered last."""
        return self.data[self.last : self.last + self.window]

    @property
    def delivered(self) -> int:
        """Bytes delivered, which is the offset of the next fragment."""
        return self.last + len(self.fragment)

    @property
    def complete(self) -> bool:
        """Whether every byte was delivered."""
        return self.delivered == len(self.data)


@dataclass(slots=True)
class Delivery:
    """Transfers out of a manager, one per receiver."""

    max_total: int = MAX_TOTAL
    """Bytes one descriptor may have; NO_MEMORY above."""
    transfers: dict[int, Outgoing] = field(default_factory=dict)

    def check_begin(self, receiver: int, total: int) -> None:
        """BUSY while the receiver has fragments to fetch, NO_MEMORY for a descriptor that is too long."""
        running = self.transfers.get(receiver)
        require(running is None or running.complete, Code.BUSY, "another transfer to the receiver is not finished")
        require(total <= self.max_total, Code.NO_MEMORY, f"{total} bytes are more than {self.max_total}")

    def begin(self, receiver: int, handle: int, data: bytes, window: int) -> Outgoing:
        """Start a transfer; its `fragment` goes to RX and RETRIEVE_RESP tells both lengths."""
        outgoing = Outgoing(receiver, handle, bytes(data), window)
        self.transfers[receiver] = outgoing
        return outgoing

    def check_next(self, receiver: int, handle: int, offset: int) -> Outgoing:
        """FRAG_RX: the transfer as it will be, its `fragment` being the answer in FRAG_TX.

        `offset` is where the next fragment starts, or where the last one did, to have it again.
        INVALID_PARAMETERS for another offset, handle or receiver.
        """
        outgoing = self.transfers.get(receiver)
        if outgoing is None or outgoing.handle != handle:
            raise FfaError(Code.INVALID_PARAMETERS, f"0x{receiver:x} is not receiving 0x{handle:x}")
        if offset == outgoing.last:
            return outgoing
        expected = not outgoing.complete and offset == outgoing.delivered
        require_valid(expected, f"offset {offset}, expected {outgoing.delivered}")
        return replace(outgoing, last=offset)

    def advance(self, outgoing: Outgoing) -> None:
        """Record a fragment that was delivered."""
        self.transfers[outgoing.receiver] = outgoing

    def abandon(self, receiver: int) -> None:
        """Drop a receiver's transfer: its buffers went, or it died."""
        self.transfers.pop(receiver, None)

    def relinquished(self, receiver: int, handle: int) -> None:
        """Drop a receiver's transfer if it tells of the region that the receiver gave back."""
        running = self.transfers.get(receiver)
        if running is not None and running.handle == handle:
            del self.transfers[receiver]
