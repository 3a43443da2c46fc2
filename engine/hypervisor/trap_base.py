"""What the exceptions of guests and of a payload that owns EL2 have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from engine.arch import sysreg
from engine.arch.esr import immediate
from engine.arch.psci import function_name
from engine.events import ExceptionInjected, Trap
from engine.ffa import abi
from engine.hypervisor.emulated_sysregs import GicRegisters, emulate
from engine.hypervisor.sysregs import GuestSysregs
from engine.views import VmRunState

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.mmio import Mmio
    from engine.hypervisor.partition import Partition
    from engine.hypervisor.vcpu import Vcpu

_RUNAWAY = 100
"""Instruction aborts in a row, without an instruction in between, after which a partition counts as crashed."""
MASK64 = (1 << 64) - 1
_CALLS = ("HVC", "SMC", "SVC")

Calls: TypeAlias = "Callable[[Vcpu, bool], bool]"
"""Serves the SMCCC call in a vCPU's registers, made by HVC (True) or SMC; False, changing nothing, if it is unknown."""


class TrapBase:
    """The CoreClient of one partition, but for its exceptions."""

    def __init__(self, vm: Partition, hypervisor: Hypervisor, mmio: Mmio, calls: Calls) -> None:
        self._vm = vm
        self._hypervisor = hypervisor
        self._mmio = mmio
        self._serve = calls
        self._sysregs: GuestSysregs | None = None
        self._names: dict[tuple[str, int], str] = {}

    def on_timer_read(self, key: int) -> int | None:
        return self._registers().read(key)

    def on_timer_write(self, key: int, value: int) -> bool:
        return self._registers().write(key, value)

    def _registers(self) -> GuestSysregs:
        if self._sysregs is None:
            self._sysregs = GuestSysregs(self._vm, self._hypervisor)
        return self._sysregs

    def _loaded(self) -> Vcpu:
        vcpu = self._vm.loaded
        if vcpu is None:
            raise RuntimeError(f"{self._vm.name}: an exception while no vCPU is loaded")
        return vcpu

    def _crash(self, why: str) -> None:
        self._hypervisor.stop_vm(self._vm, VmRunState.CRASHED, why)

    def _report(self, vcpu: Vcpu, ec: int, kind: str, detail: int, value: int) -> None:
        key = (kind, detail)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = _name(kind, detail)
        event = Trap(vcpu.pcore.now, self._vm.name, vcpu.index, ec, self._vm.core.state.pc, name, value)
        self._hypervisor.events.emit(event)

    def _call(self, vcpu: Vcpu, ec: int, kind: str, esr: int) -> None:
        """An SMCCC call: fast calls have immediate 0 (DEN0028 2.9), everything unknown answers -1.

        All of x0 is -1 also where only w0 is the result (DEN0028 5.2): Linux's FF-A driver compares the whole of it.
        """
        x = self._vm.core.state.x
        fid = x[0] & 0xFFFF_FFFF
        self._report(vcpu, ec, kind, fid, fid)
        if immediate(esr) or not self._serve(vcpu, kind == "HVC"):
            x[0] = MASK64

    def _emulated(self, vcpu: Vcpu, ec: int, lowest_el: int) -> bool:
        """Carry out an access to a system register that is UNDEFINED for the model and ours; False for any other."""
        core = self._vm.core
        word = core.instruction() if core.state.el >= lowest_el else None
        gic = None if word is None else self._gic(word)
        move = None if word is None or gic is None else emulate(vcpu, word, self._registers(), gic)
        if move is None:
            return False
        vcpu.exits += 1
        self._report(vcpu, ec, "read" if move.read else "write", move.key, move.value)
        core.state.pc += 4
        return True

    def _gic(self, _word: int) -> GicRegisters | None:
        """Whose GIC registers an instruction means, if it means any; None where there are none for it."""
        return self._vm.interrupts

    def _injected(self, vcpu: Vcpu, target: int, esr: int, far: int | None, pc: int) -> None:
        event = ExceptionInjected(vcpu.pcore.now, self._vm.name, vcpu.index, target, esr, far or 0, pc)
        self._hypervisor.events.emit(event)

    def _count_fetch_fault(self, vcpu: Vcpu, pc: int) -> None:
        """A fetch that faults runs no instruction: it costs one cycle, or time would stand still."""
        core = self._vm.core
        vcpu.fetch_faults += 1
        vcpu.faults_in_a_row = vcpu.faults_in_a_row + 1 if core.executed == 0 else 1
        if vcpu.faults_in_a_row > _RUNAWAY:
            self._crash(f"exceptions in exceptions: cannot fetch at {pc:#x}")
        core.stop()


def _name(kind: str, detail: int) -> str:
    if kind in _CALLS:
        known = abi.function(detail)
        return f"{kind} {function_name(detail) or (f'FFA_{known.name}' if known else hex(detail))}"
    if kind in ("read", "write"):
        return f"{kind} {sysreg.name(detail)}"
    return kind
