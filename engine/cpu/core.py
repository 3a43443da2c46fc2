"""One Unicorn engine: the CPU that a partition's vCPUs take turns on.

Guest code runs in slices of an exact number of instructions. Everything the guest does that somebody
above it must see arrives through `CoreClient`: exceptions, timer registers, and nothing else.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from unicorn import unicorn_const

from engine.arch.controls import PSTATE_EL1H, SCR_HCE, SCR_NS, SCR_RW
from engine.arch.paging import PAGE
from engine.arch.sysreg import SysReg, encode
from engine.board.memory import Memory
from engine.cpu import hooks
from engine.cpu import unicorn_api as api
from engine.cpu.accesses import Access, AccessWatches, Filter
from engine.cpu.calibration import layout, locate_env
from engine.cpu.stale_code import StaleCode
from engine.cpu.state import CpuState, ExceptionRecord, VcpuContext

_NEVER = 0xFFFF_FFFF_FFFF_FFF1
"""An address no instruction can have (misaligned), for the `until` of a slice."""
_WFE, _YIELD = 0xD503_205F, 0xD503_203F
_SPIN_WINDOW = 16
_RAN_ON = -1
_TLBI_ALLE1 = api.CpRegister.of(encode(1, 4, 8, 7, 4))
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

    def on_external_abort(self, physical: int) -> None:
        """The guest touched a physical address that nothing answers; PC is at the instruction."""


class Core:
    """A Cortex-A72 over the board's memory, entered at EL1 or EL0 under EL2 control."""

    def __init__(self, memory: Memory, client: CoreClient) -> None:
        self._uc = api.new_engine()
        self._handle = api.handle_of(self._uc)
        env = locate_env(self._uc)
        self.state = CpuState(env)
        self.exception = ExceptionRecord(env)
        counter_at = (self._handle.value or 0) + layout().counter
        self._counter = ctypes.c_size_t.from_address(counter_at)
        self._requested = ctypes.c_size_t.from_address(counter_at + ctypes.sizeof(ctypes.c_size_t))
        self._client = client
        self._memory = memory
        self._count = 0
        self._executed = 0
        self._stopped = False
        self._stopped_at = _RAN_ON
        """What the counter says of a slice that ended early, where it says too much at the end."""
        self._running = False
        self._shortened = False
        """The slice ended early to judge an access."""
        self._rearm: list[Callable[[], None]] = []
        """Changes of what is watched that wait for the end of the slice."""
        self._error: BaseException | None = None
        self._stale = StaleCode()
        self._unmapped = 0
        self._cp = api.CpRegister()
        memory.map_into(self._uc)
        self._install_hooks()
        self.write(SysReg.SCR_EL3, SCR_RW | SCR_HCE | SCR_NS)
        self.pstate = PSTATE_EL1H
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
        try:
            while True:
                status = self._start(count - self._executed)
                again = self._shortened or bool(self._stale)
                if self._accesses.settle():
                    self._stopped = True
                if self._stale:
                    self._stale.drop(self)
                if not again or self._stopped or status or self._executed >= count:
                    break
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if status:
                self._client.on_external_abort(self._unmapped)
            return self._executed
        finally:
            self._executed = 0
            self._apply_watches()

    def _start(self, count: int) -> int:
        """One stretch of guest code; returns Unicorn's error code."""
        self._count = count
        self._counter.value = 0
        self._stopped_at = _RAN_ON
        self._shortened = False
        self._running = True
        status = int(api.emu_start(self._handle, self.state.pc, _NEVER, 0, count))
        self._running = False
        self._executed += min(self._counter.value if self._stopped_at == _RAN_ON else self._stopped_at, self._count)
        return status

    def _interrupt_for_stale_code(self) -> None:
        """Leave the slice after an IC instruction; the engine counts one instruction more before it stops."""
        self._stopped_at = self._counter.value
        api.emu_stop(self._handle)

    def stop(self) -> None:
        """End the slice that runs, if any, after the instruction at hand; on the machine's thread only."""
        if self._running:
            self._stopped = True
            api.emu_stop(self._handle)

    @property
    def executed(self) -> int:
        """Instructions begun in the slice that is running, the current one included; 0 between slices."""
        return self._executed + (min(self._counter.value, self._count) if self._running else 0)

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
        """Read a system register that the model has, by its encoding."""
        register = api.CpRegister.of(key)
        api.reg_read(self._handle, api.REG_CP, ctypes.byref(register))
        return int(register.val)

    def write(self, key: int, value: int) -> None:
        """Write a system register that the model has, by its encoding; also refreshes the cached mode."""
        register = api.CpRegister.of(key, value)
        api.reg_write(self._handle, api.REG_CP, ctypes.byref(register))

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

    def instruction(self, address: int | None = None) -> int | None:
        """The instruction word at a virtual address (PC if None); None where it is not mapped, or to nothing."""
        physical = self.translate(self.state.pc if address is None else address, execute=True)
        return self._memory.read_u32(physical) if physical is not None and self._memory.contains(physical, 4) else None

    def spins(self) -> bool:
        """Whether a WFE or YIELD is within a few instructions of PC, as it is in a loop that waits for somebody."""
        pc = self.state.pc & -4
        first = max(pc - _SPIN_WINDOW, pc & -PAGE)
        size = min(pc + _SPIN_WINDOW + 4, (pc & -PAGE) + PAGE) - first
        physical = self.translate(first, execute=True)
        if physical is None or not self._memory.contains(physical, size):
            return False
        code = memoryview(self._memory.read(physical, size)).cast("I")
        return _WFE in code or _YIELD in code

    def write_physical(self, address: int, data: bytes) -> None:
        """Store for the guest from inside a trap; code translated from there is dropped before it runs on."""
        self._accesses.note_write(address, len(data))
        self._memory.write(address, data)
        self._stale.add_physical(address, len(data))
        api.emu_stop(self._handle)

    def drop_code(self, ranges: list[tuple[int, int]]) -> None:
        """Forget code translated from physical (address, size) ranges: other engines may have written there."""
        for address, size in ranges:
            self._stale.add_physical(address, size)
        if self._running:
            api.emu_stop(self._handle)
        else:
            self._stale.drop(self)

    def drop_translations(self) -> None:
        """Forget all translated code, after the host wrote into pages that may hold some."""
        self._uc.ctl_flush_tb()

    def watch_code(self, addresses: set[int], reached: Callable[[int], bool]) -> None:
        """Call `reached` with each of these virtual addresses before an instruction there; True ends the slice.

        These replace the ones before; while a slice runs, when it has ended.
        """
        self._rearm.append(lambda: self._watches.set(addresses, reached))
        self._apply_watches()

    def watch_accesses(self, filters: Sequence[Filter], judge: Callable[[Sequence[Access]], bool]) -> None:
        """Call `judge` with what an instruction accessed, after it, if any filter takes it; True ends the slice.

        These replace the ones before; while a slice runs, when it has ended.
        """
        self._rearm.append(lambda: self._accesses.set(filters, judge))
        self._apply_watches()

    def _apply_watches(self) -> None:
        if not self._rearm or self._running:
            return
        for change in self._rearm:
            change()
        self._rearm.clear()
        self.drop_translations()

    def _end_after_this(self) -> None:
        """End the slice after the instruction at hand, which the counter has counted, as if no more were asked for."""
        self._requested.value = self._count = self._counter.value
        self._shortened = True

    def _stop_before(self) -> None:
        """Leave the slice before the instruction that is about to be executed, which the counter has counted."""
        self._stopped_at = self._counter.value - 1
        self._stopped = True
        api.emu_stop(self._handle)

    def drop_range(self, address: int, size: int) -> None:
        """Forget code translated from a virtual range that is executable now."""
        api.remove_cache(self._handle, address, address + size)

    # --- hooks -------------------------------------------------------------------------------

    def _install_hooks(self) -> None:
        self._accesses = AccessWatches(
            self._uc, self._memory, lambda: (self.state.pc, bytes(self.state.x)), self._end_after_this, self.fail
        )
        interrupt = hooks.interrupts(self._client, self._accesses.pending, self.fail)
        mrs = hooks.register_reads(self._client, self.state.x, self.fail)
        msr = hooks.register_writes(self._client, self.fail)
        sys = hooks.cache_maintenance(self._stale, self._interrupt_for_stale_code)
        unmapped = hooks.unmapped_accesses(self._note_unmapped)
        self._watches = hooks.CodeWatches(self._uc, self._stop_before, self.fail)
        self._callbacks = (interrupt, mrs, msr, sys, unmapped)
        api.add_hook(self._uc, unicorn_const.UC_HOOK_INTR, interrupt)
        for callback, instruction in ((mrs, api.INSN_MRS), (msr, api.INSN_MSR), (sys, api.INSN_SYS)):
            api.add_hook(self._uc, unicorn_const.UC_HOOK_INSN, callback, instruction)
        # A hook of this kind that covers RAM makes every store to RAM take a slow path.
        for begin, end in self._gaps():
            api.add_hook(self._uc, unicorn_const.UC_HOOK_MEM_UNMAPPED, unmapped, None, begin, end)

    def _gaps(self) -> Iterator[tuple[int, int]]:
        """(first, last) physical address of every stretch without memory."""
        begin = 0
        for bank in self._memory.banks:
            yield begin, bank.base - 1
            begin = bank.base + bank.size
        yield begin, (1 << 64) - 1

    def _note_unmapped(self, physical: int) -> None:
        self._unmapped = physical
