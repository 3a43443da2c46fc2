"""PSCI for a payload whose vCPUs are the board's cores: the secure world hears of each that goes on or off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.events import WorldSwitch
from engine.hypervisor.psci import VcpuPower
from engine.views import VcpuState

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.physical_core import PhysicalCore
    from engine.hypervisor.vcpu import Vcpu


class SecureCores(Protocol):
    """The SPMC as EL3's power control calls it (DEN0077A v1.2, 18.2)."""

    def core_on(self, pcore: PhysicalCore) -> None:
        """A core is on: partitions may take it before the normal world runs there."""

    def core_off(self, pcore: PhysicalCore) -> bool:
        """A core is to go off; True if partitions run first, after which `CorePower.gone` is called."""


class CorePower(VcpuPower):
    """Warm boot and CPU_OFF. A core that the secure world holds does not run its vCPU, whatever its state."""

    def __init__(self, hypervisor: Hypervisor, secure: SecureCores) -> None:
        super().__init__(hypervisor)
        self._secure = secure

    @staticmethod
    def is_on(pcore: PhysicalCore) -> bool:
        """Whether the normal world has turned a core on, and not off again."""
        return any(vcpu.state is not VcpuState.OFF for vcpu in pcore.vcpus if not vcpu.vm.secure)

    def turn_on(self, vcpu: Vcpu) -> None:
        """Its entry point is what runs after the partitions of its core have initialized."""
        super().turn_on(vcpu)
        self._secure.core_on(vcpu.pcore)

    def turn_off(self, vcpu: Vcpu) -> None:
        """Off, once the partitions of its core have been told; no core goes off while another vCPU is on there."""
        pcore = vcpu.pcore
        shared = any(
            each is not vcpu and each.pcore is pcore and each.state is not VcpuState.OFF for each in vcpu.vm.vcpus
        )
        if shared or not self._secure.core_off(pcore):
            super().turn_off(vcpu)
            return
        pcore.caller = vcpu
        self._hypervisor.block(vcpu, VcpuState.CALLING, "off after the secure world")
        self._hypervisor.events.emit(WorldSwitch(pcore.now, vcpu.vm.name, vcpu.index, pcore.index, True))

    def gone(self, pcore: PhysicalCore) -> None:
        """The partitions of a core know. A payload that ended meanwhile is off already."""
        vcpu, pcore.caller = pcore.caller, None
        name, index = ("", -1) if vcpu is None else (vcpu.vm.name, vcpu.index)
        self._hypervisor.events.emit(WorldSwitch(pcore.now, name, index, pcore.index, False))
        self._hypervisor.release(pcore)
        if vcpu is not None and vcpu.state is VcpuState.CALLING:
            super().turn_off(vcpu)
