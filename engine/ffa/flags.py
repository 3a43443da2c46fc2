"""Flag words of calls and descriptors (DEN0077A v1.2; DEN0140 v1.2, tables 1.21-1.23 for memory transactions)."""

from __future__ import annotations

import enum

KIND_SHIFT, KIND_MASK = 3, 0b11
ALIGN_HINT_SHIFT, ALIGN_HINT_MASK = 5, 0b1111


class RegionFlag(enum.IntFlag):
    """Flags of a memory transaction descriptor."""

    ZERO = 1 << 0
    """Send: clear before a borrower sees it. Retrieve: the receiver insists on that. Response: it was cleared."""
    TIME_SLICE = 1 << 1
    ZERO_AFTER = 1 << 2
    """Retrieve: clear after the receiver relinquishes or dies."""
    KIND_LOW = 1 << 3
    KIND_HIGH = 1 << 4
    ALIGN_HINT_VALID = 1 << 9
    BYPASS_BORROWERS = 1 << 10
    """Retrieve: the list names the caller alone, not every borrower."""


RETRIEVE_FLAGS = 0x7FF
"""Flags that RETRIEVE_REQ defines; higher bits are reserved."""


class RelinquishFlag(enum.IntFlag):
    """Flags of MEM_RELINQUISH's descriptor and of w3 of MEM_RECLAIM."""

    ZERO = 1 << 0
    TIME_SLICE = 1 << 1


RELINQUISH_FLAGS = 0b11
NON_RETRIEVAL_BORROWER = 1 << 0
"""Flag of an endpoint access entry in a retrieve request: the entry's endpoint is not the one that retrieves."""


class BindFlag(enum.IntFlag):
    """w2 of NOTIFICATION_BIND."""

    PER_VCPU = 1 << 0


class SetFlag(enum.IntFlag):
    """w2[15:0] of NOTIFICATION_SET; the vCPU is in [31:16]."""

    PER_VCPU = 1 << 0
    DELAY_SRI = 1 << 1


class GetFlag(enum.IntFlag):
    """w2 of NOTIFICATION_GET: which bitmaps to return and clear."""

    SP = 1 << 0
    VM = 1 << 1
    SPM = 1 << 2
    HYPERVISOR = 1 << 3


class FrameworkNotification(enum.IntFlag):
    """Framework notifications: SPM's in the low half, the hypervisor's in the high half of 64 bits."""

    SPM_RX_FULL = 1 << 0
    HYPERVISOR_RX_FULL = 1 << 32


class PartitionProperty(enum.IntFlag):
    """Properties of a partition information descriptor (6.2)."""

    RECEIVE_DIRECT = 1 << 0
    SEND_DIRECT = 1 << 1
    INDIRECT = 1 << 2
    NOTIFICATIONS = 1 << 3
    VM_CREATED = 1 << 6
    VM_DESTROYED = 1 << 7
    AARCH64 = 1 << 8
    RECEIVE_DIRECT2 = 1 << 9
    SEND_DIRECT2 = 1 << 10


COUNT_ONLY = 1 << 0
"""w5 of PARTITION_INFO_GET: return the count, write no descriptors."""
RETAIN_RX = 1 << 0
"""w2 of MSG_WAIT from v1.2 on: keep the RX buffer."""
SEND2_DELAY_SRI = 1 << 1
"""w2 of MSG_SEND2: do not raise the schedule receiver interrupt at once; secure senders only."""
NS_BIT_SUPPORT = 1 << 1
"""w2 of FEATURES(MEM_RETRIEVE_REQ): the caller understands the NS bit of a response."""
