"""The few C functions of Unicorn that the machine calls directly.

The Python binding costs microseconds per call and copies coprocessor tuples around; the machine's hot
paths (one trap, one timer access) use the same shared library through plain ctypes instead. The
version is pinned exactly because `calibration` depends on the build.
"""

from __future__ import annotations

import ctypes

import unicorn
from unicorn import Uc, UcError, arm64_const, unicorn_const
from unicorn.unicorn_py3.unicorn import uclib

SUPPORTED_VERSION = "2.1.4"

CodeCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
InterruptCallback = ctypes.CFUNCTYPE(None, ctypes.c_uint8, ctypes.c_uint32)
"""(unused, exception number)"""
SystemCallback = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint8, ctypes.c_uint32, ctypes.c_size_t)
"""(unused, register id, CpRegister address) -> 1 to skip the instruction; every argument less is time saved"""
AccessCallback = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
)
"""(engine, access, physical address, size, value, user data)"""
UnmappedCallback = ctypes.CFUNCTYPE(
    ctypes.c_bool,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_void_p,
)
"""(engine, access, physical address, size, value, user data) -> whether it was made good"""


class CpRegister(ctypes.Structure):
    """`uc_arm64_cp_reg`: a system register access as MSR, MRS and SYS hooks see it."""

    _fields_ = (
        ("crn", ctypes.c_uint32),
        ("crm", ctypes.c_uint32),
        ("op0", ctypes.c_uint32),
        ("op1", ctypes.c_uint32),
        ("op2", ctypes.c_uint32),
        ("val", ctypes.c_uint64),
    )

    @classmethod
    def of(cls, key: int, value: int = 0) -> CpRegister:
        """The register with this 16-bit encoding (see arch.sysreg)."""
        return cls((key >> 7) & 0xF, (key >> 3) & 0xF, key >> 14, (key >> 11) & 7, key & 7, value)


INSN_MRS = arm64_const.UC_ARM64_INS_MRS
INSN_MSR = arm64_const.UC_ARM64_INS_MSR
INSN_SYS = arm64_const.UC_ARM64_INS_SYS

REG_CP = arm64_const.UC_ARM64_REG_CP_REG
REG_PC = arm64_const.UC_ARM64_REG_PC
REG_PSTATE = arm64_const.UC_ARM64_REG_PSTATE
REG_X0 = arm64_const.UC_ARM64_REG_X0
REG_X29 = arm64_const.UC_ARM64_REG_X29
REG_X30 = arm64_const.UC_ARM64_REG_X30
REG_SP_EL0 = arm64_const.UC_ARM64_REG_SP_EL0
REG_V0 = arm64_const.UC_ARM64_REG_V0

GENERAL_REGISTER = {REG_X0 + n: n for n in range(29)} | {REG_X29: 29, REG_X30: 30}
"""Unicorn's register id in an MSR/MRS hook -> general register number; XZR is absent."""

emu_start = uclib.uc_emu_start
emu_stop = uclib.uc_emu_stop
context_size = uclib.uc_context_size
context_alloc = uclib.uc_context_alloc
context_free = uclib.uc_context_free
context_save = uclib.uc_context_save
context_restore = uclib.uc_context_restore
reg_read = uclib.uc_reg_read
reg_write = uclib.uc_reg_write
_vmem_translate = uclib.uc_vmem_translate
_vmem_translate.restype = ctypes.c_int
_vmem_translate.argtypes = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint64))

_hook_add = uclib.uc_hook_add
_hook_del = uclib.uc_hook_del
_ctl = uclib.uc_ctl
_REMOVE_CACHE = unicorn_const.UC_CTL_IO_WRITE << 30 | 2 << 26 | unicorn_const.UC_CTL_TB_REMOVE_CACHE


class UnsupportedUnicornError(RuntimeError):
    """This build of Unicorn is not one the machine knows how to drive."""


def check_version() -> None:
    """Raise UnsupportedUnicornError unless the binding is the pinned one."""
    if unicorn.__version__ != SUPPORTED_VERSION:
        raise UnsupportedUnicornError(
            f"unicorn {unicorn.__version__} is installed, this program needs {SUPPORTED_VERSION}"
        )


def new_engine() -> Uc:
    """A Cortex-A72 in AArch64 state with EL1, EL2 and EL3 and no memory."""
    engine = Uc(unicorn_const.UC_ARCH_ARM64, unicorn_const.UC_MODE_ARM)
    engine.ctl_set_cpu_model(arm64_const.UC_CPU_ARM64_A72)
    engine.ctl_set_tcg_buffer_size(256 << 20)
    return engine


def handle_of(engine: Uc) -> ctypes.c_void_p:
    """The C handle of an engine (a pointer to `struct uc_struct`)."""
    handle: ctypes.c_void_p = engine._uch  # noqa: SLF001 - the binding has no public name for it
    return handle


def add_hook(
    engine: Uc, kind: int, callback: object, instruction: int | None = None, begin: int = 1, end: int = 0
) -> int:
    """Register a ctypes callback for [begin, end] (everywhere if begin > end); the caller keeps the callback alive."""
    hook = ctypes.c_size_t()
    extra = () if instruction is None else (ctypes.c_int(instruction),)
    status = _hook_add(
        handle_of(engine),
        ctypes.byref(hook),
        kind,
        ctypes.cast(callback, ctypes.c_void_p),  # type: ignore[arg-type]
        None,
        ctypes.c_uint64(begin),
        ctypes.c_uint64(end),
        *extra,
    )
    if status != unicorn_const.UC_ERR_OK:
        raise UcError(status)
    return hook.value


def remove_hook(engine: Uc, hook: int) -> None:
    """Take back what `add_hook` gave; between slices only."""
    _hook_del(handle_of(engine), ctypes.c_size_t(hook))


def remove_cache(handle: ctypes.c_void_p, begin: int, end: int) -> None:
    """Drop code translated from [begin, end), virtual addresses that are executable in the current regime."""
    _ctl(handle, _REMOVE_CACHE, ctypes.c_uint64(begin), ctypes.c_uint64(end))


def translate(handle: ctypes.c_void_p, address: int, access: int) -> int | None:
    """Physical address of a virtual one in the engine's current regime, or None if it would fault."""
    physical = ctypes.c_uint64()
    if _vmem_translate(handle, address, access, ctypes.byref(physical)) != unicorn_const.UC_ERR_OK:
        return None
    return physical.value
