"""`--pcap [PORT:]FILE`: what passes a port, or every port of a machine, in files that Wireshark opens."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.board.network.pcap import CLOSED, Capture
from engine.board.network.port import Port
from engine.errors import MachineError

_WITH_PORT = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*):(.*)", re.DOTALL)


class CaptureFile(NamedTuple):
    """What to capture, and where to."""

    port: str | None
    """None: all ports of all networks."""
    path: Path


def parse(text: str) -> CaptureFile:
    """`[PORT:]FILE`; a file whose name looks like that is written `./NAME:...`. MachineError where it is empty."""
    found = _WITH_PORT.fullmatch(text)
    port, path = (found[1], found[2]) if found else (None, text)
    if not path or "\0" in path:
        raise MachineError(f"expected [PORT:]FILE to capture into (got {text!r})")
    return CaptureFile(port, Path(path))


@contextlib.contextmanager
def capturing(ports: Sequence[Port], files: Sequence[CaptureFile], tell: Callable[[str], None]) -> Iterator[None]:
    """Capture from here to the end of the block, of those ports; files that exist are overwritten.

    MachineError, before any file is touched, for a port that is not there or a file named twice; and where one
    cannot be written. `tell` hears, in one line each, of captures that ended by themselves.
    """
    _require_apart(files)
    wanted = [(_chosen(ports, each), each.path) for each in files]
    with contextlib.ExitStack() as stack:
        for chosen, path in wanted:
            stack.enter_context(_capture(path, chosen, tell))
        yield


def _require_apart(files: Sequence[CaptureFile]) -> None:
    seen = set()
    for each in files:
        path = each.path.absolute()
        if path in seen:
            raise MachineError(f"{each.path}: expected a file of its own for each capture")
        seen.add(path)


def _chosen(ports: Sequence[Port], file: CaptureFile) -> list[Port]:
    if not ports:
        raise MachineError(f"{file.path}: this machine has no network to capture")
    found = [port for port in ports if file.port in (None, port.name)]
    if not found:
        names = ", ".join(port.name for port in ports)
        raise MachineError(f"there is no port {file.port!r} to capture (this machine has {names})")
    return found


@contextlib.contextmanager
def _capture(path: Path, ports: Sequence[Port], tell: Callable[[str], None]) -> Iterator[None]:
    try:
        stream = path.open("wb")
    except OSError as error:
        raise MachineError(f"{path}: {error.strerror}") from None
    capture = Capture(stream, ports)
    try:
        yield
    finally:
        capture.close()
        if capture.ended != CLOSED:
            tell(f"{path}: {capture.ended}")
        with contextlib.suppress(OSError):
            # It writes once more what the capture could not.
            stream.close()
