"""The networks of a machine: made of its configuration, kept on time, and open to the outside where it says so."""

from __future__ import annotations

from collections.abc import Mapping

from engine.board.network.host_link import HostLink
from engine.board.network.switch import Switch
from engine.hypervisor.hypervisor import Hypervisor
from engine.machine_config import MachineConfig


def build_networks(config: MachineConfig, hypervisor: Hypervisor) -> dict[str, Switch]:
    """The switches by name. Frames that take time arrive at the time of the first core."""
    networks: dict[str, Switch] = {}
    for each in config.networks:
        networks[each.name] = Switch(
            each.name,
            lambda: hypervisor.ns_of_cycles(hypervisor.now),
            hypervisor.alarm_changed,
            seed=config.seed,
            delay_ns=each.delay_ns,
            loss_ppm=each.loss_ppm,
            table_size=each.mac_table,
            ageing_ns=each.ageing_ns,
        )
    # Not among the alarms of a VM: those are reset with it.
    hypervisor.cores[0].alarms += networks.values()
    return networks


def build_host_links(config: MachineConfig, networks: Mapping[str, Switch]) -> tuple[HostLink, ...]:
    """The ways out, behind the ports of all devices."""
    return tuple(HostLink(networks[each.name], each.host) for each in config.networks if each.host is not None)
