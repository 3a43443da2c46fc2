"""Exception syndromes: the layout of ESR_ELx (Arm ARM D17.2.37)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

EC_SHIFT = 26
IL = 1 << 25
"""Instruction length: 32-bit."""


class EC(enum.IntEnum):
    """Exception classes."""

    UNKNOWN = 0x00
    WFX = 0x01
    FP_ACCESS = 0x07
    ILLEGAL_STATE = 0x0E
    SVC64 = 0x15
    HVC64 = 0x16
    SMC64 = 0x17
    SYSREG = 0x18
    INSTRUCTION_ABORT_LOWER = 0x20
    INSTRUCTION_ABORT_SAME = 0x21
    PC_ALIGNMENT = 0x22
    DATA_ABORT_LOWER = 0x24
    DATA_ABORT_SAME = 0x25
    SP_ALIGNMENT = 0x26
    FP_EXCEPTION = 0x2C
    SERROR = 0x2F
    BREAKPOINT_LOWER = 0x30
    BREAKPOINT_SAME = 0x31
    STEP_LOWER = 0x32
    STEP_SAME = 0x33
    WATCHPOINT_LOWER = 0x34
    WATCHPOINT_SAME = 0x35
    BRK64 = 0x3C


class FaultStatus(enum.IntEnum):
    """DFSC/IFSC codes of faults that translation or memory raises; levels are added to the *_L0 ones."""

    ADDRESS_SIZE_L0 = 0x00
    TRANSLATION_L0 = 0x04
    ACCESS_FLAG_L0 = 0x08
    PERMISSION_L0 = 0x0C
    EXTERNAL = 0x10
    EXTERNAL_ON_WALK_L0 = 0x14
    ALIGNMENT = 0x21


HAS_FAR = frozenset(
    {
        EC.INSTRUCTION_ABORT_LOWER,
        EC.INSTRUCTION_ABORT_SAME,
        EC.PC_ALIGNMENT,
        EC.DATA_ABORT_LOWER,
        EC.DATA_ABORT_SAME,
        EC.WATCHPOINT_LOWER,
        EC.WATCHPOINT_SAME,
    }
)
"""Exception classes that set FAR_ELx."""

_NAMES = {
    EC.UNKNOWN: "undefined instruction",
    EC.WFX: "WFI/WFE",
    EC.FP_ACCESS: "FP/SIMD access",
    EC.ILLEGAL_STATE: "illegal execution state",
    EC.SVC64: "SVC",
    EC.HVC64: "HVC",
    EC.SMC64: "SMC",
    EC.SYSREG: "system register access",
    EC.INSTRUCTION_ABORT_LOWER: "instruction abort",
    EC.INSTRUCTION_ABORT_SAME: "instruction abort",
    EC.PC_ALIGNMENT: "PC alignment fault",
    EC.DATA_ABORT_LOWER: "data abort",
    EC.DATA_ABORT_SAME: "data abort",
    EC.SP_ALIGNMENT: "SP alignment fault",
    EC.BRK64: "BRK",
}


def exception_class(esr: int) -> int:
    return esr >> EC_SHIFT


def immediate(esr: int) -> int:
    """The 16-bit operand of an HVC, SMC or SVC."""
    return esr & 0xFFFF


def class_name(ec: int) -> str:
    """What the class is called, in words; `EC 0x2a` for those without a name here."""
    try:
        return _NAMES[EC(ec)]
    except (KeyError, ValueError):
        return f"EC {ec:#04x}"


def syndrome(ec: int, iss: int = 0) -> int:
    """An ESR value for a 32-bit instruction."""
    return ec << EC_SHIFT | IL | iss


@dataclass(frozen=True, slots=True)
class DataAbort:
    """The instruction-specific syndrome of a data abort (ISS, Arm ARM D17.2.37)."""

    iss: int

    @property
    def valid(self) -> bool:
        """ISV: the fields below describe the access."""
        return bool(self.iss & 1 << 24)

    @property
    def size(self) -> int:
        """Access size in bytes: 1, 2, 4 or 8."""
        return 1 << (self.iss >> 22 & 3)

    @property
    def sign_extend(self) -> bool:
        return bool(self.iss & 1 << 21)

    @property
    def register(self) -> int:
        """Xt, 31 is XZR."""
        return self.iss >> 16 & 0x1F

    @property
    def sixty_four(self) -> bool:
        """SF: the destination is a 64-bit register."""
        return bool(self.iss & 1 << 15)

    @property
    def write(self) -> bool:
        return bool(self.iss & 1 << 6)

    @property
    def on_walk(self) -> bool:
        """S1PTW: the fault was on a stage-2 translation of a stage-1 table walk."""
        return bool(self.iss & 1 << 7)

    @property
    def cache_maintenance(self) -> bool:
        return bool(self.iss & 1 << 8)

    @property
    def fault_status(self) -> int:
        return self.iss & 0x3F


@dataclass(frozen=True, slots=True)
class SysregAccess:
    """The ISS of a trapped MSR, MRS or system instruction."""

    iss: int

    @property
    def key(self) -> int:
        """The register's 16-bit encoding (arch.sysreg)."""
        iss = self.iss
        return (
            (iss >> 20 & 3) << 14
            | (iss >> 14 & 7) << 11
            | (iss >> 10 & 0xF) << 7
            | (iss >> 1 & 0xF) << 3
            | (iss >> 17 & 7)
        )

    @property
    def register(self) -> int:
        return self.iss >> 5 & 0x1F

    @property
    def read(self) -> bool:
        return bool(self.iss & 1)

    @classmethod
    def of_instruction(cls, word: int) -> SysregAccess:
        """The ISS that a trapped system instruction (MSR, MRS, SYS, MSR immediate) has."""
        op0, op1, crn, crm, op2 = word >> 19 & 3, word >> 16 & 7, word >> 12 & 0xF, word >> 8 & 0xF, word >> 5 & 7
        return cls(op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | (word & 0x1F) << 5 | crm << 1 | word >> 21 & 1)
