"""What there is on a machine, for monitor lines: from its description, and its guests' symbols."""

from __future__ import annotations

from collections.abc import Sequence

from engine.control import Control
from engine.machine_config import MachineConfig
from engine.views import RegistersView
from hvtui.monitor import Facts


def gather(control: Control) -> Facts:
    """All that does not change, on the machine's thread."""
    system = control.system
    return Facts(
        vcpus={partition.name: len(partition.vcpus) for partition in system.partitions},
        consoles=[console.name for console in system.consoles],
        ports=[port.name for port in system.ports],
        symbols={partition.name: [symbol.name for symbol in partition.symbols] for partition in system.partitions},
    )


def register_names(registers: RegistersView | None) -> Sequence[str]:
    """As they are written in expressions."""
    if registers is None:
        return ()
    return [name.lower() for group in registers.groups for name, _, _ in group.registers]


def first_facts(config: MachineConfig) -> Facts:
    """What the description alone tells, until the machine has answered."""
    return Facts(vcpus={vm.name: vm.vcpus for vm in config.vms}, consoles=config.consoles)
