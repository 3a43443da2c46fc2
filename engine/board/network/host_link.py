"""The port of a switch that leads out of the machine."""

from __future__ import annotations

from engine.board.network.host_port import HostPort, open_host_port
from engine.board.network.switch import Switch


class HostLink:
    """Closed until `open` or `attach`: a machine that only repeats recorded input needs nothing from the host."""

    def __init__(self, network: Switch, where: str) -> None:
        """`where`: one of `host_port.FORMS`."""
        self.network = network
        self.where = where
        self.port = network.add_port(f"{network.name}.host", self._deliver)
        self._host: HostPort | None = None

    @property
    def plugged(self) -> bool:
        """Whether the port's link is up; the host does not matter."""
        return self.port.up

    def plug(self, plugged: bool) -> None:
        """Bring the link of the port up or down."""
        self.port.up = plugged

    def open(self) -> None:
        """Open what the machine file names. MachineError says in one line why it could not be."""
        self.attach(open_host_port(self.where))

    def attach(self, host: HostPort) -> None:
        """Use an open port, which is this object's to close from now on."""
        self.close()
        self._host = host

    def receive(self) -> list[bytes]:
        """Frames that came from the host, not many at a time. MachineError once, when the link is gone."""
        return self._host.receive() if self._host is not None else []

    def close(self) -> None:
        """Give up the link to the host; may be called again."""
        if self._host is not None:
            self._host.close()
            self._host = None

    def _deliver(self, frame: bytes) -> bool:
        return self._host is not None and self._host.send(frame)
