"""Where this build of Unicorn keeps its CPU state.

Unicorn exposes neither the syndrome of an exception nor the number of instructions a slice ran, and a
register read through its API costs more than a microsecond. All of it lies in two C structs whose
layout is fixed for a build; each value is found by putting a recognisable pattern there and looking
for it, and checked by writing through the address found. Any surprise raises `CalibrationError`.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unicorn import Uc, unicorn_const

from engine.arch.controls import PSTATE_EL1H
from engine.cpu import unicorn_api as api

_PATTERN = 0x5A17_C0DE_0000_0000
_X_BYTES = struct.pack("<8Q", *(_PATTERN + n * 0x1111 for n in range(8)))
_ENGINE_STRUCT_BYTES = 0x1200
_CPU_OBJECT_BYTES = 0x10000
_ENV_BEFORE_X = 64
_ENV_BYTES = 0x3000
_SCRATCH = 0x10000
_SVC_1234 = 0xD4024681
_NOP = 0xD503201F
_SVC_SYNDROME = 0x56001234


class CalibrationError(api.UnsupportedUnicornError):
    """The CPU state of this Unicorn build was not found where it can be used."""


@dataclass(frozen=True)
class Layout:
    """Byte offsets, from the start of the CPU state (or of the engine struct where it says so)."""

    x: int
    pc: int
    pstate: int
    """u32: PSTATE.M and SS/IL; DAIF and NZCV are kept elsewhere."""
    daif: int
    sp_el: int
    """u64[4]: banked stack pointers of EL0-EL3."""
    elr_el: int
    """u64[4], index = exception level."""
    spsr_el1: int
    hpfar: int
    exception: int
    """u32 syndrome, u32 fsr, u64 vaddress, u32 target_el."""
    context_data: int
    """Where the CPU state starts in a saved context."""
    counter: int
    """In the engine struct: size_t instructions begun in this slice; the requested count follows."""


def _read_memory(address: int, size: int) -> bytes:
    """Bytes of this process, or b"" where nothing is mapped: never a segmentation fault."""
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        try:
            return os.pread(memory.fileno(), size, address)
        except OSError:
            return b""


def _pointers(blob: bytes) -> Iterator[int]:
    for (value,) in struct.iter_unpack("<Q", blob):
        if 0x10000 < value < 1 << 47:
            yield value


def locate_env(engine: Uc) -> int:
    """Address of the live CPU state (`CPUARMState`) of an engine. Clobbers X0-X7."""
    for n in range(8):
        engine.reg_write(api.REG_X0 + n, _PATTERN + n * 0x1111)
    handle = api.handle_of(engine).value or 0
    votes: Counter[int] = Counter()
    for pointer in _pointers(_read_memory(handle, _ENGINE_STRUCT_BYTES)):
        found = _read_memory(pointer, _CPU_OBJECT_BYTES).find(_X_BYTES)
        if found >= 0:
            votes[pointer + found] += 1
    for candidate, _ in votes.most_common():
        if _is_live(engine, candidate):
            return candidate - _ENV_BEFORE_X
    raise CalibrationError("cannot find the CPU state of this Unicorn build")


def _is_live(engine: Uc, x_address: int) -> bool:
    cell = ctypes.c_uint64.from_address(x_address + 8)
    before, cell.value = cell.value, _PATTERN ^ 0x77
    seen = engine.reg_read(api.REG_X0 + 1)
    cell.value = before
    return bool(seen == _PATTERN ^ 0x77)


def _find_u64(env: int, value: int, what: str) -> int:
    offset = ctypes.string_at(env, _ENV_BYTES).find(struct.pack("<Q", value))
    if offset < 0:
        raise CalibrationError(f"cannot find {what} in the CPU state of this Unicorn build")
    return offset


def _probe_register(engine: Uc, env: int, register: int, what: str) -> int:
    marker = _PATTERN + 0xABC0 + 8 * register
    before = engine.reg_read(register)
    engine.reg_write(register, marker)
    offset = _find_u64(env, marker, what)
    engine.reg_write(register, before)
    return offset


def _probe_cp(engine: Uc, env: int, encoding: tuple[int, int, int, int, int], marker: int, what: str) -> int:
    engine.cpr_write(*encoding, marker)
    offset = _find_u64(env, marker, what)
    engine.cpr_write(*encoding, 0)
    return offset


def _words_changed(engine: Uc, env: int, first: int, second: int) -> set[int]:
    engine.reg_write(api.REG_PSTATE, first)
    before = ctypes.string_at(env, _ENV_BYTES)
    engine.reg_write(api.REG_PSTATE, second)
    after = ctypes.string_at(env, _ENV_BYTES)
    return {n for n in range(0, _ENV_BYTES, 4) if before[n : n + 4] != after[n : n + 4]}


def _probe_pstate(engine: Uc, env: int) -> tuple[int, int]:
    """Offsets of the mode word and of the DAIF word; a write of either also touches one shared word."""
    mode = _words_changed(engine, env, PSTATE_EL1H, PSTATE_EL1H & ~1)
    daif = _words_changed(engine, env, PSTATE_EL1H, PSTATE_EL1H & ~0xC0)
    only_mode, only_daif = mode - daif, daif - mode
    if len(only_mode) != 1 or len(only_daif) != 1:
        raise CalibrationError("cannot find PSTATE in the CPU state of this Unicorn build")
    return only_mode.pop(), only_daif.pop()


def _probe_exception(engine: Uc, env: int) -> int:
    def stop(uc: Uc, _number: int, _data: object) -> None:
        uc.emu_stop()

    hook = engine.hook_add(unicorn_const.UC_HOOK_INTR, stop)
    engine.mem_write(_SCRATCH, struct.pack("<I", _SVC_1234))
    engine.emu_start(_SCRATCH, _SCRATCH + 0x800, count=2)
    engine.hook_del(hook)
    state = ctypes.string_at(env, _ENV_BYTES)
    offset = state.find(struct.pack("<I", _SVC_SYNDROME))
    if offset < 0 or state.find(struct.pack("<I", _SVC_SYNDROME), offset + 4) >= 0:
        raise CalibrationError("cannot find the exception syndrome of this Unicorn build")
    if struct.unpack_from("<I", state, offset + 16)[0] != 1:
        raise CalibrationError("the exception record of this Unicorn build has another layout")
    return offset


def _probe_counter(engine: Uc) -> int:
    handle = api.handle_of(engine).value or 0
    engine.mem_write(_SCRATCH + 0x1000, struct.pack("<I", _NOP) * 512)
    candidates: set[int] | None = None
    for length in (37, 101, 211):
        engine.emu_start(_SCRATCH + 0x1000, _SCRATCH + 0x1800, count=length)
        words = struct.unpack(f"<{_ENGINE_STRUCT_BYTES // 8}Q", ctypes.string_at(handle, _ENGINE_STRUCT_BYTES))
        here = {8 * n for n in range(len(words) - 1) if words[n] == length + 1 and words[n + 1] == length}
        candidates = here if candidates is None else candidates & here
    if not candidates or len(candidates) != 1:
        raise CalibrationError("cannot find the instruction counter of this Unicorn build")
    return candidates.pop()


@functools.cache
def layout() -> Layout:
    """Calibrate on a scratch engine, once per process. Raises CalibrationError."""
    api.check_version()
    engine = api.new_engine()
    engine.mem_map(_SCRATCH, 0x2000)
    env = locate_env(engine)
    engine.cpr_write(3, 6, 1, 1, 0, 0x501)
    pstate, daif = _probe_pstate(engine, env)
    engine.reg_write(api.REG_PSTATE, PSTATE_EL1H)
    engine.cpr_write(3, 0, 5, 2, 0, 0)
    return Layout(
        x=_ENV_BEFORE_X,
        pc=_probe_register(engine, env, api.REG_PC, "PC"),
        pstate=pstate,
        daif=daif,
        sp_el=_probe_register(engine, env, api.REG_SP_EL0, "SP_EL0"),
        elr_el=_probe_cp(engine, env, (3, 0, 4, 0, 1), _PATTERN + 0x31, "ELR_EL1") - 8,
        spsr_el1=_probe_cp(engine, env, (3, 0, 4, 0, 0), _PATTERN + 0x51, "SPSR_EL1"),
        hpfar=_probe_cp(engine, env, (3, 4, 6, 0, 4), 0x0000_0A5A_17C0_DE10, "HPFAR_EL2"),
        exception=_probe_exception(engine, env),
        context_data=_probe_context(engine),
        counter=_probe_counter(engine),
    )


def _probe_context(engine: Uc) -> int:
    for n in range(8):
        engine.reg_write(api.REG_X0 + n, _PATTERN + n * 0x1111)
    context = engine.context_save()
    size = api.context_size(api.handle_of(engine))
    found = ctypes.string_at(ctypes.cast(context.context, ctypes.c_void_p).value or 0, size).find(_X_BYTES)
    if found < _ENV_BEFORE_X:
        raise CalibrationError("cannot find the CPU state in a saved context of this Unicorn build")
    return found - _ENV_BEFORE_X
