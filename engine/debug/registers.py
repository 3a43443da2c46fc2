"""A vCPU's registers by their architectural names: those that are shown, and what expressions mean by a name."""

from __future__ import annotations

from typing import Final

from engine.arch.bits import MASK64
from engine.arch.sysreg import SysReg
from engine.cpu.timer import TimerPpi
from engine.debug.conditions import ExpressionError
from engine.debug.pages import pieces
from engine.hypervisor.vcpu import Vcpu

SYSTEM_GROUPS: Final[dict[str, tuple[SysReg, ...]]] = {
    "Exceptions EL1": (
        SysReg.ELR_EL1,
        SysReg.SPSR_EL1,
        SysReg.ESR_EL1,
        SysReg.FAR_EL1,
        SysReg.VBAR_EL1,
    ),
    "Translation EL1": (
        SysReg.SCTLR_EL1,
        SysReg.TCR_EL1,
        SysReg.TTBR0_EL1,
        SysReg.TTBR1_EL1,
        SysReg.MAIR_EL1,
        SysReg.CONTEXTIDR_EL1,
    ),
    "Thread and control": (
        SysReg.TPIDR_EL0,
        SysReg.TPIDRRO_EL0,
        SysReg.TPIDR_EL1,
        SysReg.CPACR_EL1,
        SysReg.CNTKCTL_EL1,
    ),
    "Hypervisor EL2": (
        SysReg.HCR_EL2,
        SysReg.VTTBR_EL2,
        SysReg.VTCR_EL2,
        SysReg.VMPIDR_EL2,
    ),
}
"""System registers that the model has, by the heading they are shown under."""
TIMER_NAMES: Final = {
    TimerPpi.VIRTUAL: ("CNTV_CTL_EL0", "CNTV_CVAL_EL0"),
    TimerPpi.PHYSICAL: ("CNTP_CTL_EL0", "CNTP_CVAL_EL0"),
    TimerPpi.HYPERVISOR: ("CNTHP_CTL_EL2", "CNTHP_CVAL_EL2"),
    TimerPpi.SECURE_PHYSICAL: ("CNTPS_CTL_EL1", "CNTPS_CVAL_EL1"),
}
GIC_REGISTERS: Final = (SysReg.ICC_PMR_EL1, SysReg.ICC_RPR_EL1, SysReg.ICC_HPPIR1_EL1, SysReg.ICC_CTLR_EL1)
"""Reading these has no side effects (so not ICC_IAR1_EL1)."""
_MODEL = {key.name: key for group in SYSTEM_GROUPS.values() for key in group}
_GIC = {key.name: key for key in GIC_REGISTERS}


def stack_pointers(vcpu: Vcpu) -> tuple[int, int]:
    """SP_EL0 and SP_EL1; the one in use is the live SP."""
    state = vcpu.registers
    banked = [int(state.sp_el[0]), int(state.sp_el[1])]
    if state.el <= 1:
        banked[state.el if state.spsel else 0] = state.x[31]
    return banked[0], banked[1]


def general(name: str) -> tuple[int, int] | None:
    """(number, mask) of `X0` to `X30` and `W0` to `W30`, upper case; None for any other name."""
    number = name[1:]
    if name[:1] in ("X", "W") and number.isdecimal() and str(int(number)) == number and int(number) <= 30:
        return int(number), MASK64 if name[0] == "X" else (1 << 32) - 1
    return None


class VcpuScope:
    """Names and addresses as one vCPU means them now; also in a hook, before the instruction at hand."""

    def __init__(self, vcpu: Vcpu, cycles_per_tick: int) -> None:
        """Puts the vCPU on its engine, which no guest can tell."""
        vcpu.vm.load(vcpu)
        self._vcpu = vcpu
        self._cycles_per_tick = cycles_per_tick

    def value(self, name: str) -> int | None:
        """A register in any case of letters, or the address of a symbol of the partition."""
        known = self.register(name.upper())
        return self._vcpu.vm.symbols.address(name) if known is None else known

    def register(self, name: str) -> int | None:
        """A register by its name in capitals, `EL` for the exception level; None if there is none."""
        vcpu = self._vcpu
        core = vcpu.vm.core
        numbered = general(name)
        if numbered is not None:
            return core.state.x[numbered[0]] & numbered[1]
        if name in _MODEL:
            return core.read(_MODEL[name])
        match name:
            case "SP":
                return core.state.x[31]
            case "PC":
                return core.state.pc
            case "PSTATE":
                return core.pstate
            case "EL":
                return core.state.el
            case "SP_EL0" | "SP_EL1":
                return stack_pointers(vcpu)[name == "SP_EL1"]
        return vcpu.vm.interrupts.sysreg_read(vcpu.index, _GIC[name]) if name in _GIC else self._timer(name)

    def _timer(self, name: str) -> int | None:
        counter = self._vcpu.pcore.now // self._cycles_per_tick
        if name == "CNTVCT_EL0":
            return counter
        for ppi, timer in self._vcpu.timers.items():
            control, compare = TIMER_NAMES[ppi]
            if name == control:
                return timer.read_ctl(counter)
            if name == compare:
                return timer.cval
        return None

    def load(self, address: int, size: int) -> int:
        """1, 2, 4 or 8 bytes of memory; ExpressionError where they cannot be read."""
        data = b""
        for piece in pieces(self._vcpu, address, size):
            if piece.physical is None:
                where = f"no memory is mapped at {piece.address:#x}"
                raise ExpressionError(f"cannot load {size} bytes at {address:#x}: {where}")
            data += self._vcpu.vm.memory.read(piece.physical, piece.size)
        return int.from_bytes(data, "little")
