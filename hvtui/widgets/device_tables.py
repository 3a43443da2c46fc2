"""virtio devices, and the ports and stations of the networks between them, as tables."""

from __future__ import annotations

from typing import NamedTuple

from rich.style import Style

from engine.board.network.views import PortView, StationView, SwitchView
from engine.device_views import VirtioView
from hvtui import text
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.table import Row, Table

_BEFORE_FACTS = 51
_PAGE = "devices"
_MS = 1_000_000


class DeviceTable(Table[VirtioView]):
    """One row a slot."""

    def __init__(self) -> None:
        super().__init__(_PAGE, "virtio devices", "this machine has no virtio devices")

    def show(self, devices: tuple[VirtioView, ...]) -> None:
        self.set_rows([Row((device.vm, device.slot), device) for device in devices])

    def heading(self, width: int) -> str:
        return text.shorten("VM       SLOT DEVICE          STATE      QUEUED INTID", width)

    def parts(self, item: VirtioView, width: int) -> Line:
        state, style = state_of(item)
        pending = sum(max(0, queue.pending) for queue in item.queues)
        facts = ", ".join(f"{label} {value}" for label, value in item.facts)
        return [
            (f"{text.fit(item.vm, 8)} ", Ink.BLUE),
            (f"{item.slot:4} ", Ink.MUTED),
            (f"{text.fit(item.name, 15)} ", Ink.TEXT),
            (f"{state:10} ", style),
            (f"{pending:6} ", Ink.AMBER if pending else Ink.MUTED),
            (f"{item.intid:5}  ", Ink.AMBER if item.interrupts else Ink.MUTED),
            (text.shorten(facts, max(0, width - _BEFORE_FACTS - 2)), Ink.TEXT),
        ]


def state_of(device: VirtioView) -> tuple[str, Style]:
    """A word for the device's status, and its style."""
    if device.trouble:
        return "✖ broken", Ink.RED
    if "DRIVER_OK" in device.status:
        return "● running", Ink.GREEN
    return ("◐ starting", Ink.AMBER) if device.status else ("○ reset", Ink.MUTED)


class PlacedPort(NamedTuple):
    """A port with the name of its switch."""

    network: str
    port: PortView


class PortTable(Table[PlacedPort]):
    """One row a port of a switch."""

    def __init__(self) -> None:
        super().__init__(_PAGE, "ports", "no networks")

    def show(self, networks: tuple[SwitchView, ...]) -> None:
        placed = [PlacedPort(network.name, port) for network in networks for port in network.ports]
        self.set_rows([Row((each.network, each.port.name), each) for each in placed])

    def heading(self, width: int) -> str:
        return text.shorten("NETWORK  PORT     LINK  FRAMES IN  BYTES    OUT  BYTES  DROPS", width)

    def parts(self, item: PlacedPort, _width: int) -> Line:
        port = item.port
        drops = sum(count for _, count in port.drops)
        return [
            (f"{text.fit(item.network, 8)} {text.fit(port.name, 8)} ", Ink.BLUE),
            ("up    " if port.up else "down  ", Ink.GREEN if port.up else Ink.MUTED),
            (f"   {text.count(port.frames_in)} {text.count(port.bytes_in)} ", Ink.TEXT),
            (f"{text.count(port.frames_out)} {text.count(port.bytes_out)} ", Ink.TEXT),
            (text.count(drops), Ink.AMBER if drops else Ink.MUTED),
        ]


class PlacedStation(NamedTuple):
    """A row of a MAC table with the name of its switch."""

    network: str
    station: StationView


class StationTable(Table[PlacedStation]):
    """One row a station that a switch has learned."""

    def __init__(self) -> None:
        super().__init__(_PAGE, "mac table", "no station was seen")

    def show(self, networks: tuple[SwitchView, ...]) -> None:
        placed = [PlacedStation(network.name, station) for network in networks for station in network.stations]
        self.set_rows([Row((each.network, each.station.vlan, each.station.address), each) for each in placed])

    def heading(self, width: int) -> str:
        return text.shorten("NETWORK  ADDRESS           VLAN PORT     SEEN", width)

    def parts(self, item: PlacedStation, _width: int) -> Line:
        station = item.station
        return [
            (f"{text.fit(item.network, 8)} ", Ink.BLUE),
            (f"{station.address} {station.vlan or '-':>4} ", Ink.TEXT),
            (f"{text.fit(station.port, 8)} ", Ink.BLUE),
            (f"{station.age_ns // _MS} ms ago", Ink.MUTED),
        ]
