"""FF-A status codes and the exceptions that carry them (DEN0077A v1.2, FFA_ERROR)."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """Status codes of FFA_ERROR, signed 32-bit."""

    NOT_SUPPORTED = -1
    INVALID_PARAMETERS = -2
    NO_MEMORY = -3
    BUSY = -4
    INTERRUPTED = -5
    DENIED = -6
    RETRY = -7
    ABORTED = -8
    NO_DATA = -9
    NOT_READY = -10
    """From v1.3; listed so that logs can name it."""


class FfaError(Exception):
    """A request is refused. The caller gets FFA_ERROR with `code`; `reason` is for logs and views."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason


class DescriptorError(FfaError):
    """Bytes that a partition wrote are not the descriptor they should be."""


def require(holds: object, code: Code, reason: str) -> None:
    """Refuse with FfaError unless `holds` is true."""
    if not holds:
        raise FfaError(code, reason)


def require_valid(holds: object, reason: str) -> None:
    """Refuse with INVALID_PARAMETERS unless `holds` is true."""
    require(holds, Code.INVALID_PARAMETERS, reason)


def require_allowed(holds: object, reason: str) -> None:
    """Refuse with DENIED unless `holds` is true."""
    require(holds, Code.DENIED, reason)


def code_name(value: int) -> str:
    """`DENIED` for a status code in any width (w2 or x2), else its number."""
    signed = (value & 0xFFFF_FFFF) - (1 << 32) if value & 0x8000_0000 else value & 0xFFFF_FFFF
    try:
        return Code(signed).name
    except ValueError:
        return str(signed)
