"""HCR_EL2 as the hypervisor sets it for guests (Arm ARM D17.2.48)."""

from __future__ import annotations

from typing import Final

HCR_VM: Final = 1 << 0
HCR_SWIO: Final = 1 << 1
HCR_FMO: Final = 1 << 3
HCR_IMO: Final = 1 << 4
HCR_AMO: Final = 1 << 5
HCR_VF: Final = 1 << 6
HCR_VI: Final = 1 << 7
HCR_TWI: Final = 1 << 13
HCR_TSC: Final = 1 << 19
HCR_TGE: Final = 1 << 27
HCR_TDZ: Final = 1 << 28
HCR_RW: Final = 1 << 31
HCR_TEA: Final = 1 << 37

HCR_GUEST: Final = HCR_VM | HCR_SWIO | HCR_FMO | HCR_IMO | HCR_AMO | HCR_TWI | HCR_TSC | HCR_TDZ | HCR_RW
"""TWI but not TWE: the engine executes WFE as a hint and never traps it.
TDZ because DC ZVA would reach the SYS hook 64 times a page; guests then clear memory with stores."""
