"""The virtual GIC of one VM: an emulated distributor, and list registers as the window it delivers through.

The distributor is the truth about every interrupt. The list registers of a vCPU hold the most urgent ones it
may take now; they are refilled only when asked for after something changed. What the guest acknowledges and
ends is folded back at once, so an interrupt without a list register stays pending and is never lost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from engine.arch.sysreg import SysReg
from engine.board.gic import list_register as lr
from engine.board.gic.distributor import Distributor, DistributorState
from engine.board.gic.interrupts import FIRST_SPI, G1NS, SPECIAL, SPIS
from engine.board.gic.redistributor import RedistributorRegion
from engine.board.gic.sgi import SGI_KEYS
from engine.board.gic.virtual_control import EN
from engine.board.gic.virtual_interface import INTID_FIELD, VirtualInterface
from engine.board.gic.virtual_lifecycle import Ending, VirtualState

LIST_REGISTERS = 4
_IAR0, _IAR1 = int(SysReg.ICC_IAR0_EL1), int(SysReg.ICC_IAR1_EL1)
_EOIR0, _EOIR1, _DIR = int(SysReg.ICC_EOIR0_EL1), int(SysReg.ICC_EOIR1_EL1), int(SysReg.ICC_DIR_EL1)
_ACKNOWLEDGES = frozenset({_IAR0, _IAR1})
_ENDS = frozenset({_EOIR0, _EOIR1})
_GROUP_ENABLES = frozenset({int(SysReg.ICC_IGRPEN0_EL1), int(SysReg.ICC_IGRPEN1_EL1)})
_PRIORITY_SHIFT = 10
_INTID_OF_KEY = 0x3FF
"""A candidate key is priority << 10 | INTID."""

VGicState: TypeAlias = tuple[DistributorState, tuple[VirtualState, ...], tuple[tuple[tuple[int, int], ...], ...]]


class VGic:
    """The interrupt controller of a VM with `vcpus` vCPUs (affinity 0.0.0.n) and `spis` SPIs.

    `on_change(vcpu)`: virq, vfiq or wakes of that vCPU may be different now.
    `deactivate_physical(vcpu, pintid)`: the guest ended an interrupt that came by `inject_hw`.
    """

    def __init__(
        self,
        vcpus: int,
        spis: int = SPIS,
        on_change: Callable[[int], None] = lambda _: None,
        deactivate_physical: Callable[[int, int], None] = lambda _vcpu, _pintid: None,
        list_registers: int = LIST_REGISTERS,
    ) -> None:
        self._on_change = on_change
        self._deactivate_physical = deactivate_physical
        self._stale = [True] * vcpus
        self._hardware: list[dict[int, int]] = [{} for _ in range(vcpus + 1)]
        """INTID to physical INTID of interrupts that came by `inject_hw`: of each vCPU, and last of the SPIs."""
        self.distributor = Distributor(vcpus, spis, False, self._changed, group1=True)
        self.interfaces = [VirtualInterface(list_registers, partial(deactivate_physical, n)) for n in range(vcpus)]
        for interface in self.interfaces:
            interface.hcr = EN
        self.gicr: RedistributorRegion = self.distributor.region
        """The redistributors as a bus device, 0x20000 bytes a vCPU."""

    @property
    def gicd(self) -> Distributor:
        """The distributor as a bus device, 0x10000 bytes."""
        return self.distributor

    def reset(self) -> None:
        """VM reset: everything but device lines returns to its reset value."""
        self.distributor.reset()
        self._hardware[-1].clear()
        for vcpu in range(len(self.interfaces)):
            self._reset_interface(vcpu)

    def reset_vcpu(self, vcpu: int) -> None:
        """A vCPU was powered down and up: its interface and its private interrupts are as after reset."""
        self.distributor.redistributors[vcpu].reset()
        self._reset_interface(vcpu)

    def set_line(self, intid: int, level: bool, vcpu: int = 0) -> None:
        """Drive the line of a PPI of `vcpu` or of an SPI. Raises ValueError for an INTID without a line."""
        self.distributor.set_line(intid, level, vcpu)

    def inject(self, intid: int, vcpu: int = 0) -> None:
        """Latch an SGI or PPI of `vcpu`, or an SPI, as pending. Raises ValueError for an unknown INTID."""
        self.distributor.set_pending(intid, vcpu)

    def inject_hw(self, vcpu: int, vintid: int, pintid: int) -> None:
        """Latch a virtual interrupt that stands for the active physical `pintid`.

        The guest's deactivation ends the physical one too (HW bit of the list register). Raises ValueError for an
        unknown INTID.
        """
        self.distributor.existing(vintid, vcpu)
        self._hardware_of(vcpu, vintid)[vintid] = pintid
        self.distributor.set_pending(vintid, vcpu)

    def send_sgi(self, vcpu: int, key: int, value: int) -> None:
        """`vcpu` wrote ICC_SGI0R_EL1, ICC_SGI1R_EL1 or ICC_ASGI1R_EL1."""
        self.distributor.send_sgi(vcpu, key, value)

    def sysreg_read(self, vcpu: int, key: int) -> int | None:
        """A guest's MRS of an ICC_* register; None where it must be UNDEFINED."""
        if self._stale[vcpu]:
            self._refill(vcpu)
        if key not in _ACKNOWLEDGES:
            return self.interfaces[vcpu].read(key)
        intid = self.interfaces[vcpu].acknowledge(key == _IAR1)
        if intid < SPECIAL:
            self.distributor.acknowledge(vcpu, intid)
        return intid

    def sysreg_write(self, vcpu: int, key: int, value: int) -> bool:
        """A guest's MSR of an ICC_* register; False where it must be UNDEFINED."""
        interface = self.interfaces[vcpu]
        if key in _ENDS:
            intid = value & INTID_FIELD
            self._fold(vcpu, intid, interface.end(key == _EOIR1, intid))
        elif key == _DIR:
            self._fold(vcpu, value & INTID_FIELD, interface.deactivate(value & INTID_FIELD))
        elif key in SGI_KEYS:
            self.distributor.send_sgi(vcpu, key, value)
        elif not interface.write(key, value):
            return False
        elif key in _GROUP_ENABLES:
            self.distributor.set_cpu_groups(vcpu, interface.enables)
        else:
            self._on_change(vcpu)
        return True

    def virq(self, vcpu: int) -> bool:
        """Level of the virtual IRQ line."""
        if self._stale[vcpu]:
            self._refill(vcpu)
        return self.interfaces[vcpu].virq()

    def vfiq(self, vcpu: int) -> bool:
        """Level of the virtual FIQ line."""
        if self._stale[vcpu]:
            self._refill(vcpu)
        return self.interfaces[vcpu].vfiq()

    def wakes(self, vcpu: int) -> bool:
        """Whether an enabled interrupt is pending that ends a WFI, whatever PSTATE and the priority mask say."""
        if self._stale[vcpu]:
            self._refill(vcpu)
        return self.interfaces[vcpu].has_pending()

    def pending(self, vcpu: int) -> tuple[int, ...]:
        """INTIDs pending for a vCPU, enabled or not, ascending."""
        return self.distributor.pending(vcpu)

    def is_active(self, vcpu: int, intid: int) -> bool:
        """Whether an interrupt is active: acknowledged and not yet deactivated."""
        bank = self.distributor.bank(intid, vcpu)
        return bank is not None and bank.active >> intid & 1 != 0

    def save(self) -> VGicState:
        """The whole state as plain data."""
        interfaces = tuple(interface.save() for interface in self.interfaces)
        hardware = tuple(tuple(mapping.items()) for mapping in self._hardware)
        return self.distributor.save(), interfaces, hardware

    def restore(self, state: VGicState) -> None:
        """Take back what `save` gave."""
        distributor, interfaces, hardware = state
        for interface, saved in zip(self.interfaces, interfaces, strict=True):
            interface.restore(saved)
        self._hardware = [dict(mapping) for mapping in hardware]
        self.distributor.restore(distributor)

    def _changed(self, vcpu: int) -> None:
        self._stale[vcpu] = True
        self._on_change(vcpu)

    def _reset_interface(self, vcpu: int) -> None:
        self.interfaces[vcpu].reset()
        self.interfaces[vcpu].hcr = EN
        self._hardware[vcpu].clear()
        self.distributor.set_cpu_groups(vcpu, 0)
        self._changed(vcpu)

    def _fold(self, vcpu: int, intid: int, ending: Ending) -> None:
        """The guest ended an interrupt: tell the distributor, and the physical one where no list register did."""
        if ending is Ending.NOTHING:
            self._on_change(vcpu)
            return
        pintid = self._hardware_of(vcpu, intid).pop(intid, None)
        if pintid is not None and ending is Ending.UNLISTED:
            self._deactivate_physical(vcpu, pintid)
        self.distributor.deactivate(vcpu, intid)
        if ending is Ending.UNLISTED and intid >= FIRST_SPI:
            # Another vCPU may have acknowledged it: its list register must not outlive the active state.
            for other in range(len(self.interfaces)):
                self._refill(other)

    def _refill(self, vcpu: int) -> None:
        """Offer the most urgent interrupts in the list registers that hold no active one."""
        self._stale[vcpu] = False
        interface = self.interfaces[vcpu]
        entries = interface.entries
        if self._hardware[vcpu] or self._hardware[-1]:
            self._release_cancelled(vcpu)
        free = []
        for index, entry in enumerate(entries):
            if not entry & lr.ACTIVE_BIT or not self.is_active(vcpu, lr.vintid(entry)):
                entries[index] = 0
                free.append(index)
        keys = self.distributor.ready_keys(vcpu, len(entries))
        if keys and not free:
            free.append(self._evict(interface))
        for index, key in zip(free, keys, strict=False):
            entries[index] = self._offer(vcpu, key)
        interface.changed()

    def _offer(self, vcpu: int, key: int) -> int:
        """The list register value for a candidate."""
        intid = key & _INTID_OF_KEY
        bank = self.distributor.spi if intid >= FIRST_SPI else self.distributor.redistributors[vcpu].bank
        pintid = self._hardware_of(vcpu, intid).get(intid)
        return lr.build(intid, key >> _PRIORITY_SHIFT, bank.group_of(intid) == G1NS, pintid)

    @staticmethod
    def _evict(interface: VirtualInterface) -> int:
        """Which active list register to give up when all are active: the least urgent, which ends last.

        Its end then finds no list register, and `_fold` deactivates it in the distributor.
        """
        return max(range(len(interface.entries)), key=lambda index: lr.priority(interface.entries[index]))

    def _hardware_of(self, vcpu: int, intid: int) -> dict[int, int]:
        return self._hardware[-1 if intid >= FIRST_SPI else vcpu]

    def _release_cancelled(self, vcpu: int) -> None:
        """Hardware interrupts the guest cancelled by ICPENDR or ICACTIVER: their physical halves end too."""
        for mapping in (self._hardware[vcpu], self._hardware[-1]):
            for intid, pintid in tuple(mapping.items()):
                bank = self.distributor.existing(intid, vcpu)
                if not (bank.pending | bank.active) >> intid & 1:
                    del mapping[intid]
                    self._deactivate_physical(vcpu, pintid)
