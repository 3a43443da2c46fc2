"""The virtio network device (virtio 1.2, 5.1): one NIC on a port of a switch."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from engine.board.network import ethernet
from engine.board.network.switch import Switch
from engine.board.virtio import net_control
from engine.board.virtio.device import VirtioDevice
from engine.board.virtio.guest_memory import gather
from engine.board.virtio.net_features import HEADER, NetFeature
from engine.board.virtio.net_filter import Mode, ReceiveFilter
from engine.board.virtio.net_receive import Receiver
from engine.board.virtio.queue import Queue, RingError

RX, TX, CONTROL = 0, 1, 2
"""Queues (5.1.2)."""
LINK_UP = 1
"""Bit of the status field (5.1.4)."""
_CONFIG = struct.Struct("<6sH")
_NEED_CONTROL = NetFeature.CTRL_RX | NetFeature.CTRL_MAC_ADDR


class VirtioNet(VirtioDevice):
    """No offloads: frames are as they are on the wire, without their check sequence.

    The port is up while the driver is ready, the guest runs and the cable is in; only the cable shows in `status`.
    """

    device_id = 1
    queue_sizes = (256, 256, 64)

    def __init__(self, name: str, mac: bytes, switch: Switch, port_name: str) -> None:
        super().__init__(name)
        feature = NetFeature
        self.features = int(feature.MAC | feature.STATUS | feature.MRG_RXBUF | feature.CTRL_VQ)
        self.features |= int(feature.CTRL_RX | feature.CTRL_RX_EXTRA | feature.CTRL_MAC_ADDR)
        self.filter = ReceiveFilter(mac)
        self.receiver = Receiver()
        self.plugged = True
        """The cable is in."""
        self.sent = self.bytes_sent = 0
        self.filtered = 0
        """Frames that the driver did not want."""
        self._ready = False
        self.port = switch.add_port(port_name, self.deliver)
        self._follow()

    # --- configuration and link --------------------------------------------------------------------

    def accepts(self, features: int) -> bool:
        """Some features need the control queue (5.1.3.1)."""
        return bool(features & NetFeature.CTRL_VQ) or not features & _NEED_CONTROL

    def config(self) -> bytes:
        """struct virtio_net_config (5.1.4), as far as there are features for it."""
        return _CONFIG.pack(self.filter.mac, LINK_UP if self.plugged else 0)

    def facts(self) -> Mapping[str, int | str]:
        receiver = self.receiver
        return {
            "mac": ethernet.text(self.filter.mac),
            "port": self.port.name,
            "link": "up" if self.port.up else "down" if self.plugged else "unplugged",
            "modes": " ".join(mode.name.lower() for mode in sorted(self.filter.modes)),
            "frames received": receiver.frames,
            "bytes received": receiver.bytes,
            "frames sent": self.sent,
            "bytes sent": self.bytes_sent,
            "waiting": receiver.waiting,
            "filtered": self.filtered,
            "no buffer": receiver.refused,
            "buffer too small": receiver.too_small,
        }

    def plug(self, plugged: bool) -> None:
        """Put the cable in, or pull it out; the driver is told."""
        if plugged is not self.plugged:
            self.plugged = plugged
            self._follow()
            self.host.config_changed()

    def _follow(self) -> None:
        self.port.up = self.plugged and self._ready

    def started(self) -> None:
        if not self.negotiated & NetFeature.CTRL_RX:
            # A driver that cannot ask for groups gets all of them.
            self.filter.modes.add(Mode.ALLMULTI)
        self._ready = True
        self._follow()

    def stopped(self) -> None:
        self.receiver.clear()
        self._ready = False
        self._follow()

    def reset(self) -> None:
        super().reset()
        self.filter.reset()
        self.stopped()

    # --- queues ------------------------------------------------------------------------------------

    def queue_ready(self, index: int) -> None:
        if index == RX:
            self._fill()

    def notified(self, index: int) -> None:
        queue = self.host.queue(index)
        if queue is None:
            return
        if index == RX:
            self._fill()
        elif index == TX:
            self._transmit(queue)
        elif self.negotiated & NetFeature.CTRL_VQ:
            self._control(queue)

    def deliver(self, frame: bytes) -> bool:
        """A frame from the switch, at any time; False where there is no room for it. An unwanted one was taken."""
        if not self.filter.accepts(frame):
            self.filtered += 1
            return True
        return self.receiver.keep(frame) and self.host.attempt(self._fill)

    def _fill(self) -> None:
        queue = self.host.queue(RX)
        if queue is not None:
            self.receiver.fill(queue, mergeable=bool(self.negotiated & NetFeature.MRG_RXBUF))
            self.host.used(RX)

    def _transmit(self, queue: Queue) -> None:
        for chain in queue.chains():
            if chain.length < HEADER.size:
                raise RingError("a frame to send without its header")
            # One byte more than any frame has lets the port see that it is too long.
            frame = gather(queue.memory, chain.readable, HEADER.size, ethernet.LONGEST_TAGGED + 1)
            self.port.send(frame)
            self.sent += 1
            self.bytes_sent += len(frame)
            queue.put(chain, 0)
        self.host.used(TX)

    def _control(self, queue: Queue) -> None:
        mac = self.filter.mac
        for chain in queue.chains():
            queue.put(chain, net_control.execute(self.filter, self.negotiated, queue.memory, chain))
        self.host.used(CONTROL)
        if self.filter.mac != mac:
            self.host.config_changed()
