"""The Devices page: what is in the virtio slots, its queues, and the networks."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from engine.device_views import QueueView, VirtioView
from engine.views import Part
from hvtui.frame import Frame
from hvtui.items import Item, Items, Page, heading
from hvtui.theme import Ink
from hvtui.widgets.device_tables import DeviceTable, PlacedPort, PlacedStation, PortTable, StationTable, state_of
from hvtui.widgets.records_page import RecordsPage

_FEATURES = ((28, "INDIRECT_DESC"), (29, "EVENT_IDX"), (32, "VERSION_1"), (40, "RING_RESET"))
_CAUSES = ("none", "used buffer", "configuration change", "used buffer, configuration change")
_SHOWN_SEGMENTS = 8


class DevicesPage(RecordsPage):
    """The devices below, the networks above them."""

    part = Part.DEVICES

    def __init__(self) -> None:
        self.ports = PortTable()
        self.stations = StationTable()
        self.devices = DeviceTable()
        super().__init__("devices", (self.ports, self.stations), self.devices)

    def show(self, frame: Frame) -> None:
        view = frame.view.devices
        if view is not None:
            self.devices.show(view.devices)
            self.ports.show(view.networks)
            self.stations.show(view.networks)
            self.tell()

    def version(self, _chosen: object) -> Hashable:
        return None

    def about(self, chosen: Any) -> tuple[Hashable, Page]:
        if isinstance(chosen, VirtioView):
            return (chosen.vm, chosen.slot), _device_page(chosen)
        if isinstance(chosen, PlacedPort):
            return (chosen.network, chosen.port.name), _port_page(chosen)
        assert isinstance(chosen, PlacedStation)
        station = chosen.station
        items: Items = [
            Item("address", station.address),
            Item("network", f"{chosen.network}, VLAN {station.vlan}" if station.vlan else chosen.network),
            Item("port", station.port),
        ]
        return (chosen.network, station.vlan, station.address), Page(items, [])


def _device_page(device: VirtioView) -> Page:
    word, style = state_of(device)
    items: Items = [
        Item("device", f"{device.name} of {device.vm}"),
        Item("slot", f"{device.slot} at {device.base:#x}, INTID {device.intid}"),
        Item("state", word, style),
        Item("status", device.status.replace("|", " ") or "reset"),
        Item("features", _features(device.features)),
        Item("interrupts", _CAUSES[device.interrupts & 3]),
    ]
    if device.trouble:
        items.append(Item("because", device.trouble, Ink.RED))
    items += [*heading("Counts"), *(Item(label, value) for label, value in device.facts)]
    return Page(items, [item for queue in device.queues for item in _queue(queue)])


def _features(bits: int) -> str:
    """`0x1`, the device's own in hexadecimal, then the common ones by name."""
    common = [name for bit, name in _FEATURES if bits >> bit & 1]
    own = bits & ~sum(1 << bit for bit, _ in _FEATURES)
    return " ".join([f"{own:#x}", *common]) if bits else "none negotiated"


def _queue(queue: QueueView) -> Items:
    if not queue.size:
        return [*heading(f"Queue {queue.index}"), Item("size", "not enabled", Ink.MUTED)]
    waiting = Item("waiting", str(queue.pending)) if queue.pending >= 0 else Item("waiting", "broken ring", Ink.RED)
    return [
        *heading(f"Queue {queue.index}"),
        Item("size", f"{queue.size}, {queue.taken} buffers taken"),
        Item("index", f"available {queue.next_available}, used {queue.next_used}"),
        waiting,
        *_last(queue),
    ]


def _last(queue: QueueView) -> Items:
    """The descriptors taken last."""
    shown: Items = [
        Item("last" if not place else "", f"{verb:5} {address:#x}+{size}")
        for place, (verb, address, size) in enumerate(queue.last[:_SHOWN_SEGMENTS])
    ]
    if len(queue.last) > _SHOWN_SEGMENTS:
        shown.append(Item("", f"and {len(queue.last) - _SHOWN_SEGMENTS} more"))
    return shown


def _port_page(placed: PlacedPort) -> Page:
    port = placed.port
    items: Items = [
        Item("port", f"{port.name} of {placed.network}"),
        Item("link", "up" if port.up else "down"),
        Item("in", f"{port.frames_in} frames, {port.bytes_in} bytes"),
        Item("out", f"{port.frames_out} frames, {port.bytes_out} bytes"),
    ]
    drops: Items = [Item(reason, str(count), Ink.AMBER) for reason, count in port.drops]
    return Page(items, [*heading("Drops"), *(drops or [Item("none")])])
