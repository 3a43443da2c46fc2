"""PSCI 1.1 and SMCCC 1.2 function ids and results (DEN0022, DEN0028)."""

from __future__ import annotations

import enum

SMC64 = 1 << 30
PSCI_1_1 = 0x0001_0001
SMCCC_1_2 = 0x0001_0002
NOT_SUPPORTED_32 = 0xFFFF_FFFF
"""What an unknown SMCCC function returns in w0 (DEN0028 5.2: the unknown function identifier)."""


class Function(enum.IntEnum):
    """PSCI functions by their 32-bit ids."""

    VERSION = 0x8400_0000
    CPU_SUSPEND = 0x8400_0001
    CPU_OFF = 0x8400_0002
    CPU_ON = 0x8400_0003
    AFFINITY_INFO = 0x8400_0004
    MIGRATE = 0x8400_0005
    MIGRATE_INFO_TYPE = 0x8400_0006
    MIGRATE_INFO_UP_CPU = 0x8400_0007
    SYSTEM_OFF = 0x8400_0008
    SYSTEM_RESET = 0x8400_0009
    FEATURES = 0x8400_000A
    SYSTEM_RESET2 = 0x8400_0012


HAS_64 = frozenset({Function.CPU_SUSPEND, Function.CPU_ON, Function.AFFINITY_INFO, Function.SYSTEM_RESET2})
"""Implemented functions that also exist with a 64-bit id (bit 30 set)."""


class Smccc(enum.IntEnum):
    """Arm Architecture Service functions (DEN0028 7)."""

    VERSION = 0x8000_0000
    ARCH_FEATURES = 0x8000_0001
    ARCH_SOC_ID = 0x8000_0002
    ARCH_WORKAROUND_1 = 0x8000_8000
    ARCH_WORKAROUND_2 = 0x8000_7FFF


class Result(enum.IntEnum):
    """PSCI return codes (DEN0022 5.2.2)."""

    SUCCESS = 0
    NOT_SUPPORTED = -1
    INVALID_PARAMETERS = -2
    DENIED = -3
    ALREADY_ON = -4
    ON_PENDING = -5
    INTERNAL_FAILURE = -6
    NOT_PRESENT = -7
    DISABLED = -8
    INVALID_ADDRESS = -9


class AffinityState(enum.IntEnum):
    """AFFINITY_INFO results."""

    ON = 0
    OFF = 1
    ON_PENDING = 2


class MigrateType(enum.IntEnum):
    """MIGRATE_INFO_TYPE results."""

    NOT_REQUIRED = 2
    """No trusted OS that needs migration."""


def function_name(fid: int) -> str | None:
    """`CPU_ON` for either width of a PSCI id, else None."""
    try:
        return Function(fid & ~SMC64).name
    except ValueError:
        return None
