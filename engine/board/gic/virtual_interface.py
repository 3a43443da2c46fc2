"""The virtual CPU interface of one PE by register: ICV_* for the guest and ICH_* for its hypervisor.

A guest writes `ICC_*` names, and while it is virtualised they mean the ICV_* registers (IHI0069 12.3).
"""

from __future__ import annotations

from collections.abc import Callable

from engine.arch.sysreg import SysReg
from engine.board.gic import list_register as lr
from engine.board.gic import virtual_control as control
from engine.board.gic.interrupts import PRIORITY_MASK
from engine.board.gic.priority import MIN_BPR0, MIN_BPR1, as_group1
from engine.board.gic.virtual_lifecycle import VirtualLifecycle

INTID_FIELD = 0xFF_FFFF
"""The INTID in a value written to EOIR or DIR."""
CTLR_FEATURES = 1 << 18 | 1 << 15 | 4 << 8
"""ICC_CTLR and ICV_CTLR: RSS, A3V, five priority bits (PRIbits 4), 16-bit INTIDs (IDbits 0)."""
SRE = 0b111
"""ICC_SRE_EL1: system registers only, no bypass."""
_CBPR, _EOIMODE = 1 << 0, 1 << 1
_VFIQEN, _VCBPR, _VEOIM = 1 << 3, 1 << 4, 1 << 9
_VBPR1, _VBPR0, _VPMR = 18, 21, 24


class VirtualInterface(VirtualLifecycle):
    """One virtual interface with its registers. Keys are those of `engine.arch.sysreg`."""

    __slots__ = ()

    def read(self, key: int) -> int | None:
        """The guest's MRS of an ICC_* register; None where the register does not exist or is write-only."""
        reader = _ICV_READ.get(key)
        return reader(self) if reader is not None else None

    def write(self, key: int, value: int) -> bool:
        """The guest's MSR of an ICC_* register; False where the register does not exist or is read-only."""
        writer = _ICV_WRITE.get(key)
        if writer is not None:
            writer(self, value)
        return writer is not None

    def read_ich(self, key: int) -> int | None:
        """A hypervisor's MRS of an ICH_* register; None where it does not exist."""
        reader = _ICH_READ.get(key)
        if reader is not None:
            return reader(self)
        index = _LIST_REGISTERS.get(key, len(self.entries))
        return self.entries[index] if index < len(self.entries) else None

    def write_ich(self, key: int, value: int) -> bool:
        """A hypervisor's MSR of an ICH_* register; False where it does not exist or is read-only."""
        writer = _ICH_WRITE.get(key)
        index = _LIST_REGISTERS.get(key, len(self.entries))
        if writer is not None:
            writer(self, value)
        elif index < len(self.entries):
            self.entries[index] = value & lr.WRITABLE
        else:
            return False
        self.changed()
        return True


def _read_bpr1(view: VirtualInterface) -> int:
    return as_group1(view.bpr0) if view.common_bpr else view.bpr1


def _read_ctlr(view: VirtualInterface) -> int:
    return CTLR_FEATURES | (_CBPR if view.common_bpr else 0) | (_EOIMODE if view.eoi_split else 0)


def _read_vmcr(view: VirtualInterface) -> int:
    modes = (_VCBPR if view.common_bpr else 0) | (_VEOIM if view.eoi_split else 0)
    points = view.bpr1 << _VBPR1 | view.bpr0 << _VBPR0
    return view.pmr << _VPMR | points | modes | _VFIQEN | view.enables


def _write_bpr0(view: VirtualInterface, value: int) -> None:
    view.bpr0 = max(value & 7, MIN_BPR0)


def _write_bpr1(view: VirtualInterface, value: int) -> None:
    if not view.common_bpr:
        view.bpr1 = max(value & 7, MIN_BPR1)


def _write_pmr(view: VirtualInterface, value: int) -> None:
    view.pmr = value & PRIORITY_MASK


def _write_ctlr(view: VirtualInterface, value: int) -> None:
    view.common_bpr = value & _CBPR != 0
    view.eoi_split = value & _EOIMODE != 0


def _write_enable(view: VirtualInterface, bit: int, value: int) -> None:
    view.enables = view.enables | bit if value & 1 else view.enables & ~bit
    view.changed()


def _write_vmcr(view: VirtualInterface, value: int) -> None:
    view.enables = value & 3
    view.common_bpr = value & _VCBPR != 0
    view.eoi_split = value & _VEOIM != 0
    view.bpr1 = max(value >> _VBPR1 & 7, MIN_BPR1)
    view.bpr0 = max(value >> _VBPR0 & 7, MIN_BPR0)
    view.pmr = value >> _VPMR & PRIORITY_MASK


def _write_hcr(view: VirtualInterface, value: int) -> None:
    view.hcr = value & control.HCR_WRITABLE


def _ignore(view: VirtualInterface, value: int) -> None:
    """A register whose bits are all fixed."""
    del view, value


_Reader = Callable[[VirtualInterface], int]
_Writer = Callable[[VirtualInterface, int], object]

_ICV_READ: dict[int, _Reader] = {
    SysReg.ICC_IAR0_EL1: lambda view: view.acknowledge(False),
    SysReg.ICC_IAR1_EL1: lambda view: view.acknowledge(True),
    SysReg.ICC_HPPIR0_EL1: lambda view: view.highest(False),
    SysReg.ICC_HPPIR1_EL1: lambda view: view.highest(True),
    SysReg.ICC_BPR0_EL1: lambda view: view.bpr0,
    SysReg.ICC_BPR1_EL1: _read_bpr1,
    SysReg.ICC_AP0R0_EL1: lambda view: view.active.words[0],
    SysReg.ICC_AP1R0_EL1: lambda view: view.active.words[1],
    SysReg.ICC_RPR_EL1: lambda view: view.active.running,
    SysReg.ICC_PMR_EL1: lambda view: view.pmr,
    SysReg.ICC_CTLR_EL1: _read_ctlr,
    SysReg.ICC_SRE_EL1: lambda _: SRE,
    SysReg.ICC_IGRPEN0_EL1: lambda view: view.enables & 1,
    SysReg.ICC_IGRPEN1_EL1: lambda view: view.enables >> 1,
}
_ICV_WRITE: dict[int, _Writer] = {
    SysReg.ICC_EOIR0_EL1: lambda view, value: view.end(False, value & INTID_FIELD),
    SysReg.ICC_EOIR1_EL1: lambda view, value: view.end(True, value & INTID_FIELD),
    SysReg.ICC_DIR_EL1: lambda view, value: view.deactivate(value & INTID_FIELD),
    SysReg.ICC_BPR0_EL1: _write_bpr0,
    SysReg.ICC_BPR1_EL1: _write_bpr1,
    SysReg.ICC_AP0R0_EL1: lambda view, value: view.active.write(0, value),
    SysReg.ICC_AP1R0_EL1: lambda view, value: view.active.write(1, value),
    SysReg.ICC_PMR_EL1: _write_pmr,
    SysReg.ICC_CTLR_EL1: _write_ctlr,
    SysReg.ICC_SRE_EL1: _ignore,
    SysReg.ICC_IGRPEN0_EL1: lambda view, value: _write_enable(view, 1, value),
    SysReg.ICC_IGRPEN1_EL1: lambda view, value: _write_enable(view, 2, value),
}
_ICH_READ: dict[int, _Reader] = {
    SysReg.ICH_AP0R0_EL2: lambda view: view.active.words[0],
    SysReg.ICH_AP1R0_EL2: lambda view: view.active.words[1],
    SysReg.ICH_HCR_EL2: lambda view: view.hcr,
    SysReg.ICH_VTR_EL2: lambda view: control.vtr(len(view.entries)),
    SysReg.ICH_MISR_EL2: lambda view: view.misr,
    SysReg.ICH_EISR_EL2: lambda view: control.ended(view.entries),
    SysReg.ICH_ELRSR_EL2: lambda view: control.empty(view.entries),
    SysReg.ICH_VMCR_EL2: _read_vmcr,
}
_ICH_WRITE: dict[int, _Writer] = {
    SysReg.ICH_AP0R0_EL2: lambda view, value: view.active.write(0, value),
    SysReg.ICH_AP1R0_EL2: lambda view, value: view.active.write(1, value),
    SysReg.ICH_HCR_EL2: _write_hcr,
    SysReg.ICH_VMCR_EL2: _write_vmcr,
}
_LIST_REGISTERS = {int(SysReg.ICH_LR0_EL2) + index: index for index in range(16)}
"""Key of ICH_LR<n>_EL2 to n: the keys of 0 to 15 follow each other."""
