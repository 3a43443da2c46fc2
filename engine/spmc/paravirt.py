"""HF_INTERRUPT_*: the hypercalls by which a secure partition handles its virtual interrupts (HVC #0, x0 the number)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from engine.spmc.virtual_interrupts import VirtualInterrupts

if TYPE_CHECKING:
    from engine.hypervisor.vcpu import Vcpu


class Hypercall(enum.IntEnum):
    """Numbers of Hafnium's interface."""

    INTERRUPT_ENABLE = 0xFF03
    """x1 INTID, x2 1 to enable and 0 to disable, x3 0 for IRQ and 1 for FIQ."""
    INTERRUPT_GET = 0xFF04
    INTERRUPT_DEACTIVATE = 0xFF08
    """x1 physical and x2 virtual INTID, which are the same."""


_OK, _REFUSED = 0, (1 << 64) - 1
_W = 0xFFFF_FFFF


def serve(interrupts: VirtualInterrupts, vcpu: Vcpu) -> bool:
    """Serve the hypercall in x0; False for any other call, leaving the registers alone."""
    x = vcpu.registers.x
    number, first, second, third = (x[n] & _W for n in range(4))
    if number == Hypercall.INTERRUPT_GET:
        x[0] = interrupts.take(vcpu.index)
    elif number == Hypercall.INTERRUPT_ENABLE:
        known = second < 2 and third < 2 and interrupts.enable(vcpu.index, first, second == 1, third == 1)
        x[0] = _OK if known else _REFUSED
    elif number == Hypercall.INTERRUPT_DEACTIVATE:
        x[0] = _OK if first == second and interrupts.deactivate(vcpu.index, first) else _REFUSED
    else:
        return False
    return True
