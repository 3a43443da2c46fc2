"""Where `step over`, `finish` and `run to` end: an address, and the vCPU and stack frame that must come there."""

from __future__ import annotations

from engine.arch.relative import is_call
from engine.debug import frames
from engine.debug.conditions import ExpressionError
from engine.debug.registers import VcpuScope
from engine.debug.stops import Target
from engine.hypervisor.partition import Partition
from engine.hypervisor.vcpu import Vcpu

_SP, _FP, _LR = 31, 29, 30
_EXCEPTION_CALLS = (0xD400_0001, 0xD400_0002, 0xD400_0003)
"""SVC, HVC and SMC, whatever their immediates."""


class SteppingError(ValueError):
    """There is no telling where it would end, in one line."""


def calls(word: int) -> bool:
    """BL, BLR, SVC, HVC or SMC: what comes back to the next instruction."""
    return is_call(word) or word & 0xFFE0_001F in _EXCEPTION_CALLS


def over(vcpu: Vcpu) -> Target | None:
    """The instruction after the call that a vCPU is about to make, in the same stack frame; None if it makes none."""
    vcpu.vm.load(vcpu)
    core = vcpu.vm.core
    word = core.instruction()
    if word is None or not calls(word):
        return None
    sp, level = core.state.x[_SP], core.state.el
    return Target(
        vcpu.vm,
        core.state.pc + 4,
        lambda other: other is vcpu and core.state.x[_SP] == sp and core.state.el == level,
        "stepped over",
    )


def out(vcpu: Vcpu, cycles_per_tick: int) -> Target:
    """Where the function that a vCPU is in returns to, once its own frame is gone. Raises SteppingError."""
    scope = VcpuScope(vcpu, cycles_per_tick)
    vm, core = vcpu.vm, vcpu.vm.core
    state = core.state
    found = frames.find(core.instruction, state.pc, _start(vcpu), state.x[_SP], state.x[_FP])
    if found is None:
        raise SteppingError(f"cannot tell where the function at {state.pc:#x} returns to")
    try:
        address = state.x[_LR] if found.saved_at is None else scope.load(found.saved_at, 8)
    except ExpressionError as error:
        raise SteppingError(f"cannot tell where the function at {state.pc:#x} returns to: {error}") from None
    if address == 0 or address % 4:
        raise SteppingError(f"the function at {state.pc:#x} returns to nowhere ({address:#x})")
    level, sp, exact = state.el, found.sp, found.exact

    def returned(other: Vcpu) -> bool:
        here = core.state.x[_SP]
        return other is vcpu and core.state.el == level and (here == sp if exact else here >= sp)

    return Target(vm, address, returned, "finished")


def to(partition: Partition, address: int) -> Target:
    """An address, whichever vCPU of the partition comes there first."""
    return Target(partition, address, lambda _vcpu: True, "arrived")


def _start(vcpu: Vcpu) -> int | None:
    """First instruction of the function that a vCPU is in, by the symbols."""
    return vcpu.vm.symbols.start(vcpu.registers.pc)
