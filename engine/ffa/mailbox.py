"""RX/TX buffer pairs: where they are and who may write the RX buffer (DEN0077A v1.2, 7.2; 13.4-13.7).

Addresses are the endpoint's own and are never followed here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.ffa.abi import PAGE_SIZE
from engine.ffa.errors import Code, FfaError, require, require_allowed, require_valid
from engine.ffa.ranges import Range

MAX_PAGES = 1
"""Default limit of each buffer; w3 of RXTX_MAP could name up to 63."""


class RxOwner(enum.Enum):
    """Who may use the RX buffer (7.2.2: buffer states and ownership)."""

    PRODUCER = "producer"
    """The manager that keeps the buffers: empty, ready to be filled."""
    FORWARDER = "forwarder"
    """A hypervisor that took it from the SPMC with RX_ACQUIRE."""
    CONSUMER = "consumer"
    """The endpoint: full, until it releases it."""


class RxContent(enum.Enum):
    """What a full RX buffer holds."""

    MESSAGE = "message"
    PARTITION_INFO = "partition info"
    DESCRIPTOR = "memory descriptor"


@dataclass(frozen=True, slots=True)
class Buffers:
    """A mapped pair."""

    tx: int
    rx: int
    pages: int
    """Of 4 KB, in each buffer."""

    @property
    def size(self) -> int:
        """Bytes of each buffer."""
        return self.pages * PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Filled:
    """What the consumer has in its RX buffer."""

    content: RxContent
    sender: int
    """Who sent the message; the manager's id for anything else."""
    size: int
    """Bytes."""


@dataclass(slots=True)
class Mailbox:
    """The buffer pair of one endpoint. `check_*` raise FfaError and change nothing; the rest cannot fail."""

    buffers: Buffers | None = None
    owner: RxOwner = RxOwner.PRODUCER
    filled: Filled | None = None
    max_pages: int = MAX_PAGES

    @property
    def full(self) -> bool:
        """Whether the endpoint owns what is in RX."""
        return self.owner is RxOwner.CONSUMER

    def check_map(self, tx: int, rx: int, pages: int) -> Buffers:
        """RXTX_MAP: DENIED when mapped, INVALID_PARAMETERS for a count, alignment, wrap or overlap that cannot be."""
        require_allowed(self.buffers is None, "buffers are already mapped")
        require_valid(0 < pages <= self.max_pages, f"{pages} pages")
        send, receive = Range(tx, pages), Range(rx, pages)
        require_valid(not (tx % PAGE_SIZE or rx % PAGE_SIZE), "buffers are not page aligned")
        require_valid(max(send.end, receive.end) <= 1 << 64, "buffers wrap")
        require_valid(not send.overlaps(receive), "buffers overlap")
        return Buffers(tx, rx, pages)

    def map(self, buffers: Buffers) -> None:
        """The pair is mapped; RX is the producer's."""
        self.buffers, self.owner, self.filled = buffers, RxOwner.PRODUCER, None

    def check_unmap(self) -> Buffers:
        """RXTX_UNMAP: the pair to unmap, INVALID_PARAMETERS when there is none."""
        return self._pair(Code.INVALID_PARAMETERS)

    def unmap(self) -> None:
        """The pair is gone, with whatever RX held."""
        self.buffers, self.owner, self.filled = None, RxOwner.PRODUCER, None

    def check_send(self) -> Buffers:
        """A call that reads TX: the pair, INVALID_PARAMETERS when there is none."""
        return self._pair(Code.INVALID_PARAMETERS)

    def check_fill(self, size: int, by: RxOwner = RxOwner.PRODUCER) -> Buffers:
        """Whether `by` may write `size` bytes to RX.

        DENIED when there is none, BUSY until the endpoint, or a hypervisor that took it, has released it, NO_MEMORY
        when too small.
        """
        pair = self._pair(Code.DENIED)
        require(self.owner is by, Code.BUSY, f"RX belongs to the {self.owner.value}")
        require(size <= pair.size, Code.NO_MEMORY, f"{size} bytes for a buffer of {pair.size}")
        return pair

    def fill(self, filled: Filled) -> None:
        """RX was written and belongs to the endpoint."""
        self.owner, self.filled = RxOwner.CONSUMER, filled

    def check_release(self, forwarded: bool = False) -> None:
        """RX_RELEASE: DENIED when the endpoint does not have RX.

        Where a hypervisor has `forwarded` it, what it acquired is released as well: it may have filled RX itself.
        """
        self._pair(Code.DENIED)
        held = self.full or (forwarded and self.owner is RxOwner.FORWARDER)
        require_allowed(held, "RX is not the endpoint's")

    def release(self) -> None:
        """RX is the producer's again."""
        self.owner, self.filled = RxOwner.PRODUCER, None

    def check_acquire(self) -> None:
        """RX_ACQUIRE by a hypervisor: INVALID_PARAMETERS when there is no pair, DENIED when RX is not free."""
        self._pair(Code.INVALID_PARAMETERS)
        require_allowed(self.owner is RxOwner.PRODUCER, f"RX belongs to the {self.owner.value}")

    def acquire(self) -> None:
        """RX is the hypervisor's to fill."""
        self.owner = RxOwner.FORWARDER

    def wait(self, retain: bool) -> None:
        """MSG_WAIT gives RX back unless the caller retains it (v1.2)."""
        if self.full and not retain:
            self.release()

    def _pair(self, missing: Code) -> Buffers:
        if self.buffers is None:
            raise FfaError(missing, "no buffers are mapped")
        return self.buffers
