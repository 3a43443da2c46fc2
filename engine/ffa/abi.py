"""FF-A function ids, versions that brought them, and well-known numbers (DEN0077A v1.2; DEN0140 v1.2)."""

from __future__ import annotations

import enum

from engine.ffa.version import V1_0, V1_1, V1_2, Version

SMC64 = 1 << 30
"""Set in the ids of functions whose arguments are 64-bit registers."""
PAGE_SIZE = 4096
"""Bytes of a page in every FF-A count, whatever the translation granule."""
SECURE_ID = 1 << 15
"""Set in the ids of secure endpoints."""
INVALID_HANDLE = (1 << 64) - 1
_BASE, _FIRST, _LAST = 0x8400_0000, 0x60, 0xEF


class Function(enum.IntEnum):
    """Every function id of v1.0 to v1.2, by name and argument width."""

    ERROR = 0x8400_0060
    SUCCESS_32 = 0x8400_0061
    SUCCESS_64 = 0xC400_0061
    INTERRUPT = 0x8400_0062
    VERSION = 0x8400_0063
    FEATURES = 0x8400_0064
    RX_RELEASE = 0x8400_0065
    RXTX_MAP_32 = 0x8400_0066
    RXTX_MAP_64 = 0xC400_0066
    RXTX_UNMAP = 0x8400_0067
    PARTITION_INFO_GET = 0x8400_0068
    ID_GET = 0x8400_0069
    MSG_POLL = 0x8400_006A
    MSG_WAIT = 0x8400_006B
    YIELD = 0x8400_006C
    RUN = 0x8400_006D
    MSG_SEND = 0x8400_006E
    MSG_SEND_DIRECT_REQ_32 = 0x8400_006F
    MSG_SEND_DIRECT_REQ_64 = 0xC400_006F
    MSG_SEND_DIRECT_RESP_32 = 0x8400_0070
    MSG_SEND_DIRECT_RESP_64 = 0xC400_0070
    MEM_DONATE_32 = 0x8400_0071
    MEM_DONATE_64 = 0xC400_0071
    MEM_LEND_32 = 0x8400_0072
    MEM_LEND_64 = 0xC400_0072
    MEM_SHARE_32 = 0x8400_0073
    MEM_SHARE_64 = 0xC400_0073
    MEM_RETRIEVE_REQ_32 = 0x8400_0074
    MEM_RETRIEVE_REQ_64 = 0xC400_0074
    MEM_RETRIEVE_RESP = 0x8400_0075
    MEM_RELINQUISH = 0x8400_0076
    MEM_RECLAIM = 0x8400_0077
    MEM_OP_PAUSE = 0x8400_0078
    MEM_OP_RESUME = 0x8400_0079
    MEM_FRAG_RX = 0x8400_007A
    MEM_FRAG_TX = 0x8400_007B
    NORMAL_WORLD_RESUME = 0x8400_007C
    NOTIFICATION_BITMAP_CREATE = 0x8400_007D
    NOTIFICATION_BITMAP_DESTROY = 0x8400_007E
    NOTIFICATION_BIND = 0x8400_007F
    NOTIFICATION_UNBIND = 0x8400_0080
    NOTIFICATION_SET = 0x8400_0081
    NOTIFICATION_GET = 0x8400_0082
    NOTIFICATION_INFO_GET_32 = 0x8400_0083
    NOTIFICATION_INFO_GET_64 = 0xC400_0083
    RX_ACQUIRE = 0x8400_0084
    SPM_ID_GET = 0x8400_0085
    MSG_SEND2 = 0x8400_0086
    SECONDARY_EP_REGISTER_32 = 0x8400_0087
    SECONDARY_EP_REGISTER_64 = 0xC400_0087
    MEM_PERM_GET_32 = 0x8400_0088
    MEM_PERM_GET_64 = 0xC400_0088
    MEM_PERM_SET_32 = 0x8400_0089
    MEM_PERM_SET_64 = 0xC400_0089
    CONSOLE_LOG_32 = 0x8400_008A
    CONSOLE_LOG_64 = 0xC400_008A
    PARTITION_INFO_GET_REGS = 0xC400_008B
    EL3_INTR_HANDLE = 0x8400_008C
    MSG_SEND_DIRECT_REQ2 = 0xC400_008D
    MSG_SEND_DIRECT_RESP2 = 0xC400_008E


SENDS = frozenset(
    {
        *(Function.MEM_DONATE_32, Function.MEM_DONATE_64),
        *(Function.MEM_LEND_32, Function.MEM_LEND_64),
        *(Function.MEM_SHARE_32, Function.MEM_SHARE_64),
    }
)
RETRIEVES = frozenset({Function.MEM_RETRIEVE_REQ_32, Function.MEM_RETRIEVE_REQ_64})


class FeatureId(enum.IntEnum):
    """Feature ids of FFA_FEATURES, bits [7:0] of w1 when bit 31 is clear (13.3)."""

    NOTIFICATION_PENDING_INTERRUPT = 1
    SCHEDULE_RECEIVER_INTERRUPT = 2
    MANAGED_EXIT_INTERRUPT = 3


class PartitionId(enum.IntEnum):
    """Ids that the framework or the usual managers give a fixed meaning."""

    HYPERVISOR = 0x0000
    PRIMARY_VM = 0x0001
    INVALID = 0x7FFF
    SPMC = 0x8000
    SPMD = 0xFFFF


class FrameworkMessage(enum.IntEnum):
    """Message types in w2[7:0] of a direct message whose w2 bit 31 is set (18)."""

    PSCI_REQ = 0
    PSCI_WARM_BOOT = 1
    PSCI_RESP = 2
    VM_CREATED_REQ = 4
    VM_CREATED_RESP = 5
    VM_DESTROYED_REQ = 6
    VM_DESTROYED_RESP = 7
    VERSION_REQ = 8
    VERSION_RESP = 9


FRAMEWORK_MESSAGE = 1 << 31
"""w2 of a direct message: the message is the framework's, its type in bits [7:0]."""

_FUNCTIONS = {int(function): function for function in Function}
_NUMBER_1_1 = range(0x7D, 0x8A)
_NUMBER_1_2 = range(0x8A, 0x8F)


def is_ffa(fid: int) -> bool:
    """Whether a function id lies in FF-A's range, known or not: numbers 0x60-0xEF of the Standard Secure Service."""
    word = fid & 0xFFFF_FFFF & ~SMC64
    return word >> 8 == _BASE >> 8 and _FIRST <= word & 0xFF <= _LAST


def function(fid: int) -> Function | None:
    """The function of an id in w0, or None where v1.2 does not define it."""
    return _FUNCTIONS.get(fid & 0xFFFF_FFFF)


def name(fid: int) -> str:
    """`MEM_SHARE_32`, or the id in hexadecimal where it is unknown."""
    known = function(fid)
    return known.name if known is not None else f"0x{fid & 0xFFFF_FFFF:08x}"


def is_64(fid: int) -> bool:
    """Whether arguments and results of the function are 64-bit registers."""
    return bool(fid & SMC64)


def since(known: Function) -> Version:
    """The version that introduced a function."""
    number = known & 0xFF
    if number in _NUMBER_1_2:
        return V1_2
    return V1_1 if number in _NUMBER_1_1 else V1_0


def is_secure(endpoint: int) -> bool:
    """Whether an id is that of a secure endpoint (bit 15)."""
    return bool(endpoint & SECURE_ID)


def sender_of(word: int) -> int:
    """Bits [31:16]: the sender, or the endpoint of a target information word."""
    return word >> 16 & 0xFFFF


def receiver_of(word: int) -> int:
    """Bits [15:0]: the receiver, or the vCPU of a target information word."""
    return word & 0xFFFF


def id_pair(sender: int, receiver: int) -> int:
    """Sender in bits [31:16] and receiver in bits [15:0], as in w1 of messages and notifications."""
    return (sender & 0xFFFF) << 16 | receiver & 0xFFFF


def target_word(endpoint: int, vcpu: int) -> int:
    """An endpoint and one of its vCPUs (or execution contexts) as they share a word."""
    return endpoint << 16 | vcpu


def handle_of(low: int, high: int) -> int:
    """A 64-bit memory handle from the two 32-bit registers that carry it."""
    return (high & 0xFFFF_FFFF) << 32 | low & 0xFFFF_FFFF


def handle_words(handle: int) -> tuple[int, int]:
    """A memory handle as its low and high 32-bit registers."""
    return handle & 0xFFFF_FFFF, handle >> 32 & 0xFFFF_FFFF
