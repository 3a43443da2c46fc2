"""Architectural registers of one vCPU, seen in place: in the live engine or in a saved context."""

from __future__ import annotations

import ctypes

from engine.cpu import unicorn_api as api
from engine.cpu.calibration import Layout, layout

XZR = 31
_U64 = ctypes.c_uint64
_U32 = ctypes.c_uint32


class CpuState:
    """Registers at a CPU state address; reads and writes cost some tens of nanoseconds.

    Writes here have no side effects: after a change of PSTATE.M or of a control register the engine
    must rebuild its cached mode (`Core.refresh_mode`).
    """

    __slots__ = ("_daif", "_mode", "_pc", "elr_el", "sp_el", "x")

    def __init__(self, address: int) -> None:
        where = layout()
        self.x = (_U64 * 32).from_address(address + where.x)
        """X0-X30; [31] is the current stack pointer (not XZR)."""
        self.sp_el = (_U64 * 4).from_address(address + where.sp_el)
        """Banked stack pointers; the one in use lives in x[31]."""
        self.elr_el = (_U64 * 4).from_address(address + where.elr_el)
        self._pc = _U64.from_address(address + where.pc)
        self._mode = _U32.from_address(address + where.pstate)
        self._daif = _U64.from_address(address + where.daif)

    @property
    def pc(self) -> int:
        return self._pc.value

    @pc.setter
    def pc(self, value: int) -> None:
        self._pc.value = value

    @property
    def el(self) -> int:
        """Current exception level, 0-3."""
        return (self._mode.value >> 2) & 3

    @property
    def aarch32(self) -> bool:
        return bool(self._mode.value & 0x10)

    @property
    def spsel(self) -> int:
        """PSTATE.SP: 0 uses SP_EL0, 1 uses the stack pointer of the current level."""
        return self._mode.value & 1

    @property
    def irq_masked(self) -> bool:
        return bool(self._daif.value & 0x80)


class VcpuContext:
    """Saved CPU state of a vCPU that is not on its engine."""

    __slots__ = ("_data", "_size", "pointer", "state")

    def __init__(self, handle: ctypes.c_void_p) -> None:
        self.pointer = ctypes.c_void_p()
        if api.context_alloc(handle, ctypes.byref(self.pointer)):
            raise MemoryError("cannot allocate a CPU context")
        self._data = (self.pointer.value or 0) + layout().context_data
        self._size = api.context_size(handle) - layout().context_data
        self.state = CpuState(self._data)

    def copy_from(self, other: VcpuContext) -> None:
        """Take over the registers of another saved context of the same engine."""
        ctypes.memmove(self._data, other._data, self._size)

    def __del__(self) -> None:
        if self.pointer.value:
            api.context_free(self.pointer)


class ExceptionRecord:
    """The exception that Unicorn is about to deliver: what ESR_ELx and FAR_ELx would hold."""

    __slots__ = ("_far", "_hpfar", "_syndrome", "_target")

    def __init__(self, address: int) -> None:
        where: Layout = layout()
        self._syndrome = _U32.from_address(address + where.exception)
        self._far = _U64.from_address(address + where.exception + 8)
        self._target = _U32.from_address(address + where.exception + 16)
        self._hpfar = _U64.from_address(address + where.hpfar)

    @property
    def esr(self) -> int:
        return self._syndrome.value

    @property
    def far(self) -> int:
        return self._far.value

    @property
    def target_el(self) -> int:
        return self._target.value

    @property
    def ipa_page(self) -> int:
        """Page of the faulting intermediate physical address (HPFAR_EL2.FIPA, Arm ARM D17.2.63)."""
        return (self._hpfar.value & 0x0000_0FFF_FFFF_FFF0) << 8
