"""Bits of control registers and whole PSTATE words, as several places need them (Arm ARM C5.2, D17.2)."""

from __future__ import annotations

from typing import Final

HCR_VM: Final = 1 << 0
HCR_SWIO: Final = 1 << 1
HCR_PTW: Final = 1 << 2
HCR_FMO: Final = 1 << 3
HCR_IMO: Final = 1 << 4
HCR_AMO: Final = 1 << 5
HCR_VF: Final = 1 << 6
HCR_VI: Final = 1 << 7
HCR_DC: Final = 1 << 12
HCR_TWI: Final = 1 << 13
HCR_TSC: Final = 1 << 19
HCR_TGE: Final = 1 << 27
HCR_TDZ: Final = 1 << 28
HCR_RW: Final = 1 << 31
HCR_TEA: Final = 1 << 37

SCTLR_M: Final = 1 << 0
SCTLR_WXN: Final = 1 << 19

SCR_NS: Final = 1 << 0
SCR_HCE: Final = 1 << 8
SCR_RW: Final = 1 << 10
SCR_TWI: Final = 1 << 12

MPIDR_RES1: Final = 1 << 31
MDCR_TPMCR: Final = 1 << 5
MDCR_TPM: Final = 1 << 6

PSTATE_DAIF: Final = 0x3C0
"""All exceptions masked."""
PSTATE_EL0T: Final = PSTATE_DAIF
PSTATE_EL1H: Final = PSTATE_DAIF | 1 << 2 | 1
PSTATE_EL2H: Final = PSTATE_DAIF | 2 << 2 | 1
