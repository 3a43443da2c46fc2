"""Interrupt sources that a machine file places: made, attached to whoever has them, and kept on time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.board.bus import Device
from engine.board.sbsa_watchdog import SbsaWatchdog
from engine.board.sp805 import Sp805
from engine.board.timer_frame import TimerFrame
from engine.config import ConfigError
from engine.console import Console
from engine.events import ConsoleOutput
from engine.hypervisor.hypervisor import Hypervisor
from engine.hypervisor.partition import Alarm, Partition
from engine.hypervisor.vm import Vm
from engine.machine_config import MachineConfig
from engine.machine_file import DeviceSection
from engine.spmc.partition import SecurePartition

_REFRESH_OFFSET = 0x1_0000
_LIGHT = 64
"""Bytes of output that weigh nothing beside the event that carries them."""


def printing(hypervisor: Hypervisor, console: Callable[[], Console]) -> Callable[[bytes], None]:
    """What a serial port does with its output: it is an event, and goes to the console."""

    def printed(data: bytes) -> None:
        now = hypervisor.now
        event = ConsoleOutput(now, console().name, -1, data)
        hypervisor.events.emit(event, len(data) if len(data) > _LIGHT else 0)
        console().write(data, now)

    return printed


class Line:
    """The interrupt line of a device of a partition."""

    def __init__(self, hypervisor: Hypervisor, partition: Partition, intid: int, source: str) -> None:
        self._hypervisor = hypervisor
        self._partition = partition
        self._intid = intid
        self._source = source

    def __call__(self, level: bool) -> None:
        if level:
            self._hypervisor.interrupt_raised(self._partition.vcpus[0], self._intid, self._source)
        self._partition.interrupts.set_line(self._intid, level, 0)


def attach_devices(
    config: MachineConfig, hypervisor: Hypervisor, vms: Sequence[Vm], sps: Sequence[SecurePartition]
) -> None:
    """Place all devices. Raises ConfigError, naming the device's section."""
    for index, section in enumerate(config.devices):
        key = f"device[{index}]"
        owner = _owner(config, key, section, vms, sps)
        alarm, places = _make(section, owner, hypervisor)
        try:
            for base, device in places:
                owner.bus.attach(base, device)
        except ValueError as error:
            raise ConfigError(config.file, f"{key}.base", f"expected a free place ({error})") from None
        owner.alarms = (*owner.alarms, alarm)
        owner.vcpus[0].pcore.alarms.append(alarm)


def _owner(
    config: MachineConfig, key: str, section: DeviceSection, vms: Sequence[Vm], sps: Sequence[SecurePartition]
) -> Partition:
    if section.vm is not None:
        found = next((vm for vm in vms if vm.name == section.vm), None)
        if found is None:
            raise ConfigError(config.file, f"{key}.vm", f"expected the name of a VM (got {section.vm!r})")
        return found
    for sp in sps:
        for region in sp.manifest.devices:
            if region.base == section.base:
                if section.intid not in sp.manifest.interrupts:
                    problem = f"expected an interrupt that the manifest of {sp.name} gives it (got {section.intid})"
                    raise ConfigError(config.file, f"{key}.intid", problem)
                return sp
    raise ConfigError(
        config.file, f"{key}.vm", f"expected a VM, or a partition with a device region at {section.base:#x} (got none)"
    )


def _make(section: DeviceSection, owner: Partition, hypervisor: Hypervisor) -> tuple[Alarm, list[tuple[int, Device]]]:
    """The device, and the windows it is seen through."""
    now: Callable[[], int] = lambda: hypervisor.ns_of_cycles(hypervisor.now)  # noqa: E731  # one of several callbacks
    program = hypervisor.alarm_changed
    line = Line(hypervisor, owner, section.intid, section.kind)

    def expire() -> None:
        hypervisor.watchdog_expired(owner, section.kind)

    if section.kind == "sp805":
        sp805 = Sp805(now, line, expire, program)
        return sp805, [(section.base, sp805)]
    if section.kind == "timer-frame":
        frame = TimerFrame(now, line, program)
        return frame, [(section.base, frame)]
    watchdog = SbsaWatchdog(now, line, expire, program)
    refresh = (section.base + _REFRESH_OFFSET, watchdog.refresh_frame)
    return watchdog, [(section.base, watchdog.control_frame), refresh]
