"""Three tiny VMs that share, lend, signal and ask each other, always in the same order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine import config
from engine.ffa.abi import Function, handle_words, id_pair
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.flags import RegionFlag
from engine.ffa.memory import NORMAL_WB_ISH, Data, Permissions
from engine.ffa.ranges import Composite, Range
from engine.ffa.version import V1_2
from engine.hypervisor.ffa_stub_spmc import SP1, StubCommand
from engine.machine import Machine
from engine.observe_ffa import ffa_view
from engine.views import FfaView
from tests.support import assembler as a
from tests.support.assembler import Program

RAM_SIZE = 4 << 20
TX, RX, PAGES = 0x10_0000, 0x10_1000, 0x20_0000
"""Offsets into each VM's RAM."""
DATA = 0x1_0000
"""Where an image has its descriptors."""
ELSEWHERE = 0xC000_0000
"""Where the third VM wants what it borrows."""
SHARED, LENT = 0x8000_0000_0000_0001, 0x8000_0000_0000_0002
TAG = 0x7A6
_RO, _RW = Permissions(Data.RO), Permissions(Data.RW)


def ram(vm: int) -> int:
    """Where a VM, by its partition id, sees its RAM."""
    return 0x4800_0000 + (vm - 1) * 0x2000_0000


class _Guest:
    """Code that makes calls, and the descriptors it copies to its TX buffer before some of them."""

    def __init__(self, vm: int) -> None:
        self.vm = vm
        self.code = Program()
        self._data = b""
        self.code.call(Function.RXTX_MAP_64, ram(vm) + TX, ram(vm) + RX, 1)

    def call(self, function: int, *values: int) -> _Guest:
        """Eight registers, so that nothing is left of calls before."""
        self.code.call(function, *values, *(0,) * (7 - len(values)))
        return self

    def send(self, function: int, region: MemoryRegion) -> _Guest:
        data = pack(region, V1_2)
        self._copy(ram(self.vm) + DATA + len(self._data), len(data))
        self._data += data
        return self.call(function, len(data), len(data))

    def _copy(self, source: int, size: int) -> None:
        label = f"copy {source}"
        self.code.constant(9, source).constant(10, ram(self.vm) + TX).constant(11, size)
        self.code.label(label).emit(a.ldr(12, 9), a.str_(12, 10), a.add(9, 9, 8), a.add(10, 10, 8), a.subs(11, 11, 8))
        self.code.b_cond(a.NE, label)

    def delay(self, rounds: int) -> _Guest:
        label = f"delay {self.code.here}"
        self.code.constant(20, rounds).label(label).emit(a.subs(20, 20, 1)).b_cond(a.NE, label)
        return self

    def image(self) -> bytes:
        return self.code.code.ljust(DATA, b"\0") + self._data


def _page(number: int) -> Composite:
    return Composite((Range(ram(1) + PAGES + number * 4096, 1),))


def _scheduler() -> _Guest:
    """VM 1 sends, has the simulated partition borrow and signal, and answers requests ever after."""
    shared = tuple(EndpointAccess(vm, access, composite=_page(0)) for vm, access in ((2, _RO), (3, _RW)))
    lent = (EndpointAccess(SP1, _RW, composite=_page(1)),)
    share = MemoryRegion(1, shared, NORMAL_WB_ISH, tag=TAG)
    guest = _Guest(1).call(Function.VERSION, V1_2.pack()).call(Function.PARTITION_INFO_GET, 0, 0, 0, 0, 1)
    guest.call(Function.NOTIFICATION_BITMAP_CREATE, 1, 1)
    guest.call(Function.NOTIFICATION_BIND, id_pair(2, 1), 0, 0b10_0011)
    guest.call(Function.NOTIFICATION_BIND, id_pair(3, 1), 1, 0b1000_0000)
    guest.call(Function.NOTIFICATION_BIND, id_pair(SP1, 1), 0, 1)
    guest.send(Function.MEM_SHARE_32, share).send(Function.MEM_SHARE_32, share)
    guest.send(Function.MEM_LEND_32, MemoryRegion(1, lent, tag=TAG))
    request = (Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, SP1), 0)
    guest.call(*request, StubCommand.RETRIEVE, *handle_words(LENT)).call(*request, StubCommand.NOTIFY, 1)
    guest.call(Function.MSG_WAIT).code.label("again")
    guest.call(Function.MSG_SEND_DIRECT_RESP_32, id_pair(1, 3), 0, 0xCAFE).code.b("again")
    return guest


def _borrower(vm: int, access: Permissions, composite: Composite | None) -> _Guest:
    """A VM that retrieves what VM 1 shared."""
    entry = EndpointAccess(vm, access, composite=composite)
    request = MemoryRegion(1, (entry,), flags=RegionFlag.BYPASS_BORROWERS, handle=SHARED, tag=TAG)
    guest = _Guest(vm).send(Function.MEM_RETRIEVE_REQ_32, replace(request, tag=TAG + 1))
    return guest.send(Function.MEM_RETRIEVE_REQ_32, request)


def _reader() -> _Guest:
    """VM 2 signals VM 1, then waits for good."""
    guest = _borrower(2, _RO, None).call(Function.RX_RELEASE).call(Function.NOTIFICATION_SET, id_pair(2, 1), 0, 0b10)
    guest.call(Function.MSG_WAIT).code.loop()
    return guest


def _writer() -> _Guest:
    """VM 3 keeps its RX buffer, and asks VM 1 for ever."""
    guest = _borrower(3, _RW, Composite((Range(ELSEWHERE, 1),)))
    guest.code.label("ask")
    guest.call(Function.MSG_SEND_DIRECT_REQ_32, id_pair(3, 1), 0, 0xBEEF).delay(100_000).code.b("ask")
    return guest


def ffa_machine(directory: Path, reached: Callable[[FfaView], bool]) -> Machine:
    """The machine, run by steps that are the same every time until its records are so, and held there."""
    vms = []
    for guest in (_scheduler(), _reader(), _writer()):
        name = f"vm{guest.vm - 1}"
        image = directory / f"{name}.bin"
        image.write_bytes(guest.image())
        base = 0x4000_0000 + (guest.vm - 1) * RAM_SIZE
        vms.append(
            {"name": name, "image": str(image), "format": "raw"}
            | {"ram_base": ram(guest.vm), "ram_size": RAM_SIZE, "base_pa": base}
        )
    machine = Machine(config.from_tables({"vm": vms, "ffa": {}}, directory / "ffa.toml"))
    for _ in range(2000):
        view = ffa_view(machine.control.system)
        if view is not None and reached(view):
            machine.start(running=False)
            return machine
        machine.control.run_instructions(20)
    raise AssertionError("never came to that state")


def has_borrower(view: FfaView, endpoint: int, state: str) -> bool:
    """A transaction has this borrower in this state."""
    return any(
        (each.endpoint, each.state) == (endpoint, state) for share in view.transactions for each in share.borrowers
    )


def offered(view: FfaView) -> bool:
    """VM 1 has just shared its first page."""
    return has_borrower(view, 3, "offered")


def signalled(view: FfaView) -> bool:
    """The simulated partition has what was lent to it, and has signalled; VM 1 may or may not wait."""
    return any(bitmap.pending for each in view.notifications for bitmap in each.bitmaps)


def retrieved(view: FfaView) -> bool:
    """Both VMs have the shared page, and VM 3 has not released its RX buffer."""
    return has_borrower(view, 2, "retrieved") and has_borrower(view, 3, "retrieved")
