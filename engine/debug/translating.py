"""What translates a vCPU's addresses now: its control registers as a regime of `arch.translation`."""

from __future__ import annotations

from engine.arch.controls import HCR_DC, HCR_TGE, HCR_VM
from engine.arch.regime import ANY_ACCESS, Access, Stage1, stage1_enabled, stage2
from engine.arch.sysreg import SysReg
from engine.arch.translation import Regime, Translation
from engine.cpu.core import Core
from engine.errors import MachineError
from engine.hypervisor.vcpu import Vcpu

SPACES = ("va", "ipa", "pa")


class Translator:
    """Translations of one vCPU that stands still; making one puts it on its engine, which no guest can tell."""

    def __init__(self, vcpu: Vcpu, el: int | None = None) -> None:
        """`el`: exception level that accesses are made at, 0 to 2; None for the one the vCPU is at."""
        vcpu.vm.load(vcpu)
        core = vcpu.vm.core
        self._memory = vcpu.vm.memory
        self.regime = _regime(core, core.state.el if el is None else el)

    def translate(self, address: int, access: Access, space: str = "va") -> Translation:
        """An address of a space: virtual "va", intermediate physical "ipa", physical "pa". MachineError for others."""
        if space == "va":
            return self.regime.translate(self._memory.read_u64, address, access)
        if space == "ipa":
            return self.regime.translate_ipa(self._memory.read_u64, address, access)
        if space == "pa":
            return Translation(None, None, None, address, ANY_ACCESS, None)
        raise MachineError(f"expected the address space va, ipa or pa (got {space!r})")

    def readable(self, address: int, space: str = "va") -> Translation:
        """Where a byte can be seen: by a load, or by a fetch where only that is allowed."""
        found = self.translate(address, Access.READ, space)
        if found.physical is None and Access.EXECUTE in found.allowed:
            return self.translate(address, Access.EXECUTE, space)
        return found


def onlooker(vcpu: Vcpu) -> Translator:
    """For whoever looks over a vCPU's shoulder: EL1 may read all that EL0 may, in the same translations."""
    return Translator(vcpu, max(1, vcpu.registers.el))


def _regime(core: Core, el: int) -> Regime:
    hcr = core.read(SysReg.HCR_EL2)
    below = el < 2
    has_second = below and bool(hcr & (HCR_VM | HCR_DC))
    second = stage2(core.read(SysReg.VTTBR_EL2), core.read(SysReg.VTCR_EL2)) if has_second else None
    first = _el1(core, hcr) if below else _el2(core)
    return Regime(el, first, second, has_second, hcr)


def _el1(core: Core, hcr: int) -> Stage1:
    """EL1&0; off where EL2 has taken EL0 over, or asks for the default cacheable mapping (Arm ARM D17.2.48)."""
    sctlr = core.read(SysReg.SCTLR_EL1)
    return Stage1(
        el=1,
        enabled=stage1_enabled(sctlr) and not hcr & (HCR_TGE | HCR_DC),
        sctlr=sctlr,
        tcr=core.read(SysReg.TCR_EL1),
        ttbr=(core.read(SysReg.TTBR0_EL1), core.read(SysReg.TTBR1_EL1)),
        mair=core.read(SysReg.MAIR_EL1),
    )


def _el2(core: Core) -> Stage1:
    sctlr = core.read(SysReg.SCTLR_EL2)
    ttbr, tcr, mair = (core.read(key) for key in (SysReg.TTBR0_EL2, SysReg.TCR_EL2, SysReg.MAIR_EL2))
    return Stage1(2, stage1_enabled(sctlr), sctlr, tcr, (ttbr, 0), mair)
