"""A link out of the machine: frames from and to a TAP interface or a socket of the host. Nothing opens one by itself.

What comes from the host is input from outside: whoever calls `receive` records it, so that a run can be repeated.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import struct

from engine.board.network.ethernet import LONGEST_TAGGED
from engine.errors import MachineError

FORMS = "tap:NAME or unix:PATH"
"""How a host port is written."""
MOST = 64
"""Frames that one `receive` takes."""

_TUN_DEVICE = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_IFREQ = struct.Struct("16sH22x")
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
"""The kernel's 15 bytes, and no `%`, which would make it a pattern."""
_READ_SIZE = LONGEST_TAGGED + 1
"""Enough for a frame, or to see that one is too long."""
_NO_ROOM = (errno.EAGAIN, errno.ENOBUFS, errno.EMSGSIZE, errno.EINVAL, errno.EIO)
"""The frame is lost but the link is not: a full buffer, a length it does not take, a TAP interface that is down."""


class HostPort:
    """An open, non-blocking descriptor that carries one frame a read and one a write; it is this object's to close.

    `name` is what errors call it. `ends`: reading no bytes means that the other side closed it.
    """

    def __init__(self, name: str, descriptor: int, ends: bool) -> None:
        self.name = name
        self.failure = ""
        """Why it carries nothing any more, in one line."""
        self._descriptor = descriptor
        self._ends = ends
        os.set_blocking(descriptor, False)

    def fileno(self) -> int:
        """For `select`: readable when `receive` has something. -1 once it is closed."""
        return self._descriptor

    def receive(self, most: int = MOST) -> list[bytes]:
        """The frames that are there, at most so many; never waits.

        MachineError when the link is gone, but only after the frames that came before.
        """
        frames: list[bytes] = []
        while not self.failure and len(frames) < most:
            try:
                frame = os.read(self._descriptor, _READ_SIZE)
            except BlockingIOError:
                return frames
            except OSError as error:
                self._fail(error.strerror or str(error))
                break
            if not frame and self._ends:
                self._fail("the other side closed it")
                break
            frames.append(frame)
        if self.failure and not frames:
            raise MachineError(self.failure)
        return frames

    def send(self, frame: bytes) -> bool:
        """Give the host a frame; False where it is lost. Never waits and raises nothing: a guest can do no harm."""
        if self.failure:
            return False
        try:
            return os.write(self._descriptor, frame) == len(frame)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                self._fail(error.strerror or str(error))
            return False

    def close(self) -> None:
        """Give the descriptor back; may be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self.failure = self.failure or f"{self.name}: closed"

    def _fail(self, why: str) -> None:
        self.failure = f"{self.name}: {why}"


def open_host_port(text: str) -> HostPort:
    """Open what `text` names, one of FORMS. MachineError says in one line why it could not be."""
    kind, _colon, target = text.partition(":")
    if not target or kind not in ("tap", "unix"):
        raise MachineError(f"expected {FORMS} as host port (got {text!r})")
    try:
        return _open_tap(text, target) if kind == "tap" else _open_unix(text, target)
    except OSError as error:
        raise MachineError(f"{text}: {error.strerror or error}") from None
    except ValueError as error:
        raise MachineError(f"{text}: {error}") from None


def over_socket(name: str, link: socket.socket) -> HostPort:
    """A connected datagram or packet socket, which is the port's from now on. MachineError for a stream."""
    if link.type not in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        raise MachineError(f"{name}: expected a socket that keeps frames apart")
    ends = link.type == socket.SOCK_SEQPACKET
    return HostPort(name, link.detach(), ends)


def _open_tap(text: str, name: str) -> HostPort:
    """Attach to a TAP interface, or make one that lasts as long as the port. The host brings it up."""
    if not _INTERFACE_NAME.fullmatch(name):
        raise MachineError(f"{text}: expected an interface name of up to 15 letters, digits, _, . and -")
    descriptor = os.open(_TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, _IFREQ.pack(name.encode(), _IFF_TAP | _IFF_NO_PI))
        return HostPort(text, descriptor, ends=False)
    except OSError:
        os.close(descriptor)
        raise


def _open_unix(text: str, path: str) -> HostPort:
    """Connect to a socket that somebody listens on (SOCK_SEQPACKET) or that is bound there (SOCK_DGRAM)."""
    try:
        return over_socket(text, _connected(socket.SOCK_SEQPACKET, path))
    except OSError as error:
        if error.errno != errno.EPROTOTYPE:
            raise
    return over_socket(text, _connected(socket.SOCK_DGRAM, path))


def _connected(kind: socket.SocketKind, path: str) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, kind)
    try:
        # Without blocking, because a listener whose queue is full would keep the caller waiting.
        link.setblocking(False)
        if kind is socket.SOCK_DGRAM:
            # An abstract address of the kernel's choice: the other side can answer to it.
            link.bind("")
        link.connect(path)
    except BaseException:
        link.close()
        raise
    return link
