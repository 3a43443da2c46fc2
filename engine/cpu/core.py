"""One Unicorn engine: the CPU that a partition's vCPUs take turns on.

Guest code runs in slices of an exact number of instructions. Everything the guest does that somebody
above it must see arrives through `CoreClient`: exceptions, timer registers, and nothing else.
"""

from __future__ import annotations

import ctypes
from typing import Protocol

from unicorn import unicorn_const

from engine.arch.sysreg import SysReg
from engine.board.memory import PhysicalMemory
from engine.cpu import unicorn_api as api
from engine.cpu.calibration import layout, locate_env
from engine.cpu.state import CpuState, ExceptionRecord, VcpuContext

_NEVER = 0xFFFF_FFFF_FFFF_FFF1
"""An address no instruction can have (misaligned), for the `until` of a slice."""
_PSTATE_EL1H = 0x3C5
_PSTATE_EL2H = 0x3C9
_SCR_EL3_NS_HCE_RW = 1 << 10 | 1 << 8 | 1
_IC_IALLUIS, _IC_IALLU, _IC_IVAU = (0, 1, 0), (0, 5, 0), (3, 5, 1)
_TLBI_ALLE1 = api.CpRegister.of(1 << 14 | 4 << 11 | 8 << 7 | 7 << 3 | 4)
_CACHE_LINE = 64
_EXECUTE = unicorn_const.UC_PROT_EXEC
_READ = unicorn_const.UC_PROT_READ
_WRITE = unicorn_const.UC_PROT_WRITE


class CoreClient(Protocol):
    """What runs above the guest."""

    def on_exception(self, number: int) -> None:
        """The guest raised an exception (Unicorn's number); `core.exception` describes it."""

    def on_timer_read(self, key: int) -> int | None:
        """Value of a system register with CRn 14 or 0, or None to let the model answer."""

    def on_timer_write(self, key: int, value: int) -> bool:
        """A write to a system register with CRn 14; True when it was taken."""

    def on_external_abort(self, physical: int, write: bool) -> None:
        """The guest touched a physical address that nothing answers; PC is at the instruction."""


class Core:
    """A Cortex-A72 over the board's memory, entered at EL1 or EL0 under EL2 control."""

    def __init__(self, memory: PhysicalMemory, client: CoreClient) -> None:
        self._uc = api.new_engine()
        self._handle = api.handle_of(self._uc)
        env = locate_env(self._uc)
        self.state = CpuState(env)
        self.exception = ExceptionRecord(env)
        counter_at = (self._handle.value or 0) + layout().counter
        self._counter = ctypes.c_size_t.from_address(counter_at)
        self._client = client
        self._memory = memory
        self._count = 0
        self._executed = 0
        self._stopped = False
        self._running = False
        self._error: BaseException | None = None
        self._stale_lines: list[int] = []
        self._stale_physical: list[tuple[int, int]] = []
        self._stale_all = False
        self._unmapped: tuple[int, bool] = (0, False)
        self._cp = api.CpRegister()
        memory.map_into(self._uc)
        self._install_hooks()
        self.write(SysReg.SCR_EL3, _SCR_EL3_NS_HCE_RW)
        self.pstate = _PSTATE_EL1H
        for n in range(31):
            self.state.x[n] = 0
        self._reset_context = self.new_context()
        self.save(self._reset_context)

    # --- running -----------------------------------------------------------------------------

    def run(self, count: int) -> int:
        """Run up to `count` (>= 1) instructions; returns how many were begun.

        Stops early only when `stop` was called from one of the client's callbacks. Re-raises what a
        callback raised.
        """
        self._stopped = False
        self._executed = 0
        while True:
            status = self._start(count - self._executed)
            if not (self._stale_all or self._stale_lines or self._stale_physical):
                break
            self._drop_stale_translations()
            if self._stopped or status or self._executed >= count:
                break
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if status:
            self._client.on_external_abort(*self._unmapped)
        return self._executed

    def _start(self, count: int) -> int:
        """One stretch of guest code; returns Unicorn's error code."""
        self._count = count
        self._counter.value = 0
        self._running = True
        status = int(api.emu_start(self._handle, self.state.pc, _NEVER, 0, count))
        self._running = False
        self._executed += min(self._counter.value, count)
        return status

    def stop(self) -> None:
        """End the slice that runs, if any, after the instruction at hand; on the machine's thread only."""
        if self._running:
            self._stopped = True
            api.emu_stop(self._handle)

    @property
    def executed(self) -> int:
        """Instructions begun in the slice that is running, the current one included; else 0."""
        return self._executed + min(self._counter.value, self._count) if self._running else 0

    def fail(self, error: BaseException) -> None:
        """End the slice and raise `error` from `run`."""
        self._error = self._error or error
        self.stop()

    # --- contexts ----------------------------------------------------------------------------

    def new_context(self) -> VcpuContext:
        return VcpuContext(self._handle)

    def save(self, context: VcpuContext) -> None:
        api.context_save(self._handle, context.pointer)

    def load(self, context: VcpuContext) -> None:
        """Put a saved vCPU on this engine; the pending-vIRQ line is not part of a context."""
        api.context_restore(self._handle, context.pointer)
        self.flush_tlb()

    def reset(self) -> None:
        """Architectural reset state: EL1h, interrupts masked, MMU off, general registers zero."""
        self.load(self._reset_context)

    # --- system registers --------------------------------------------------------------------

    def read(self, key: int) -> int:
        """Read a system register of the model by its encoding."""
        register = api.CpRegister.of(key)
        if api.reg_read(self._handle, api.REG_CP, ctypes.byref(register)):
            raise KeyError(key)
        return int(register.val)

    def write(self, key: int, value: int) -> None:
        """Write a system register of the model by its encoding; also refreshes the cached mode."""
        register = api.CpRegister.of(key, value)
        if api.reg_write(self._handle, api.REG_CP, ctypes.byref(register)):
            raise KeyError(key)

    @property
    def pstate(self) -> int:
        """PSTATE in SPSR layout."""
        value = ctypes.c_uint64()
        api.reg_read(self._handle, api.REG_PSTATE, ctypes.byref(value))
        return value.value

    @pstate.setter
    def pstate(self, value: int) -> None:
        api.reg_write(self._handle, api.REG_PSTATE, ctypes.byref(ctypes.c_uint64(value)))
        self.refresh_mode()

    def read_vector(self, number: int) -> int:
        """V0-V31 as a 128-bit number."""
        value = (ctypes.c_uint64 * 2)()
        api.reg_read(self._handle, api.REG_V0 + number, ctypes.byref(value))
        return int(value[0] | value[1] << 64)

    def write_vector(self, number: int, value: int) -> None:
        parts = (ctypes.c_uint64 * 2)(value & (1 << 64) - 1, value >> 64)
        api.reg_write(self._handle, api.REG_V0 + number, ctypes.byref(parts))

    def refresh_mode(self) -> None:
        """Make the engine notice a changed exception level, stack pointer selection or MMU regime."""
        self.write(SysReg.ESR_EL3, 0)

    def flush_tlb(self) -> None:
        """TLBI ALLE1: forget every EL1&0 translation, stage 1 and stage 2."""
        api.reg_write(self._handle, api.REG_CP, ctypes.byref(_TLBI_ALLE1))

    # --- memory ------------------------------------------------------------------------------

    def translate(self, address: int, execute: bool = False, write: bool = False) -> int | None:
        """Physical address of a guest virtual one in the current regime, None if that access would fault."""
        return api.translate(self._handle, address, _EXECUTE if execute else _WRITE if write else _READ)

    def instruction(self) -> int | None:
        """The instruction word at PC, None where it cannot be read."""
        physical = self.translate(self.state.pc, execute=True)
        return None if physical is None else self._memory.read_u32(physical)

    def write_physical(self, address: int, data: bytes) -> None:
        """Store for the guest from inside a trap; code translated from there is dropped after the slice."""
        self._memory.write(address, data)
        self._stale_physical.append((address, len(data)))
        api.emu_stop(self._handle)

    def drop_code(self, ranges: list[tuple[int, int]]) -> None:
        """Forget code translated from physical (address, size) ranges: other engines may have written there."""
        if self._running:
            self._stale_physical += ranges
            api.emu_stop(self._handle)
        else:
            self._drop_at_physical(ranges)

    def drop_translations(self) -> None:
        """Forget all translated code, after the host wrote into pages that may hold some."""
        self._uc.ctl_flush_tb()

    def _drop_stale_translations(self) -> None:
        """What the guest's IC instructions ask for; not possible inside a hook."""
        lines, self._stale_lines = self._stale_lines, []
        physical, self._stale_physical = self._stale_physical, []
        if self._stale_all:
            self._stale_all = False
            self._uc.ctl_flush_tb()
            return
        for line in lines:
            if self.translate(line, execute=True) is not None:
                self._uc.ctl_remove_cache(line, line + _CACHE_LINE)
            elif (address := self.translate(line)) is not None:
                physical.append((address, _CACHE_LINE))
        if physical:
            self._drop_at_physical(physical)

    def _drop_at_physical(self, ranges: list[tuple[int, int]]) -> None:
        """Unicorn drops code by executable virtual address only: look through EL2, whose MMU is off."""
        pstate = self.pstate
        self.pstate = _PSTATE_EL2H
        for address, size in ranges:
            self._uc.ctl_remove_cache(address, address + size)
        self.pstate = pstate

    # --- hooks -------------------------------------------------------------------------------

    def _install_hooks(self) -> None:
        known: dict[int, ctypes.Array[ctypes.c_uint32]] = {}
        registers = api.GENERAL_REGISTER
        view_at = known.get

        def fields(address: int) -> ctypes.Array[ctypes.c_uint32]:
            """The fields of an api.CpRegister as words; the hooks' stack addresses recur, so views are kept."""
            view = known[address] = (ctypes.c_uint32 * 8).from_address(address)
            return view

        client, x = self._client, self.state.x

        def on_interrupt(_engine: int, number: int) -> None:
            try:
                client.on_exception(number)
            except BaseException as error:
                self.fail(error)

        def on_mrs(_engine: int, register: int, address: int) -> int:
            cp = view_at(address) or fields(address)
            crn = cp[0]
            if crn != 14 and crn != 0:
                return 0
            try:
                key = cp[2] << 14 | cp[3] << 11 | crn << 7 | cp[1] << 3 | cp[4]
                value = client.on_timer_read(key)
            except BaseException as error:
                self.fail(error)
                return 1
            if value is None:
                return 0
            target = registers.get(register)
            if target is not None:
                x[target] = value
            return 1

        def on_msr(_engine: int, _register: int, address: int) -> int:
            cp = view_at(address) or fields(address)
            if cp[0] != 14:
                return 0
            try:
                key = cp[2] << 14 | cp[3] << 11 | 14 << 7 | cp[1] << 3 | cp[4]
                return client.on_timer_write(key, cp[6] | cp[7] << 32)
            except BaseException as error:
                self.fail(error)
                return 1

        def on_sys(_engine: int, _register: int, address: int) -> int:
            cp = view_at(address) or fields(address)
            if cp[0] != 7:
                return 0
            operation = (cp[3], cp[1], cp[4])
            if operation == _IC_IVAU:
                self._stale_lines.append((cp[6] | cp[7] << 32) & -_CACHE_LINE)
                api.emu_stop(self._handle)
            elif operation in (_IC_IALLU, _IC_IALLUIS):
                self._stale_all = True
                api.emu_stop(self._handle)
            return 0

        def on_unmapped(_engine: int, access: int, address: int, _size: int, _value: int, _data: int) -> bool:
            self._unmapped = (address, access == unicorn_const.UC_MEM_WRITE_UNMAPPED)
            return False

        self._callbacks = (
            api.InterruptCallback(on_interrupt),
            api.SystemCallback(on_mrs),
            api.SystemCallback(on_msr),
            api.SystemCallback(on_sys),
            api.UnmappedCallback(on_unmapped),
        )
        interrupt, mrs, msr, sys, unmapped = self._callbacks
        api.add_hook(self._uc, unicorn_const.UC_HOOK_INTR, interrupt)
        api.add_hook(self._uc, unicorn_const.UC_HOOK_INSN, mrs, api.INSN_MRS)
        api.add_hook(self._uc, unicorn_const.UC_HOOK_INSN, msr, api.INSN_MSR)
        api.add_hook(self._uc, unicorn_const.UC_HOOK_INSN, sys, api.INSN_SYS)
        # A hook of this kind that covers RAM makes every store to RAM take a slow path, 15 times the cost.
        for begin, end in ((0, self._memory.base - 1), (self._memory.base + self._memory.size, (1 << 64) - 1)):
            api.add_hook(self._uc, unicorn_const.UC_HOOK_MEM_UNMAPPED, unmapped, None, begin, end)
