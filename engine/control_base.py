"""What all operations on a machine stand on: finding its parts by name, and recording what came from outside."""

from __future__ import annotations

from engine.board.network.cable import Cable
from engine.build import System
from engine.console import Console
from engine.errors import MachineError
from engine.events import HostInput
from engine.hypervisor.partition import Partition
from engine.hypervisor.vcpu import Vcpu

MOST_RECORDED = 256 << 20
"""Bytes of input that are kept for a replay: how much comes from a network is not ours to choose."""
_INPUT_WEIGHT = 256
"""Bytes that an input takes besides its data."""


class ControlError(MachineError):
    """Something that cannot be done to this machine now, or at all; one line says why."""


class ControlBase:
    """One built system; call from one thread, between slices."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.inputs: list[HostInput] = []
        """Everything that came from outside so far, for `replay`; nothing at all once it was too much."""
        self.recorded = 0
        """Bytes that they take, or would; beyond MOST_RECORDED they are not kept."""

    # --- recording -------------------------------------------------------------------------------

    def _record(self, kind: str, name: str, vcpu: int = -1, data: bytes = b"", number: int = 0) -> None:
        hypervisor = self.system.hypervisor
        event = HostInput(hypervisor.now, name, vcpu, kind, data, number, hypervisor.progress)
        self._keep(event)
        self.system.events.emit(event, len(data))

    def _keep(self, event: HostInput) -> None:
        self.recorded += _INPUT_WEIGHT + len(event.data)
        if self.recorded <= MOST_RECORDED:
            self.inputs.append(event)
        else:
            self.inputs.clear()

    # --- finding -----------------------------------------------------------------------------------

    def vm(self, name: str) -> Partition:
        """A partition by its name."""
        try:
            return self.system.partition(name)
        except KeyError:
            names = ", ".join(vm.name for vm in self.system.partitions)
            raise ControlError(f"there is no partition {name!r} (this machine has {names})") from None

    def console(self, name: str) -> Console:
        """A console by its name: that of its partition, or `vm0.hvc0`."""
        for console in self.system.consoles:
            if console.name == name:
                return console
        names = ", ".join(console.name for console in self.system.consoles)
        raise ControlError(f"there is no console {name!r} (this machine has {names})")

    def cable(self, port_name: str) -> Cable:
        """What is plugged into a port of a network."""
        for cable in self.system.cables:
            if cable.port.name == port_name:
                return cable
        names = ", ".join(port.name for port in self.system.ports) or "none"
        raise ControlError(f"there is no port {port_name!r} (this machine has {names})")

    def vcpu(self, vm_name: str, index: int) -> Vcpu:
        """A vCPU of a partition."""
        vcpus = self.vm(vm_name).vcpus
        if not 0 <= index < len(vcpus):
            raise ControlError(f"{vm_name} has vCPUs 0 to {len(vcpus) - 1}, not {index}")
        return vcpus[index]

    def address(self, vm_name: str, text: str) -> int:
        """The number that a text is, or the address of the symbol that it names in a partition."""
        name, plus, offset = text.strip().partition("+")
        try:
            known = self.vm(vm_name).symbols.address(name.strip())
            return (int(name, 0) if known is None else known) + (int(offset, 0) if plus else 0)
        except ValueError:
            raise ControlError(f"expected an address, or a symbol of {vm_name} (got {text!r})") from None
