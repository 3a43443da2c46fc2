"""The GIC of a payload that owns EL2: its own interrupts, and a virtual interface a PE for guests of its own.

What the payload itself sees is a `VGic`, as for any VM. On top of that EL2 has ICH_* registers, and what EL1 calls
ICC_* is the virtual interface while HCR_EL2 says so (IHI0069 4.2, 12.1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from engine.arch.controls import HCR_FMO, HCR_IMO
from engine.arch.sysreg import SysReg
from engine.board.gic.cpu_interface import SRE_ABOVE, key_level
from engine.board.gic.sgi import SGI_KEYS
from engine.board.gic.virtual_interface import VirtualInterface
from engine.board.memory_map import MAINTENANCE_PPI
from engine.hypervisor.vgic import LIST_REGISTERS, VGic

if TYPE_CHECKING:
    from engine.hypervisor.emulated_sysregs import GicRegisters

_MAINTENANCE = 16 + MAINTENANCE_PPI
_R = SysReg
_GROUP0 = frozenset({_R.ICC_IAR0_EL1, _R.ICC_EOIR0_EL1, _R.ICC_HPPIR0_EL1, _R.ICC_BPR0_EL1, _R.ICC_AP0R0_EL1})
_GROUP0 |= {_R.ICC_IGRPEN0_EL1}
_GROUP1 = frozenset({_R.ICC_IAR1_EL1, _R.ICC_EOIR1_EL1, _R.ICC_HPPIR1_EL1, _R.ICC_BPR1_EL1, _R.ICC_AP1R0_EL1})
_GROUP1 |= {_R.ICC_IGRPEN1_EL1}
_COMMON = frozenset({_R.ICC_PMR_EL1, _R.ICC_RPR_EL1, _R.ICC_CTLR_EL1, _R.ICC_DIR_EL1})


class PayloadGic(VGic):
    """The interrupt controller of the board as a payload has it."""

    def __init__(self, vcpus: int, on_change: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(vcpus, on_change=on_change)
        self.signalled: set[int] = set()
        """PEs whose HCR_EL2 has a virtual interrupt in it that comes from here."""
        self.guests = [VirtualInterface(LIST_REGISTERS, partial(self.distributor.deactivate, n)) for n in range(vcpus)]
        """What the payload's own guests take their interrupts from, by PE."""
        self._virtual = _GuestRegisters(self)

    def seen_from(self, key: int, el: int, hcr: int) -> GicRegisters | None:
        """Whose registers an access from EL1 or EL2 means; None where there is no such register at that level."""
        if el < key_level(key):
            return None
        virtual = hcr & (HCR_IMO if key in _GROUP1 else HCR_FMO if key in _GROUP0 else HCR_IMO | HCR_FMO)
        return self._virtual if el == 1 and virtual and key in _GROUP0 | _GROUP1 | _COMMON else self

    @staticmethod
    def traps(key: int, el: int, hcr: int) -> bool:
        """Whether EL2 wants to hear of an access: SGIs that EL1 sends while its interrupts are virtual."""
        return el == 1 and key in SGI_KEYS and hcr & (HCR_IMO | HCR_FMO) != 0

    def sysreg_read(self, vcpu: int, key: int) -> int | None:
        if key == SysReg.ICC_SRE_EL2:
            return SRE_ABOVE
        value = self.guests[vcpu].read_ich(key)
        return super().sysreg_read(vcpu, key) if value is None else value

    def sysreg_write(self, vcpu: int, key: int, value: int) -> bool:
        if key == SysReg.ICC_SRE_EL2:
            return True
        if not self.guests[vcpu].write_ich(key, value):
            return super().sysreg_write(vcpu, key, value)
        self.guest_changed(vcpu)
        return True

    def guest_changed(self, vcpu: int) -> None:
        """A virtual interface may signal something else now, to its guest or (by maintenance) to the payload."""
        self.set_line(_MAINTENANCE, self.guests[vcpu].maintenance(), vcpu)
        self._on_change(vcpu)

    def wakes(self, vcpu: int) -> bool:
        return super().wakes(vcpu) or self.guests[vcpu].has_pending()

    def reset(self) -> None:
        super().reset()
        for vcpu in range(len(self.guests)):
            self._reset_guest(vcpu)

    def reset_vcpu(self, vcpu: int) -> None:
        super().reset_vcpu(vcpu)
        self._reset_guest(vcpu)

    def _reset_guest(self, vcpu: int) -> None:
        self.guests[vcpu].reset()
        self.signalled.discard(vcpu)
        self.guest_changed(vcpu)


class _GuestRegisters:
    """ICC_* of EL1 under a payload: its virtual interface."""

    def __init__(self, gic: PayloadGic) -> None:
        self._gic = gic

    def sysreg_read(self, vcpu: int, key: int) -> int | None:
        value = self._gic.guests[vcpu].read(key)
        self._gic.guest_changed(vcpu)
        return value

    def sysreg_write(self, vcpu: int, key: int, value: int) -> bool:
        taken = self._gic.guests[vcpu].write(key, value)
        self._gic.guest_changed(vcpu)
        return taken
