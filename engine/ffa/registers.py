"""Registers of FF-A calls: masking of arguments, must-be-zero fields, results (DEN0077A v1.2; DEN0028)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.ffa.abi import Function, function, is_64, target_word
from engine.ffa.errors import Code, FfaError, require_valid
from engine.ffa.version import V1_2, Version

W = 0xFFFF_FFFF
X = 0xFFFF_FFFF_FFFF_FFFF
NARROW, WIDE = 8, 18
"""Registers a call passes: x0-x7, or x0-x17."""
_ZEROS = (0,) * WIDE

_WIDE = frozenset(
    {
        Function.MSG_SEND_DIRECT_REQ2,
        Function.MSG_SEND_DIRECT_RESP2,
        Function.PARTITION_INFO_GET_REGS,
        Function.CONSOLE_LOG_64,
    }
)
_SEND = ((3, X), (4, X))
_MBZ: dict[Function, tuple[tuple[int, int], ...]] = {
    Function.RXTX_MAP_32: ((3, W & ~0x3F),),
    Function.RXTX_MAP_64: ((3, X & ~0x3F),),
    Function.RXTX_UNMAP: ((1, W),),
    Function.RX_RELEASE: ((1, W),),
    Function.RX_ACQUIRE: ((1, W & ~0xFFFF),),
    Function.PARTITION_INFO_GET: ((5, W & ~1),),
    Function.PARTITION_INFO_GET_REGS: ((3, X & ~W), *((n, X) for n in range(4, WIDE))),
    Function.MSG_WAIT: ((1, W), (2, W & ~1), *((n, W) for n in range(3, NARROW))),
    Function.MSG_SEND2: ((1, W), (2, W & ~2)),
    Function.MSG_SEND_DIRECT_RESP2: ((2, X), (3, X)),
    Function.MEM_DONATE_32: _SEND,
    Function.MEM_DONATE_64: _SEND,
    Function.MEM_LEND_32: _SEND,
    Function.MEM_LEND_64: _SEND,
    Function.MEM_SHARE_32: _SEND,
    Function.MEM_SHARE_64: _SEND,
    Function.MEM_RETRIEVE_REQ_32: _SEND,
    Function.MEM_RETRIEVE_REQ_64: _SEND,
    Function.MEM_FRAG_RX: ((4, W),),
    Function.MEM_FRAG_TX: ((4, W),),
    Function.MEM_RECLAIM: ((3, W & ~3),),
    Function.NOTIFICATION_BIND: ((2, W & ~1),),
    Function.NOTIFICATION_UNBIND: ((2, W),),
    Function.NOTIFICATION_SET: ((2, 0xFFFC),),
}
"""Register numbers and the bits of them that a partition must leave zero.

Registers the specification calls SBZ are absent: they are ignored.
"""
_NAMES_A_VM: dict[int, int] = {
    Function.RXTX_UNMAP: 1,
    Function.RX_RELEASE: 1,
    Function.MSG_SEND2: 1,
    Function.MEM_FRAG_RX: 4,
    Function.MEM_FRAG_TX: 4,
}
"""Registers that name a VM at the physical instance and are zero at a virtual one."""


def is_wide(fid: int) -> bool:
    """Whether a call passes x0-x17: v1.2's register-rich functions. All others pass x0-x7."""
    return fid & W in _WIDE


def arguments(registers: Sequence[int]) -> tuple[int, ...]:
    """x0-x17 of a call as its function may see them.

    The id is w0. Arguments of 32-bit functions are w registers: their upper halves are not part of the call.
    Registers past x7 read zero except in wide calls.
    """
    fid = registers[0] & W
    mask, count = (X if is_64(fid) else W), (WIDE if is_wide(fid) else NARROW)
    passed = [value & mask for value in registers[1:count]]
    return (fid, *passed, *_ZEROS[len(passed) + 1 :])


def nonzero_mbz(args: Sequence[int], virtual: bool = True) -> int | None:
    """The number of the first register that holds must-be-zero bits which are set, or None.

    `virtual` is False at the physical instance, where managers name a VM on whose behalf they call.
    """
    known = function(args[0])
    named = None if virtual else _NAMES_A_VM.get(args[0])
    for register, bits in _MBZ.get(known, ()) if known is not None else ():
        if register != named and args[register] & bits:
            return register
    return None


def check_mbz(args: Sequence[int], virtual: bool = True) -> None:
    """Refuse with INVALID_PARAMETERS a call that sets must-be-zero bits."""
    register = nonzero_mbz(args, virtual)
    if register is not None:
        raise FfaError(Code.INVALID_PARAMETERS, f"bits of x{register} must be zero")


class Result(NamedTuple):
    """What a call leaves in the caller's registers."""

    values: tuple[int, ...]
    """x0-x7 or, where the answer is a wide one, x0-x17."""

    def apply(self, registers: Sequence[int]) -> tuple[int, ...]:
        """The caller's registers after the call: registers the result does not name are preserved (DEN0028)."""
        return (*self.values, *registers[len(self.values) :])

    @property
    def fid(self) -> int:
        """The function id that says what kind of answer this is."""
        return self.values[0]

    @property
    def code(self) -> int:
        """The status code of an FFA_ERROR as a signed number; 0 for any other answer."""
        if self.fid != Function.ERROR:
            return 0
        return self.values[2] - (1 << 32) if self.values[2] >> 31 else self.values[2]


def _narrow(fid: int, mask: int, values: Sequence[int]) -> Result:
    """x0-x7; values beyond them are not part of it."""
    padded = (*values[: NARROW - 1], *(0,) * (NARROW - 1 - len(values)))
    return Result((fid, *(value & mask for value in padded)))


def call(fid: int, *values: int) -> Result:
    """Any function as an answer (FFA_INTERRUPT, MSG_SEND_DIRECT_REQ, ...), `values` from x1 on.

    Upper halves are zero for 32-bit functions, and so are registers up to x7 (x17 for wide functions) without a value.
    """
    if is_wide(fid):
        return wide(fid, *values)
    return _narrow(fid, X if is_64(fid) else W, values)


def wide(fid: int, *values: int) -> Result:
    """An answer in x0-x17, `values` from x1 on; used by v1.2 functions and by FFA_SUCCESS when it answers them."""
    padded = (*values, *(0,) * (WIDE - 1 - len(values)))
    return Result((fid, *(value & X for value in padded)))


def success_32(*values: int) -> Result:
    """FFA_SUCCESS with `values` in w2 and on; w1 zero."""
    return _narrow(Function.SUCCESS_32, W, (0, *values))


def success_64(*values: int) -> Result:
    """FFA_SUCCESS with `values` in x2-x7; x1 zero, x8 and on preserved."""
    return _narrow(Function.SUCCESS_64, X, (0, *values))


def success_wide(*values: int) -> Result:
    """FFA_SUCCESS_64 with `values` in x2-x17; x1 and the rest zero."""
    return wide(Function.SUCCESS_64, 0, *values)


def error(code: Code, target: int = 0) -> Result:
    """FFA_ERROR: the code in w2, upper halves zero; `target` is endpoint and vCPU for w1 where the answer needs one."""
    return _narrow(Function.ERROR, W, (target, code))


def interrupt(endpoint: int, vcpu: int, intid: int = 0) -> Result:
    """FFA_INTERRUPT: who was interrupted in w1, the INTID in w2 where the receiver shall know it."""
    return _narrow(Function.INTERRUPT, W, (target_word(endpoint, vcpu), intid))


def version_result(word: int) -> Result:
    """The answer of FFA_VERSION, the one call that returns its result in w0."""
    return Result((word & W, *(0,) * (NARROW - 1)))


def character_limit(fid: int, agreed: Version) -> int:
    """Most characters one CONSOLE_LOG may carry: 24 (32-bit), 48 in x2-x7, or 128 in x2-x17 from v1.2 on."""
    if not is_64(fid):
        return 24
    return 128 if agreed >= V1_2 else 48


def console_text(args: Sequence[int], agreed: Version) -> bytes:
    """The w1 characters of CONSOLE_LOG, packed little-endian from w2 or x2 on; INVALID_PARAMETERS for a bad count."""
    count, width = args[1], 8 if is_64(args[0]) else 4
    require_valid(0 < count <= character_limit(args[0], agreed), f"{count} characters")
    packed = b"".join((value & ((1 << 8 * width) - 1)).to_bytes(width, "little") for value in args[2:])
    return packed[:count]


def rxtx_feature(max_pages: int = 0) -> int:
    """w2 of FEATURES for RXTX_MAP: minimum size and alignment 4 KB in [1:0], most pages in [31:16], 0 for no limit."""
    return (max_pages & 0xFFFF) << 16
