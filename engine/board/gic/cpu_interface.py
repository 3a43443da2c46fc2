"""One PE's physical CPU interface by register: ICC_* (IHI0069 12.2).

Accesses say from which security state and exception level they come. With one security state (the distributor
has `security=False`) the state is ignored and Group 1 is what IHI0069 calls Non-secure Group 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from engine.arch.sysreg import SysReg
from engine.board.gic.cpu_lifecycle import CpuLifecycle
from engine.board.gic.interrupts import G0, G1NS, G1S, PRIORITY_MASK
from engine.board.gic.priority import IDLE, MIN_BPR0, MIN_BPR1, as_group1
from engine.board.gic.sgi import ASGI1R, SGI0R, SGI1R
from engine.board.gic.virtual_interface import CTLR_FEATURES, INTID_FIELD, SRE

_CBPR, _EOIMODE = 1 << 0, 1 << 1
SRE_ABOVE = SRE | 1 << 3
"""ICC_SRE_EL2 and ICC_SRE_EL3: as EL1's, and lower levels may use theirs (Enable)."""
_NDS = 1 << 17
"""ICC_CTLR_EL3.nDS: security cannot be disabled."""


class CpuInterface(CpuLifecycle):
    """One PE's interface with its registers. Keys are those of `engine.arch.sysreg`.

    `secure` and `el` (1-3) describe the access; both default to a Non-secure kernel's.
    """

    __slots__ = ()

    def read(self, key: int, secure: bool = False, el: int = 1) -> int | None:
        """An MRS; None where the register does not exist, is write-only or belongs to a higher level."""
        reader = _READ.get(key)
        return reader(self, secure, el) if reader is not None and el >= key_level(key) else None

    def write(self, key: int, value: int, secure: bool = False, el: int = 1) -> bool:
        """An MSR; False where the register does not exist, is read-only or belongs to a higher level."""
        writer = _WRITE.get(key)
        if writer is None or el < key_level(key):
            return False
        writer(self, value, secure, el)
        return True

    def shifted(self, secure: bool) -> bool:
        """Whether the access sees priorities in the Non-secure view."""
        return self.distributor.security and not secure

    def group1(self, secure: bool) -> int:
        """The Group 1 of the access's own security state."""
        return G1S if secure and self.distributor.security else G1NS

    def set_enables(self, bit: int, on: bool) -> None:
        """A group enable changed; the distributor sends only what is enabled here."""
        self.enables = self.enables | bit if on else self.enables & ~bit
        self.distributor.set_cpu_groups(self.pe, self.enables)


_Reader: TypeAlias = Callable[[CpuInterface, bool, int], int]
_Writer: TypeAlias = Callable[[CpuInterface, int, bool, int], None]


def key_level(key: int) -> int:
    """The lowest exception level that may name a register: op1 is 4 for EL2 and 6 for EL3."""
    return {4: 2, 6: 3}.get(key >> 11 & 7, 1)


def _read_rpr(cpu: CpuInterface, secure: bool, _el: int) -> int:
    running = cpu.active.running
    if running == IDLE or not cpu.shifted(secure):
        return running
    return running << 1 & 0xFF if running & 0x80 else 0


def _read_pmr(cpu: CpuInterface, secure: bool, _el: int) -> int:
    if not cpu.shifted(secure):
        return cpu.pmr
    return cpu.pmr << 1 & 0xFF if cpu.pmr & 0x80 else 0


def _write_pmr(cpu: CpuInterface, value: int, secure: bool, _el: int) -> None:
    """Non-secure software moves only inside its own half, and not at all while Secure masks all of it."""
    if not cpu.shifted(secure):
        cpu.pmr = value & PRIORITY_MASK
    elif cpu.pmr & 0x80:
        cpu.pmr = (value & 0xFF) >> 1 & PRIORITY_MASK | 0x80
    cpu.distributor.changed(cpu.pe)


def _read_bpr0(cpu: CpuInterface, secure: bool, _el: int) -> int:
    return 0 if cpu.shifted(secure) else cpu.binary_points[0]


def _write_bpr0(cpu: CpuInterface, value: int, secure: bool, _el: int) -> None:
    if not cpu.shifted(secure):
        cpu.binary_points[0] = max(value & 7, MIN_BPR0)
        cpu.distributor.changed(cpu.pe)


def _read_bpr1(cpu: CpuInterface, secure: bool, _el: int) -> int:
    group = cpu.group1(secure)
    if cpu.common_bpr & group:
        return cpu.binary_points[0] if group == G1S else as_group1(cpu.binary_points[0])
    return cpu.binary_points[2 if group == G1S else 1]


def _write_bpr1(cpu: CpuInterface, value: int, secure: bool, _el: int) -> None:
    group = cpu.group1(secure)
    common = cpu.common_bpr & group != 0
    if group == G1S:
        cpu.binary_points[0 if common else 2] = max(value & 7, MIN_BPR0)
    elif not common:
        cpu.binary_points[1] = max(value & 7, MIN_BPR1)
    cpu.distributor.changed(cpu.pe)


def _read_ctlr(cpu: CpuInterface, secure: bool, _el: int) -> int:
    split = cpu.eoi_split & (2 if cpu.group1(secure) == G1S else 1)
    common = cpu.common_bpr & cpu.group1(secure)
    return CTLR_FEATURES | (_CBPR if common else 0) | (_EOIMODE if split else 0)


def _write_ctlr(cpu: CpuInterface, value: int, secure: bool, _el: int) -> None:
    group = cpu.group1(secure)
    _set_modes(cpu, group, value & _CBPR != 0, 2 if group == G1S else 1, value & _EOIMODE != 0)


def _set_modes(cpu: CpuInterface, group: int, common: bool, mode: int, split: bool) -> None:
    cpu.common_bpr = cpu.common_bpr | group if common else cpu.common_bpr & ~group
    cpu.eoi_split = cpu.eoi_split | mode if split else cpu.eoi_split & ~mode
    cpu.distributor.changed(cpu.pe)


def _read_ctlr_el3(cpu: CpuInterface, _secure: bool, _el: int) -> int:
    """CBPR_EL1S and CBPR_EL1NS in bits 0 and 1; EOImode of EL3, Secure and Non-secure EL1 in bits 2, 3 and 4."""
    common = (1 if cpu.common_bpr & G1S else 0) | (2 if cpu.common_bpr & G1NS else 0)
    split = cpu.eoi_split & 4 | (cpu.eoi_split & 2) << 2 | (cpu.eoi_split & 1) << 4
    return CTLR_FEATURES | _NDS | common | split


def _write_ctlr_el3(cpu: CpuInterface, value: int, _secure: bool, _el: int) -> None:
    cpu.common_bpr = (G1S if value & 1 else 0) | (G1NS if value & 2 else 0)
    cpu.eoi_split = value & 4 | (2 if value & 8 else 0) | (1 if value & 16 else 0)
    cpu.distributor.changed(cpu.pe)


def _read_aprs(cpu: CpuInterface, secure: bool, _el: int) -> int:
    return cpu.active.words[2 if cpu.group1(secure) == G1S else 1]


def _write_aprs(cpu: CpuInterface, value: int, secure: bool, _el: int) -> None:
    cpu.active.write(2 if cpu.group1(secure) == G1S else 1, value)
    cpu.distributor.changed(cpu.pe)


def _write_apr0(cpu: CpuInterface, value: int, secure: bool, _el: int) -> None:
    if not cpu.shifted(secure):
        cpu.active.write(0, value)
        cpu.distributor.changed(cpu.pe)


def _write_enable0(cpu: CpuInterface, value: int, secure: bool, _el: int) -> None:
    if not cpu.shifted(secure):
        cpu.set_enables(G0, value & 1 != 0)


def _write_enables_el3(cpu: CpuInterface, value: int, _secure: bool, _el: int) -> None:
    cpu.set_enables(G1NS, value & 1 != 0)
    cpu.set_enables(G1S, value & 2 != 0)


def _fixed(_cpu: CpuInterface, _value: int, _secure: bool, _el: int) -> None:
    """A register whose bits are all fixed."""


def _sgi_writer(key: int) -> _Writer:
    return lambda cpu, value, secure, _: cpu.distributor.send_sgi(cpu.pe, key, value, secure)


_READ: dict[int, _Reader] = {
    SysReg.ICC_IAR0_EL1: lambda cpu, secure, el: cpu.acknowledge(False, secure, el),
    SysReg.ICC_IAR1_EL1: lambda cpu, secure, el: cpu.acknowledge(True, secure, el),
    SysReg.ICC_HPPIR0_EL1: lambda cpu, secure, el: cpu.visible(False, secure, el),
    SysReg.ICC_HPPIR1_EL1: lambda cpu, secure, el: cpu.visible(True, secure, el),
    SysReg.ICC_RPR_EL1: _read_rpr,
    SysReg.ICC_PMR_EL1: _read_pmr,
    SysReg.ICC_BPR0_EL1: _read_bpr0,
    SysReg.ICC_BPR1_EL1: _read_bpr1,
    SysReg.ICC_AP0R0_EL1: lambda cpu, secure, _: 0 if cpu.shifted(secure) else cpu.active.words[0],
    SysReg.ICC_AP1R0_EL1: _read_aprs,
    SysReg.ICC_CTLR_EL1: _read_ctlr,
    SysReg.ICC_CTLR_EL3: _read_ctlr_el3,
    SysReg.ICC_SRE_EL1: lambda *_: SRE,
    SysReg.ICC_SRE_EL2: lambda *_: SRE_ABOVE,
    SysReg.ICC_SRE_EL3: lambda *_: SRE_ABOVE,
    SysReg.ICC_IGRPEN0_EL1: lambda cpu, secure, _: 0 if cpu.shifted(secure) else cpu.enables & G0,
    SysReg.ICC_IGRPEN1_EL1: lambda cpu, secure, _: 1 if cpu.enables & cpu.group1(secure) else 0,
    SysReg.ICC_IGRPEN1_EL3: lambda cpu, *_: cpu.enables >> 1,
}
_WRITE: dict[int, _Writer] = {
    SysReg.ICC_EOIR0_EL1: lambda cpu, value, secure, el: cpu.end(False, value & INTID_FIELD, secure, el),
    SysReg.ICC_EOIR1_EL1: lambda cpu, value, secure, el: cpu.end(True, value & INTID_FIELD, secure, el),
    SysReg.ICC_DIR_EL1: lambda cpu, value, secure, el: cpu.deactivate(value & INTID_FIELD, secure, el),
    SysReg.ICC_PMR_EL1: _write_pmr,
    SysReg.ICC_BPR0_EL1: _write_bpr0,
    SysReg.ICC_BPR1_EL1: _write_bpr1,
    SysReg.ICC_AP0R0_EL1: _write_apr0,
    SysReg.ICC_AP1R0_EL1: _write_aprs,
    SysReg.ICC_CTLR_EL1: _write_ctlr,
    SysReg.ICC_CTLR_EL3: _write_ctlr_el3,
    SysReg.ICC_SRE_EL1: _fixed,
    SysReg.ICC_SRE_EL2: _fixed,
    SysReg.ICC_SRE_EL3: _fixed,
    SysReg.ICC_IGRPEN0_EL1: _write_enable0,
    SysReg.ICC_IGRPEN1_EL1: lambda cpu, value, secure, _: cpu.set_enables(cpu.group1(secure), value & 1 != 0),
    SysReg.ICC_IGRPEN1_EL3: _write_enables_el3,
    SysReg.ICC_SGI0R_EL1: _sgi_writer(SGI0R),
    SysReg.ICC_SGI1R_EL1: _sgi_writer(SGI1R),
    SysReg.ICC_ASGI1R_EL1: _sgi_writer(ASGI1R),
}
